"""A socket between a program and its server that cuts one connection at a COMMIT: before it arrives, or before its answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Moment = Literal["before", "behind"]


@dataclass(slots=True)
class Cutter:
    """Forwards every connection; the first that says COMMIT behind `mark` is cut there, once."""

    server: Path
    mark: bytes
    moment: Moment
    cuts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept_all(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.server))
                pair = _Pair(client, server)
                for act in (self._listen, self._answer):
                    threading.Thread(target=act, args=(pair,), daemon=True).start()

    def _listen(self, pair: _Pair) -> None:
        is_marked = False
        with suppress(OSError):
            while data := pair.client.recv(65536):
                is_marked = is_marked or self.mark in data
                if is_marked and b"COMMIT" in data and self._is_first():
                    if self.moment == "before":
                        break
                    pair.is_mute.set()
                pair.server.sendall(data)
        if not pair.is_mute.is_set():
            pair.close()

    def _answer(self, pair: _Pair) -> None:
        with suppress(OSError):
            while (data := pair.server.recv(65536)) and not pair.is_mute.is_set():
                pair.client.sendall(data)
        pair.close()

    def _is_first(self) -> bool:
        with self._lock:
            self.cuts += 1
            return self.cuts == 1


@dataclass(slots=True)
class _Pair:
    client: socket.socket
    server: socket.socket
    is_mute: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        for side in (self.client, self.server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


@contextmanager
def cutting(server: Path, path: Path, mark: bytes, moment: Moment) -> Iterator[Cutter]:
    """Listen at `path` in front of the socket of a server."""
    cutter = Cutter(server, mark, moment)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        accepting = threading.Thread(target=cutter.accept_all, args=(listener,), daemon=True)
        accepting.start()
        try:
            yield cutter
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
            accepting.join(timeout=10)
            path.unlink()
