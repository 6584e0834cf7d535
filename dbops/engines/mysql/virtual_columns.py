"""Virtual columns that come or go beside other changes of their table.

The server adds and drops them at once, but only alone: next to anything else than virtual columns and plain indexes, ALTER TABLE
copies the table (error 1846, "INPLACE ADD or DROP of virtual columns cannot be combined with other ALTER TABLE actions";
MariaDB 10.11, MySQL 9.7). So one change becomes several statements, each as gentle as it is alone.
"""

from __future__ import annotations

from dataclasses import replace

from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject, DropColumn, DropObject
from dbops.catalog.model import CatalogObject, Check, Column
from dbops.engines.mysql.alter import TableChange, columns_of, is_virtual, left_of
from dbops.engines.mysql.connect import quoted


def apart(change: TableChange) -> tuple[TableChange, ...]:
    """Return the change in parts, to be carried out one after the other; as it is where its parts hang together.

    What stands on the columns that go leaves first, and what stands on those that come comes last.
    """
    gone = {c.column.name for c in change.changes if isinstance(c, DropColumn) and is_virtual(c.column)}
    come = {c.column.name for c in change.changes if isinstance(c, AddColumn) and is_virtual(c.column)}
    if not gone | come or any(_hangs_together(c, gone | come) for c in change.changes):
        return (change,)
    return tuple(part for part in _parts(change, gone, come) if part.changes)


def _hangs_together(change: CatalogChange, names: set[str]) -> bool:
    """Tell whether it changes what stands on these columns both before and after."""
    match change:
        case AlterColumn(before=before, after=after):
            return _is_computed_from(before, names) or _is_computed_from(after, names)
        case DropColumn(column=column) | AddColumn(column=column):
            return not is_virtual(column) and _is_computed_from(column, names)
        case AlterObject(before=before, after=after):
            return _stands_on(before, names) or _stands_on(after, names)
        case _:
            return False


def _is_computed_from(column: Column, names: set[str]) -> bool:
    return column.generated is not None and any(quoted(name) in column.generated.expression for name in names)


def _stands_on(item: CatalogObject, names: set[str]) -> bool:
    if isinstance(item, Check):
        return any(quoted(name) in item.expression for name in names)
    return bool(columns_of(item) & names)


def _parts(change: TableChange, gone: set[str], come: set[str]) -> tuple[TableChange, ...]:
    freed = [c for c in change.changes if isinstance(c, DropObject) and _stands_on(c.item, gone)]
    leaving = [c for c in change.changes if isinstance(c, DropColumn) and c.column.name in gone]
    coming = [c for c in change.changes if isinstance(c, AddColumn) and c.column.name in come]
    built = [c for c in change.changes if isinstance(c, CreateObject) and _stands_on(c.item, come)]
    apart = [*freed, *leaving, *coming, *built]
    less = replace(change.before, columns=tuple(c for c in change.before.columns if c.name not in gone))
    plain = replace(change.after, columns=tuple(c for c in change.after.columns if c.name not in come))
    loose, early = _without(change.before_children, freed), _without(change.after_children, built)
    rest = tuple(_placed(c, change, come) for c in change.changes if c not in apart)
    return (
        TableChange(change.before, change.before, change.before_children, loose, tuple(freed)),
        TableChange(change.before, less, loose, loose, tuple(leaving)),
        TableChange(less, plain, loose, early, rest),
        TableChange(plain, change.after, early, early, tuple(coming)),
        TableChange(change.after, change.after, early, change.after_children, tuple(built)),
    )


def _without(items: tuple[CatalogObject, ...], those: list[DropObject] | list[CreateObject]) -> tuple[CatalogObject, ...]:
    refs = {c.ref for c in those}
    return tuple(item for item in items if item.ref not in refs)


def _placed(change: CatalogChange, whole: TableChange, come: set[str]) -> CatalogChange:
    """A column whose left neighbour is not there yet stands beside the next one that is."""
    if not isinstance(change, AddColumn | AlterColumn):
        return change
    left = change.after_column
    while left in come:
        left = left_of(whole.after, left)
    return replace(change, after_column=left)
