"""What a native client says to its server, word for word: a Unix socket between them that listens and forwards."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Relay:
    """A listening socket in front of a server's; `heard` is what each connection's client said, in the order they came."""

    path: Path
    server: Path
    heard: list[bytearray] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def accept_all(self, listener: socket.socket) -> None:
        """Forward one connection after the other until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.server))
                self.heard.append(bytearray())
                self._start(client, server, self.heard[-1])
                self._start(server, client, None)

    def finish(self) -> None:
        """Wait until both sides of every connection have hung up."""
        for thread in self._threads:
            thread.join(timeout=10)

    def _start(self, source: socket.socket, sink: socket.socket, heard: bytearray | None) -> None:
        thread = threading.Thread(target=_forward, args=(source, sink, heard), daemon=True)
        self._threads.append(thread)
        thread.start()


@contextmanager
def relayed(server: Path, path: Path) -> Iterator[Relay]:
    """Give a relay at `path` to the server's socket; `heard` is complete once the block has been left."""
    relay = Relay(path, server)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    accepting = threading.Thread(target=relay.accept_all, args=(listener,), daemon=True)
    accepting.start()
    try:
        yield relay
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        accepting.join(timeout=10)
        listener.close()
        relay.finish()
        path.unlink()


def _forward(source: socket.socket, sink: socket.socket, heard: bytearray | None) -> None:
    with source, suppress(OSError):
        while data := source.recv(65536):
            if heard is not None:
                heard += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def postgres_messages(heard: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the type and body of each message behind the start-up (PostgreSQL manual, 55.7 Message Formats)."""
    at = int.from_bytes(heard[:4], "big")
    while at < len(heard):
        length = int.from_bytes(heard[at + 1 : at + 5], "big")
        yield chr(heard[at]), heard[at + 5 : at + 1 + length]
        at += 1 + length


def mysql_commands(heard: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the code and argument of each command: packets numbered 0, those of the handshake have higher numbers."""
    at = 0
    while at < len(heard):
        length = int.from_bytes(heard[at : at + 3], "little")
        if heard[at + 3] == 0:
            yield heard[at + 4], heard[at + 5 : at + 4 + length]
        at += 4 + length
