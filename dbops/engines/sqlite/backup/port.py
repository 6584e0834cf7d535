"""SQLite behind the backup port."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dbops.engines.base.backup import (
    KINDS,
    BackupKind,
    Identity,
    Link,
    Mechanism,
    Order,
    Point,
    Produced,
    Restored,
    RestoreOrder,
    Sink,
    Told,
)
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.shape import Shape
from dbops.engines.base.url import MEMORY
from dbops.errors import BackupError

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection, Target
    from dbops.engines.sqlite.connect import SqliteConnection

_FAMILY = "pages"


MACHINE = Path("/etc/machine-id")


def _machine() -> str | None:
    """Return what an installation of a system is known by: of many machines that have a file of one name each is another.

    The id itself is not to be shown to others (machine-id(5)). Containers have none, whose names change each time they start.
    """
    try:
        text = MACHINE.read_text().strip()
    except (OSError, ValueError):
        return None
    is_one = len(text) == _ID_LENGTH and text.isalnum()
    return hmac.new(text.encode(), b"dbops backups", "sha256").hexdigest()[:12] if is_one else None


_ID_LENGTH = 32


class SqliteBackups:
    """See the port."""

    def identity(self, conn: Connection) -> Identity:
        own = cast("SqliteConnection", conn)
        status = Path(own.path).stat()
        application_id = str(own.query("PRAGMA application_id")[0][0])
        page_size = own.query("PRAGMA page_size")[0][0]  # of others no page is one that was there before
        mark = hashlib.sha256(f"{application_id}:{status.st_dev}:{status.st_ino}:{page_size}".encode()).hexdigest()[:12]
        facts = {"application_id": application_id, "file": os.path.realpath(own.path)}
        return Identity(f"file-{mark}", facts | ({"machine": machine} if (machine := _machine()) is not None else {}))

    def mechanisms(
        self, conn: Connection, target: Target, kinds: Collection[BackupKind] = KINDS
    ) -> Iterable[Sequence[Mechanism]]:
        why, fix = "", ""
        if (target.url.database or MEMORY) == MEMORY:
            why, fix = "a database in memory is gone when its session ends", "put it into a file"
        made = [
            Mechanism(kind, "physical", "pages", _FAMILY, why, fix, picks=frozenset({"table"}))
            for kind in ("full", "incremental", "differential")
        ]
        none = "SQLite keeps no log of what was written, so a restore leads to the moments at which backups ended"
        log = Mechanism("log", "physical", "pages", _FAMILY, none, "schedule incremental backups more often")
        return [[one for one in (*made, log) if one.kind in kinds]]

    def produce(self, order: Order, conn: Connection, target: Target, sink: Sink, told: Told) -> Produced:
        from dbops.engines.sqlite.backup.making import produce

        return produce(order, cast("SqliteConnection", conn), sink, told)

    def keeps(self, conn: Connection, owner: str) -> Sequence[str]:
        return ()

    def let_go(self, conn: Connection, owner: str) -> None:
        return

    def forget(self, link: Link, told: Told) -> None:
        return

    def occupied(self, target: Target, folder: Path | None = None) -> str | None:
        if folder is not None:
            raise BackupError("a SQLite database is restored to a file", expected="--to sqlite:///restored.db")
        from dbops.engines.sqlite.backup.restoring import occupied

        return occupied(target.url.database or MEMORY)

    def must_allow(self, chain: Sequence[Link], order: RestoreOrder) -> None:
        from dbops.engines.sqlite.backup.restoring import must_allow

        must_allow(order)

    def restore(self, chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
        from dbops.engines.sqlite.backup.restoring import restore

        return restore(chain, order, told)

    def examine(self, chain: Sequence[Link], told: Told) -> Sequence[str]:
        from dbops.engines.sqlite.backup.restoring import assemble, differs, integrity

        with passing_folder() as folder:
            path = Path(folder) / "examined.db"
            assemble(chain, path, told)
            wrong = differs(chain, path)
            return [*([wrong] if wrong else []), *integrity(path).problems]

    @contextmanager
    def trial(self, chain: Sequence[Link], near: Target, point: Point, told: Told) -> Iterator[Connection]:
        from dataclasses import replace

        from dbops.engines.sqlite.backup.restoring import restore
        from dbops.engines.sqlite.connect import connect

        with passing_folder() as folder:
            url = replace(near.url, database=str(Path(folder) / "trial.db"), query=())
            there = replace(near, url=url)
            restore(chain, RestoreOrder(there, point), told)
            conn = connect(there)
            try:
                yield conn
            finally:
                conn.close()

    def rows(self, conn: Connection) -> Mapping[str, int]:
        from dbops.engines.sqlite.backup.making import count_rows

        return count_rows(cast("SqliteConnection", conn))

    def shape(self, link: Link) -> Mapping[str, Shape]:
        from dbops.engines.sqlite.backup.pages import is_page_count, is_page_size

        return {"end": {"state": str}, "details": {"page_size": is_page_size, "pages": is_page_count}}

    def reached(self, point: Point, link: Link) -> bool | None:
        if point.what == "time" and point.time is not None:
            return link.ended_at >= point.time
        return None
