"""Plan and apply without a manifest: what the tests of this folder do with a database and a wanted schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet, diff
from dbops.catalog.declared import as_declared
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.mysql.engine import MysqlEngine
from dbops.sql.splitter import split

ENGINE = MysqlEngine()


def canonical(sql: str, target: Target) -> Catalog:
    """Load a source into a scratch database and read it."""
    with ENGINE.scratch(target) as conn:
        ENGINE.load(conn, split(sql, ENGINE.dialect, "case.sql"))
        return ENGINE.inspect(conn, declared=True)


def changes_between(before: Catalog, after: Catalog) -> tuple[CatalogChange, ...]:
    return diff(as_declared(before, after, by_grantee=True), after, column_order=True)


def render(conn: Connection, live: Catalog, wanted: Catalog) -> list[Act]:
    """Return what leads to `wanted`, with rows archived."""
    context = RenderContext(conn.server, ENGINE.sizes(conn), archive="t")
    return ENGINE.render(ChangeSet(live, wanted, changes_between(live, wanted)), context)


def copy(catalog: Catalog, conn: Connection) -> list[Act]:
    """Build a catalog in an empty database, and return what did."""
    acts = ENGINE.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), RenderContext(conn.server))
    run(conn, acts)
    return acts


def run(conn: Connection, acts: Iterable[Act]) -> None:
    for act in acts:
        for statement in act.do:
            conn.execute(statement.sql, statement.parameters)


def take_back(conn: Connection, acts: Sequence[Act]) -> None:
    for act in reversed(acts):
        assert act.undo is not None, act.title
        for statement in act.undo:
            conn.execute(statement.sql, statement.parameters)


def source(acts: Iterable[Act]) -> str:
    """Return what acts say as the text of a source."""
    return "\n".join(ENGINE.dialect.terminated(statement.sql) for act in acts for statement in act.do)


def sorted_lines(dump: str) -> list[str]:
    """Keys have no order that SQL could ask for, an event starts when it is made, and a trigger's text is its author's."""
    lines = (line.strip().rstrip(",;") for line in dump.splitlines())
    return sorted(line.replace("`", "") if line.startswith("TRIGGER ") else line.split(" STARTS '")[0] for line in lines)


def untold_losses(acts: Sequence[Act]) -> list[str]:
    """The titles of acts that remove something for good without a hazard that says so."""
    come_back = {act.ref for act in acts if act.creates}
    losses = {"DELETES_DATA", "DELETES_OBJECT"}
    return [
        act.title
        for act in acts
        if act.drops and act.ref not in come_back and not {hazard.code for hazard in act.hazards} & losses
    ]
