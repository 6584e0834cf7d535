"""Portable tables as the objects that an engine writes SQL for, without asking a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import (
    CatalogObject,
    Check,
    Column,
    ForeignKey,
    Generated,
    Identity,
    Index,
    IndexKey,
    PrimaryKey,
    SequenceOptions,
    Table,
    Unique,
)
from dbops.catalog.ref import Ref
from dbops.engines.base.engine import Engine
from dbops.errors import SchemaError
from dbops.resources.schema.table_spec import ColumnSpec, Expression, TableSpec
from dbops.resources.schema.tables import constraint_name

_BARE = ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME")


def catalog_of(tables: Sequence[TableSpec], engine: Engine) -> Catalog:
    """Return the catalog of portable tables.

    Raises:
        SchemaError: two tables of one name, or something this engine cannot have.
    """
    names = [table.qualified for table in tables]
    if twin := next((name for name in names if names.count(name) > 1), None):
        raise SchemaError(f"two tables are called {twin}")
    objects = [item for table in tables for item in _Objects(table, engine).all()]
    needs = {item.ref: [item.references] for item in objects if isinstance(item, ForeignKey)}
    return Catalog.of(objects, needs)


class _Objects:
    """The objects of one table."""

    def __init__(self, table: TableSpec, engine: Engine) -> None:
        self._table, self._engine, self._features = table, engine, engine.features
        self._schema = (table.schema_ or self._features.default_schema) if self._features.has_schemas else ""

    def all(self) -> Iterator[CatalogObject]:
        table = self._table
        comment = table.comment if self._features.comments != "none" else None
        yield Table(schema=self._schema, name=table.name, columns=tuple(map(self._column, table.columns)), comment=comment)
        if key := self._key():
            name = f"{table.name}_pkey"[: self._features.name_length] if self._features.has_named_constraints else "primary"
            yield PrimaryKey(
                schema=self._schema,
                parent=table.name,
                name=name,
                columns=tuple(key),
                is_named=self._features.has_named_constraints,
            )
        yield from self._uniques()
        yield from self._foreign_keys()
        for check in table.checks:
            yield Check(
                schema=self._schema,
                parent=table.name,
                name=check.name or constraint_name(table.name, (), "check", self._features.name_length),
                expression=check.expression,
            )
        for index in table.indexes:
            keys = [IndexKey(column=name) for name in index.columns or ()]
            keys += [IndexKey(expression=f"({text})") for text in index.expressions or ()]
            yield Index(
                schema=self._schema,
                parent=table.name,
                name=index.name,
                keys=tuple(keys),
                unique=index.unique,
                predicate=index.where,
            )

    def _column(self, column: ColumnSpec) -> Column:
        is_key = column.name in self._key()
        kind = self._engine.portable_type(column.type.name, column.type.arguments)
        identity = None
        if column.auto_increment:
            kind, identity = self._identity(column, kind)
        return Column(
            name=column.name,
            type=kind,
            nullable=column.nullable and not is_key and not column.auto_increment,
            default=None if column.default is None else self._default(column.default),
            identity=identity,
            generated=None if column.generated is None else Generated(column.generated.expression, column.generated.stored),
            comment=column.comment if self._features.comments != "none" else None,
        )

    def _identity(self, column: ColumnSpec, kind: str) -> tuple[str, Identity]:
        if self._features.identity_is_primary_key:
            if self._key() != [column.name]:
                raise SchemaError(
                    f"{self._engine.name} numbers only a primary key of one column: {self._table.name}.{column.name}",
                    expected="primary_key on the column that has auto_increment",
                )
            return self._engine.portable_type("integer", ()), Identity("autoincrement")
        if "IDENTITY" in self._features.identity_clause:
            return kind, Identity("by_default", SequenceOptions(data_type=kind))
        return kind, Identity("auto_increment")

    def _default(self, value: str | int | float | bool | Expression) -> str:
        match value:
            case Expression(sql):
                return sql.upper() if sql.strip().upper() in _BARE else f"({sql})"
            case bool():
                return self._features.booleans[value]
            case str():
                return self._engine.dialect.string(value)
            case int() | float():
                return repr(value)

    def _key(self) -> list[str]:
        return list(self._table.primary_key or [column.name for column in self._table.columns if column.primary_key])

    def _uniques(self) -> Iterator[Unique | Index]:
        given = [((column.name,), None) for column in self._table.columns if column.unique]
        for columns, name in [*given, *((one.columns, one.name) for one in self._table.uniques)]:
            chosen = name or constraint_name(self._table.name, columns, "key", self._features.name_length)
            if self._features.has_indexes_per_table:  # where a unique constraint is nothing but its index
                keys = tuple(IndexKey(column=one) for one in columns)
                yield Index(schema=self._schema, parent=self._table.name, name=chosen, keys=keys, unique=True)
            else:
                yield Unique(schema=self._schema, parent=self._table.name, name=chosen, columns=tuple(columns))

    def _foreign_keys(self) -> Iterator[ForeignKey]:
        for column in self._table.columns:
            if column.references:
                table, _, there = column.references.rpartition(".")
                yield self._foreign_key((column.name,), table, (there,), None, "no action", "no action")
        for key in self._table.foreign_keys:
            yield self._foreign_key(
                key.columns, key.references.table, key.references.columns, key.name, key.on_delete, key.on_update
            )

    def _foreign_key(
        self, columns: Sequence[str], table: str, there: Sequence[str], name: str | None, on_delete: str, on_update: str
    ) -> ForeignKey:
        schema, _, bare = table.rpartition(".")
        namespace = (schema or self._features.default_schema) if self._features.has_schemas else ""
        return ForeignKey(
            schema=self._schema,
            parent=self._table.name,
            name=name or constraint_name(self._table.name, columns, "fkey", self._features.name_length),
            columns=tuple(columns),
            references=Ref("table", namespace, bare),
            referenced_columns=tuple(there),
            on_delete=on_delete.upper(),
            on_update=on_update.upper(),
        )
