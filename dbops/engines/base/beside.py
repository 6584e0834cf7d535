"""Work in a thread beside what its caller does, which never outlives that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
_MOMENT_S = 0.1


@contextmanager
def beside(work: Callable[[], T], stop: Callable[[], None]) -> Iterator[Callable[[], T]]:
    """Let `work` run in a thread during a block, which gets what waits for its result or raises its error.

    The end of the block waits for it too. Where the block fails, or a signal ends it, `stop` is called, which may come at any
    moment, until the work has ended: a thread that waits for a database sees no signals itself.
    """
    with ThreadPoolExecutor(1, "beside") as pool:
        running = pool.submit(work)
        try:
            yield running.result
            wait((running,))
        except BaseException:
            while not running.done():
                stop()
                wait((running,), _MOMENT_S)
            raise
