"""Sessions handed out by SQLAlchemy's pool, one to a user at a time, and found dead before they are used."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target
from dbops.errors import ConnectError, QueryError
from dbops.usecases.databases import pool_metrics
from dbops.usecases.databases.turns import Turn, Turns, forget_turns
from dbops.usecases.runtime import engine_for

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection, QueuePool

    from dbops.engines.base.driver import Session

_TRUSTED_S = 5.0
"""A session that was used so lately is not asked whether it still lives."""


def pool_name(target: Target) -> str:
    """Return the name that OpenTelemetry's conventions want for a pool without one: `host:port/database`, what there is of it."""
    url = target.url
    where = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    return f"{where}/{url.database or ''}" if where else str(url.database or "")


@dataclass(frozen=True, slots=True)
class PoolState:
    """How many sessions are open, handed out, and idle."""

    open: int
    in_use: int
    idle: int
    size: int


class Lease:
    """A session in one user's hands."""

    __slots__ = ("_began", "_pool", "_proxy", "_source", "_turn", "session")

    def __init__(self, pool: Pool, source: QueuePool, proxy: PoolProxiedConnection, turn: Turn) -> None:
        self._pool, self._source, self._proxy, self._turn = pool, source, proxy, turn
        self._began = time.monotonic()
        self.session: Session = cast("Session", proxy.dbapi_connection)

    @property
    def idle_s(self) -> float:
        """Seconds since the session was given back last; 0 for a new one."""
        since = self._proxy.info.get("given_back")
        return time.monotonic() - since if since is not None else 0.0

    @property
    def is_over(self) -> bool:
        """Whether the pool was closed since."""
        return self._source is not self._pool.source

    @property
    def is_foreign(self) -> bool:
        """Whether the session is that of the process of which this one was forked: nothing may be sent on it."""
        return self._source in _foreign

    def give_back(self) -> None:
        """Put the session back, a transaction that it is in rolled back; close it where the pool was closed."""
        if self._source is not self._pool.source:
            self.throw_away()
            return
        now = time.monotonic()
        self._proxy.info["given_back"] = now
        self._pool.used(now - self._began)
        try:
            self._proxy.close()
        finally:
            self._turn.give_up()

    def throw_away(self) -> None:
        """Close the session instead of putting it back: what state it is in is not known."""
        self._pool.used(time.monotonic() - self._began)
        if self.is_foreign:
            _left.append(self._proxy)
            return
        try:
            self._proxy.invalidate()
            self._proxy.close()
        finally:
            self._turn.give_up()


class Pool:
    """The sessions of one database; opens one when it is made.

    A database that every session would see for itself (SQLite in memory) has one, for all in turn.
    """

    def __init__(self, target: Target, size: int, wait_s: float) -> None:
        from sqlalchemy.pool import QueuePool

        driver = engine_for(target.url).driver
        self.name: str = pool_name(target)
        self.is_single: bool = driver.is_private(target)
        self._size = 1 if self.is_single else max(1, size)
        self._wait_s = wait_s
        self._turns = Turns(self._size)
        self.source: QueuePool = QueuePool(
            lambda: cast(Any, driver.open(target)),
            pool_size=self._size,
            max_overflow=0,
            timeout=wait_s,
            use_lifo=True,
            reset_on_return="rollback",
        )
        pool_metrics.known(self)
        _pools.add(self)
        self.lease().give_back()

    def lease(self, *, must_answer: bool = False) -> Lease:
        """Hand out a session that lives; with `must_answer` one that was asked just now.

        Raises:
            ConnectError: the server cannot be reached, or all sessions stayed in use for too long.
        """
        while True:
            lease = self._leased()
            if not must_answer and lease.idle_s < _TRUSTED_S:
                return lease
            try:
                lease.session.run("SELECT 1")
            except QueryError:
                lease.throw_away()
            else:
                return lease

    def _leased(self) -> Lease:
        """Wait for one's turn: the pool itself would let those who come again and again go before those who wait."""
        with pool_metrics.waiting(self):
            turn = self._turns.take(self._wait_s)
            if turn is None:
                raise ConnectError(
                    f"all {self._size} sessions of the pool stayed in use for {self._wait_s:g} s",
                    fix="give the connection a larger pool, or keep transactions shorter",
                )
        try:
            source = self.source
            return Lease(self, source, source.connect(), turn)
        except BaseException:
            turn.give_up()
            raise

    def used(self, seconds: float) -> None:
        """Tell how long a user had a session."""
        pool_metrics.used(self, seconds)

    def counts(self) -> tuple[int, int, int, int]:
        """See `pool_metrics.Measured`."""
        state = self.state
        return state.in_use, state.idle, state.size, self._turns.waiting

    @property
    def state(self) -> PoolState:
        source = self.source
        in_use, idle = source.checkedout(), source.checkedin()
        return PoolState(in_use + idle, in_use, idle, self._size)

    def close(self) -> None:
        """Close the sessions that are idle, and those in use when they come back."""
        source, self.source = self.source, self.source.recreate()
        source.dispose()

    def begin_anew(self) -> None:
        """Leave all sessions to the process of which this one was forked."""
        _foreign.append(self.source)
        self.source = self.source.recreate()
        self._turns.begin_anew()


_pools: WeakSet[Pool] = WeakSet()
_foreign: list[QueuePool] = []
_left: list[PoolProxiedConnection] = []
"""Pools and sessions of the process of which this one was forked: kept, since to forget them would close them for both."""


def _forked() -> None:
    forget_turns()
    for pool in list(_pools):
        pool.begin_anew()


os.register_at_fork(after_in_child=_forked)
