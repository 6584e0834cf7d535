"""Schemas from Python: dictionaries, dataclasses or SQLAlchemy classes, written as DDL of any dialect, compared, migrated.

Types are portable: string(n), text, smallint, integer, bigint, float, decimal(p, s), boolean, datetime, date, time, binary, json,
uuid; the words that databases have for them (VARCHAR(40), TIMESTAMP, BLOB, ...) are understood. The engine writes the SQL, names
in quotes where they need them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dbops.api.migration_data import moment_made
from dbops.api.schema_data import (
    Column,
    Index,
    SchemaDefinition,
    SchemaMigration,
    SchemaTable,
    normal_table,
    script_of_tables,
    table_of_any,
)
from dbops.api.schema_manager import SchemaManager
from dbops.arguments import checked
from dbops.errors import SchemaError

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


@checked
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
        sql = script_of_tables([table_def], self.dialect)
        data = normal_table(table_def)
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
        migration_id, file = create(self.workspace_dir / "migrations", name, text, up, down or None, self._latest())
        self._tables = {table: as_dict(spec) for table, spec in done.tables.items()}
        from hashlib import sha256

        return SchemaMigration(
            migration_id,
            name,
            description,
            up,
            down if not done.lost else f"-- {why}",
            self._latest(before=migration_id),
            moment_made(file),
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
        from dbops.usecases.schemas.comparing import report

        return report(current_schema, target_schema)

    def generate_schema_sql(self, schema_name: str, version: str = "1.0.0") -> str:
        """Return the script of all tables written here, under a line with name and version."""
        return f"-- {schema_name} {version}\n{script_of_tables(list(self._tables.values()), self.dialect)}\n"

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


@checked
def generate_schema(models: Sequence[Any], output_dir: str | Path, dialect: str = "sqlite") -> dict[str, Any]:
    """Write the script that makes the tables of models into `<output_dir>/schema.sql`.

    Models are dictionaries, `SchemaTable`s, or classes that SQLAlchemy maps. Returns `{tables_generated, schema_file, message}`.

    Raises:
        SchemaError: a model is none of these, or the dialect is unknown or cannot have it.
    """
    tables = [table_of_any(model) for model in models]
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "schema.sql"
    path.write_text(script_of_tables(tables, dialect) + "\n", encoding="utf-8")
    count = len(tables)
    message = f"{count} {'table' if count == 1 else 'tables'} written to {path}"
    return {"tables_generated": count, "schema_file": str(path), "message": message}
