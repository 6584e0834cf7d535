"""Reading the whole catalog out of what SQLite shows of a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import column_ref
from dbops.catalog.model import CatalogObject, Column, ForeignKey, Table, Unmanaged
from dbops.catalog.ref import Ref
from dbops.catalog.scope import Scope, restrict
from dbops.engines.base.connect import Row
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.dependencies import Use
from dbops.engines.sqlite.parse import parse_table
from dbops.engines.sqlite.reader import Unreadable
from dbops.engines.sqlite.shown import Shown, look
from dbops.engines.sqlite.statements import parse_index, parse_trigger, parse_view, parse_virtual
from dbops.engines.sqlite.tokens import Names, names_of, quote

_KINDS = {kind: place for place, kind in enumerate(("table", "virtual_table", "index", "view", "trigger"))}


def inspect(conn: SqliteConnection, scope: Scope = Scope()) -> Catalog:  # noqa: B008  # frozen
    """Return the catalog of the main database; attached and temporary ones are nobody's desired state."""
    with conn.snapshot():
        return restrict(catalog_of(look(conn)), scope)


def catalog_of(shown: Shown) -> Catalog:
    """Return the catalog that SQLite shows."""
    reading = _Reading(_by_table(shown.columns))
    for kind, name, table, sql in shown.schema:
        if kind in ("table", "index"):
            reading.add(kind, name, table, sql, {})
    for kind, name, table, sql in shown.schema:
        if kind in ("view", "trigger"):
            names = names_of(part for use in shown.uses.get(name.lower(), ()) for part in use if part)
            reading.add(kind, name, table, sql, names)
    return Catalog.of(reading.in_order(), reading.dependencies(shown.uses), reading.unmanaged)


def _by_table(rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for table, *column in rows:
        found[table].append(tuple(column))
    return found


class _Reading:
    """The objects read so far."""

    def __init__(self, shown: Mapping[str, list[Row]]) -> None:
        self._shown = shown
        self._objects: list[CatalogObject] = []
        self._columns: dict[str, Names] = {}
        self._declared: dict[str, str] = {}
        self.unmanaged: list[Unmanaged] = []

    def add(self, kind: str, name: str, table: str, sql: str, names: Names) -> None:
        """Read one row of sqlite_schema; `names` are those a view or trigger uses."""
        if kind in ("table", "view"):
            self._declared[name.lower()] = name
        try:
            match kind:
                case "table":
                    self._add_table(name, sql)
                case "index":
                    if table not in self._columns:
                        raise Unreadable(f"nor can that of its table {table}")
                    index = parse_index(sql, self._columns[table])
                    self._objects.append(replace(index, name=name, parent=table, spelling=sql))
                case "view":
                    self._objects.append(replace(parse_view(sql, names), name=name))
                case _:  # names its table as the trigger's author wrote it
                    parent = self._declared.get(table.lower(), table)
                    self._objects.append(replace(parse_trigger(sql, names)[0], name=name, parent=parent))
        except Unreadable as error:
            self.unmanaged.append(Unmanaged(kind, name, f"its CREATE statement cannot be read: {error}"))

    def _add_table(self, name: str, sql: str) -> None:
        if sql[:14].upper() == "CREATE VIRTUAL":
            self._objects.append(replace(parse_virtual(sql), name=name))
            return
        table, constraints, name_end, _ = parse_table(sql)
        columns = _as_shown(name, table.columns, self._shown.get(name, []))
        self._columns[name] = names_of(column.name for column in columns)
        self._objects.append(replace(table, name=name, columns=columns, spelling=f"CREATE TABLE {quote(name)}{sql[name_end:]}"))
        self._objects += constraints if table.name == name else [replace(item, parent=name) for item in constraints]

    def in_order(self) -> list[CatalogObject]:
        """Return tables with their constraints, then indexes, views and triggers, each in order of creation."""
        return sorted(self._objects, key=lambda item: _KINDS.get(item.kind, 0))

    def dependencies(self, used: Mapping[str, Collection[Use]]) -> dict[Ref, set[Ref]]:
        """Return what objects need beyond the table they belong to; what does not compile has no entry."""
        by_name = {item.name.lower(): item for item in self._objects if item.kind in ("table", "view", "virtual_table")}
        found: dict[Ref, set[Ref]] = {}
        for item in self._objects:
            if isinstance(item, ForeignKey):
                owner = by_name.get(item.references.name.lower())
                found[item.ref] = {owner.ref} if owner else set()
            elif item.kind in ("view", "trigger") and (named := used.get(item.name.lower())) is not None:
                found[item.ref] = set().union(*(_needs(by_name, use) for use in named)) if named else set()
        return found


def _needs(by_name: Mapping[str, CatalogObject], use: Use) -> set[Ref]:
    owner = by_name.get(use[0].lower())
    if owner is None:
        return set()
    if not use[1]:
        return {owner.ref}
    declared = owner.column(use[1]) if isinstance(owner, Table) else None
    return {column_ref(owner.ref, declared.name if declared else use[1])}


def _as_shown(table: str, columns: tuple[Column, ...], shown: list[Row]) -> tuple[Column, ...]:
    """Take from the pragma what it tells: it is the truth about types, defaults and NOT NULL."""
    if [column.name for column in columns] != [row[0] for row in shown]:
        raise Unreadable(f"SQLite shows other columns for {table}")
    return tuple(_column_as_shown(column, row) for column, row in zip(columns, shown, strict=True))


def _column_as_shown(column: Column, row: Row) -> Column:
    _, declared, not_null, default, _ = row
    if column.generated is not None:
        default = None
    if column.type == declared and column.nullable is not bool(not_null) and column.default == default:
        return column
    return replace(column, type=declared, nullable=not not_null, default=default)
