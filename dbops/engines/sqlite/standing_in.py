"""Functions and collations that only an application brings along, stood in for, so that statements which name them compile."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_MISSING = re.compile(r"(?:no such|unknown) (function|collation sequence): (.+?)(?:\(\))?\Z")
_MOST = 100


@contextmanager
def standing_in(raw: sqlite3.Connection) -> Iterator[Callable[[str], bool]]:
    """Yield a function that takes what SQLite complained of, and tells whether it has brought what was missing.

    A function gives NULL then, whatever it is told, and a collation compares characters. All go with the block.
    """
    brought: list[tuple[str, str]] = []

    def bring(complaint: str) -> bool:
        missing = _MISSING.search(complaint)
        if missing is None or len(brought) == _MOST:
            return False
        kind, name = missing[1], missing[2]
        if kind == "function":
            raw.create_function(name, -1, lambda *_: None, deterministic=True)  # an index takes no other
        else:
            raw.create_collation(name, lambda left, right: (left > right) - (left < right))
        brought.append((kind, name))
        return True

    try:
        yield bring
    finally:
        for kind, name in brought:
            if kind == "function":
                raw.create_function(name, -1, None)
            else:
                raw.create_collation(name, None)
