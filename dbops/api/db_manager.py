"""Connections, queries and transactions on SQLite, PostgreSQL, MySQL and MariaDB.

Parameters stand at `?`, `%s` or `:name` marks, whichever the program likes, on every engine. One manager or connection may be
used by many threads and asyncio tasks at once: each statement runs on a session of its own out of a pool, and a transaction
belongs to the thread, or task, that began it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dbops.api.database_connection import DatabaseConnection, DatabaseType, Parameters, QueryResult
from dbops.arguments import checked
from dbops.errors import ConnectError, QueryError

__all__ = [
    "DatabaseConnection",
    "DatabaseManager",
    "DatabaseType",
    "QueryResult",
    "connect_database",
    "execute_query",
    "manage_databases",
]


class DatabaseManager:
    """Connections by name, one of them the default for what names none.

    A URL, under either name of the parameter, is connected at once.
    """

    def __init__(self, database_url: str | None = None, *, connection_string: str | None = None) -> None:
        self._connections: dict[str, DatabaseConnection] = {}
        self._default: str | None = None
        self._url = database_url or connection_string
        if self._url:
            self.connect(self._url)

    # --- connections

    def connect(self, database_url: str | None = None) -> DatabaseConnection:
        """Connect to a URL, which becomes the default; without one, connect the default again.

        The connection is named after its file or database; where another database has that name, with a number behind it.

        Raises:
            ConnectError: not a database URL, no answer, or there is no default.
        """
        if database_url is None:
            return self._required(None).connect()
        found = next((one for one in self._connections.values() if one._is_at(database_url)), None)
        if found is None:
            found = DatabaseConnection.from_url(database_url)
            found.name = self._free(found.name)
        found.connect()
        self._connections[found.name] = found
        self._default = found.name
        return found

    @checked
    def disconnect(self, connection_id: str | None = None) -> None:
        """Close the sessions of one connection, the default unless named; the manager still knows it.

        Raises:
            ValueError: there is no connection of that name.
        """
        if connection_id is None and self._default is None:
            return
        self._required(connection_id).disconnect()

    def close_connection(self) -> None:
        """Close the sessions of the default connection."""
        self.disconnect()

    def add_connection(self, connection: DatabaseConnection) -> None:
        """Take a connection into the manager; the first is the default.

        Raises:
            ValueError: another connection has that name, or it is none.
        """
        if not isinstance(connection, DatabaseConnection):
            raise ValueError(f"a connection cannot be {type(connection).__name__}; expected a DatabaseConnection")
        if self._connections.get(connection.name, connection) is not connection:
            raise ValueError(f"Database connection already exists: {connection.name}")
        self._connections[connection.name] = connection
        if self._default is None:
            self._default = connection.name

    @checked
    def remove_connection(self, name: str) -> None:
        """Close a connection and forget it; nothing to do where there is none of that name."""
        if (connection := self._connections.pop(name, None)) is None:
            return
        connection.disconnect()
        if self._default == name:
            self._default = next(iter(self._connections), None)

    @checked
    def get_connection(self, name: str | None = None) -> DatabaseConnection | None:
        """Return the connection of a name, or the default; None where there is none."""
        return self._found(name)

    def list_connections(self) -> list[str]:
        """Return the names of all connections, in the order in which they came."""
        return list(self._connections)

    def connect_all(self) -> None:
        """Connect all connections.

        Raises:
            ConnectError: one of them cannot; those before it are connected.
        """
        for connection in self._connections.values():
            connection.connect()

    def disconnect_all(self) -> None:
        """Close the sessions of all connections."""
        for connection in self._connections.values():
            connection.disconnect()

    # --- statements

    def execute(self, query: str, params: Parameters = None) -> QueryResult:
        """Run one statement on the default connection; what the database refuses comes back as `success=False`."""
        return self._required(None).execute(query, params)

    def execute_many(self, query: str, params_list: Iterable[Parameters]) -> QueryResult:
        """Run a statement on the default connection for each set of parameters, all or nothing."""
        return self._required(None).execute_many(query, params_list)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block in one transaction of the default connection; see `DatabaseConnection.transaction`."""
        with self._required(None).transaction():
            yield

    def execute_query(
        self, name: str | None = None, query: str | Parameters = None, params: Parameters = None
    ) -> list[dict[str, Any]]:
        """Run one statement and return its rows as dictionaries: `execute_query(name, query, params)`.

        Without a name it runs on the default connection: `execute_query(query, params)`.

        Raises:
            ValueError: there is no connection of that name.
            QueryError: the database refused the statement.
        """
        if isinstance(query, str):
            return self._required(name).execute_query(query, params)
        if name is None:
            raise ValueError("no query was given")
        return self._required(None).execute_query(name, params if query is None else query)

    def execute_transaction(self, queries: Sequence[Mapping[str, Any]]) -> bool:
        """Run `[{"query": sql, "params": parameters}]` on the default connection in one transaction: all of them, or none.

        Returns whether all ran; why one did not goes to the log.

        Raises:
            ValueError: an entry has no query, or these are no entries.
        """
        if not isinstance(queries, Sequence):
            raise ValueError(f"a transaction cannot be {type(queries).__name__}; expected a list of {{query, params}}")
        for place, entry in enumerate(queries):
            if not isinstance(entry, Mapping):
                raise ValueError(f"entry {place} of the transaction is {entry!r}; expected {{query, params}}")
            if "query" not in entry or (unknown := set(entry) - {"query", "params"}):
                wrong = f"unknown keys {sorted(unknown)}" if "query" in entry else "no query"
                raise ValueError(f"entry {place} of the transaction has {wrong}; expected query and, where it has some, params")
        connection = self._required(None)
        try:
            with connection.transaction():
                for entry in queries:
                    connection.execute_query(entry["query"], entry.get("params"))
        except QueryError as error:
            import logging

            logging.getLogger(__name__).warning("transaction on %s undone: %s", connection.name, error.message)
            return False
        return True

    # --- what the databases say of themselves

    def health_check_all(self) -> dict[str, dict[str, Any]]:
        """Ask every server; return what `DatabaseConnection.health_check` gives by name."""
        return {name: connection.health_check() for name, connection in self._connections.items()}

    def get_database_stats(self) -> dict[str, Any]:
        """Return `{total_connections, active_connections, databases_by_type: {type: count}, default_connection}`."""
        by_type: dict[str, int] = {}
        for connection in self._connections.values():
            by_type[connection.db_type.value] = by_type.get(connection.db_type.value, 0) + 1
        return {
            "total_connections": len(self._connections),
            "active_connections": sum(1 for connection in self._connections.values() if connection.is_connected()),
            "databases_by_type": by_type,
            "default_connection": self._default,
        }

    def get_tables(self) -> list[str]:
        """Return the names of all tables of the default connection."""
        return self._required(None).get_tables()

    def get_table_info(self, table_name: str) -> list[dict[str, Any]]:
        """Return `{cid, name, type, notnull, default, pk}` of each column of a table of the default connection."""
        return self._required(None).get_table_info(table_name)

    def __enter__(self) -> DatabaseManager:
        return self

    def __exit__(self, *error: object) -> None:
        self.disconnect_all()

    def _required(self, name: str | None) -> DatabaseConnection:
        connection = self._found(name)
        if connection is not None:
            return connection
        if name is not None:
            raise ValueError(f"Database connection not found: {name}")
        raise ConnectError("the manager has no connection", fix="connect(url), or add_connection(connection)")

    def _found(self, name: str | None) -> DatabaseConnection | None:
        wanted = self._default if name is None else name
        return None if wanted is None else self._connections.get(wanted)

    def _free(self, name: str) -> str:
        number, free = 2, name
        while free in self._connections:
            free, number = f"{name}_{number}", number + 1
        return free


def manage_databases(database_url: str | None = None) -> DatabaseManager:
    """Return a manager, connected to the URL where one is given.

    Raises:
        ConnectError: not a database URL, or no answer.
    """
    return DatabaseManager(database_url)


def connect_database(database_url: str) -> DatabaseConnection:
    """Connect to a URL.

    Raises:
        ConnectError: not a database URL, or no answer.
    """
    return DatabaseConnection.from_url(database_url).connect()


def execute_query(database_url: str, query: str, params: Parameters = None) -> QueryResult:
    """Run one statement on the database of a URL, and close it again."""
    connection = connect_database(database_url)
    try:
        return connection.execute(query, params)
    finally:
        connection.disconnect()
