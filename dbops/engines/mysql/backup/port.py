"""MySQL and MariaDB behind the backup port."""

from __future__ import annotations

import hashlib
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
from dbops.engines.base.shape import Shape
from dbops.errors import BackupError

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection, Target
    from dbops.engines.mysql.connect import MysqlConnection


_FOREVER_S = 31536000  # the largest wait_timeout


class MysqlBackups:
    """See the port."""

    def identity(self, conn: Connection) -> Identity:
        own = cast("MysqlConnection", conn)
        server = own.server.identity.rpartition("/")[0]
        return Identity(
            f"server-{hashlib.sha256(server.encode()).hexdigest()[:12]}", {"server": server, "database": own.database}
        )

    def mechanisms(
        self, conn: Connection, target: Target, kinds: Collection[BackupKind] = KINDS
    ) -> Iterable[Sequence[Mechanism]]:
        from dbops.engines.mysql.backup.mechanisms import mechanisms

        return mechanisms(cast("MysqlConnection", conn), target, kinds)

    def produce(self, order: Order, conn: Connection, target: Target, sink: Sink, told: Told) -> Produced:
        from dbops.engines.mysql.backup import dumping, files, logs

        own = cast("MysqlConnection", conn)
        own.execute(f"SET SESSION wait_timeout = {_FOREVER_S}")  # it is asked again when the tools are done
        if order.mechanism.kind == "log":
            return logs.produce(order, own, target, sink, told)
        if order.mechanism.method == "physical":
            return files.produce(order, own, target, sink, told)
        return dumping.produce(order, own, target, sink, told)

    def keeps(self, conn: Connection, owner: str) -> Sequence[str]:
        return ()

    def let_go(self, conn: Connection, owner: str) -> None:
        return

    def forget(self, link: Link, told: Told) -> None:
        return

    def occupied(self, target: Target, folder: Path | None = None) -> str | None:
        from dbops.engines.mysql.backup.restoring import occupied

        return occupied(target, folder)

    def must_allow(self, chain: Sequence[Link], order: RestoreOrder) -> None:
        from dbops.engines.mysql.backup.restoring import must_allow

        must_allow(chain, order)

    def restore(self, chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
        from dbops.engines.mysql.backup.restoring import restore

        return restore(chain, order, told)

    def examine(self, chain: Sequence[Link], told: Told) -> Sequence[str]:
        from dbops.engines.mysql.backup.examining import examine

        return examine(chain, told)

    @contextmanager
    def trial(self, chain: Sequence[Link], near: Target, point: Point, told: Told) -> Iterator[Connection]:
        from dbops.engines.mysql.backup.trying import trial

        with trial(chain, near, point, told) as conn:
            yield conn

    def rows(self, conn: Connection) -> Mapping[str, int]:
        from dbops.engines.mysql.backup.trying import count_rows

        return count_rows(cast("MysqlConnection", conn))

    def shape(self, link: Link) -> Mapping[str, Shape]:
        from dbops.engines.mysql.backup.shapes import SHAPE

        return SHAPE

    def reached(self, point: Point, link: Link) -> bool | None:
        if point.what == "time" and point.time is not None:
            from dbops.engines.mysql.backup.binlog import end_of_second

            return link.ended_at >= end_of_second(point.time)
        if point.what == "lsn":
            from dbops.engines.mysql.backup.binlog import stop_of

            return stop_of(point).is_behind(link.end)
        raise BackupError("MySQL and MariaDB have no named restore points", expected="a time, a GTID, or FILE:OFFSET of the log")
