"""What files of the user's print while they run: standard error's, for standard output is the answer of a command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any, TextIO

_ASIDE: ContextVar[Any] = ContextVar("aside", default=None)
_GUARD = Lock()


class _Parted:
    """In place of standard output: the same to everybody but those threads that run files of the user's."""

    def __init__(self, usual: Any) -> None:
        self.usual, self.users = usual, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.usual if (aside := _ASIDE.get()) is None else aside, name)


@contextmanager
def printing_aside(aside: TextIO | None = None) -> Iterator[None]:
    """Send what this thread prints to standard error, or to `aside`."""
    with _GUARD:
        parted = sys.stdout if isinstance(sys.stdout, _Parted) else _Parted(sys.stdout)
        parted.users += 1
        sys.stdout = parted  # a stream by what it passes on
    token = _ASIDE.set(aside or sys.stderr)
    try:
        yield
    finally:
        _ASIDE.reset(token)
        with _GUARD:
            parted.users -= 1
            if not parted.users and sys.stdout is parted:
                sys.stdout = parted.usual
