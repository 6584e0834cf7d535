"""Rows that are copied are copied all: row security, which an owner can be under (FORCE), would hide some without a word.

The owner lifts it for a moment; where it is in the way all the same, the server says so instead of leaving rows out (manual,
"Row Security Policies", row_security).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbops.catalog.model import Table
from dbops.engines.postgresql.render.names import named
from dbops.engines.postgresql.render.scene import Scene
from dbops.sql.statement import Statement


def seen(table: Table) -> Iterator[Statement]:
    """Yield what shows all rows of a table that is about to go."""
    if table.row_security:
        yield Statement("SET LOCAL row_security = off")
        if table.force_row_security:
            yield Statement(f"ALTER TABLE {named(table.ref)} NO FORCE ROW LEVEL SECURITY")


def while_seen(table: Table, statements: Iterable[Statement], scene: Scene) -> Iterator[Statement]:
    """Yield statements about all rows of a table, after which row security is as it is to be.

    Whether the plan has changed it by then does not matter: lifting what is not there, and setting what is, does nothing.
    """
    sides = [found for side in (scene.before, scene.after) if isinstance(found := side.objects.get(table.ref), Table)]
    hiding = [side for side in sides if side.row_security]
    yield from seen(replace(table, row_security=bool(hiding), force_row_security=any(side.force_row_security for side in hiding)))
    yield from statements
    if sides and sides[-1] in hiding and sides[-1].force_row_security:
        yield Statement(f"ALTER TABLE {named(table.ref)} FORCE ROW LEVEL SECURITY")
