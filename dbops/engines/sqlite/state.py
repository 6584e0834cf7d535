"""One table with everything that belongs to it, before and after the changes that concern it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    ChangeSet,
    CreateObject,
    DropColumn,
    DropObject,
)
from dbops.catalog.model import CatalogObject, Column, Constraint, Index, Table, Trigger
from dbops.catalog.ref import Ref
from dbops.engines.sqlite.ddl import rowid_alias
from dbops.engines.sqlite.parse import ParsedTable
from dbops.engines.sqlite.ddl import is_same
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


@dataclass(slots=True)
class TableWork:
    """The changes of one table that exists before and after."""

    before: TableState
    changes: list[CatalogChange] = field(default_factory=list)


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
            at = next((place + 1 for place, other in enumerate(columns) if other.name == left), 0 if left is None else len(columns))
            return (*columns[:at], column, *columns[at:])
        case DropColumn(_, column):
            return tuple(other for other in columns if other.name != column.name)
        case AlterColumn(_, before, after):
            return tuple(after if other.name == before.name else other for other in columns)
        case _:
            return columns


@dataclass(frozen=True, slots=True)
class Sorted:
    """The changes of a set by what has to be done about them."""

    dropped: Mapping[str, TableState]
    created: Mapping[str, TableState]
    recased: Mapping[str, tuple[TableState, TableState]]
    """Tables whose name changes in case only, by the lower-case name: one name to SQLite, so their rows stay."""
    altered: Mapping[str, list[CatalogChange]]
    """Changes of tables that exist before and after, by name; indexes included, triggers not."""
    others: tuple[CatalogChange, ...]
    """Views, triggers, virtual tables."""


def sort(changes: ChangeSet, before: Belongings, after: Belongings) -> Sorted:
    """Group the changes; children of tables that come or go as a whole are left out, triggers excepted."""
    drops = {change.item.name: before.state(change.item) for change in changes.changes if _is_table(change, DropObject)}
    creates = {change.item.name: after.state(change.item) for change in changes.changes if _is_table(change, CreateObject)}
    lower = {name.lower(): name for name in drops}
    recased = {
        name.lower(): (drops[lower[name.lower()]], state) for name, state in creates.items() if name.lower() in lower
    }
    altered: defaultdict[str, list[CatalogChange]] = defaultdict(list)
    others: list[CatalogChange] = []
    for change in changes.changes:
        if isinstance(change, AddColumn | DropColumn | AlterColumn):
            altered[change.table.name].append(change)
        elif isinstance(change, CreateObject | DropObject | AlterObject) and change.ref.kind in _OF_TABLES:
            if change.ref.kind == "table" and isinstance(change, AlterObject):
                altered[change.ref.name].append(change)
            elif change.ref.kind != "table" and change.ref.parent not in drops and change.ref.parent not in creates:
                altered[change.ref.parent].append(change)
        else:
            others.append(change)
    return Sorted(
        {name: state for name, state in drops.items() if name.lower() not in recased},
        {name: state for name, state in creates.items() if name.lower() not in recased},
        recased,
        altered,
        tuple(others),
    )


_OF_TABLES = frozenset(("table", "primary_key", "unique", "foreign_key", "check", "index"))


def _is_table(change: CatalogChange, kind: type) -> bool:
    return isinstance(change, kind) and isinstance(change.item, Table)  # type: ignore[attr-defined]
