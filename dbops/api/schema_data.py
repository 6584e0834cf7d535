"""What a schema is made of, as programs write it: columns, indexes, tables, whole schemas, and migrations that were generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from dbops.arguments import checked
from dbops.dataclass import dataclass

__all__ = ["Column", "Index", "SchemaDefinition", "SchemaMigration", "SchemaTable"]


@dataclass()
class Column:
    """A column. `references` is "table.column"; `default` a value, or `{"expression": SQL}`."""

    name: str
    data_type: str
    nullable: bool = True
    primary_key: bool = False
    unique: bool = False
    default: Any = None
    auto_increment: bool = False
    references: str | None = None
    on_delete: str | None = None
    on_update: str | None = None
    comment: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the column as `SchemaGenerator.create_table_from_dict` reads it."""
        return {
            "name": self.name,
            "type": self.data_type,
            "nullable": self.nullable,
            "primary_key": self.primary_key,
            "unique": self.unique,
            "default": self.default,
            "auto_increment": self.auto_increment,
            "references": self.references,
            "on_delete": self.on_delete,
            "on_update": self.on_update,
            "comment": self.comment,
        }


@dataclass()
class Index:
    """An index over columns; `where` is the SQL condition of a partial one."""

    name: str
    columns: list[str]
    unique: bool = False
    where: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the index as `SchemaGenerator.create_table_from_dict` reads it."""
        return {"name": self.name, "columns": list(self.columns), "unique": self.unique, "where": self.where}


@dataclass()
class SchemaTable:
    """A table. Columns and indexes may be dictionaries.

    `primary_key` lists the columns of a composite key. `foreign_keys` are `{columns, references: {table, columns}, on_delete,
    on_update}`, `unique_constraints` lists of columns, `checks` SQL conditions.
    """

    name: str
    columns: list[Any] = field(default_factory=list)
    indexes: list[Any] = field(default_factory=list)
    primary_key: list[str] = field(default_factory=list)
    foreign_keys: list[dict[str, Any]] = field(default_factory=list)
    unique_constraints: list[list[str]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    comment: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the table as `SchemaGenerator.create_table_from_dict` reads it."""
        return {
            "name": self.name,
            "columns": [one if isinstance(one, Mapping) else one.to_dict() for one in self.columns],
            "indexes": [one if isinstance(one, Mapping) else one.to_dict() for one in self.indexes],
            "primary_key": list(self.primary_key),
            "foreign_keys": list(self.foreign_keys),
            "unique_constraints": list(self.unique_constraints),
            "checks": list(self.checks),
            "comment": self.comment,
        }


@dataclass()
class SchemaMigration:
    """A migration that was generated; its file is one of `MigrationManager`'s. `down_sql` says as a comment why nothing leads
    back, where nothing does.
    """

    migration_id: str
    name: str
    description: str
    up_sql: str
    down_sql: str
    dependencies: list[str] = field(default_factory=list)
    created_at: datetime = field(default_factory=datetime.now)
    checksum: str = ""


@checked
@dataclass()
class SchemaDefinition:
    """A whole schema."""

    name: str
    version: str
    tables: list[SchemaTable] = field(default_factory=list)
    created_at: datetime = field(default_factory=datetime.now)

    def to_sql(self, dialect: str = "sqlite") -> str:
        """Return the script that makes all tables, in an order that foreign keys allow.

        Raises:
            SchemaError: a table is wrong, or the dialect is unknown or cannot have it.
        """
        return script_of_tables([table.to_dict() for table in self.tables], dialect)

    def to_dict(self) -> dict[str, Any]:
        """Return `{name, version, created_at, tables: [...]}`, ready for JSON."""
        return {
            "name": self.name,
            "version": self.version,
            "created_at": self.created_at.isoformat(),
            "tables": [normal_table(table.to_dict()) for table in self.tables],
        }


def script_of_tables(tables: Sequence[Mapping[str, Any]], dialect: str) -> str:
    """Return the script that makes tables, in an order that foreign keys allow. Raises as `SchemaDefinition.to_sql` does."""
    from dbops.usecases.schemas.changing import creating, script_of, speaker_of
    from dbops.usecases.schemas.tables import table_of

    engine, _ = speaker_of(dialect)
    return script_of(creating([table_of(one) for one in tables], dialect), engine.dialect, engine.features.default_schema)


def normal_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table as dbops writes one, every default said. Raises: SchemaError."""
    from dbops.usecases.schemas.tables import as_dict, table_of

    return as_dict(table_of(table))


def table_of_any(model: Any) -> dict[str, Any]:
    """Return the table, in normal form, that a dictionary, a `SchemaTable` or a class that SQLAlchemy maps stands for.

    Raises:
        SchemaError: it is none of these, or has what no portable table can say.
    """
    from dbops.usecases.schemas.tables import as_dict, table_of_model

    if isinstance(model, SchemaTable):
        return normal_table(model.to_dict())
    return normal_table(model) if isinstance(model, Mapping) else as_dict(table_of_model(model))
