"""One database: its connection, what statements give, and transactions, on SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from dbops.dataclass import dataclass
from dbops.errors import ConnectError, DbopsError, QueryError

if TYPE_CHECKING:
    from dbops.usecases.databases.database import Database, Holdings

__all__ = ["DatabaseConnection", "DatabaseType", "Parameters", "QueryResult"]

Parameters = Sequence[Any] | Mapping[str, Any] | None


class DatabaseType(Enum):
    """What kind of database a connection is to; wherever one is expected its value does as well."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    MONGODB = "mongodb"
    REDIS = "redis"
    CUSTOM = "custom"


#: Those that dbops speaks, by the name of their engine.
_SPOKEN = {"sqlite": DatabaseType.SQLITE, "postgresql": DatabaseType.POSTGRESQL, "mysql": DatabaseType.MYSQL}


@dataclass()
class QueryResult:
    """What a statement gave.

    `row_count` is the number of rows returned, else of rows changed. `execution_time` is in seconds. `success` is False, and
    `error_message` says why, when the database refused the statement.
    """

    success: bool
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    row_count: int = 0
    execution_time: float = 0.0
    error_message: str | None = None

    def to_dict_list(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries by column name; of columns that share a name the last counts."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(eq=False)
class DatabaseConnection:
    """A database, and the pool of sessions on it once it is connected.

    `db_type` may be given by its value. `port` and `username` default by engine: 5432 and postgres, 3306 and root, None on
    SQLite, whose `database` is the path of a file. `connection_string` says everything in place of the other fields.
    `connection_pool_size` sessions are open at most. `connection_timeout` is in seconds: for connecting, for a session of the
    pool, for a lock. `max_retries` is how often connecting is tried. `ssl_mode` is disable, prefer, require, verify-ca or
    verify-full. The password is never shown.
    """

    name: str
    db_type: DatabaseType
    database: str
    host: str = "localhost"
    port: int | None = None
    username: str | None = None
    password: str = field(default="", repr=False)
    ssl_mode: str = "prefer"
    connection_pool_size: int = 10
    connection_timeout: int = 30
    max_retries: int = 3
    connection_string: str | None = field(default=None, repr=False)
    created_at: datetime = field(default_factory=datetime.now)

    def __post_init__(self) -> None:
        """Take a type given by its value, and fill in what the engine has for a default."""
        from dbops.usecases.databases.address import DEFAULTS

        self.db_type = _type_of(self.db_type)
        self._open: Database | None = None
        self._holdings: Holdings | None = None
        self._opening = threading.Lock()
        port, username = DEFAULTS.get(self.db_type.value, (None, None))
        self.port = port if self.port is None else self.port
        self.username = username if self.username is None else self.username

    @classmethod
    def from_url(cls, url: str, name: str | None = None) -> DatabaseConnection:
        """Return a connection, not yet connected, to the database of a URL; it is named like that unless told otherwise.

        Raises:
            ConnectError: not a database URL.
        """
        from dbops.usecases.databases.address import parts_of, title_of

        parts = parts_of(url)
        return cls(
            name or title_of(url),
            _SPOKEN[parts.engine],
            parts.database,
            parts.host or "localhost",
            parts.port,
            parts.username,
            parts.password,
            connection_string=url,
        )

    def get_connection_string(self) -> str:
        """Return the URL, the password in it percent-escaped: a secret.

        Raises:
            ConnectError: dbops does not speak to this type of database.
        """
        if self.db_type.value not in _SPOKEN and self.db_type is not DatabaseType.CUSTOM:
            raise ConnectError(
                f"Unsupported database type: {self.db_type.value}", expected=f"one of {', '.join(_SPOKEN)}", connection=self.name
            )
        if self.connection_string:
            return self.connection_string
        if self.db_type is DatabaseType.CUSTOM:
            raise ConnectError(f"connection {self.name!r} is custom and has no URL", fix="give it a connection_string")
        from dbops.usecases.databases.address import Parts, url_of

        return url_of(Parts(self.db_type.value, self.database, self.host, self.port, self.username, self.password))

    # --- connecting

    def connect(self) -> DatabaseConnection:
        """Connect, and return this connection; nothing to do when it is connected. A SQLite file that is missing is made.

        Raises:
            ConnectError: the server cannot be reached or refuses us, or the type is not supported.
        """
        self._database()
        return self

    def disconnect(self) -> None:
        """Close all sessions; a transaction that is open is undone, and a block around it ends with an error."""
        with self._opening:
            database, self._open = self._open, None
            if database is not None:
                self._holdings = database.holdings
        if database is not None:
            database.close()

    def is_connected(self) -> bool:
        """Tell whether `connect` was called and `disconnect` was not; `health_check` asks the server."""
        return self._open is not None

    # --- statements

    def execute(self, query: str, params: Parameters = None, commit: bool = True) -> QueryResult:
        """Run one statement. What the database refuses comes back as `success=False`.

        With `commit` False it is kept by the next statement that commits, or by `commit()`; `rollback()` undoes it. Inside of
        `transaction()` the block decides, and a statement that fails undoes the whole block.

        Raises:
            ConnectError: the server cannot be reached.
        """
        database = self._database()
        return timed(lambda: _result_of(database, query, params, commit))

    def execute_many(self, query: str, params_list: Iterable[Parameters]) -> QueryResult:
        """Run a statement for each set of parameters, all or nothing; `row_count` is the number of rows changed."""
        database = self._database()
        return timed(lambda: QueryResult(True, row_count=database.run_many(query, params_list)))

    def execute_query(self, query: str, params: Parameters = None) -> list[dict[str, Any]]:
        """Run one statement and return its rows as dictionaries, none where it returns nothing.

        Raises:
            QueryError: the database refused it.
        """
        return _result_of(self._database(), query, params, commit=True).to_dict_list()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block in one transaction: kept at its end, undone when it raises, or when a statement in it failed.

        Inside of another transaction it is a part of that, which can be undone by itself (a savepoint). What commits by itself,
        as changes of tables do on MySQL, is refused in it.

        Raises:
            QueryError: a statement failed and the block went on to its end; nothing of it is kept.
        """
        with self._database().transaction():
            yield

    def commit(self) -> None:
        """Keep what `execute(..., commit=False)` left waiting in this thread."""
        self._database().commit()

    def rollback(self) -> None:
        """Undo what `execute(..., commit=False)` left waiting in this thread."""
        self._database().rollback()

    # --- what the database says of itself

    def get_tables(self) -> list[str]:
        """Return the names of all tables by name, without the system's and dbops's own."""
        return self._database().tables()

    def get_table_info(self, table_name: str) -> list[dict[str, Any]]:
        """Return `{cid, name, type, notnull, default, pk}` of each column of a table or view, in order.

        `cid` counts from 0, `notnull` and `pk` are booleans, `default` is SQL or None.

        Raises:
            MissingTableError: there is no such table.
        """
        return [
            {
                "cid": column.position,
                "name": column.name,
                "type": column.type,
                "notnull": column.is_required,
                "default": column.default,
                "pk": column.is_in_primary_key,
            }
            for column in self._database().columns(table_name)
        ]

    def get_database_info(self) -> dict[str, Any]:
        """Return what is known of the database.

        `{name, type, database, host, port, is_connected, created_at}`, and of one that is connected `tables` (names),
        `table_count`, `version`, `size_bytes` and `pool: {size, open, in_use, idle}`; no password.
        """
        known: dict[str, Any] = {
            "name": self.name,
            "type": self.db_type.value,
            "database": self.database,
            "host": None if self.db_type is DatabaseType.SQLITE else self.host,
            "port": self.port,
            "is_connected": self.is_connected(),
            "created_at": self.created_at.isoformat(),
        }
        if not self.is_connected():
            return known
        database = self._database()
        tables, pool = database.tables(), database.pool
        return known | {
            "tables": tables,
            "table_count": len(tables),
            "version": database.version,
            "size_bytes": database.size_bytes,
            "pool": {"size": pool.size, "open": pool.open, "in_use": pool.in_use, "idle": pool.idle},
        }

    def health_check(self) -> dict[str, Any]:
        """Ask the server, connecting first where need be; return `{status, response_time}` and `error` when unhealthy.

        `status` is healthy or unhealthy, `response_time` in seconds.
        """
        started = time.perf_counter()
        try:
            self._database().ask()
        except DbopsError as error:
            return {"status": "unhealthy", "response_time": time.perf_counter() - started, "error": error.message}
        return {"status": "healthy", "response_time": time.perf_counter() - started}

    def __repr__(self) -> str:
        where = self.connection_string and _redacted(self.connection_string)
        return (
            f"DatabaseConnection(name={self.name!r}, db_type={self.db_type}, database={self.database!r}, host={self.host!r}, "
            f"port={self.port!r}, username={self.username!r}, connection_string={where!r}, is_connected={self.is_connected()})"
        )

    def _is_at(self, url: str) -> bool:
        """Tell whether this is a connection to the database of a URL."""
        from dbops.usecases.databases.address import same_place

        try:
            own = self.get_connection_string()
        except ConnectError:  # to a database that dbops does not speak to
            return False
        return same_place(own, url)

    def _database(self) -> Database:
        """Return the open database, connecting at the first use."""
        if (database := self._open) is not None:
            return database
        from dbops.usecases.databases.address import target_of
        from dbops.usecases.databases.database import Database

        with self._opening:
            if self._open is None:
                timeout_s = float(self.connection_timeout)
                target = target_of(
                    self.get_connection_string(), timeout_s=timeout_s, attempts=self.max_retries, tls_mode=self.ssl_mode
                )
                self._open = Database(target, size=self.connection_pool_size, wait_s=timeout_s, holdings=self._holdings)
            return self._open


def _type_of(given: DatabaseType | str) -> DatabaseType:
    try:
        return DatabaseType(given.lower() if isinstance(given, str) else given)
    except ValueError as error:
        expected = ", ".join(one.value for one in DatabaseType)
        raise ConnectError(f"Unsupported database type: {given}", expected=f"one of {expected}") from error


def _result_of(database: Database, query: str, params: Parameters, commit: bool) -> QueryResult:
    answer = database.run(query, params, commit=commit)
    return QueryResult(True, answer.rows, list(answer.columns), len(answer.rows) if answer.columns else answer.count)


def timed(act: Callable[[], QueryResult]) -> QueryResult:
    """Return what a statement gave with the time it took; what the database refuses is a result without success."""
    started = time.perf_counter()
    try:
        result = act()
    except QueryError as error:
        result = QueryResult(False, error_message=error.message)
    result.execution_time = time.perf_counter() - started
    return result


def _redacted(url: str) -> str:
    from dbops.usecases.databases.address import redacted

    return redacted(url)
