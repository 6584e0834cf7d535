"""Connections that any factory makes, lent by SQLAlchemy's pool: to one user at a time, looked at before, replaced when old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from dbops.dataclass import dataclass
from dbops.engines.base.driver import Answer, Session
from dbops.errors import ConnectError, QueryError
from dbops.usecases.databases.address import target_of
from dbops.usecases.databases.parameters import Parameters, must_be_text, prepared
from dbops.usecases.runtime import engine_for

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection


class OneSession:
    """One session on a database, for one user at a time; outside of `transaction` every statement commits by itself."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        """Connect.

        Raises:
            ConnectError: not a database URL, or no answer.
        """
        target = target_of(url, timeout_s=timeout_s, attempts=3, tls_mode="prefer")
        engine = engine_for(target.url)
        self._session: Session = engine.driver.open(target)
        self._dialect, self._style = engine.dialect, engine.driver.style

    def run(self, sql: str, parameters: Parameters = None) -> Answer:
        """Run one statement. Raises QueryError: the database refused it."""
        must_be_text(sql)
        return self._session.run(*prepared(sql, parameters, self._dialect, self._style))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a block in one transaction, kept at its end, undone when it raises."""
        self._session.begin()
        try:
            yield
            self._session.commit()
        except BaseException:
            with suppress(QueryError):
                self._session.rollback()
            raise

    def commit(self) -> None:
        """Keep what a transaction of the user's own words has done."""
        if self._session.is_in_transaction():
            self._session.commit()

    def rollback(self) -> None:
        """Undo it."""
        self._session.rollback()

    def close(self) -> None:
        """Close the session."""
        self._session.close()


@dataclass(frozen=True, slots=True)
class Terms:
    """How connections are lent: seconds, and 0 for `idle_s`, `lifetime_s` means without limit."""

    minimum: int
    maximum: int
    wait_s: float
    idle_s: float
    lifetime_s: float
    validate_s: float
    query: str


@dataclass(slots=True)
class Counts:
    """What has happened so far."""

    created: int = 0
    closed: int = 0
    acquired: int = 0
    released: int = 0
    timeouts: int = 0
    found_dead: int = 0
    waited_s: float = 0.0


class Lending:
    """The connections of one factory."""

    def __init__(self, make: Callable[[], Any], terms: Terms) -> None:
        """Open as many connections as are kept at least.

        Raises:
            what the factory raises.
        """
        from sqlalchemy import event
        from sqlalchemy.pool import QueuePool

        self.terms: Terms = terms
        self.counts: Counts = Counts()
        self._make, self._lock = make, threading.Lock()
        self._lent: dict[int, PoolProxiedConnection] = {}
        self._is_closed = False
        self._pool = QueuePool(
            self._made,
            pool_size=terms.maximum,
            max_overflow=0,
            timeout=terms.wait_s,
            recycle=cast(Any, terms.lifetime_s or -1),  # it is compared with a difference of times, parts of a second too
            use_lifo=True,
            reset_on_return="rollback",
        )
        event.listen(self._pool, "close", lambda *_: self._count("closed"))
        self._fill()

    def acquire(self) -> Any:
        """Lend a connection that lives.

        Raises:
            ConnectError: all are lent for too long, or the pool is closed; or what the factory raises.
        """
        if self._is_closed:
            raise ConnectError("the pool is closed")
        began = time.monotonic()
        while True:
            proxy = self._connected()
            if self._is_usable(proxy):
                break
            self._count("found_dead")
            proxy.invalidate()
            proxy.close()
        connection = proxy.dbapi_connection
        with self._lock:
            self._lent[id(connection)] = proxy
            self.counts.acquired += 1
            self.counts.waited_s += time.monotonic() - began
        return connection

    def release(self, connection: Any, *, is_usable: bool = True) -> None:
        """Take a connection back; what it has not committed is undone.

        Raises:
            ConnectError: it is not lent: another pool's, or given back before.
        """
        with self._lock:
            proxy = self._lent.pop(id(connection), None)
            if proxy is not None:
                self.counts.released += 1
        if proxy is None:
            raise ConnectError("this connection is not lent by the pool", fix="give each connection back once")
        proxy.info["given_back"] = time.monotonic()
        if not is_usable or self._is_closed:
            proxy.invalidate()
        proxy.close()

    def state(self) -> tuple[int, int]:
        """Return how many connections are lent, and how many wait to be."""
        lent = self._pool.checkedout()
        return lent, max(self._open - lent, 0)

    @property
    def _open(self) -> int:
        """Places of the pool whose connection was closed count as idle there."""
        return self.counts.created - self.counts.closed

    def look_after(self) -> None:
        """Close connections that were idle for too long, but for those kept at least, and open these where they are missing."""
        now, spare = time.monotonic(), self._open - self.terms.minimum
        taken = [self._pool.connect() for _ in range(self.state()[1])]
        kept = []
        for proxy in sorted(taken, key=lambda one: float(one.info.get("given_back", now))):
            idle_s = now - float(proxy.info.get("given_back", now))
            if spare > 0 and self.terms.idle_s and idle_s > self.terms.idle_s:
                spare -= 1
                proxy.invalidate()
                proxy.close()
            else:
                kept.append(proxy)
        for proxy in kept:  # given back last, they are on top, before the places without a connection
            proxy.close()
        self._fill()

    def ask(self) -> float:
        """Ask the database, on a connection of the pool; return the seconds that it took.

        Raises:
            ConnectError, QueryError, or the driver's own error: no answer.
        """
        connection = self.acquire()
        began = time.perf_counter()
        try:
            self._query(connection)
        except BaseException:
            self.release(connection, is_usable=False)
            raise
        self.release(connection)
        return time.perf_counter() - began

    def close(self) -> None:
        """Close all connections: those that are lent when they come back."""
        self._is_closed = True
        self._pool.dispose()

    def _fill(self) -> None:
        """Open connections until as many are there as are kept at least."""
        if self._open >= self.terms.minimum:
            return
        for proxy in [self._pool.connect() for _ in range(self.terms.minimum - self._pool.checkedout())]:
            proxy.info.setdefault("given_back", time.monotonic())
            proxy.close()

    def _made(self) -> Any:
        connection = self._make()
        self._count("created")
        return connection

    def _connected(self) -> PoolProxiedConnection:
        from sqlalchemy.exc import TimeoutError

        try:
            return self._pool.connect()
        except TimeoutError as error:
            self._count("timeouts")
            raise ConnectError(
                f"all {self.terms.maximum} connections of the pool stayed in use for {self.terms.wait_s:g} s",
                fix="raise max_connections, or give connections back sooner",
            ) from error

    def _is_usable(self, proxy: PoolProxiedConnection) -> bool:
        """Look at a connection that has been in the pool for a while."""
        given_back = proxy.info.get("given_back")
        if given_back is None:
            return True
        idle_s = time.monotonic() - float(given_back)
        if self.terms.idle_s and idle_s > self.terms.idle_s:
            return False
        if idle_s < self.terms.validate_s:
            return True
        try:
            self._query(proxy.dbapi_connection)
        except Exception:  # the factory's own driver says in its own words that the connection is dead
            return False
        return True

    def _query(self, connection: Any) -> None:
        if isinstance(connection, OneSession):
            connection.run(self.terms.query)
            return
        cursor = connection.cursor()
        try:
            cursor.execute(self.terms.query)
            cursor.fetchall()
        finally:
            cursor.close()

    def _count(self, name: str) -> None:
        with self._lock:
            setattr(self.counts, name, getattr(self.counts, name) + 1)
