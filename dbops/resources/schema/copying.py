"""Building a catalog, and running statements, on a scratch database."""

from __future__ import annotations

from collections.abc import Iterable

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import AlterObject, ChangeSet, diff
from dbops.catalog.model import CatalogObject, View
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.engines.base.interrupt import holding
from dbops.engines.base.render import Act, RenderContext
from dbops.errors import QueryError
from dbops.sql.statement import Statement


def build(catalog: Catalog, engine: Engine, conn: Connection, *, for_reading: bool = False) -> None:
    """Build `catalog` in an empty scratch database; `for_reading` back in other words, as the render port says."""
    context = RenderContext(conn.server, online=False, as_shown=for_reading, for_reading=for_reading, is_copy=True)
    acts = engine.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), context)
    run((statement for act in acts for statement in act.do), engine, conn)


def build_copy(catalog: Catalog, engine: Engine, conn: Connection) -> frozenset[Ref]:
    """Build a live catalog in an empty scratch database; return the views that others stand for, since their tables are gone."""
    if engine.features.stand_in_view is None:
        build(catalog, engine, conn)
        return frozenset()
    context = RenderContext(conn.server, online=False, is_copy=True)
    acts = engine.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), context)
    return frozenset(act.ref for act in acts if not _is_made(act, catalog, engine, conn))


def _is_made(act: Act, catalog: Catalog, engine: Engine, conn: Connection) -> bool:
    try:
        run(act.do, engine, conn)
        return True
    except QueryError:
        view = catalog.objects.get(act.ref)
        if not isinstance(view, View) or engine.features.stand_in_view is None:
            raise
        alone = Catalog.of([View(name=view.name, schema=view.schema, definition=engine.features.stand_in_view)])
        build(alone, engine, conn)
        return False


def make_real(views: Iterable[Ref], catalog: Catalog, engine: Engine, conn: Connection) -> frozenset[Ref]:
    """Give views that others still stand for their own queries, as their tables may have come; return those that stay broken."""
    left = {ref for ref in views if isinstance(catalog.objects.get(ref), View)}
    while left:
        found = engine.inspect(conn).objects
        left = {
            ref for ref in left if isinstance(item := found.get(ref), View) and item.definition == engine.features.stand_in_view
        }
        made = {ref for ref in left if _is_replaced(found[ref], catalog.objects[ref], engine, conn)}
        if not made:
            break
        left -= made
    return frozenset(left)


def _is_replaced(before: CatalogObject, after: CatalogObject, engine: Engine, conn: Connection) -> bool:
    changes = ChangeSet(Catalog.of([before]), Catalog.of([after]), (AlterObject(before, after),))
    try:
        run((one for act in engine.render(changes, RenderContext(conn.server)) for one in act.do), engine, conn)
    except QueryError:
        return False
    return True


_AT_ONCE = 1_000
"""Statements of one transaction on a scratch: each may hold locks until its end, and the server's room for those is limited."""


def run(statements: Iterable[Statement], engine: Engine, conn: Connection) -> None:
    """Run statements the way apply would, together where the engine and the statements allow it, but in batches where many."""
    batch: list[Statement] = []
    settings: list[Statement] = []

    def flush() -> None:
        if batch:
            with holding(), conn.transaction(schema_change=True):
                for statement in batch:
                    conn.execute(statement.sql, statement.parameters)
            batch.clear()

    for statement in statements:
        if statement.transactional and engine.features.has_transactional_ddl:
            if statement.is_local_setting:  # holds for what apply runs in the same transaction
                settings.append(statement)
            elif len(batch) >= _AT_ONCE:
                flush()
                batch += settings
            batch.append(statement)
            continue
        flush()
        settings.clear()
        conn.execute(statement.sql, statement.parameters)
    flush()
