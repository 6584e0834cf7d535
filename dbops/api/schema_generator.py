"""Schemas from Python: dictionaries, dataclasses or SQLAlchemy classes, written as DDL of any dialect, compared, migrated.

Types are portable: string(n), text, smallint, integer, bigint, float, decimal(p, s), boolean, datetime, date, time, binary, json,
uuid; the words that databases have for them (VARCHAR(40), TIMESTAMP, BLOB, ...) are understood. The engine writes the SQL, names
in quotes where they need them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbops.dataclass import dataclass
from dbops.errors import SchemaError

if TYPE_CHECKING:
    from dbops.usecases.schemas.live import LiveSchema

__all__ = [
    "Column",
    "Index",
    "SchemaDefinition",
    "SchemaGenerator",
    "SchemaManager",
    "SchemaMigration",
    "SchemaTable",
    "generate_schema",
]


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
        return _script([table.to_dict() for table in self.tables], dialect)

    def to_dict(self) -> dict[str, Any]:
        """Return `{name, version, created_at, tables: [...]}`, ready for JSON."""
        return {
            "name": self.name,
            "version": self.version,
            "created_at": self.created_at.isoformat(),
            "tables": [_normal(table.to_dict()) for table in self.tables],
        }


class SchemaGenerator:
    """Writes tables and migrations in one dialect: sqlite, postgresql, mysql or mariadb.

    It remembers the tables it has written: migrations are about those. Migrations go into the folder `migrations` of the
    workspace, by default the working directory.
    """

    def __init__(self, workspace_dir: str | Path | None = None, dialect: str = "sqlite") -> None:
        from dbops.usecases.schemas.changing import speaker_of

        speaker_of(dialect)
        self.workspace_dir: Path = Path(workspace_dir or Path.cwd())
        self.dialect: str = dialect.lower()
        self._tables: dict[str, dict[str, Any]] = {}

    def create_table(self, table: SchemaTable) -> str:
        """Return the SQL of a table with its indexes, and remember it.

        Raises:
            SchemaError: the table is wrong, or the dialect cannot have it.
        """
        return self.create_table_from_dict(table.to_dict())

    def create_table_from_dict(self, table_def: dict[str, Any]) -> str:
        """Return the SQL of a table with its indexes, and remember it.

        `{name, columns: [{name, type, nullable, default, primary_key, unique, auto_increment, references: "table.column",
        on_delete, on_update, max_length, comment}], indexes: [{name, columns, unique, where}], primary_key: [column],
        foreign_keys: [{columns, references: {table, columns}}], unique_constraints: [[column]], checks: [SQL]}`.

        Raises:
            SchemaError: the table is wrong, or the dialect cannot have it.
        """
        sql = _script([table_def], self.dialect)
        data = _normal(table_def)
        self._tables[data["name"]] = data
        return sql

    def generate_migration(self, name: str, description: str, changes: dict[str, Any]) -> SchemaMigration:
        """Write a migration with its way back into the folder, and return it.

        `changes` may have `create_tables: [table]`, `add_columns: [{table, column: {...}}]`, `drop_columns: [{table, column}]`,
        `modify_columns: [{table, column: {...}}]` or `{table, from, to}`, `create_indexes: [{table, name, columns, unique}]`,
        `drop_indexes: [{table, name}]`, `drop_tables: [name]`, `raw_sql: [SQL or {up, down}]`. The way back is complete and in
        reverse order, or says what it would have to know. A table that was not written here is known by what the change says.

        Raises:
            SchemaError: an unknown key, table, column or type; or SQL that has to know more of a table.
        """
        from dbops.usecases.migrate.direct import create
        from dbops.usecases.schemas.changing import changing, script_of, speaker_of
        from dbops.usecases.schemas.tables import as_dict, table_of

        engine, server = speaker_of(self.dialect)
        known = {table: table_of(data) for table, data in self._tables.items()}
        done = changing(known, changes, engine, server)
        schema = engine.features.default_schema
        up, down = (script_of(side, engine.dialect, schema) for side in (done.up, done.down))
        if not up:
            raise SchemaError("the changes change nothing")
        why = f"nothing leads back: {'; '.join(done.lost)}"
        text = f"{description}; {why}" if done.lost and description else why if done.lost else description
        migration_id, _ = create(self.workspace_dir / "migrations", name, text, up, down or None, self._latest())
        self._tables = {table: as_dict(spec) for table, spec in done.tables.items()}
        from hashlib import sha256

        return SchemaMigration(
            migration_id,
            name,
            description,
            up,
            down if not done.lost else f"-- {why}",
            self._latest(before=migration_id),
            checksum=sha256(up.encode()).hexdigest(),
        )

    def compare_schemas(self, current_schema: dict[str, Any], target_schema: dict[str, Any]) -> dict[str, Any]:
        """Return what leads from one schema to the other; a schema is `{tables: [table]}` or `{tables: {name: table}}`.

        `{tables_to_add: [name], tables_to_remove: [name], columns_to_add: [{table, column, definition}], columns_to_remove,
        columns_to_modify: [{table, column, from, to}], indexes_to_add: [{table, index, definition}], indexes_to_remove,
        indexes_to_modify, constraints_to_add: [{table, constraint, definition}], constraints_to_remove, constraints_to_modify}`.
        """
        from dbops.usecases.schemas.comparing import compare

        return compare(current_schema, target_schema)

    def get_schema_drift_report(self, current_schema: dict[str, Any], target_schema: dict[str, Any]) -> dict[str, Any]:
        """Return counts of what differs, and what to do.

        `{drift_detected, tables_added, tables_removed, columns_added, columns_removed, columns_modified, indexes_changed,
        constraints_changed, recommendations: [text], migration_needed, differences}`.
        """
        found = self.compare_schemas(current_schema, target_schema)
        is_drifting = any(found.values())
        changed = {
            part: sum(len(found[f"{part}_to_{act}"]) for act in ("add", "remove", "modify"))
            for part in ("indexes", "constraints")
        }
        return {
            "drift_detected": is_drifting,
            "tables_added": len(found["tables_to_add"]),
            "tables_removed": len(found["tables_to_remove"]),
            "columns_added": len(found["columns_to_add"]),
            "columns_removed": len(found["columns_to_remove"]),
            "columns_modified": len(found["columns_to_modify"]),
            "indexes_changed": changed["indexes"],
            "constraints_changed": changed["constraints"],
            "recommendations": list(_recommendations(found)),
            "migration_needed": is_drifting,
            "differences": found,
        }

    def generate_schema_sql(self, schema_name: str, version: str = "1.0.0") -> str:
        """Return the script of all tables written here, under a line with name and version."""
        return f"-- {schema_name} {version}\n{_script(list(self._tables.values()), self.dialect)}\n"

    def export_schema(self, output_path: str | Path, format: str = "sql") -> str:
        """Write all tables into a file, as `sql` or `json`; return its path.

        Raises:
            SchemaError: another format.
        """
        path = Path(output_path)
        if format == "sql":
            text = self.generate_schema_sql(path.stem)
        elif format == "json":
            tables = list(self._tables.values())
            text = json.dumps({"name": path.stem, "version": "1.0.0", "tables": tables}, indent=2, ensure_ascii=False) + "\n"
        else:
            raise SchemaError(f"unknown format {format!r}", expected="sql or json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def list_migrations(self) -> list[dict[str, Any]]:
        """Return the migrations of the folder in order; `down_sql` is None where nothing leads back.

        `{migration_id, name, description, up_sql, down_sql, dependencies, created_at, checksum}`.
        """
        from dbops.usecases.migrate.direct import read

        return [
            {
                "migration_id": one.id,
                "name": one.name,
                "description": one.description,
                "up_sql": one.sql,
                "down_sql": one.rollback_sql,
                "dependencies": list(one.depends),
                "created_at": one.created_at,
                "checksum": one.checksum,
            }
            for one in read(self.workspace_dir / "migrations")
        ]

    def _latest(self, before: str | None = None) -> list[str]:
        """Return the id of the last migration in the folder, or of the last before one; none where there is none."""
        ids = [one["migration_id"] for one in self.list_migrations()]
        if before in ids:
            ids = ids[: ids.index(before)]
        return ids[-1:]


class SchemaManager:
    """Tables of a live database. `database_url` may be left out where only `generate_schema` is used."""

    def __init__(self, database_url: str | None = None) -> None:
        self._url = database_url

    def generate_schema(self, model: Any) -> dict[str, Any]:
        """Return the table of a class that SQLAlchemy maps, or of a dictionary, as a dictionary in normal form.

        Raises:
            SchemaError: it is neither, or has what no portable table can say.
        """
        return _of_model(model)

    def create_table(self, schema: dict[str, Any]) -> bool:
        """Make a table with its keys and indexes; return True.

        Raises:
            SchemaError: the table is wrong; QueryError: the database refuses it.
        """
        self._live().create(schema)
        return True

    def alter_table(self, table: str, changes: dict[str, Any]) -> bool:
        """Change a table as `SchemaGenerator.generate_migration` would, without naming it again; return True.

        `{add_columns: [{name, type, ...}], drop_columns: [name], modify_columns: [{name, type, ...}],
        create_indexes: [{name, columns, unique}], drop_indexes: [name]}`.

        Raises:
            MissingTableError: there is no such table; SchemaError: the changes are wrong; QueryError: the database refuses.
        """
        self._live().change(dict(_about(table, changes)), table)
        return True

    def get_schema(self, table: str) -> dict[str, Any]:
        """Return a table as `create_table` reads it.

        Raises:
            MissingTableError: there is no such table; SchemaError: it has what no portable table can say.
        """
        return self._live().read(table)

    def _live(self) -> LiveSchema:
        from dbops.usecases.schemas.live import LiveSchema

        if self._url is None:
            raise SchemaError("no database is set", fix="SchemaManager(database_url)")
        return LiveSchema(self._url)


def generate_schema(models: Sequence[Any], output_dir: str | Path, dialect: str = "sqlite") -> dict[str, Any]:
    """Write the script that makes the tables of models into `<output_dir>/schema.sql`.

    Models are dictionaries, `SchemaTable`s, or classes that SQLAlchemy maps. Returns `{tables_generated, schema_file, message}`.

    Raises:
        SchemaError: a model is none of these, or the dialect is unknown or cannot have it.
    """
    tables = [_of_model(model) for model in models]
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "schema.sql"
    path.write_text(_script(tables, dialect) + "\n", encoding="utf-8")
    count = len(tables)
    message = f"{count} {'table' if count == 1 else 'tables'} written to {path}"
    return {"tables_generated": count, "schema_file": str(path), "message": message}


def _script(tables: Sequence[Mapping[str, Any]], dialect: str) -> str:
    from dbops.usecases.schemas.changing import creating, script_of, speaker_of
    from dbops.usecases.schemas.tables import table_of

    engine, _ = speaker_of(dialect)
    return script_of(creating([table_of(one) for one in tables], dialect), engine.dialect, engine.features.default_schema)


def _normal(table: Mapping[str, Any]) -> dict[str, Any]:
    from dbops.usecases.schemas.tables import as_dict, table_of

    return as_dict(table_of(table))


def _of_model(model: Any) -> dict[str, Any]:
    from dbops.usecases.schemas.tables import as_dict, table_of_model

    if isinstance(model, SchemaTable):
        return _normal(model.to_dict())
    return _normal(model) if isinstance(model, Mapping) else as_dict(table_of_model(model))


def _about(table: str, changes: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Put the table's name into each change."""
    for key, given in changes.items():
        items = given if isinstance(given, list | tuple) else [given]
        word = "column" if key.endswith("_columns") else "name"
        yield key, [_change(table, one, word) for one in items]


def _change(table: str, one: Any, word: str) -> Any:
    if not isinstance(one, Mapping):
        return {"table": table, word: one}
    if word == "column" and not isinstance(one.get("column"), str | Mapping):
        return {"table": table, "column": dict(one)}
    return {"table": table, **one}


def _recommendations(found: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for name in found["tables_to_add"]:
        yield f"create the table {name}"
    for name in found["tables_to_remove"]:
        yield f"drop the table {name}, once nothing reads it; its rows go with it"
    for one in found["columns_to_add"]:
        is_required = not one["definition"]["nullable"] and one["definition"]["default"] is None
        yield f"add the column {one['table']}.{one['column']}" + (
            ", with a default for the rows that exist" if is_required else ""
        )
    for one in found["columns_to_remove"]:
        yield f"drop the column {one['table']}.{one['column']}, once nothing reads it; its values go with it"
    for one in found["columns_to_modify"]:
        yield f"change the column {one['table']}.{one['column']}; look whether all values fit"
    for part, word in (("indexes", "index"), ("constraints", "constraint")):
        for act, verb in (("add", "add"), ("remove", "drop"), ("modify", "change")):
            for one in found[f"{part}_to_{act}"]:
                yield f"{verb} the {word} {one[word]} of {one['table']}"
