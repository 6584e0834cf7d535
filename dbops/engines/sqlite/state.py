"""One table with everything that belongs to it, before and after the changes that concern it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
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
    RenameObject,
)
from dbops.catalog.model import CatalogObject, Column, Constraint, Index, Table, Trigger
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.sqlite.ddl import is_same, rowid_alias
from dbops.engines.sqlite.parse import ParsedTable
from dbops.engines.sqlite.tokens import Names, names_of


@dataclass(frozen=True, slots=True)
class TableState:
    """A table, its constraints and its indexes."""

    table: Table
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]

    @property
    def ref(self) -> Ref:
        return self.table.ref

    @property
    def names(self) -> Names:
        return names_of(column.name for column in self.table.columns)

    @property
    def has_rowid(self) -> bool:
        return ("without_rowid", "true") not in self.table.options

    @property
    def rowid_column(self) -> str | None:
        """The column that is the rowid itself."""
        return rowid_alias(self.table, self.constraints)

    @property
    def rowid_name(self) -> str | None:
        """A name of the hidden rowid that no column hides, None when there is none."""
        if not self.has_rowid:
            return None
        return next((name for name in ("rowid", "_rowid_", "oid") if name not in self.names), None)

    @property
    def is_autoincrement(self) -> bool:
        return any(column.identity is not None for column in self.table.columns)

    def column(self, name: str) -> Column | None:
        """Find a column as SQLite does, whatever the case."""
        return next((column for column in self.table.columns if column.name.lower() == name.lower()), None)


class Belongings:
    """The children of all tables of a catalog, grouped once."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._children: defaultdict[str, list[CatalogObject]] = defaultdict(list)
        for item in catalog:
            if item.parent:
                self._children[item.parent].append(item)

    def state(self, table: Table) -> TableState:
        children = self._children.get(table.name, [])
        return TableState(
            table,
            tuple(item for item in children if isinstance(item, Constraint)),
            tuple(item for item in children if isinstance(item, Index)),
        )

    def triggers(self, parent: str) -> list[Trigger]:
        return [item for item in self._children.get(parent, []) if isinstance(item, Trigger)]


def changed(state: TableState, changes: Iterable[CatalogChange], wanted: TableState | None) -> TableState:
    """Return the state after `changes`, in the order and spelling of `wanted` when that is where they lead."""
    table = state.table
    parts: dict[Ref, CatalogObject] = {item.ref: item for item in (*state.constraints, *state.indexes)}
    for change in changes:
        match change:
            case AlterObject(_, after) if isinstance(after, Table):
                table = replace(after, columns=table.columns)
            case CreateObject(item) | AlterObject(_, item):
                parts[item.ref] = item
            case DropObject(item):
                parts.pop(item.ref, None)
            case RenameObject(before, after):
                del parts[before]
                parts |= {item.ref: item for item in (wanted.constraints if wanted else ()) if item.ref == after}
            case _:
                table = replace(table, columns=_columns(table.columns, change))
    result = TableState(
        table,
        tuple(item for item in parts.values() if isinstance(item, Constraint)),
        tuple(item for item in parts.values() if isinstance(item, Index)),
    )
    if wanted is not None and is_same(ParsedTable(table, result.constraints), ParsedTable(wanted.table, wanted.constraints)):
        return replace(result, table=wanted.table, constraints=wanted.constraints)
    return result


def _columns(columns: tuple[Column, ...], change: CatalogChange) -> tuple[Column, ...]:
    match change:
        case AddColumn(_, column, left):
            at = next(
                (place + 1 for place, other in enumerate(columns) if other.name == left), 0 if left is None else len(columns)
            )
            return (*columns[:at], column, *columns[at:])
        case DropColumn(_, column):
            return tuple(other for other in columns if other.name != column.name)
        case AlterColumn(_, before, after):
            return tuple(after if other.name == before.name else other for other in columns)
        case _:
            return columns
