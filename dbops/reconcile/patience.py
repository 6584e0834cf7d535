"""Waiting for locks: what is not granted in time gives way to the queue behind it and is tried again, and whoever stands in
the way is named.

Patience wraps an act or a journal; neither knows that it is tried more than once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from dbops.engines.base.connect import Connection, lock_limit
from dbops.errors import DbopsError, LockTimeoutError, LostConnectionError, TransientError
from dbops.sql.statement import Statement

T = TypeVar("T")
_JOIN_S = 5.0

GivingWay = Callable[[DbopsError, str], None]
"""Told why an attempt ended, and in words when the next one comes."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried in all, and how long the pauses between are: they double up to `longest_s`, and each is
    shortened by chance, so that two programs that met do not meet again."""

    attempts: int = 10
    first_s: float = 0.5
    longest_s: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def pauses(self) -> Iterator[float]:
        """Yield the pause after each attempt but the last."""
        pause_s = self.first_s
        for _ in range(self.attempts - 1):
            yield pause_s * (0.5 + self.chance() / 2)
            pause_s = min(pause_s * 2, self.longest_s)


def patiently(act: Callable[[], T], patience: Patience, giving_way: GivingWay = lambda error, text: None) -> T:
    """Run `act`, again and again while it ends for want of a lock or as a deadlock's victim.

    Raises:
        DbopsError: of the last attempt, with `attempts` in its context; any other error at once.
    """
    for attempt, pause_s in enumerate(patience.pauses(), start=1):
        try:
            return act()
        except (LockTimeoutError, TransientError) as error:
            if isinstance(error, LostConnectionError):
                raise
            giving_way(error, f"trying again in {pause_s:.1f} s, attempt {attempt + 1} of {patience.attempts}")
        patience.sleep(pause_s)
    try:
        return act()
    except (LockTimeoutError, TransientError) as error:
        error.context["attempts"] = patience.attempts
        raise


@dataclass(slots=True)
class Lookout:
    """Sees whom the statements of one session wait for: a thread asks while one takes longer than a moment."""

    conn: Connection
    lock_s: float
    told: Callable[[str], None] = lambda text: None
    seen: list[str] = field(default_factory=list)
    """Who stood in the way of the statement that ran last; empty when nobody did or nobody could tell."""

    def execute(self, statement: Statement) -> None:
        """Run a statement under its own lock timeout."""
        limit_s = lock_limit(statement.lock_timeout_s, self.lock_s)
        with self.conn.giving_up_locks_after(limit_s), self._looking(limit_s):
            self.conn.execute(statement.sql, statement.parameters)

    def watching(self) -> AbstractContextManager[None]:
        """Look out during a block of statements that wait as long as the connection says."""
        return self._looking(self.lock_s)

    @contextmanager
    def _looking(self, limit_s: float) -> Iterator[None]:
        self.seen.clear()
        is_over = threading.Event()
        every_s = min(2.0, limit_s * 0.4) if limit_s else 2.0
        watcher = threading.Timer(every_s, self._look, (is_over, every_s))
        watcher.daemon = True
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.cancel()
            watcher.join(_JOIN_S)

    def _look(self, is_over: threading.Event, every_s: float) -> None:
        while not is_over.is_set():
            with suppress(DbopsError):  # an account may not be allowed to see others: then nobody is named
                if found := self.conn.blockers():
                    self._see(found)
            is_over.wait(every_s)

    def _see(self, found: Sequence[str]) -> None:
        if list(found) != self.seen:
            self.seen[:] = found
            self.told(f"waits for {' and '.join(found)}")
