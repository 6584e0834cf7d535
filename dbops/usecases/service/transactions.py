"""Sessions for single operations, and transactions that several operations join: all of them hold, or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, LockTimeoutError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from dbops.usecases.service.pools import PooledDatabase


@dataclass(slots=True, eq=False)
class OpenTransaction:
    """A transaction of one task; `failure` is the first error of an operation in it, with which it cannot be committed."""

    database: PooledDatabase
    session: AsyncSession
    task: asyncio.Task[Any] | None
    failure: BaseException | None = None


_open: ContextVar[tuple[OpenTransaction, ...]] = ContextVar("dbops_transactions", default=())


def current(database: PooledDatabase) -> OpenTransaction | None:
    """Return the innermost transaction on a database of the task that runs.

    A task that was started inside the block of a transaction is none of it: two tasks never share a session.
    """
    task = asyncio.current_task()
    return next((item for item in reversed(_open.get()) if item.database is database and item.task is task), None)


@asynccontextmanager
async def transaction(database: PooledDatabase, isolation: str | None = None) -> AsyncIterator[OpenTransaction]:
    """Run a block in one transaction, which operations on the database join: committed at its end, rolled back when it raises.

    An operation that failed in it, reported or not, undoes it too: its error is raised at the end of the block. Inside another
    transaction of the task it is a savepoint. `isolation` is SQL's name of a level, for engines with a server.

    Raises:
        DbopsError, and whatever the block raises.
    """
    outer = current(database)
    if outer is not None:
        _refuse_failed(outer)
        async with outer.session.begin_nested(), _joined(OpenTransaction(database, outer.session, outer.task)) as opened:
            yield opened
        return
    async with _turn(database), database.writing() as session:
        try:
            if isolation is not None:
                await session.connection(execution_options={"isolation_level": isolation})
            else:
                await session.connection()  # which begins the transaction, so that who waits for a lock waits here
            async with _ended(session), _joined(OpenTransaction(database, session, asyncio.current_task())) as opened:
                yield opened
        except Exception as error:
            ours = database.translated(error)
            if ours is error:
                raise
            raise ours from error


@asynccontextmanager
async def _ended(session: AsyncSession) -> AsyncIterator[None]:
    """Commit or roll back what began with its connection."""
    try:
        yield
        await session.commit()
    except BaseException:
        await session.rollback()
        raise


@asynccontextmanager
async def _joined(opened: OpenTransaction) -> AsyncIterator[OpenTransaction]:
    before = _open.get()
    _open.set((*before, opened))
    try:
        yield opened
    finally:
        _open.set(before)
    if opened.failure is not None:
        raise opened.failure


@asynccontextmanager
async def session_for(database: PooledDatabase, *, writes: bool) -> AsyncIterator[AsyncSession]:
    """Give the session of the transaction that is open, else one of its own, which is committed at the end of one that writes.

    Raises:
        DbopsError: TRANSACTION_FAILED where an operation of the open transaction has failed already.
    """
    opened = current(database)
    if opened is not None:
        _refuse_failed(opened)
        try:
            yield opened.session
        except Exception as error:
            if writes or database.translated(error) is not error:
                opened.failure = database.translated(error)
            raise
        return
    if not writes:
        async with database.reading() as session:  # there is nothing to commit: closing it ends what it began
            yield session
        return
    async with _turn(database), database.writing() as session, session.begin():
        yield session


@asynccontextmanager
async def _turn(database: PooledDatabase) -> AsyncIterator[None]:
    """Wait for one's turn among the writers of this program.

    Raises:
        LockTimeoutError: it did not come in time.
    """
    if database.turn is None:
        yield
        return
    limit_s = database.target.timeouts.lock_s
    try:
        async with asyncio.timeout(limit_s):
            await database.turn.acquire()
    except TimeoutError as error:
        raise LockTimeoutError(f"others wrote to {database.name!r} for all of {limit_s:g} s") from error
    try:
        yield
    finally:
        database.turn.release()


def _refuse_failed(opened: OpenTransaction) -> None:
    if opened.failure is not None:
        raise DbopsError(
            f"the transaction is going to be rolled back, because an operation in it failed: {opened.failure}",
            error_code="TRANSACTION_FAILED",
        ) from opened.failure
