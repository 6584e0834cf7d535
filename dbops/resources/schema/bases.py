"""Declarative bases by the name of their database, and a column type for JSON that works alike on every engine.

`get_database_base(name)` gives one base per name, so that modules which share a database share its metadata. Where files are
loaded to be read (`fresh_bases`), their bases are new ones: the program that holds the same models already is not touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from dbops.arguments import checked
from dbops.resources.schema.discovery import check_database_name

if TYPE_CHECKING:
    from sqlalchemy import Dialect

DATABASE_KEY = "dbops_database"
"""Where the metadata of a base says (`MetaData.info`) to which database it belongs."""

#: Constraints get names of their own, so that a migration can drop them on every engine.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Bases = dict[str, type[DeclarativeBase]]
_EVERYBODYS: Bases = {}
_bases: ContextVar[Bases] = ContextVar("dbops_bases", default=_EVERYBODYS)


@checked
def get_database_base(name: str) -> type[DeclarativeBase]:
    """Return the declarative base of the database `name`: the same one whenever it is asked for.

    Raises:
        SchemaError: the name is no plain file name.
    """
    bases = _bases.get()
    if name not in bases:
        check_database_name(name)
        metadata = MetaData(naming_convention=_NAMING, info={DATABASE_KEY: name})
        words = "".join(part.capitalize() for part in re.split(r"\W+|_", name))
        fields = {
            "metadata": metadata,
            "__allow_unmapped__": True,
            "__doc__": f"What the tables of the database {name} derive from.",
        }
        bases[name] = type(f"{words}Base", (DeclarativeBase,), fields)
    return bases[name]


@contextmanager
def fresh_bases() -> Iterator[Bases]:
    """Let `get_database_base` make new bases in a block of this thread, and forget them behind it."""
    fresh: Bases = {}
    token = _bases.set(fresh)
    try:
        yield fresh
    finally:
        _bases.reset(token)


class SQLiteJSON(TypeDecorator[Any]):
    """A column of JSON: `jsonb` on PostgreSQL, `json` on MySQL and MariaDB, text on SQLite; None is NULL.

    On SQLite it is text and not the type JSON, which would store a large number as a float (sqlite.org/datatype3.html, 3.1).
    """

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = JSON
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that the engine stores."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSON(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Write a value as text where the engine has no JSON."""
        if value is None or dialect.name != "sqlite":
            return value
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read a value back."""
        return json.loads(value) if isinstance(value, str) and dialect.name == "sqlite" else value

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Compare with JSON."""
        return self
