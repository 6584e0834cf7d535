"""Databases that model files name, and their metadata: read as Schema manifests with `models:` read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.errors import SchemaError
from dbops.resources.schema.bases import DATABASE_KEY, SQLiteJSON, get_database_base
from dbops.resources.schema.discovery import ModelFile, by_database, check_database_name, discover
from dbops.resources.schema.model import ModelSource

if TYPE_CHECKING:
    from sqlalchemy import MetaData

__all__ = [
    "DATABASE_KEY",
    "ModelFile",
    "SQLiteJSON",
    "check_database_name",
    "discovered",
    "get_database_base",
    "refuse_table_of_two",
    "tables_of",
]


def discovered(root: Path) -> Mapping[str, Sequence[ModelFile]]:
    """Return the model files below `root` by the database that they name; no code of theirs runs.

    Raises:
        Problems: of SchemaError: files that Python cannot read, names that no database can have.
    """
    return by_database(discover(root))


def tables_of(files: Sequence[ModelFile], root: Path) -> list[MetaData]:
    """Load the model files of one database and return their metadata.

    Raises:
        SchemaError: a file fails to load, or holds no models.
    """
    from glob import escape

    from dbops.resources.schema.models import read_models

    paths = tuple(escape(str(item.file.relative_to(root))) for item in files)
    return [metadata for _, metadata in read_models(ModelSource(root, paths, database=files[0].database))]


def refuse_table_of_two(metadata: Mapping[str, Sequence[MetaData]]) -> None:
    """Refuse tables of one name in databases that are to be one.

    Raises:
        SchemaError: there are such.
    """
    seen: dict[str, str] = {}
    for database, items in metadata.items():
        for table in sorted({key for item in items for key in item.tables}):
            if table in seen:
                raise SchemaError(
                    f"the databases {seen[table]!r} and {database!r} both have a table {table!r}, and they are to have one place",
                    error_code="TABLE_IN_TWO_DATABASES",
                    fix="rename one of the tables, or give a URL without a database, so that each gets its own",
                )
            seen[table] = database
