"""What may succeed when tried again, tried again: with pauses that double, each of them drawn by chance."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dbops.errors import ConnectError, DbopsError, LockTimeoutError, LostConnectionError, MissingDatabaseError, TransientError

T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
POOL_EXHAUSTED = "POOL_EXHAUSTED"
_log = logging.getLogger(__name__)


def may_pass(error: BaseException) -> bool:
    """Tell whether trying again may help, and cannot do anything twice: locks, deadlocks, servers that do not answer yet.

    A session that is lost is no such case: its last statement may have been carried out. Nor is a pool without a free
    connection, for which one has waited already.
    """
    if isinstance(error, LostConnectionError | MissingDatabaseError):
        return False
    if isinstance(error, DbopsError) and error.error_code == POOL_EXHAUSTED:
        return False
    return isinstance(error, TransientError | LockTimeoutError | ConnectError)


def pause_s(attempt: int, draw: Callable[[float, float], float] = random.uniform) -> float:
    """Return how long to wait behind an attempt, counted from 0: half of what doubling gives at least, all of it at most.

    Those who failed together come back at different moments.
    """
    whole = min(FIRST_PAUSE_S * 2.0 ** min(attempt, 30), LONGEST_PAUSE_S)
    return draw(whole / 2, whole)


async def persistently(
    operation: Callable[[], Awaitable[T]],
    attempts: int,
    translated: Callable[[BaseException], BaseException],
    refused: Callable[[T], bool] = lambda _: False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Return what `operation` returns, called anew for each of up to `attempts` attempts.

    `translated` gives our error for one of a library; `refused` tells of a value that it stands for a failure that may pass.

    Raises:
        TypeError: `operation` is a coroutine, which can be awaited once only.
        and what the last attempt raises, translated.
    """
    if inspect.isawaitable(operation) or not callable(operation):
        if inspect.iscoroutine(operation):
            operation.close()
        raise TypeError("execute_with_retry takes a function that returns an awaitable, not an awaitable: it may call it again")
    for attempt in range(attempts):
        is_last = attempt == attempts - 1
        try:
            value = await operation()
        except Exception as error:
            ours = translated(error)
            if is_last or not may_pass(ours):
                if ours is error:
                    raise
                raise ours from error
            _log.info("attempt %d of %d failed: %s", attempt + 1, attempts, ours)
        else:
            if is_last or not refused(value):
                return value
        await sleep(pause_s(attempt))
    raise DbopsError(f"{attempts} attempts are none", expected="at least 1")
