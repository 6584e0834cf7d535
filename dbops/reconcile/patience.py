"""Waiting for locks: what is not granted in time gives way to the queue behind it and is tried again, and whoever stands in
the way is named.

Patience wraps an act or a journal; neither knows that it is tried more than once.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import field
from typing import TypeVar

from dbops.dataclass import dataclass
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
        _WATCH.enter(self, min(2.0, limit_s * 0.4) if limit_s else 2.0)
        try:
            yield
        finally:
            _WATCH.leave(self)

    def look(self) -> None:
        """Ask who is in the way now."""
        with suppress(DbopsError):  # an account may not be allowed to see others: then nobody is named
            if (found := self.conn.blockers()) and list(found) != self.seen:
                self.seen[:] = found
                self.told(f"waits for {' and '.join(found)}")


class _Watch:
    """One thread for all lookouts of the program: starting one for each statement costs more than most statements do."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a forked program there is no thread, and nothing runs."""
        self._lock = threading.Lock()
        self._due: dict[int, tuple[float, float, Lookout]] = {}

    def enter(self, lookout: Lookout, every_s: float) -> None:
        """Let a lookout look when `every_s` have passed, again and again."""
        with self._lock:
            self._due[id(lookout)] = (time.monotonic() + every_s, every_s, lookout)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def leave(self, lookout: Lookout) -> None:
        """Let it look no more; one that is looking ends first."""
        is_free = self._lock.acquire(timeout=_JOIN_S)
        self._due.pop(id(lookout), None)
        if is_free:
            self._lock.release()

    def _run(self) -> None:
        while True:
            time.sleep(_TICK_S)
            with self._lock:
                now = time.monotonic()
                for key, (due, every_s, lookout) in list(self._due.items()):
                    if now >= due:
                        lookout.look()
                        self._due[key] = (time.monotonic() + every_s, every_s, lookout)


_TICK_S = 0.1
_WATCH = _Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_WATCH.forget)
