"""Plan and apply without a manifest: what the tests of this folder do with a database and a wanted schema."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet, diff
from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.base.url import DatabaseUrl
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.engine import SqliteEngine
from dbops.sql.splitter import split

ENGINE = SqliteEngine()


def target(path: Path | str, **settings: str) -> Target:
    return Target("test", DatabaseUrl("sqlite", database=str(path)), Timeouts(lock_s=1), settings=tuple(settings.items()))


MEMORY = target(":memory:")


def read(sql: str) -> Catalog:
    """Load a source into a scratch database and read it."""
    with ENGINE.scratch(MEMORY) as conn:
        ENGINE.load(conn, split(sql, ENGINE.dialect, "test.sql"))
        return ENGINE.inspect(conn, declared=True)


@dataclass(frozen=True)
class Planned:
    """What apply would do."""

    live: Catalog
    wanted: Catalog
    changes: tuple[CatalogChange, ...]
    acts: list[Act]

    @property
    def sql(self) -> list[str]:
        return [statement.sql for act in self.acts for statement in act.do]

    @property
    def hazards(self) -> list[str]:
        return sorted({hazard.code for act in self.acts for hazard in act.hazards})


def plan(conn: SqliteConnection, wanted: Catalog, archive: str | None = None) -> Planned:
    live = ENGINE.inspect(conn)
    changes = diff(live, wanted, constraint_renames=True)
    context = RenderContext(conn.server, ENGINE.sizes(conn), archive=archive)
    return Planned(live, wanted, changes, ENGINE.render(ChangeSet(live, wanted, changes), context))


def run(conn: SqliteConnection, acts: Iterable[Act]) -> None:
    with conn.transaction(schema_change=True):
        for act in acts:
            for statement in act.do:
                conn.execute(statement.sql, statement.parameters)


def take_back(conn: SqliteConnection, acts: list[Act]) -> None:
    with conn.transaction(schema_change=True):
        for act in reversed(acts):
            assert act.undo is not None, act.title
            for statement in act.undo:
                conn.execute(statement.sql, statement.parameters)


def copy(catalog: Catalog, conn: SqliteConnection) -> None:
    """Build a catalog in an empty database."""
    run(conn, ENGINE.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), RenderContext(conn.server)))
