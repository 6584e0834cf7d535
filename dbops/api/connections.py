"""Pools of connections, on SQLAlchemy's pool, over real databases: a factory makes them, a pool lends, a checker looks after.

A connection is in one user's hands at a time, whatever threads there are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbops.api.database_connection import Parameters, QueryResult, timed
from dbops.arguments import checked, must_fit
from dbops.dataclass import dataclass
from dbops.errors import DbopsError

if TYPE_CHECKING:
    from dbops.usecases.databases.lending import OneSession

__all__ = ["ConnectionFactory", "ConnectionPool", "HealthChecker", "PoolConfig", "PoolStats", "PooledConnection"]


@dataclass(frozen=True)
class PoolConfig:
    """How a pool lends; times are in seconds.

    `min_connections` are opened at once and kept. `acquire_timeout_s` is how long one waits for a free connection. After
    `idle_timeout_s` without use, or `max_lifetime_s` in all, a connection is replaced; 0 means never. One that was idle for
    `validation_interval_s` is asked `health_check_query` before it is lent.
    """

    min_connections: int = 1
    max_connections: int = 10
    acquire_timeout_s: float = 30.0
    idle_timeout_s: float = 300.0
    max_lifetime_s: float = 3600.0
    validation_interval_s: float = 30.0
    health_check_query: str = "SELECT 1"

    def __post_init__(self) -> None:
        """Refuse what no pool can be.

        Raises:
            ValueError: it says which field.
            ArgumentError: a field is of a wrong type.
        """
        must_fit(self)
        if not 0 <= self.min_connections <= self.max_connections or self.max_connections < 1:
            raise ValueError("min_connections is between 0 and max_connections, which is at least 1")
        for name in ("acquire_timeout_s", "idle_timeout_s", "max_lifetime_s", "validation_interval_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is no negative number")


@dataclass()
class PoolStats:
    """A pool at a moment, and what has happened so far; `average_wait_s` is what an `acquire` took, in seconds."""

    total_connections: int
    active_connections: int
    idle_connections: int
    max_connections: int
    connections_created: int
    connections_closed: int
    acquired: int
    released: int
    timeouts: int
    failed_validations: int
    average_wait_s: float


class PooledConnection:
    """A connection that `ConnectionFactory` made; outside of `transaction()` every statement commits by itself."""

    def __init__(self, session: OneSession) -> None:
        self._session = session

    def execute(self, query: str, params: Parameters = None) -> QueryResult:
        """Run one statement, parameters at `?`, `%s` or `:name` marks; what the database refuses is `success=False`."""

        def run() -> QueryResult:
            answer = self._session.run(query, params)
            count = len(answer.rows) if answer.columns else answer.count
            return QueryResult(True, answer.rows, list(answer.columns), count)

        return timed(run)

    def execute_query(self, query: str, params: Parameters = None) -> list[dict[str, Any]]:
        """Run one statement and return its rows as dictionaries.

        Raises:
            QueryError: the database refused it.
        """
        answer = self._session.run(query, params)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block in one transaction, kept at its end, undone when it raises."""
        with self._session.transaction():
            yield


@checked
class ConnectionFactory:
    """Makes connections to the database of a URL, each time it is called."""

    def __init__(self, database_url: str, timeout_s: float = 30.0) -> None:
        self._url = database_url
        self._timeout_s = timeout_s

    def __call__(self) -> OneSession:
        """Open a connection.

        Raises:
            ConnectError: not a database URL, or no answer.
        """
        from dbops.usecases.databases.lending import OneSession

        return OneSession(self._url, self._timeout_s)

    def __repr__(self) -> str:
        from dbops.usecases.databases.address import redacted

        return f"ConnectionFactory({redacted(self._url)!r})"


