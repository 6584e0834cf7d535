"""Live rows as the planned changes will leave them, as SQL: columns that come with their first value, those that change with what
their values become.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject
from dbops.catalog.model import Column, Domain, PrimaryKey, Table
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.engine import Engine
from dbops.resources.schema.data import ReferenceRows
from dbops.sql.dialect import Dialect
from dbops.sql.rows import literal
from dbops.sql.tokens import Token, tokens

_CAST = re.compile(r"::(?:[a-z_][\w. ]*|\"[^\"]+\")(?:\(\d+(?:, ?\d+)?\))?(?:\[\])*", re.IGNORECASE)
#: Pairs of values that a condition names one by one; SQLite takes a thousand terms at most.
_MANY = 500
#: Calls with one value for all rows that a statement writes.
_STEADY = frozenset(
    {"current_timestamp", "current_date", "current_time", "localtimestamp", "localtime", "now", "curdate", "curtime"}
)


@dataclass(frozen=True, slots=True)
class GivenRows:
    """The reference rows of tables, which is all that these hold in the end, and the catalog that is desired."""

    tables: Mapping[Ref, ReferenceRows]
    desired: Catalog


RowsOf = Callable[[Ref, bool], str]
"""Gives the SQL of a table's rows: without those of tables that inherit from it where the second argument says so."""


def fills(before: Column, after: Column, engine: Engine) -> bool:
    """Tell whether NULLs of a column give way to its default."""
    has_default = after.generated is None and (after.default or "NULL").upper() != "NULL"
    return engine.features.fills_nulls and has_default and before.nullable and not after.nullable


