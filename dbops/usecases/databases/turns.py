"""Turns: of those who want a session of a pool, and of writers on a database that has one writer at a time.

Everybody gets theirs in the order in which they came. SQLite itself lets a writer ask again and again, who may starve among
others that come and go (https://www.sqlite.org/c3ref/busy_timeout.html). Turns are those of this program; writers of others are
waited for as before.
"""

from __future__ import annotations

import threading
from collections import deque
from weakref import WeakValueDictionary


class Turn:
    """The right to write; given up when it is over, or forgotten."""

    __slots__ = ("_life", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns: Turns | None = turns
        self._life = turns.life

    def give_up(self) -> None:
        """Let the next one write; nothing to do the second time."""
        turns, self._turns = self._turns, None
        if turns is not None and self._life == turns.life:
            turns._next()

    def __del__(self) -> None:
        self.give_up()


class Turns:
    """Those who want something of which there are so many, first come first served: who gives up a turn is behind who waits."""

    def __init__(self, count: int = 1) -> None:
        self._guard = threading.RLock()  # a turn may be forgotten in the midst of this
        self._waiting: deque[threading.Event] = deque()
        self._count = self._free = count
        self.life: int = 0

    def take(self, wait_s: float) -> Turn | None:
        """Wait for one's turn; None where it did not come in time."""
        with self._guard:
            if self._free:
                self._free -= 1
                return Turn(self)
            mine = threading.Event()
            self._waiting.append(mine)
        if not mine.wait(wait_s or None):
            with self._guard:
                if not mine.is_set():
                    self._waiting.remove(mine)
                    return None
        return Turn(self)

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._waiting)

    def begin_anew(self) -> None:
        """Forget all turns and who waits: they are of the process of which this one was forked."""
        self.life += 1
        self._guard, self._waiting, self._free = threading.RLock(), deque(), self._count

    def _next(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


_known: WeakValueDictionary[str, Turns] = WeakValueDictionary()
_guard = threading.Lock()


def turns_of(path: str) -> Turns:
    """Return the turns of a database, the same for all who write it in this program."""
    with _guard:
        return _known.setdefault(path, Turns())


def forget_turns() -> None:
    """Begin anew in a process that was forked: who had a turn, or the guards, is another process's thread."""
    global _guard
    _guard = threading.Lock()
    for turns in list(_known.values()):
        turns.begin_anew()
