"""A database of a program: its pool, its sessions, and its errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dbops.dataclass import dataclass
from dbops.engines.base.sessions import WRITES, Pooling, Sessions
from dbops.telemetry import is_heard
from dbops.usecases.databases.observed import observe
from dbops.usecases.runtime import engine_for
from dbops.usecases.service.retries import POOL_EXHAUSTED

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    from dbops.engines.base.connect import Target


@dataclass(slots=True, eq=False)
class PooledDatabase:
    """`reading` makes sessions for everything; those of `writing` take turns where an engine has one writer at a time.

    `models` are the tables that model files describe, by name. `turn` is what writers of this program wait for where the engine
    has one writer at a time, None where it has many: so they come to their turn in order, and keep no connection meanwhile.
    """

    target: Target
    sessions: Sessions
    engine: AsyncEngine
    reading: async_sessionmaker[AsyncSession]
    writing: async_sessionmaker[AsyncSession]
    models: Mapping[str, Table]
    turn: asyncio.Lock | None

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def url(self) -> str:
        """The URL, without the password."""
        return self.target.url.redacted()

    def translated(self, error: BaseException) -> BaseException:
        """Return our error for one of SQLAlchemy or the driver, what is neither as it is.

        A deadlock ends the transaction on MySQL, so that going back to a savepoint fails behind it: then it is the error.
        """
        from dbops.errors import TransientError

        ours, earlier = self._translated(error), error.__context__
        while earlier is not None and ours is not error:
            before = self._translated(earlier)
            if isinstance(before, TransientError):
                return before
            earlier = earlier.__context__
        return ours

    def _translated(self, error: BaseException) -> BaseException:
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.exc import TimeoutError as PoolTimeout

        from dbops.errors import ConnectError

        if isinstance(error, PoolTimeout):
            return ConnectError(
                f"no connection to {self.name!r} became free in time",
                error_code=POOL_EXHAUSTED,
                fix="give sessions back sooner, or raise pool_size",
            )
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        return self.sessions.translated(cause, self.target) or error

    async def close(self) -> None:
        """Close all connections that are not in use."""
        await self.engine.dispose()


def open_pool(target: Target, pooling: Pooling, metadata: Sequence[MetaData] = ()) -> PooledDatabase:
    """Return the database with a pool; it connects when first used.

    Raises:
        ConnectError: a package that the engine's asynchronous driver needs is not installed.
    """
    features, sessions = engine_for(target.url).features, engine_for(target.url).sessions
    engine = sessions.engine(target, pooling)
    if is_heard():
        observe(engine.sync_engine, target, engine_for(target.url).dialect)
    from sqlalchemy.ext.asyncio import async_sessionmaker

    return PooledDatabase(
        target,
        sessions,
        engine,
        async_sessionmaker(bind=engine, expire_on_commit=False),
        async_sessionmaker(bind=engine.execution_options(**{WRITES: True}), expire_on_commit=False),
        models_by_name(metadata),
        None if features.has_servers else asyncio.Lock(),
    )


def models_by_name(metadata: Sequence[MetaData]) -> Mapping[str, Table]:
    """Return the tables that models describe."""
    return {table.name: table for item in metadata for table in item.sorted_tables if table.schema is None}
