"""A fresh database of each engine with one face, so that a test can say the same of all three."""

from __future__ import annotations

import fcntl
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.servers import MysqlServer, PostgresServer


@contextmanager
def accounts_of(server: PostgresServer | MysqlServer) -> Iterator[None]:
    """Have the accounts of a server, which all workers of a run share, to oneself for a while."""
    with (server.home / "accounts.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Database(Protocol):
    """One database, read and written through the engine's own client and driver, never through dbops."""

    @property
    def engine(self) -> str:
        """`sqlite`, `postgresql` or `mysql`."""

    @property
    def url(self) -> str:
        """The URL for a Connection manifest."""

    def load(self, sql: str) -> None:
        """Run a script in the engine's dialect."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; parameters are written as the engine's driver wants them."""

    def dump(self) -> str:
        """Return the schema in the engine's own words, without what dbops keeps for itself; equal text is an equal schema."""


@dataclass(frozen=True, slots=True)
class SqliteDatabase:
    """A SQLite file."""

    path: Path
    engine: str = "sqlite"

    @property
    def url(self) -> str:
        """The file's absolute URL."""
        return f"sqlite:///{self.path}"

    def load(self, sql: str) -> None:
        """Run a script."""
        with closing(sqlite3.connect(self.path)) as conn:
            conn.executescript(sql)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; `?` is a parameter."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as conn:
            return conn.execute(sql, parameters).fetchall()

    def dump(self) -> str:
        """Return the statements of sqlite_schema by type and name."""
        found = self.rows(
            r"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
            r" AND tbl_name NOT LIKE 'dbops\_%' ESCAPE '\' ORDER BY type, name"
        )
        # ALTER TABLE RENAME leaves quotes around names that need none.
        return "".join(re.sub(r'"([A-Za-z_]\w*)"', r"\1", sql) + ";\n" for (sql,) in found)


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A database of the private PostgreSQL server."""

    server: PostgresServer
    name: str
    engine: str = "postgresql"

    @property
    def url(self) -> str:
        """The database over the Unix socket, as superuser."""
        return self.server.url(self.name)

    def load(self, sql: str) -> None:
        """Run a psql script, each statement in its own transaction."""
        self.server.psql(self.name, sql)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; `%s` is a parameter when there are any."""
        return self.server.rows(self.name, sql, parameters)

    def dump(self) -> str:
        """Return what pg_dump writes of the schema."""
        return self.server.dump(self.name)


@dataclass(frozen=True, slots=True)
class MysqlDatabase:
    """A database of the private MariaDB or MySQL server."""

    server: MysqlServer
    name: str
    engine: str = "mysql"

    @property
    def url(self) -> str:
        """The database over the Unix socket, as root."""
        return self.server.url(self.name)

    def load(self, sql: str) -> None:
        """Run a script with the native client."""
        self.server.client(self.name, sql)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; `%s` is a parameter when there are any."""
        return self.server.rows(self.name, sql, parameters)

    def dump(self) -> str:
        """Return what SHOW CREATE writes of each object."""
        return self.server.dump(self.name)


@contextmanager
def fresh_postgres(server: PostgresServer, prefix: str = "test") -> Iterator[PostgresDatabase]:
    """Give an empty PostgreSQL database and drop it afterwards."""
    name = server.new_database(prefix)
    try:
        yield PostgresDatabase(server, name)
    finally:
        server.drop_database(name)


@contextmanager
def fresh_mysql(server: MysqlServer, prefix: str = "test") -> Iterator[MysqlDatabase]:
    """Give an empty MariaDB or MySQL database and drop it afterwards."""
    name = server.new_database(prefix)
    try:
        yield MysqlDatabase(server, name)
    finally:
        server.drop_database(name)
