"""System-versioned tables of MariaDB: what begins and ends their history, and what has to be done without it.

From "System-Versioned Tables" of the MariaDB Knowledge Base; what it does not say was tried on 10.11.
"""

from __future__ import annotations

from dataclasses import replace

from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    DropColumn,
    DropObject,
)
from dbops.catalog.model import CatalogObject, Column, Index, PrimaryKey, Table
from dbops.engines.mysql.alter import TableChange, left_of

_VERSIONED = "with system versioning"
_PERIOD = "period:SYSTEM_TIME"
_UNVERSIONED = "without_versioning"


def stages(change: TableChange) -> list[TableChange]:
    """Return the change as changes one after the other: one alone, but where history stands in the way.

    A versioned table goes to no other engine (error 4120), and columns that hold the times come, change and go with the
    versioning alone (errors 4124, 4125 and 4134; MODIFY finds a "Duplicate ROW START column"). Such a table gives up its
    versioning, becomes all else that it shall be, and is versioned again.
    """
    if not _has_to_stop(change):
        return [change]
    plain, ready = (_without_versioning(_all_versioned(table)) for table in (change.before, change.after))
    rest = [step for c in change.changes for step in _without_times(c, change, plain, ready)]
    kept, children = (
        tuple(_without_end(item, table) for item in items)
        for table, items in ((change.before, change.before_children), (change.after, change.after_children))
    )
    old = change.before_children
    undivided = replace(change.before, partition_by=None) if _is_by_time(change.before) else change.before
    steps = [
        _turned(change.before, undivided, old, old),  # a history that is divided cannot go (error 4131)
        _turned(undivided, plain, old, kept),
        TableChange(plain, ready, kept, children, tuple(rest)),
    ]
    if is_versioned(change.after):
        divided = change.after.partition_by
        begun = replace(_all_versioned(change.after), partition_by=None if _is_by_time(change.after) else divided)
        steps.append(_turned(ready, begun, children, change.after_children))
        steps.append(_turned(begun, change.after, change.after_children, change.after_children))
    return [step for step in steps if step.changes]


def back(stage: TableChange) -> list[TableChange]:
    """Return the way back of a stage; columns without versioning lost that when the history ended, and get it again behind."""
    if not is_versioned(stage.before) or is_versioned(stage.after):
        return [stage.reversed()]
    begun, children = _all_versioned(stage.before), stage.before_children
    steps = [replace(stage, before=begun).reversed(), _turned(begun, stage.before, children, children)]
    return [step for step in steps if step.changes]


def clauses(change: TableChange) -> tuple[list[str], list[str]]:
    """Return what begins before and what after all else: ADD or DROP SYSTEM VERSIONING, which stands alone.

    Columns without versioning and partitions by SYSTEM_TIME are of a versioned table only (errors 4124 and 4131), so that it
    begins to be one first and ends last. Where columns of its own hold the times, it does so with them.
    """
    old, new = is_versioned(change.before), is_versioned(change.after)
    if old == new or not _changes_table(change) or any(_PERIOD in dict(t.options) for t in (change.before, change.after)):
        return [], []
    return ([], ["DROP SYSTEM VERSIONING"]) if old else (["ADD SYSTEM VERSIONING"], [])


def is_versioned(table: Table) -> bool:
    """Tell whether the old rows of a table are kept."""
    return _VERSIONED in dict(table.options)


def _changes_table(change: TableChange) -> bool:
    return any(isinstance(c, AlterObject) and isinstance(c.after, Table) for c in change.changes)


def _has_to_stop(change: TableChange) -> bool:
    old, new = dict(change.before.options), dict(change.after.options)
    if _VERSIONED in old and any(isinstance(c, AlterColumn) and _holds_time(c.before) for c in change.changes):
        return True
    if not _changes_table(change) or not (_VERSIONED in old or _VERSIONED in new):
        return False
    return old.get("engine") != new.get("engine") or old.get(_PERIOD) != new.get(_PERIOD)


def _without_versioning(table: Table) -> Table:
    """The table without history, the columns that hold its times, and partitions of it."""
    options = tuple(pair for pair in table.options if pair[0] not in (_VERSIONED, _PERIOD))
    columns = tuple(column for column in table.columns if not _holds_time(column))
    return replace(table, options=options, columns=columns, partition_by=None if _is_by_time(table) else table.partition_by)


def _all_versioned(table: Table) -> Table:
    return replace(table, columns=tuple(map(_versioned, table.columns)))


def _versioned(column: Column) -> Column:
    return replace(column, options=tuple(pair for pair in column.options if pair[0] != _UNVERSIONED))


def _is_by_time(table: Table) -> bool:
    return table.partition_by is not None and table.partition_by.strategy == "SYSTEM_TIME"


def _holds_time(column: Column) -> bool:
    return "as_row" in dict(column.options)


def _without_end(item: CatalogObject, table: Table) -> CatalogObject:
    """A key without the end of a row's time, which the server adds to keys and takes from them by itself."""
    if isinstance(item, PrimaryKey):
        return replace(item, columns=tuple(name for name in item.columns if not _names_time(name, table)))
    if isinstance(item, Index):
        return replace(item, keys=tuple(key for key in item.keys if not _names_time(key.column, table)))
    return item


def _names_time(name: str | None, table: Table) -> bool:
    column = table.column(name) if name else None
    return column is not None and _holds_time(column)


def _without_times(change: CatalogChange, whole: TableChange, plain: Table, ready: Table) -> list[CatalogChange]:
    """The change as it is made to a table without history: nothing of columns that hold times, and others in their places."""
    match change:
        case AlterObject(after=Table()):
            return [AlterObject(plain, ready)] if plain != ready else []
        case AddColumn(column=column):
            if _holds_time(column):
                return []
            return [replace(change, column=_versioned(column), after_column=left_of(ready, column.name))]
        case AlterColumn(after=column):
            if _holds_time(column):
                return []
            found = replace(change, before=_versioned(change.before), after=_versioned(column))
            # The server remembers what is without versioning until it is told again, also while it shows nothing of it.
            is_told = _UNVERSIONED in dict(change.before.options) and _UNVERSIONED not in dict(column.options)
            if not (is_told or found.moved or found.before != found.after):
                return []
            return [replace(found, after_column=left_of(ready, column.name))]
        case DropColumn(column=column):
            return [] if _holds_time(column) else [replace(change, column=_versioned(column))]
        case AlterObject(before=before, after=after):
            old, new = _without_end(before, whole.before), _without_end(after, whole.after)
            return [AlterObject(old, new)] if old != new else []
        case CreateObject(item=item):
            return [CreateObject(_without_end(item, whole.after))]
        case DropObject(item=item):
            return [DropObject(_without_end(item, whole.before))]
        case _:
            return [change]


def _turned(before: Table, after: Table, old: tuple[CatalogObject, ...], new: tuple[CatalogObject, ...]) -> TableChange:
    """All that differs between a table with history and one without; its keys follow by themselves.

    So do columns without versioning, where the history ends.
    """
    ends = is_versioned(before) and not is_versioned(after)
    changes: list[CatalogChange] = [AlterObject(before, after)] if before != after else []
    changes += (DropColumn(after.ref, column) for column in before.columns if not after.column(column.name))
    for column in after.columns:
        found = before.column(column.name)
        if found is None:
            changes.append(AddColumn(after.ref, column, left_of(after, column.name)))
        elif (_versioned(found) if ends else found) != column:
            changes.append(AlterColumn(after.ref, found, column))
    return TableChange(before, after, old, new, tuple(changes))
