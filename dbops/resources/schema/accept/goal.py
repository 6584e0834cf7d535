"""Which differences are accepted, and the catalog that a source must come to mean for them to be none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dbops.catalog.catalog import Catalog
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
from dbops.catalog.model import CatalogObject, Check, Column, Constraint, ForeignKey, Index, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.errors import SchemaError
from dbops.resources.schema.observed import SchemaChange


@dataclass(frozen=True, slots=True)
class Goal:
    """`before` is what the source means, `after` what it must mean; `accepted` are the differences in between, by ref.

    Each change leads from the live database to the source: accepting it takes it back in the source.
    """

    before: Catalog
    after: Catalog
    accepted: dict[Ref, CatalogChange]


def with_company(accepted: Sequence[SchemaChange], others: Sequence[SchemaChange]) -> list[SchemaChange]:
    """Return the accepted changes with those that cannot stand without them.

    A table comes and goes with all its parts, a column with the keys, checks and indexes that are gone or new like it.
    """
    found = list(accepted)
    left = [change for change in others if change not in found]
    for change in found:  # grows while it is walked
        for other in list(left):
            if _needs(other.change, change.change) or _needs(change.change, other.change):
                found.append(other)
                left.remove(other)
    return found


def _needs(part: CatalogChange, whole: CatalogChange) -> bool:
    if _direction(part) != _direction(whole) or not _direction(part) or not part.ref.parent:
        return False
    if isinstance(whole, CreateObject | DropObject) and not whole.ref.parent:
        return part.ref.table == whole.ref
    if isinstance(whole, AddColumn | DropColumn) and isinstance(part, CreateObject | DropObject):
        return part.ref.table == whole.table and whole.column.name in columns_of(part.item)
    return False


def _direction(change: CatalogChange) -> str:
    match change:
        case CreateObject() | AddColumn():
            return "gone"
        case DropObject() | DropColumn():
            return "new"
        case _:
            return ""


def columns_of(item: CatalogObject) -> tuple[str, ...]:
    """Return the columns a key or an index names; checks and expressions name none here."""
    match item:
        case PrimaryKey(columns=columns) | Unique(columns=columns) | ForeignKey(columns=columns):
            return columns
        case Index(keys=keys):
            return tuple(key.column for key in keys if key.column)
        case Check():
            return ()
        case _:
            return ()


def make_goal(live: Catalog, source: Catalog, accepted: Iterable[SchemaChange]) -> Goal:
    """Return the goal for accepted changes between the live catalog and the source's.

    Raises:
        SchemaError: a rename is among them.
    """
    changes = {part.ref: part for change in accepted for part in _parts(change.change, live, source)}
    objects = dict(source.objects)
    dependencies = dict(source.dependencies)
    tables: dict[Ref, list[CatalogChange]] = {}
    for ref, change in changes.items():
        match change:
            case CreateObject():
                objects.pop(ref, None)
            case DropObject(item):
                objects[ref] = item
                dependencies[ref] = live.dependencies.get(ref, frozenset())
            case AlterObject(before, _):
                objects[ref] = _altered(before, source.objects.get(ref))
            case AddColumn() | DropColumn() | AlterColumn():
                tables.setdefault(change.table, []).append(change)
            case RenameObject() | RenameColumn():
                raise SchemaError(
                    f"{ref.qualified} waits for its rename", fix="apply the rename, or take it out of the manifest's renames"
                )
    for ref, of_table in tables.items():
        table, other = objects.get(ref), live.objects.get(ref)
        if isinstance(table, Table) and isinstance(other, Table):
            objects[ref] = replace(table, columns=_columns(table, other, of_table), spelling=None)
    after = replace(source, objects=objects, dependencies=dependencies).in_order()
    return Goal(source.in_order(), after, changes)


def _parts(change: CatalogChange, live: Catalog, source: Catalog) -> tuple[CatalogChange, ...]:
    """A constraint or index that goes by another name in the source is one that goes there and one that comes."""
    if isinstance(change, RenameObject):
        old, new = live.objects.get(change.before), source.objects.get(change.after)
        if isinstance(old, Constraint | Index) and isinstance(new, Constraint | Index):
            return DropObject(old), CreateObject(new)
    return (change,)


def _altered(live: CatalogObject, source: CatalogObject | None) -> CatalogObject:
    """A table's columns are differences of their own."""
    if isinstance(live, Table) and isinstance(source, Table):
        return replace(live, columns=source.columns, spelling=None)
    return live


def _columns(source: Table, live: Table, changes: Sequence[CatalogChange]) -> tuple[Column, ...]:
    """Return the source's columns with the changes taken back: new and moved ones stand behind their live neighbour."""
    columns = {column.name: column for column in source.columns}
    order = list(columns)
    for change in changes:
        match change:
            case AddColumn(_, column, _):
                order.remove(column.name)
            case DropColumn(_, column):
                columns[column.name] = column
            case AlterColumn(_, before, _):
                columns[before.name] = before
                if change.moved:
                    order.remove(before.name)
            case _:
                pass
    neighbours = [column.name for column in live.columns]
    for name in [name for name in neighbours if name in columns and name not in order]:
        left = [other for other in neighbours[: neighbours.index(name)] if other in order]
        order.insert(order.index(left[-1]) + 1 if left else 0, name)
    return tuple(columns[name] for name in order)
