"""Building a catalog, and running statements, on a scratch database."""

from __future__ import annotations

from collections.abc import Iterable

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.sql.statement import Statement


def build(catalog: Catalog, engine: Engine, conn: Connection, *, for_reading: bool = False) -> None:
    """Build `catalog` in an empty scratch database; `for_reading` back in other words, as the render port says."""
    context = RenderContext(conn.server, online=False, as_shown=for_reading, for_reading=for_reading)
    acts = engine.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), context)
    run((statement for act in acts for statement in act.do), engine, conn)


_AT_ONCE = 1_000
"""Statements of one transaction on a scratch: each may hold locks until its end, and the server's room for those is limited."""


def run(statements: Iterable[Statement], engine: Engine, conn: Connection) -> None:
    """Run statements the way apply would, together where the engine and the statements allow it, but in batches where many."""
    batch: list[Statement] = []
    settings: list[Statement] = []

    def flush() -> None:
        if batch:
            with conn.transaction(schema_change=True):
                for statement in batch:
                    conn.execute(statement.sql, statement.parameters)
            batch.clear()

    for statement in statements:
        if statement.transactional and engine.features.has_transactional_ddl:
            if statement.sql.startswith("SET LOCAL "):  # holds for what apply runs in the same transaction
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
