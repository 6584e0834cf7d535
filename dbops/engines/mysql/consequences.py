"""What acts mean for those who are no part of them: bodies that name what goes, counters, and what commits half way.

Added to acts when all of them are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbops.catalog.bodies import Bodies, lost_names
from dbops.catalog.changes import AddColumn, AlterColumn, CatalogChange, ChangeSet, CreateObject
from dbops.catalog.model import Column, Event, Routine, Trigger
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.mysql.types import parts
from dbops.sql.hazard import Hazard

#: Bytes of the integer types whose end a busy counter may reach.
_SMALL = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4}


def with_consequences(acts: list[Act], changes: ChangeSet, context: RenderContext) -> list[Act]:
    """Return the acts with the hazards of what they mean for others."""
    kinds = (Routine, Trigger, Event)
    bodies = Bodies(item for item in changes.after if isinstance(item, kinds))
    coming = {change.ref for change in changes.changes if isinstance(change, CreateObject | AddColumn)}
    by_ref: dict[Ref, list[Hazard]] = {}
    for change in changes.changes:
        if found := list(_of(change, bodies, coming, context)):
            by_ref.setdefault(change.ref, []).extend(found)
    return [
        _with(act, [hazard for ref in dict.fromkeys((act.ref, *act.covers)) for hazard in by_ref.pop(ref, ())]) for act in acts
    ]


def _of(change: CatalogChange, bodies: Bodies, coming: set[Ref], context: RenderContext) -> Iterator[Hazard]:
    for ref, names in lost_names(change):
        if ref not in coming and (users := bodies.naming(*names)):
            listed = ", ".join(f"{user.kind} {user.name}" for user in users[:3])
            more = f" and {len(users) - 3} more" if len(users) > 3 else ""
            yield Hazard("BREAKS_DEPENDENTS", f"{listed}{more} use {ref.qualified} by name and fail when they run")
    match change:
        case AddColumn(table, column) if _counts(column) and context.rows(table):
            yield _ends(table, column)
        case AlterColumn(table, before, after) if before.type != after.type and _counts(after):
            yield _ends(table, after)
        case _:
            pass


def _counts(column: Column) -> bool:
    return column.identity is not None and parts(column.type)[0] in _SMALL


def _ends(table: Ref, column: Column) -> Hazard:
    bits = 8 * _SMALL[parts(column.type)[0]] - ("unsigned" not in column.type)
    return Hazard("SEQUENCE_RISK", f"{table.name}.{column.name} is {column.type} and counts to {2**bits - 1:,} only")


def _with(act: Act, found: list[Hazard]) -> Act:
    """Add hazards to the first statement, and to the second of several that it commits without them."""
    if not act.do:
        return act
    do = list(act.do)
    real = [place for place, statement in enumerate(do) if not statement.sql.startswith("SET ")]
    if len(real) > 1 and act.hazards:
        text = f"{len(real)} statements commit one by one; the journal says how far they came"
        do[real[1]] = replace(do[real[1]], hazards=(*do[real[1]].hazards, Hazard("NOT_TRANSACTIONAL", text)))
    if found:
        do[0] = replace(do[0], hazards=(*do[0].hazards, *dict.fromkeys(found)))
    return replace(act, do=tuple(do))
