"""Typed tables (`CREATE TABLE ... OF type`): a table leaves its type while either changes, and returns when both agree again.

PostgreSQL forbids to change the columns of a typed table; ALTER TYPE ... CASCADE would change them, but not to what is wanted
where the type is made again, or the table moves from one type to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    DropColumn,
    DropObject,
    column_ref,
)
from dbops.catalog.model import Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.graph import Graph
from dbops.engines.postgresql.render.parts import RowType
from dbops.engines.postgresql.render.tables import is_in_place


def row_types_apart(changes: Iterable[CatalogChange], before: Graph, after: Graph) -> Iterator[CatalogChange]:
    """Yield the changes, and for each typed table that they concern that it leaves its type and takes one."""
    found = list(changes)
    concerned = {ref: None for change in found for ref in _tables(change, before, after)}
    renewed = {ref for ref in concerned if not _stays(ref, before, after)}
    known = {change.ref for change in found if isinstance(change, AlterObject) and not is_in_place_whole(change)}
    yield from (_whole(ref, before, after) for ref in renewed - known)
    for ref in concerned:
        if ref not in renewed:
            old, new = (RowType.of(table) for graph in (before, after) if isinstance(table := graph.objects.get(ref), Table))
            yield from (DropObject(item) for item in (old,) if item)
            yield from (CreateObject(item) for item in (new,) if item)
            _in_order(ref, {change.ref for change in found if isinstance(change, AddColumn)}, after)
            _in_order(ref, {change.ref for change in found if isinstance(change, DropColumn)}, before)
    for change in found:
        if change.ref not in concerned or not isinstance(change, AlterObject) or change.ref in known:
            yield change
        elif change.ref not in renewed and (rest := _without_type(change)) is not None:
            yield rest


def _in_order(ref: Ref, moving: set[Ref], graph: Graph) -> None:
    """Let columns come in the order that a type asks for, and go in the opposite one, whatever else they need."""
    table = graph.table(ref)
    names = [column_ref(ref, column.name) for column in table.columns] if table else []
    columns = [name for name in names if name in moving]
    for earlier, later in pairwise(columns):
        graph.link(later, earlier)


def _tables(change: CatalogChange, before: Graph, after: Graph) -> Iterator[Ref]:
    """Yield the tables in both catalogs, typed in one of them, that a change concerns."""
    match change:
        case AddColumn(table) | DropColumn(table):
            refs = [table]
        case AlterColumn(table, old, new) if (old.type, old.collation) != (new.type, new.collation):
            refs = [table]
        case AlterObject(Table() as old, Table() as new) if old.of_type != new.of_type:
            refs = [new.ref]
        case AlterObject(_, new) if new.ref.kind == "composite_type":
            refs = [ref for ref, item in before.objects.items() if isinstance(item, RowType) and new.ref in before.needs[ref]]
            refs = [ref.table for ref in refs]
        case _:
            return
    for ref in refs:
        both = [graph.objects.get(ref) for graph in (before, after)]
        if all(isinstance(table, Table) for table in both) and any(isinstance(table, Table) and table.of_type for table in both):
            yield ref


def is_in_place_whole(change: AlterObject) -> bool:
    """Tell whether a table keeps its rows where they are."""
    both = isinstance(change.before, Table) and isinstance(change.after, Table)
    return not both or is_in_place(change.before, change.after)  # type: ignore[arg-type]


def _stays(ref: Ref, before: Graph, after: Graph) -> bool:
    old, new = before.objects[ref], after.objects[ref]
    return isinstance(old, Table) and isinstance(new, Table) and is_in_place(old, new)


def _whole(ref: Ref, before: Graph, after: Graph) -> AlterObject:
    return AlterObject(before.objects[ref], after.objects[ref])


def _without_type(change: AlterObject) -> AlterObject | None:
    assert isinstance(change.before, Table) and isinstance(change.after, Table)
    before = replace(change.before, of_type=change.after.of_type)
    return AlterObject(before, change.after) if before != change.after else None