class RowsToBe:
    """The rows of live tables; tables and columns are called as `live`, the catalog after renames, calls them."""

    def __init__(
        self,
        changes: Sequence[CatalogChange],
        live: Catalog,
        rows_of: RowsOf,
        given: GivenRows,
        engine: Engine,
    ) -> None:
        self._live, self._rows_of, self.given, self._engine = live, rows_of, given, engine
        self._coming: defaultdict[Ref, dict[str, Column]] = defaultdict(dict)
        self._altered: defaultdict[Ref, dict[str, AlterColumn]] = defaultdict(dict)
        self._domains = {f"{item.schema}.{item.name}": item for item in (*live.all(Domain), *given.desired.all(Domain))}
        self._tables: dict[Ref, Table] = {}
        self._keys = {item.ref.table: item.columns for item in live.all(PrimaryKey)}
        for change in changes:
            match change:
                case AddColumn(table, column, _):
                    self._coming[table][column.name] = column
                case AlterColumn(table, _, after):
                    self._altered[table][after.name] = change
                case AlterObject(before=Table(), after=Table() as altered):
                    self._tables[altered.ref] = altered
                case CreateObject(PrimaryKey() as key) | AlterObject(after=PrimaryKey() as key):
                    self._keys[key.ref.table] = key.columns
                case _:
                    pass

    def as_they_are(self, table: Ref, *, alone: bool = False) -> str:
        return self._rows_of(table, alone)

    def of(self, table: Ref, columns: Collection[str], *, alone: bool = False) -> str | None:
        """Return rows with these columns, as they are where that is all the same; None where some value cannot be told.

        `alone`: without the rows of tables that inherit from this one, which keys and foreign keys do not see.
        """
        values: dict[str, str] = {}
        computed: dict[str, str] = {}
        for name in dict.fromkeys(columns):
            column = self._becoming(table, name)
            if column is not None and column.generated is not None:
                expression = column.generated.expression
                inner = self.mentioned(table, expression)
                if any((other := self._becoming(table, each)) and other.generated for each in inner):
                    return None
                computed[name] = expression
                for each in inner:
                    if not self._tell(table, each, values):
                        return None
            elif not self._tell(table, name, values):
                return None
        return self._select(table, values, computed, alone)

    def changed(self, table: Ref, columns: Collection[str]) -> bool:
        """Tell whether some of these columns are not what they are in the live rows."""
        there = self._live.table(table.schema, table.name)
        if there is None:
            return False
        plain = {column.name for column in there.columns if self._is_the_same(table, column.name)}
        return not set(columns) <= plain

    def filled(self, table: Ref) -> set[str]:
        """Return the columns whose NULLs give way to their default."""
        altered = self._altered[table].items()
        return {name for name, change in altered if fills(change.before, change.after, self._engine)}

    def _is_the_same(self, table: Ref, name: str) -> bool:
        """Tell whether values that differ in a column differ after the changes, too."""
        change = self._altered[table].get(name)
        is_kept = change is not None and table not in self._tables and not self._engine.merges(change.before, change.after)
        return is_kept or self._value(table, name) == self._quoted(name)

    def domains(self, column: Column) -> Sequence[Domain]:
        """Return the domain that a column's type is, as it will be, and those that this is made of."""
        found: list[Domain] = []
        while (domain := self._domains.get((found[-1].base_type if found else column.type).replace('"', ""))) is not None:
            found.append(domain)
        return found

    def default(self, column: Column) -> str | None:
        """Return the default of a new column, which may be its domain's."""
        return column.default or next((domain.default for domain in self.domains(column) if domain.default), None)

    def given_values(self, table: Ref, columns: Sequence[str]) -> list[tuple[str, ...]] | None:
        """Return as SQL what the reference rows of a table hold in some columns, NULL left out; None where nobody can tell."""
        rows = self.given.tables[table]
        if not set(columns) <= set(rows.columns):
            return None
        named = (rows.named(row) for row in rows.wanted.values())
        found = [tuple(row[name] for name in columns) for row in named]
        return self.as_sql(table, columns, [value for value in found if None not in value])

    def as_sql(
        self, table: Ref, columns: Sequence[str], values: Sequence[tuple[str | None, ...]]
    ) -> list[tuple[str, ...]] | None:
        """Return values of some columns as SQL; None where that cannot be told, or is a lot."""
        there = self.given.desired.table(table.schema, table.name)
        if there is None or (len(columns) > 1 and len(values) > _MANY):
            return None
        result = []
        for value in values:
            parts = [self._given_value(part, name, there) for part, name in zip(value, columns, strict=True)]
            told = [part for part in parts if part is not None]
            if len(told) < len(parts):
                return None
            result.append(tuple(told))
        return result

    def _given_value(self, value: str | None, name: str, there: Table) -> str | None:
        column = there.column(name)
        return (
            None if column is None else self._engine.becomes(literal(value, self._engine.dialect), None, column, (there, there))
        )

    def key(self, table: Ref) -> tuple[str, ...]:
        """Return the columns of the primary key as it will be, none where there is none."""
        return self._keys.get(table, ())

    def mentioned(self, table: Ref, expression: str) -> set[str]:
        """Return the columns of a table, those that come included, whose names stand in an expression."""
        there = self._live.table(table.schema, table.name)
        names = [column.name for column in there.columns] if there else []
        known = {name.lower(): name for name in (*names, *self._coming[table])}
        return {known[word] for word in _words(expression, self._engine.dialect) if word in known}

    def _quoted(self, name: str) -> str:
        return self._engine.dialect.identifier(name)

    def _becoming(self, table: Ref, name: str) -> Column | None:
        """The column as it comes or changes, None for one that stays."""
        if name in self._coming[table]:
            return self._coming[table][name]
        change = self._altered[table].get(name)
        return change.after if change is not None and change.before.generated != change.after.generated else None

    def _tell(self, table: Ref, name: str, values: dict[str, str]) -> bool:
        value = self._value(table, name)
        if value is not None and value != self._quoted(name):
            values[name] = value
        return value is not None

    def _value(self, table: Ref, name: str) -> str | None:
        there = self._live.table(table.schema, table.name)
        tables = (there, self._tables.get(table, there)) if there else None
        if tables is None or tables[0] is None or tables[1] is None:
            return None
        pair = (tables[0], tables[1])
        if (column := self._coming[table].get(name)) is not None:
            return self._first_value(column, pair)
        if (change := self._altered[table].get(name)) is not None:
            computed = change.after.generated
            if computed is not None and (change.before.generated != computed or self._moves(table, computed.expression)):
                return None
            if fills(change.before, change.after, self._engine) and not _is_steady(
                change.after.default or "", self._engine.dialect
            ):
                return None
            return self._engine.becomes(self._quoted(name), change.before, change.after, pair)
        same = pair[0].column(name)
        if same is None or (same.generated is not None and self._moves(table, same.generated.expression)):
            return None
        return self._quoted(name) if pair[0] is pair[1] else self._engine.becomes(self._quoted(name), same, same, pair)

    def _moves(self, table: Ref, expression: str) -> bool:
        """Tell whether columns in an expression change."""
        return any(name in self._altered[table] for name in self.mentioned(table, expression))

    def _first_value(self, column: Column, tables: tuple[Table, Table]) -> str | None:
        if column.identity is not None or column.generated is not None:
            return None
        default, domains = self.default(column), self.domains(column)
        if domains:  # they may not be there yet
            column = replace(column, type=domains[-1].base_type)
        if default is None:
            if not column.nullable and not self._engine.features.fills_new_columns:
                return None
            default = "NULL" if column.nullable else ""
        elif not _is_steady(default, self._engine.dialect):
            return None
        return self._engine.becomes(default, None, column, tables)

    def _select(self, table: Ref, values: Mapping[str, str], computed: Mapping[str, str], alone: bool) -> str:
        rows, own = self._rows_of(table, alone), self._quoted(table.name)
        there = self._live.table(table.schema, table.name)
        names = [column.name for column in there.columns] if there else []
        if values:
            kept = [self._quoted(name) for name in names if name not in values]
            given = [f"{value} AS {self._quoted(name)}" for name, value in values.items()]
            rows = f"(SELECT {', '.join([*kept, *given])} FROM {rows} AS l)"
        if computed:
            kept = [f"{own}.{self._quoted(name)}" for name in dict.fromkeys((*names, *values)) if name not in computed]
            given = [f"({expression}) AS {self._quoted(name)}" for name, expression in computed.items()]
            rows = f"(SELECT {', '.join([*kept, *given])} FROM {rows} AS {own})"
        return rows


def _words(expression: str, dialect: Dialect) -> set[str]:
    """The names in an expression, in lower case; a string in double quotes may be one."""
    return {
        _name(token).lower() for token in tokens(expression, dialect) if token.kind in ("word", "name") or token.text[0] == '"'
    }


def _name(token: Token) -> str:
    first = token.text[0]
    if first not in '"`[':
        return token.text
    return token.text[1:-1].replace(first * 2, first)


def _is_steady(default: str, dialect: Dialect) -> bool:
    """Tell whether a default is a constant, or at least one value for all rows of a statement."""
    found = list(tokens(_CAST.sub("", default), dialect))
    following = [*found[1:], None]
    for token, after in zip(found, following, strict=True):
        if token.kind in ("name", "variable") or token.text == "{":
            return False
        is_called = after is not None and after.text == "("
        if token.kind == "word" and is_called and token.text.lower() not in _STEADY:
            return False
    return True
