"""Threads between what pulls and what pushes: a library that reads to the end, fed by who writes, or the other way round."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from dbops.dataclass import dataclass

_DEPTH = 4
_AT_ONCE = 1 << 20


class _Stopped(Exception):
    """Ends a thread whose work nobody wants any more."""


class PulledSealer:
    """Fills `Sealer` with what pulls from a reader until that ends: it runs in a thread of its own, fed through a short queue."""

    def __init__(self, run: Callable[[Any, Any], None], write: Callable[[bytes | bytearray | memoryview], None]) -> None:
        self._queue: queue.Queue[bytes | bytearray | memoryview | None] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._is_stopped = False
        self._write = write
        self._thread = threading.Thread(target=self._work, args=(run,), daemon=True)
        self._thread.start()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._put(data)

    def finish(self) -> None:
        self._put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        self._is_stopped = True
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.1)
            except queue.Full:
                continue
            self._thread.join(0.1)

    def _put(self, data: bytes | bytearray | memoryview | None) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(data, timeout=1.0)
                return
            except queue.Full:
                continue

    def _work(self, run: Callable[[Any, Any], None]) -> None:
        try:
            run(PiecesReader(self._fed()), _To(self._write))
        except BaseException as error:
            self._error = error

    def _fed(self) -> Iterator[bytes | bytearray | memoryview]:
        while (data := self._queue.get()) is not None:
            yield data
        if self._is_stopped:
            raise _Stopped


class Pump:
    """Runs what pushes into a writer in a thread, and gives what was pushed to whoever iterates."""

    def __init__(self, run: Callable[[Any], None]) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._is_stopped = False
        self._held = bytearray()
        self._thread = threading.Thread(target=self._work, args=(run,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[bytes]:
        while (data := self._queue.get()) is not None:
            yield data
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._is_stopped = True
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.05)

    def _work(self, run: Callable[[Any], None]) -> None:
        try:
            run(_To(self._push))
            self._put(bytes(self._held))
        except BaseException as error:
            self._error = error
        with suppress(_Stopped):
            self._put(None)

    def _push(self, data: bytes | bytearray | memoryview) -> None:
        """Take what may be little at a time, and hand it over when it is worth waking somebody up."""
        self._held += data
        if len(self._held) >= _AT_ONCE:
            self._put(bytes(self._held))
            self._held.clear()

    def _put(self, data: bytes | None) -> None:
        while not self._is_stopped:
            try:
                self._queue.put(data, timeout=0.1)
                return
            except queue.Full:
                continue
        raise _Stopped


class PiecesReader:
    """A file-like reader over pieces."""

    def __init__(self, pieces: Iterator[bytes | bytearray | memoryview]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            try:
                piece = next(self._pieces, None)
            except BaseException as error:
                self.error = error
                raise
            if piece is None:
                return b""
            self._left = memoryview(piece)
        size = len(self._left) if size < 0 else size
        taken, self._left = self._left[:size], self._left[size:]
        return bytes(taken)


@dataclass(frozen=True, slots=True)
class _To:
    """A file-like writer over a function."""

    put: Callable[[bytes | bytearray | memoryview], None]

    def write(self, data: bytes) -> int:
        self.put(data)
        return len(data)

    def flush(self) -> None:
        return
