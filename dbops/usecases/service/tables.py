"""Tables by name: looked up in the catalog of the live database, with the types that models say where they describe them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbops.errors import RecordError
from dbops.usecases.runtime import engine_for
from dbops.usecases.service.values import Fields

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from dbops.usecases.service.pools import PooledDatabase

VERSION_TABLE = "alembic_version"
"""How the tables begin in which Alembic keeps what it has run."""


class Tables:
    """The tables of one database; what was looked up once is kept until `forget`."""

    def __init__(self, database: PooledDatabase) -> None:
        self._database = database
        self._prefixes = (engine_for(database.target.url).features.state_prefix, VERSION_TABLE)
        self._known: dict[str, Table] = {}

    def forget(self) -> None:
        """Look tables up anew: the schema has changed."""
        self._known.clear()

    async def names(self, session: AsyncSession) -> list[str]:
        """Return the names of all tables, sorted, without those in which dbops and Alembic keep what they know; one query."""
        conn = await session.connection()
        return sorted(name for name in await conn.run_sync(_names) if not name.startswith(self._prefixes))

    async def has(self, session: AsyncSession, name: str) -> bool:
        """Tell whether there is a table, or a view, of that name."""
        return name in self._known or await self._found(session, name) is not None

    async def get(self, session: AsyncSession, name: object) -> Table:
        """Return a table or view; a few queries for the first time.

        Raises:
            RecordError: TABLE_NOT_FOUND, with the tables there are.
        """
        if isinstance(name, str) and name in self._known:
            return self._known[name]
        table = await self._found(session, name) if isinstance(name, str) else None
        if table is None:
            raise table_not_found(name, self._database.name, await self.names(session))
        return table

    async def _found(self, session: AsyncSession, name: str) -> Table | None:
        if name.startswith(self._prefixes):
            return None
        conn = await session.connection()
        reflected = await conn.run_sync(_reflected, name)
        if reflected is None:
            return None
        self._known[name] = self._database.models.get(name, reflected)
        return self._known[name]

    async def described(self, session: AsyncSession, name: str) -> dict[str, Any]:
        """Return `{table, database, columns, primary_key, foreign_keys, indexes, unique_constraints}` of the live table.

        A column is `{name, type, nullable, default, primary_key}`, its type and default in the engine's words.

        Raises:
            RecordError: TABLE_NOT_FOUND.
        """
        await self.get(session, name)
        conn = await session.connection()
        return {"table": name, "database": self._database.name, **await conn.run_sync(_described, name)}


def table_not_found(name: object, database: str, available: list[str]) -> RecordError:
    """Return the error for a table that is not there."""
    return RecordError(
        f"Table {name!r} not found in database",
        {"table_name": name if isinstance(name, str) else repr(name), "database": database, "available_tables": available},
        "TABLE_NOT_FOUND",
    )


def fields_of(table: Table) -> Fields:
    """Return the columns of a table by name."""
    return {column.name: column for column in table.columns}


def _names(conn: Connection) -> list[str]:
    from sqlalchemy import inspect

    return inspect(conn).get_table_names()


def _reflected(conn: Connection, name: str) -> Table | None:
    """Read one table or view that the catalog lists under exactly this name, None where it does not."""
    from sqlalchemy import MetaData, Table, inspect

    inspector = inspect(conn)
    if name not in inspector.get_table_names() and name not in inspector.get_view_names():
        return None
    return Table(name, MetaData(), autoload_with=conn, resolve_fks=False)


def _described(conn: Connection, name: str) -> dict[str, Any]:
    from sqlalchemy import inspect

    inspector = inspect(conn)
    keys = inspector.get_pk_constraint(name).get("constrained_columns") or []
    columns = [
        {
            "name": column["name"],
            "type": str(column["type"].compile(conn.dialect)),
            "nullable": bool(column["nullable"]),
            "default": column.get("default"),
            "primary_key": column["name"] in keys,
        }
        for column in inspector.get_columns(name)
    ]
    foreign = [
        {
            "columns": key["constrained_columns"],
            "referred_table": key["referred_table"],
            "referred_columns": key["referred_columns"],
        }
        for key in inspector.get_foreign_keys(name)
    ]
    indexes = [
        {"name": index["name"], "columns": index["column_names"], "unique": bool(index["unique"])}
        for index in inspector.get_indexes(name)
    ]
    uniques = [{"name": item["name"], "columns": item["column_names"]} for item in inspector.get_unique_constraints(name)]
    return {
        "columns": columns,
        "primary_key": list(keys),
        "foreign_keys": foreign,
        "indexes": indexes,
        "unique_constraints": uniques,
    }