@checked
class ConnectionPool:
    """Lends the connections of a factory: a `ConnectionFactory`, a URL, or any function that returns a connection of DB-API 2.0.

    Those of a `ConnectionFactory` come as a `PooledConnection`, others as they are.

    Raises:
        ConnectError, or what the factory raises: the first connections cannot be opened.
    """

    def __init__(self, factory: ConnectionFactory | str | Callable[[], Any], config: PoolConfig | None = None) -> None:
        from dbops.usecases.databases.lending import Lending, Terms

        self.config: PoolConfig = config or PoolConfig()
        given = self.config
        terms = Terms(
            given.min_connections,
            given.max_connections,
            given.acquire_timeout_s,
            given.idle_timeout_s,
            given.max_lifetime_s,
            given.validation_interval_s,
            given.health_check_query,
        )
        self._lending = Lending(ConnectionFactory(factory) if isinstance(factory, str) else factory, terms)

    def acquire(self) -> Any:
        """Lend a connection that lives; give it back with `release`.

        Raises:
            ConnectError: all are lent for longer than `acquire_timeout_s`, the pool is closed, or no answer.
        """
        from dbops.usecases.databases.lending import OneSession

        connection = self._lending.acquire()
        return PooledConnection(connection) if isinstance(connection, OneSession) else connection

    def release(self, connection: Any) -> None:
        """Take a connection back; what it has not committed is undone.

        Raises:
            ConnectError: it is another pool's, or was given back before.
        """
        self._lending.release(connection._session if isinstance(connection, PooledConnection) else connection)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """Lend a connection for a block: what it has done is committed at the end, and undone when the block raises."""
        connection = self.acquire()
        try:
            yield connection
            (connection._session if isinstance(connection, PooledConnection) else connection).commit()
        finally:
            self.release(connection)

    def stats(self) -> PoolStats:
        """Return how the pool stands."""
        active, idle = self._lending.state()
        counts = self._lending.counts
        return PoolStats(
            active + idle,
            active,
            idle,
            self.config.max_connections,
            counts.created,
            counts.closed,
            counts.acquired,
            counts.released,
            counts.timeouts,
            counts.found_dead,
            counts.waited_s / counts.acquired if counts.acquired else 0.0,
        )

    def close(self) -> None:
        """Close all connections: those that are lent when they come back."""
        self._lending.close()

    def __enter__(self) -> ConnectionPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@checked
class HealthChecker:
    """Asks the database of a pool from time to time, in a thread, and looks after the pool's idle connections."""

    def __init__(self, pool: ConnectionPool, interval_s: float = 30.0) -> None:
        if interval_s <= 0:
            raise ValueError("interval_s is above 0")
        self._pool, self._interval_s = pool, interval_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.last: dict[str, Any] | None = None
        """What `check_health` gave last; None before the first time."""

    def check_health(self) -> dict[str, Any]:
        """Ask the database.

        `{status, response_time, checked_at, total_connections, active_connections, idle_connections}`: `status` is healthy or
        unhealthy, with the reason in `error`; `response_time` is in seconds, `checked_at` in seconds since 1970.
        """
        started, error = time.perf_counter(), None
        try:
            took = self._pool._lending.ask()
        except Exception as failed:  # the factory's own driver says in its own words what is wrong
            took, error = time.perf_counter() - started, failed.message if isinstance(failed, DbopsError) else str(failed)
        stats = self._pool.stats()
        self.last = {
            "status": "healthy" if error is None else "unhealthy",
            "response_time": took,
            "checked_at": time.time(),
            "total_connections": stats.total_connections,
            "active_connections": stats.active_connections,
            "idle_connections": stats.idle_connections,
            **({} if error is None else {"error": error}),
        }
        return self.last

    def start(self) -> None:
        """Check from now on, the first time at once; nothing to do where it does so already."""
        if self._thread is not None:
            return
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="dbops-health", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Check no longer; returns when a check that runs has ended."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def is_running(self) -> bool:
        """Tell whether it checks."""
        return self._thread is not None

    def _run(self) -> None:
        while True:
            if self.check_health()["status"] == "healthy":
                try:
                    self._pool._lending.look_after()
                except Exception as error:  # the next check says what is wrong
                    import logging

                    logging.getLogger(__name__).warning("the pool could not be looked after: %s", error)
            if self._stopping.wait(self._interval_s):
                return
