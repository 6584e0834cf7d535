"""Somebody who writes while backups are made, and keeps a promise that each state of a database can be asked about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NUMBERS = 100
#: Each transaction takes numbers from one table to the other: every state has all of them once.
TABLES = (
    "CREATE TABLE busy_a (id integer PRIMARY KEY, note varchar(200));"
    "CREATE TABLE busy_b (id integer PRIMARY KEY, note varchar(200));"
    "INSERT INTO busy_a (id) VALUES " + ", ".join(f"({number})" for number in range(NUMBERS)) + ";"
)
TURNS = (
    ("INSERT INTO busy_b SELECT id, 'there' FROM busy_a", "DELETE FROM busy_a"),
    ("INSERT INTO busy_a SELECT id, 'back' FROM busy_b WHERE id % 3 > 0", "DELETE FROM busy_b WHERE id % 3 > 0"),
    ("INSERT INTO busy_a SELECT id, 'again' FROM busy_b", "DELETE FROM busy_b"),
)
PROMISE = "SELECT id FROM busy_a UNION ALL SELECT id FROM busy_b ORDER BY id"


class Writers:
    """A thread that gives `transact` one pair of statements after another; errors come out at the end."""

    def __init__(self, transact: Callable[[tuple[str, str]], None]) -> None:
        self._transact = transact
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._error: BaseException | None = None
        self.turns = 0
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                with self._turn:
                    self._transact(TURNS[self.turns % len(TURNS)])
                    self.turns += 1
                self._stop.wait(0.005)
        except BaseException as error:
            self._error = error

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let nothing be written in the block."""
        with self._turn:
            yield

    @contextmanager
    def at_work(self) -> Iterator[Writers]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()
        if self._error is not None:
            raise self._error
        assert self.turns > len(TURNS), "nobody wrote"


def keeps_promise(rows: list[tuple[object, ...]]) -> bool:
    """Tell whether what `PROMISE` gives is one state of the two tables."""
    return rows == [(number,) for number in range(NUMBERS)]


def still(hashes: dict[str, str]) -> dict[str, str]:
    """Leave out the tables that are written to all the time."""
    return {name: digest for name, digest in hashes.items() if "busy_" not in name}
