"""Limits of time that the server does not keep by itself: a session beside ends the statement that went beyond them.

Waiting for a table's lock the server counts in whole seconds, and MySQL limits the time of SELECT alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dbops.engines.mysql.errors import INTERRUPTED, lock_timeout, number_of, statement_timeout
from dbops.errors import TransientError


@contextmanager
def ending_after(limit_s: float, stop: Callable[[], None]) -> Iterator[None]:
    """End the statement of a block when its time is over; 0 is no limit.

    Raises:
        QueryError: it was.
    """
    if not limit_s:
        yield
        return
    ended = threading.Event()

    def end() -> None:
        ended.set()
        stop()

    with _later(limit_s, end):
        try:
            yield
        except TransientError as error:
            if ended.is_set() and number_of(error) == INTERRUPTED:
                raise statement_timeout(error) from error
            raise


@contextmanager
def giving_way_after(sql: str, lock_s: float, is_waiting: Callable[[], bool], stop: Callable[[], None]) -> Iterator[None]:
    """End an ALTER TABLE that still waits for its table after a fraction of a second; the server's own limit is a whole one.

    What has begun to work goes on, and waits for its end as long as the server lets it.

    Raises:
        LockTimeoutError: it waited.
    """
    if not 0 < lock_s < 1 or not sql.startswith("ALTER TABLE"):
        yield
        return
    gave_way = threading.Event()

    def look() -> None:
        if is_waiting():
            gave_way.set()
            stop()

    with _later(lock_s, look):
        try:
            yield
        except TransientError as error:
            if gave_way.is_set() and number_of(error) == INTERRUPTED:
                raise lock_timeout(lock_s) from error
            raise


@contextmanager
def _later(after_s: float, act: Callable[[], None]) -> Iterator[None]:
    timer = threading.Timer(after_s, act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # it must not end the next statement
