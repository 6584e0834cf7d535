"""Typed differences between two catalogs, and the pure function that finds them.

Objects are compared whole; columns one by one, so that a plan can speak of `table/users/column/email`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Column, Constraint, ForeignTable, Table
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class CreateObject:
    item: CatalogObject

    @property
    def ref(self) -> Ref:
        return self.item.ref


@dataclass(frozen=True, slots=True)
class DropObject:
    item: CatalogObject

    @property
    def ref(self) -> Ref:
        return self.item.ref


@dataclass(frozen=True, slots=True)
class AlterObject:
    """Same ref, other attributes. For tables the columns are equal on both sides: their changes are changes of their own."""

    before: CatalogObject
    after: CatalogObject

    @property
    def ref(self) -> Ref:
        return self.after.ref

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the fields that differ."""
        compared = (f.name for f in fields(self.after) if f.compare)
        return tuple(name for name in compared if getattr(self.before, name) != getattr(self.after, name))


@dataclass(frozen=True, slots=True)
class RenameObject:
    """Asked for by the manifest, or of a constraint; `before` and `after` differ in name (or schema) only."""

    before: Ref
    after: Ref

    @property
    def ref(self) -> Ref:
        return self.after


@dataclass(frozen=True, slots=True)
class AddColumn:
    """`after_column` is the left neighbour in the desired table, None when it comes first."""

    table: Ref
    column: Column
    after_column: str | None

    @property
    def ref(self) -> Ref:
        return column_ref(self.table, self.column.name)


@dataclass(frozen=True, slots=True)
class DropColumn:
    table: Ref
    column: Column

    @property
    def ref(self) -> Ref:
        return column_ref(self.table, self.column.name)


@dataclass(frozen=True, slots=True)
class AlterColumn:
    """`moved` is True where the engine manages column order and this column stands elsewhere; then `after_column` says where."""

    table: Ref
    before: Column
    after: Column
    moved: bool = False
    after_column: str | None = None

    @property
    def ref(self) -> Ref:
        return column_ref(self.table, self.after.name)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the fields that differ."""
        return tuple(f.name for f in fields(self.after) if getattr(self.before, f.name) != getattr(self.after, f.name))


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """Asked for by the manifest."""

    table: Ref
    before: str
    after: str

    @property
    def ref(self) -> Ref:
        return column_ref(self.table, self.after)


CatalogChange = CreateObject | DropObject | AlterObject | RenameObject | AddColumn | DropColumn | AlterColumn | RenameColumn


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """The changes that lead from `before` to `after`, for an engine to render."""

    before: Catalog
    after: Catalog
    changes: tuple[CatalogChange, ...]

    def reversed(self) -> ChangeSet:
        """Return the change set that leads back."""
        return ChangeSet(self.after, self.before, tuple(inverse(change) for change in reversed(self.changes)))


def column_ref(table: Ref, name: str) -> Ref:
    return Ref("column", table.schema, name, table.name)


def inverse(change: CatalogChange) -> CatalogChange:
    """Return the change that takes `change` back."""
    match change:
        case CreateObject(item):
            return DropObject(item)
        case DropObject(item):
            return CreateObject(item)
        case AlterObject(before, after):
            return AlterObject(after, before)
        case RenameObject(before, after):
            return RenameObject(after, before)
        case AddColumn(table, column, _):
            return DropColumn(table, column)
        case DropColumn(table, column):
            return AddColumn(table, column, None)
        case AlterColumn(table, before, after, moved, _):
            return AlterColumn(table, after, before, moved)
        case RenameColumn(table, before, after):
            return RenameColumn(table, after, before)


def diff(
    before: Catalog, after: Catalog, *, column_order: bool = False, constraint_renames: bool = False
) -> tuple[CatalogChange, ...]:
    """Return what must change in `before` to make it `after`: drops, then creations, then alterations, each in catalog order.

    `column_order` says whether a column standing elsewhere is a difference. With `constraint_renames` a constraint that differs
    in nothing but its name is renamed; other renames never come from here.
    """
    drops = [DropObject(item) for ref, item in before.objects.items() if ref not in after.objects]
    creates = [CreateObject(item) for ref, item in after.objects.items() if ref not in before.objects]
    alters = [
        change
        for ref, item in after.objects.items()
        if (old := before.objects.get(ref)) is not None and old != item
        for change in _alterations(old, item, column_order)
    ]
    found = (*drops, *creates, *alters)
    return _with_renames(found) if constraint_renames else found


def _with_renames(changes: tuple[CatalogChange, ...]) -> tuple[CatalogChange, ...]:
    """Put a rename in the place of a constraint's drop, and leave its creation out, wherever both say the same."""
    gone: dict[Constraint, list[Ref]] = {}
    for change in changes:
        if isinstance(change, DropObject) and isinstance(change.item, Constraint):
            gone.setdefault(_nameless(change.item), []).append(change.ref)
    renamed: dict[Ref, Ref] = {}
    for change in changes:
        if isinstance(change, CreateObject) and isinstance(change.item, Constraint) and (old := gone.get(_nameless(change.item))):
            renamed[old.pop(0)] = change.ref
    come = set(renamed.values())
    return tuple(
        RenameObject(change.ref, renamed[change.ref]) if change.ref in renamed else change
        for change in changes
        if change.ref not in come
    )


def _nameless(item: Constraint) -> Constraint:
    return replace(item, name="", is_named=False)


def _alterations(before: CatalogObject, after: CatalogObject, column_order: bool) -> Iterator[CatalogChange]:
    if isinstance(before, Table | ForeignTable) and isinstance(after, Table | ForeignTable):
        if before.columns != after.columns:
            yield from column_changes(before, after, column_order)
        before = replace(before, columns=after.columns)
    if before != after:
        yield AlterObject(before, after)


def column_changes(before: Table | ForeignTable, after: Table | ForeignTable, column_order: bool) -> Iterator[CatalogChange]:
    """Yield drops, additions and alterations of the columns of one table."""
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in after.columns}
    left = dict(zip(new, [None, *new], strict=False))
    moved = _moved([n for n in old if n in new], [n for n in new if n in old]) if column_order else frozenset()
    yield from (DropColumn(before.ref, column) for name, column in old.items() if name not in new)
    for name, column in new.items():
        if name not in old:
            yield AddColumn(after.ref, column, left[name])
        elif column != old[name] or name in moved:
            yield AlterColumn(after.ref, old[name], column, name in moved, left[name])


def _moved(before: list[str], after: list[str]) -> frozenset[str]:
    """Return the fewest names that must move to turn one order of the same names into the other."""
    if before == after:
        return frozenset()
    place = {name: index for index, name in enumerate(before)}
    tails: list[int] = []
    best: list[list[str]] = []
    for name in after:  # longest increasing subsequence of old places: those names stay
        at = next((i for i, tail in enumerate(tails) if tail > place[name]), len(tails))
        chain = [*(best[at - 1] if at else []), name]
        if at == len(tails):
            tails.append(place[name])
            best.append(chain)
        else:
            tails[at], best[at] = place[name], chain
    return frozenset(after) - frozenset(best[-1])
