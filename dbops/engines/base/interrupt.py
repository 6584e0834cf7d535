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
    taken: dict[int, Any] = {}
    is_stopped = False

    def release() -> None:
        while taken:
            signal.signal(*taken.popitem())

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        nonlocal is_stopped
        is_stopped = True
        release()
        stop()

    try:
        for number in _SIGNALS:
            if callable(handler := signal.getsignal(number)):
                taken[number] = handler
                signal.signal(number, ask_to_stop)
        yield
    except QueryError as error:
        if is_stopped:
            raise KeyboardInterrupt from error
        raise
    finally:
        release()
    if is_stopped:
        raise KeyboardInterrupt
