"""The port to asynchronous sessions: SQLAlchemy's own engine and pool over connections that are opened as ours are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dbops.dataclass import dataclass
from dbops.errors import ConnectError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncEngine

    from dbops.engines.base.connect import Target
    from dbops.errors import QueryError

T = TypeVar("T")

WRITES = "dbops_writes"
"""The execution option of a session that is going to write: on engines with one writer it takes its turn from the start."""


_ROLLED_BACK = "dbops_rolled_back"
"""In the `info` of a connection whose transaction was rolled back and that has begun none since."""


@dataclass(frozen=True, slots=True)
class Pooling:
    """How many connections are kept, how many more there may be, how long one waits for a free one and how old one gets."""

    size: int = 20
    max_overflow: int = 10
    timeout_s: float = 30.0
    recycle_s: int = 3600


class Sessions(Protocol):
    """Stateless, as engines are."""

    def engine(self, target: Target, pooling: Pooling) -> AsyncEngine:
        """Return an engine with a pool of its own; it connects when first used.

        Each connection of it has the target's timeouts, TLS, settings and retries. Connecting raises what `Engine.connect`
        does; statements raise what SQLAlchemy does, see `translated`.
        """
        ...

    def translated(self, error: BaseException, target: Target) -> QueryError | None:
        """Return our error for the driver's, None when it is none of the driver's."""
        ...

    def exact(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return a text expression that compares character by character, by code points, whatever the column's collation."""
        ...

    def among(self, column: ColumnElement[Any], texts: Sequence[str]) -> ColumnElement[bool]:
        """Tell exactly whether a text column holds one of `texts`, in a form that can use an index of the column."""
        ...

    def in_order(self, column: ColumnElement[Any], *, descending: bool) -> ColumnElement[Any]:
        """Return a term for ORDER BY that puts NULL before everything, behind it when descending."""
        ...

    def matches(self, column: ColumnElement[Any], pattern: str, *, ignore_case: bool) -> ColumnElement[bool]:
        r"""Compare a text column with a LIKE pattern (`%`, `_`, `\` before either); exactly, or without regard to case."""
        ...


def pooled(dialect: str, connect: Callable[[], Awaitable[Any]], pooling: Pooling, **more: Any) -> AsyncEngine:
    """Return SQLAlchemy's engine for `dialect` over connections that `connect` opens.

    Raises:
        ConnectError: a package that it needs is not installed.
    """
    try:
        from sqlalchemy.ext.asyncio import create_async_engine

        made = create_async_engine(
            f"{dialect}://",
            async_creator=connect,
            pool_size=pooling.size,
            max_overflow=pooling.max_overflow,
            pool_timeout=pooling.timeout_s,
            pool_recycle=pooling.recycle_s,
            pool_pre_ping=True,
            pool_reset_on_return=None,
            **more,
        )
    except ImportError as error:
        raise ConnectError(
            f"asynchronous sessions need a package that is not installed: {error}", fix="pip install 'dbops[service]'"
        ) from error
    _roll_back_once(made)
    return made


def _roll_back_once(engine: AsyncEngine) -> None:
    """Roll connections back that come back to the pool, but not those that have just been: each time is a word with the server.

    A session of the ORM ends what it began with a rollback of its own, of which the pool does not know.
    """
    from sqlalchemy import event

    def begun(conn: Any) -> None:
        conn.connection.info.pop(_ROLLED_BACK, None)

    def rolled_back(conn: Any) -> None:
        if not conn.invalidated:  # as one is whose task was cancelled while the server worked for it
            conn.connection.info[_ROLLED_BACK] = True

    def reset(raw: Any, record: Any, state: Any) -> None:
        is_over = record.info.pop(_ROLLED_BACK, False) or state.transaction_was_reset
        if state.asyncio_safe and not is_over:  # else the pool throws it away
            raw.rollback()

    event.listen(engine.sync_engine, "begin", begun)
    event.listen(engine.sync_engine, "rollback", rolled_back)
    event.listen(engine.sync_engine.pool, "reset", reset)


async def patiently(attempt: Callable[[], Awaitable[T]], attempts: int, may_pass: Callable[[ConnectError], bool]) -> T:
    """Connect, and try again with growing pauses what may pass by itself. Raises the last attempt's ConnectError."""
    wait_s = 0.2
    for _ in range(attempts - 1):
        try:
            return await attempt()
        except ConnectError as error:
            if not may_pass(error):
                raise
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s *= 2
    return await attempt()
