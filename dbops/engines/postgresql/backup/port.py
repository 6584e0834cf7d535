"""PostgreSQL behind the backup port."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    must_fit,
)
from dbops.engines.base.shape import Shape
from dbops.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path

    from dbops.engines.base.connect import Connection, Target
    from dbops.engines.postgresql.connect import PostgresConnection


class PostgresBackups:
    """See the port."""

    def identity(self, conn: Connection) -> Identity:
        from dbops.engines.postgresql.backup.dumping import timeline_of

        system, database, _ = conn.server.identity.rsplit("/", 2)
        timeline = timeline_of(cast("PostgresConnection", conn))
        mark = system if system.isdigit() else hashlib.sha256(system.encode()).hexdigest()[:16]
        return Identity(f"{mark}-{timeline}", {"system": system, "timeline": str(timeline), "database": database})

    def mechanisms(
        self, conn: Connection, target: Target, kinds: Collection[BackupKind] = KINDS
    ) -> Iterable[Sequence[Mechanism]]:
        from dbops.engines.postgresql.backup.abilities import mechanisms

        return mechanisms(conn, target, kinds)

    def produce(self, order: Order, conn: Connection, target: Target, sink: Sink, told: Told) -> Produced:
        own = cast("PostgresConnection", conn)
        match order.mechanism.tool:  # each imports no more than it needs, for every run begins with that
            case "pg_basebackup":
                from dbops.engines.postgresql.backup import bases

                return bases.produce(order, own, target, sink, told)
            case "pg_receivewal":
                from dbops.engines.postgresql.backup import logs

                return logs.produce(order, own, target, sink, told)
            case "pgbackrest":
                from dbops.engines.postgresql.backup import pgbackrest

                return pgbackrest.produce(order, own, target, sink, told)
            case _:
                from dbops.engines.postgresql.backup import dumping

                return dumping.produce(order, own, target, sink, told)

    def keeps(self, conn: Connection, owner: str) -> Sequence[str]:
        from dbops.engines.postgresql.backup import slots

        name = slots.name_for(owner)
        return [f"replication slot {name}"] if slots.find(cast("PostgresConnection", conn), name) else []

    def let_go(self, conn: Connection, owner: str) -> None:
        from dbops.engines.postgresql.backup import slots

        own, name = cast("PostgresConnection", conn), slots.name_for(owner)
        told = slots.drop(own, name)
        if slots.find(own, name) is not None:
            raise BackupError("; ".join(told), fix="end the run that uses it, and apply again")

    def forget(self, link: Link, told: Told) -> None:
        from dbops.engines.postgresql.backup.stanzas import NAME

        if link.tool == NAME and link.kind != "log":
            from dbops.engines.postgresql.backup import pgbackrest

            must_fit(link, self.shape(link))
            pgbackrest.forget(link, told)

    def occupied(self, target: Target, folder: Path | None = None) -> str | None:
        if folder is not None:
            from dbops.engines.postgresql.backup import restoring

            return restoring.occupied(folder)
        from dbops.engines.postgresql.backup import loading

        return loading.occupied(target)

    def must_allow(self, chain: Sequence[Link], order: RestoreOrder) -> None:
        if chain[0].method == "logical":
            from dbops.engines.postgresql.backup import loading

            loading.must_allow(chain, order)
            return
        from dbops.engines.postgresql.backup import restoring

        restoring.must_allow(chain, order)

    def restore(self, chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
        if chain[0].method == "logical":
            from dbops.engines.postgresql.backup import loading

            return loading.restore(chain, order, told)
        from dbops.engines.postgresql.backup import restoring

        return restoring.restore(chain, order, told)

    def examine(self, chain: Sequence[Link], told: Told) -> Sequence[str]:
        from dbops.engines.postgresql.backup import trying

        return trying.examine(chain, told)

    @contextmanager
    def trial(self, chain: Sequence[Link], near: Target, point: Point, told: Told) -> Iterator[Connection]:
        from dbops.engines.postgresql.backup import trying

        with trying.trial(chain, near, point, told) as conn:
            yield conn

    def rows(self, conn: Connection) -> Mapping[str, int]:
        from dbops.engines.postgresql.backup.dumping import count_rows

        return count_rows(cast("PostgresConnection", conn))

    def shape(self, link: Link) -> Mapping[str, Shape]:
        from dbops.engines.postgresql.backup import shapes
        from dbops.engines.postgresql.backup.stanzas import NAME

        return shapes.shape(link.method, is_record=link.tool == NAME)

    def reached(self, point: Point, link: Link) -> bool | None:
        from dbops.engines.postgresql.backup.segments import lsn_number

        if point.what == "time" and point.time is not None:
            return link.ended_at >= point.time
        if point.what == "lsn":
            return lsn_number(str(link.end["lsn"])) >= lsn_number(point.text)
        return None
