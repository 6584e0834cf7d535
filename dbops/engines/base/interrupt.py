"""Ctrl-C and requests to end while a statement runs: the statement is stopped on the server, and the session lives on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from dbops.errors import QueryError

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _Taken:
    """The handlers that were taken over, and what stops the statement that runs; None between statements."""

    def __init__(self) -> None:
        self.handlers: dict[int, Any] = {}
        self.stop: Callable[[], None] | None = None
        self.is_stopped = False

    def take(self) -> None:
        for number in _SIGNALS:
            if callable(handler := signal.getsignal(number)):
                self.handlers[number] = handler
                signal.signal(number, self._asked)

    def release(self) -> None:
        while self.handlers:
            signal.signal(*self.handlers.popitem())

    def _asked(self, number: int, frame: FrameType | None) -> None:
        handler, stop = self.handlers.get(number), self.stop
        self.release()
        if stop is None:  # nothing runs that could be stopped: the usual way
            if handler is not None:
                handler(number, frame)
            return
        try:
            stop()  # it may run statements of its own, which nobody stopped
        finally:
            self.is_stopped = True


_held: _Taken | None = None
"""What `holding` has taken over, in the main thread."""


@contextmanager
def holding() -> Iterator[None]:
    """Take the handlers over once for all statements of a block: doing so for each costs more than many statements do."""
    global _held
    if _held is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _held = _Taken()
    try:
        _held.take()
        yield
    finally:
        _held.release()
        _held = None


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` when a signal asks the program to end during the block; the next signal ends it the usual way.

    Only signals that somebody handles are taken over, in the main thread, where Python handles them.

    Raises:
        KeyboardInterrupt: at the end of the block, when `stop` was called, whether or not the statement had failed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = _held or _Taken()
    outer = taken.stop
    try:
        taken.stop = stop
        if taken is not _held:
            taken.take()
        yield
    except QueryError as error:
        if taken.is_stopped:
            raise KeyboardInterrupt from error
        raise
    finally:
        taken.stop = outer
        if taken is not _held:
            taken.release()
    if taken.is_stopped:
        taken.is_stopped = False
        raise KeyboardInterrupt
