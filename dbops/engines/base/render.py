"""The port from typed changes to SQL: what an engine is told, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from dbops.catalog.changes import RenameColumn, RenameObject
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Server, TableSize
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

MANY = 1 << 60
"""Rows of a table of which nothing is known but that it may be large."""


def about(rows: int) -> str:
    """Return `about 12,000 rows`, or `all its rows` where nobody knows how many there are."""
    return "all its rows" if rows >= MANY else f"about {rows:,} {'row' if rows == 1 else 'rows'}"


@dataclass(frozen=True, slots=True)
class RenderContext:
    """What the statements are written for.

    `sizes` are the live tables; a table not in it is new or empty, one of `MANY` rows is taken for large. `online` prefers
    statements that do not block.
    `renames` are those that the plan carries out before: undo takes them back after all else.
    `archive` is a short token; when set, rows about to be deleted are first copied to `<state prefix>archive_<token>_<n>`.
    `as_shown` writes expressions in the very words in which the engine shows them, also where it reads those as others.
    `order_free` is set where default privileges may come before or after the objects: each then says what it was not granted.
    `unchecked` are routines, by schema and name in lower case, whose bodies the server is not to look into when they are made;
    the schema is empty where the source writes none.
    `is_copy` is set where all of it stands elsewhere already: no body is looked into.
    `for_reading` is set where objects are made only to read their texts back: as the engine writes them in the end.
    """

    server: Server
    sizes: Mapping[Ref, TableSize] = field(default_factory=dict)
    online: bool = True
    archive: str | None = None
    renames: tuple[RenameObject | RenameColumn, ...] = ()
    as_shown: bool = False
    for_reading: bool = False
    order_free: bool = False
    unchecked: frozenset[tuple[str, str]] = frozenset()
    is_copy: bool = False

    def rows(self, table: Ref) -> int:
        """Return the estimated rows of a live table, 0 for a new one."""
        size = self.sizes.get(table)
        return size.rows if size else 0

    def is_unchecked(self, ref: Ref) -> bool:
        """Tell whether the body of a routine is taken as it is, whatever it names."""
        name = ref.name.partition("(")[0].lower()
        return ref.kind == "routine" and (self.is_copy or bool(self.unchecked & {(ref.schema.lower(), name), ("", name)}))


@dataclass(frozen=True, slots=True)
class Act:
    """Statements that belong together, in the order of the plan.

    `ref` is the object this act is about (a column, an index, a table); `covers` are other changes made by the same
    statements (all changes of a rebuilt table). `undo` takes the act back, None when nothing can. `creates`, `drops`
    say whether the act makes or removes `ref`; both are False for an alteration.
    """

    ref: Ref
    title: str
    do: tuple[Statement, ...]
    undo: tuple[Statement, ...] | None
    covers: tuple[Ref, ...] = ()
    creates: bool = False
    drops: bool = False

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """The hazards of all statements, each once."""
        return tuple(dict.fromkeys(hazard for statement in self.do for hazard in statement.hazards))

    @property
    def is_transactional(self) -> bool:
        return all(statement.transactional for statement in self.do)
