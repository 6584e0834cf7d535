"""What statements mean for those who are no part of them: bodies of functions, subscribers, and who waits for the whole.

Added to acts when all of them are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbops.catalog.bodies import Bodies, lost_names
from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    DropColumn,
    DropObject,
    RenameColumn,
    RenameObject,
)
from dbops.catalog.model import Column, Defined, PrimaryKey, Routine, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act
from dbops.engines.postgresql.render.ordering import Ordered
from dbops.engines.postgresql.render.publications import publishes
from dbops.engines.postgresql.render.scene import Scene
from dbops.sql.hazard import Hazard

_STRONG = frozenset({"LOCK_QUEUE", "BLOCKS_READS", "BLOCKS_WRITES"})


def with_consequences(acts: list[Act], plan: Ordered, scene: Scene) -> list[Act]:
    """Return the acts, which stand in the order of the plan's units, with the hazards of what they mean for others."""
    bodies = Bodies(item for item in scene.after.all(Routine) if "BEGIN ATOMIC" not in item.definition)
    coming = {change.ref for unit in plan.units for change in unit.all if isinstance(change, CreateObject | AddColumn)}
    result = []
    for act, unit in zip(acts, plan.units, strict=True):
        found = list(dict.fromkeys(hazard for change in unit.all for hazard in _of(change, scene, bodies, coming)))
        result.append(_with(act, found))
    return _held_long(result, scene)


def _with(act: Act, found: list[Hazard]) -> Act:
    if not found or not act.do:
        return act
    first, *others = act.do
    return replace(act, do=(replace(first, hazards=(*first.hazards, *found)), *others))


def _of(change: CatalogChange, scene: Scene, bodies: Bodies, coming: set[Ref]) -> Iterator[Hazard]:
    for ref, names in lost_names(change):
        if ref not in coming and (users := bodies.naming(*names)):
            text = f"{_listed(users)} may use {ref.qualified} by name, which the server does not track"
            yield Hazard("UNTRACKED_DEPENDENCY", text)
    match change:
        case CreateObject(Routine() as item):
            yield from _volatility(item)
        case AlterObject(Routine(), Routine() as item):
            yield from _volatility(item)
        case _:
            yield from _subscribers(change, scene)
            yield from _numbers(change, scene)


def _listed(refs: list[Ref]) -> str:
    shown = ", ".join(ref.qualified for ref in refs[:3])
    return f"{shown} and {len(refs) - 3} more" if len(refs) > 3 else shown


# --- promises of functions ----------------------------------------------------------------------------------------------------

_HEAD = re.compile(r"\b(IMMUTABLE|STABLE)\b")
_BODY = re.compile(r"\bAS (\$\w*\$)(.*)\1", re.DOTALL)
_CHANGING = re.compile(
    r"\b(?:random|gen_random_uuid|nextval|setval|clock_timestamp|timeofday)\s*\(|\binsert\s+into\b|\bdelete\s+from\b|\bupdate\s+\w",
    re.IGNORECASE,
)
_READING = re.compile(
    r"\b(?:now|statement_timestamp|current_setting|currval)\s*\(|\bcurrent_(?:timestamp|date|time|user)\b|\bfrom\s+[\w\"]",
    re.IGNORECASE,
)


def _volatility(item: Routine) -> Iterator[Hazard]:
    """A function that promises more than its body keeps gives wrong results in indexes and plans (manual, 38.7)."""
    body = _BODY.search(item.definition)
    promise = _HEAD.search(item.definition[: body.start()]) if body else None
    if body is None or promise is None:
        return
    found = _CHANGING.search(body[2]) or (_READING.search(body[2]) if promise[1] == "IMMUTABLE" else None)
    if found:
        text = f"{item.ref.qualified} promises to be {promise[1]}, and its body has {' '.join(found[0].split())}"
        yield Hazard("FUNCTION_VOLATILITY", text.rstrip("( "))


# --- subscribers ----------------------------------------------------------------------------------------------------------------


def _subscribers(change: CatalogChange, scene: Scene) -> Iterator[Hazard]:
    """Logical replication sends rows, not definitions (manual, "Logical Replication", Restrictions)."""
    table = change.ref.table
    sending = [item.name for item in scene.before.all(Defined) if item.what == "publication" and publishes(item, table)]
    if not sending:
        return
    where = f"{table.qualified} is published by {', '.join(sending)}"
    match change:
        case AddColumn():
            yield Hazard(
                "REPLICATION_IMPACT", f"{where}: subscribers need the column {change.column.name} before rows with it come"
            )
        case DropColumn():
            yield Hazard("REPLICATION_IMPACT", f"{where}: subscribers keep the column {change.column.name}, unfilled")
        case AlterColumn() if change.before.type != change.after.type:
            yield Hazard("REPLICATION_IMPACT", f"{where}: values of {change.after.name} have to fit the subscribers' type, too")
        case RenameColumn() | RenameObject():
            yield Hazard("REPLICATION_IMPACT", f"{where}: subscribers know it by its old name")
        case DropObject(PrimaryKey()) if not _identified_otherwise(scene, table):
            yield Hazard("REPLICATION_IMPACT", f"{where}: UPDATE and DELETE fail without a replica identity")
        case CreateObject(Table() as item) if _has_no_identity(scene, item):
            yield Hazard("REPLICATION_IMPACT", f"{where}: UPDATE and DELETE fail without a primary key or replica identity")
        case _:
            pass


def _identified_otherwise(scene: Scene, table: Ref) -> bool:
    found = scene.after.objects.get(table)
    if not isinstance(found, Table) or found.replica_identity not in (None, "default"):
        return True
    return any(isinstance(child, PrimaryKey) for child in scene.new.children(table))


def _has_no_identity(scene: Scene, table: Table) -> bool:
    return not table.partition_by and not _identified_otherwise(scene, table.ref)


# --- numbers --------------------------------------------------------------------------------------------------------------------

_SMALL = {"smallint": 2**15 - 1, "integer": 2**31 - 1}


def _numbers(change: CatalogChange, scene: Scene) -> Iterator[Hazard]:
    """A key that counts in 32 bits ends at 2,147,483,647."""
    match change:
        case AddColumn(table, column) if _counts(column, table, scene) and scene.rows(table):
            yield _ends(table, column)
        case AlterColumn(table, before, after) if before.type != after.type and _counts(after, table, scene):
            yield _ends(table, after)
        case _:
            pass


def _counts(column: Column, table: Ref, scene: Scene) -> bool:
    owned = any(item.owned_by and item.owned_by.name == column.name for item in scene.new.owned_by(table))
    return column.type in _SMALL and (column.identity is not None or owned)


def _ends(table: Ref, column: Column) -> Hazard:
    return Hazard("SEQUENCE_RISK", f"{table.qualified}.{column.name} is {column.type} and counts to {_SMALL[column.type]:,} only")


# --- long transactions ----------------------------------------------------------------------------------------------------------


def _held_long(acts: Iterable[Act], scene: Scene) -> list[Act]:
    """Say of the second big table locked in one transaction that the first stays locked until all is done."""
    result: list[Act] = []
    held: dict[Ref, None] = {}
    for act in acts:
        table = act.ref.table
        if not act.is_transactional:
            held.clear()
        elif scene.is_online(table) and _STRONG & {hazard.code for hazard in act.hazards}:
            if held and table not in held:
                text = (
                    f"{', '.join(ref.qualified for ref in held)} stays locked until the transaction ends, with {table.qualified}"
                )
                act = _with(act, [Hazard("LONG_TRANSACTION", text)])
            held[table] = None
        result.append(act)
    return result
