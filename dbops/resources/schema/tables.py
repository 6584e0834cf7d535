"""Portable tables as a source: one manifest, written as plain standard DDL for the engine at hand.

The text goes through the scratch database like any other source, so it only has to be right, not canonical.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError, Mark, Problems, SchemaError
from dbops.resources.schema.table_spec import ColumnSpec, Expression, ForeignKeySpec, IndexSpec, TableSpec, UniqueSpec
from dbops.sql.splitter import SourceStatement

_BARE_DEFAULTS = {"CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"}


def table_statements(tables: Sequence[TableSpec], places: Sequence[Mark], engine: Engine) -> list[SourceStatement]:
    """Return the statements that create the tables and their indexes; `places` are those of the tables in the manifest.

    Raises:
        Problems: of SchemaError: something this engine cannot have.
    """
    statements: list[SourceStatement] = []
    problems: list[DbopsError] = []
    for table, at in zip(tables, places, strict=True):
        try:
            statements += [SourceStatement(text, at) for text in _Writer(table, engine).statements()]
        except SchemaError as error:
            problems.append(SchemaError(error.message, at=at, expected=error.expected, fix=error.fix))
    if problems:
        raise Problems(problems)
    return statements


def constraint_name(table: str, columns: Sequence[str], suffix: str, limit: int) -> str:
    """Return what a constraint is called that nobody named; `suffix` is key or fkey."""
    return "_".join([table, *columns, suffix])[:limit]


class _Writer:
    """Writes one table."""

    def __init__(self, table: TableSpec, engine: Engine) -> None:
        self._table, self._engine, self._features = table, engine, engine.features
        self._quoted = engine.dialect.identifier
        self._name = self._qualified(table.schema_, table.name)

    def statements(self) -> Iterator[str]:
        table, statement_comments = self._table, self._features.comments == "statement"
        if table.schema_ and self._features.has_schemas and table.schema_ != self._features.default_schema:
            yield f"CREATE SCHEMA IF NOT EXISTS {self._quoted(table.schema_)}"
        parts = [self._column(column) for column in table.columns] + list(self._constraints())
        inline = f" COMMENT = {self._text(table.comment)}" if table.comment and self._features.comments == "inline" else ""
        yield f"CREATE TABLE {self._name} (\n  " + ",\n  ".join(parts) + f"\n){inline}"
        yield from (self._index(index) for index in table.indexes)
        if statement_comments:
            yield from self._comments()

    def _column(self, column: ColumnSpec) -> str:
        parts = [self._quoted(column.name), self._type(column)]
        if column.generated is not None:
            parts.append(
                f"GENERATED ALWAYS AS ({column.generated.expression}) {'STORED' if column.generated.stored else 'VIRTUAL'}"
            )
        if column.auto_increment:
            parts.append(self._features.identity_clause)
        if column.default is not None:
            parts.append(f"DEFAULT {self._default(column.default)}")
        if not column.nullable:
            parts.append("NOT NULL")
        if column.comment and self._features.comments == "inline":
            parts.append(f"COMMENT {self._text(column.comment)}")
        return " ".join(parts)

    def _type(self, column: ColumnSpec) -> str:
        if column.auto_increment and self._features.identity_is_primary_key:
            if self._primary_key() != [column.name]:
                name = f"{self._table.name}.{column.name}"
                raise SchemaError(
                    f"{self._engine.name} numbers only a column that is the primary key by itself: {name}",
                    expected="primaryKey: true on the column that has autoIncrement",
                )
            return self._engine.portable_type("integer", ())
        return self._engine.portable_type(column.type.name, column.type.arguments)

    def _default(self, value: str | int | float | bool | Expression) -> str:
        match value:
            case Expression(sql):
                return sql if sql.strip().upper() in _BARE_DEFAULTS else f"({sql})"
            case bool():
                return self._features.booleans[value]
            case str():
                return self._text(value)
            case int() | float():
                return repr(value)

    def _text(self, value: str) -> str:
        return self._engine.dialect.string(value)

    def _primary_key(self) -> list[str]:
        return list(self._table.primary_key or [column.name for column in self._table.columns if column.primary_key])

    def _constraints(self) -> Iterator[str]:
        table, key = self._table, self._primary_key()
        numbered = [column.name for column in table.columns if column.auto_increment]
        if key and not (self._features.identity_is_primary_key and key == numbered):
            yield f"PRIMARY KEY ({self._list(key)})"
        for column in table.columns:
            if column.unique:
                yield self._named("key", [column.name]) + f"UNIQUE ({self._list([column.name])})"
            if column.references:
                yield self._reference(column)
        for unique in table.uniques:
            yield self._named("key", unique.columns, unique) + f"UNIQUE ({self._list(unique.columns)})"
        yield from (self._foreign_key(foreign_key) for foreign_key in table.foreign_keys)
        for check in table.checks:
            named = f"CONSTRAINT {self._quoted(check.name)} " if check.name else ""
            yield f"{named}CHECK ({check.expression})"

    def _reference(self, column: ColumnSpec) -> str:
        owner, _, target = str(column.references).rpartition(".")
        return self._named("fkey", [column.name]) + (
            f"FOREIGN KEY ({self._list([column.name])}) REFERENCES {self._dotted(owner)} ({self._list([target])})"
        )

    def _foreign_key(self, key: ForeignKeySpec) -> str:
        actions = "".join(
            f" ON {event} {action.upper()}"
            for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update))
            if action != "no action"
        )
        return self._named("fkey", key.columns, key) + (
            f"FOREIGN KEY ({self._list(key.columns)}) REFERENCES {self._dotted(key.references.table)}"
            f" ({self._list(key.references.columns)}){actions}"
        )

    def _index(self, index: IndexSpec) -> str:
        keys = self._list(index.columns) if index.columns else ", ".join(f"({text})" for text in index.expressions or ())
        unique, where = "UNIQUE " if index.unique else "", f" WHERE {index.where}" if index.where else ""
        return f"CREATE {unique}INDEX {self._quoted(index.name)} ON {self._name} ({keys}){where}"

    def _comments(self) -> Iterator[str]:
        if self._table.comment:
            yield f"COMMENT ON TABLE {self._name} IS {self._text(self._table.comment)}"
        for column in self._table.columns:
            if column.comment:
                yield f"COMMENT ON COLUMN {self._name}.{self._quoted(column.name)} IS {self._text(column.comment)}"

    def _named(self, suffix: str, columns: Sequence[str], item: UniqueSpec | ForeignKeySpec | None = None) -> str:
        """Name every constraint, so that it is called the same on all engines, unless its name is null."""
        if item is not None and item.name is None and "name" in item.model_fields_set:
            return ""
        given = item.name if item else None
        chosen = given or constraint_name(self._table.name, columns, suffix, self._features.name_length)
        return f"CONSTRAINT {self._quoted(chosen)} "

    def _list(self, names: Sequence[str]) -> str:
        return ", ".join(self._quoted(name) for name in names)

    def _dotted(self, name: str) -> str:
        schema, _, table = name.rpartition(".")
        return self._qualified(schema or None, table)

    def _qualified(self, schema: str | None, name: str) -> str:
        namespace = (schema or self._features.default_schema) if self._features.has_schemas else None
        return f"{self._quoted(namespace)}.{self._quoted(name)}" if namespace else self._quoted(name)
