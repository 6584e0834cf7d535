"""What moves a metric and what does not: looks before, while something is going on, and when it is over."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from tests.conformance.test_metrics import look_at

CASES = Path(__file__).parents[1] / "conformance" / "metrics"


def quiet_of(engine: str) -> dict[str, float]:
    """Return by how much each metric may move where nobody does anything, by its name without labels."""
    found: dict[str, Any] = yaml.safe_load((CASES / f"{engine}.yaml").read_text(encoding="utf-8"))
    return {name: float(slack) for name, slack in found["quiet"].items()}


def numbers(url: str) -> dict[str, float]:
    """Return what a look tells, by metric and labels."""
    return {" ".join((value.metric, *value.labels)): value.number for value in look_at(url, 50).values}


def moves(url: str, slack: Mapping[str, float], keys: Sequence[str], act: AbstractContextManager[object]) -> None:
    """Assert that each of `keys` grows by more than it does in quiet, while `act` goes on or once it has begun."""
    before = numbers(url)
    with act:
        left: dict[str, Any] = {}
        for _ in range(100):
            seen = numbers(url)
            left = {key: (before.get(key), seen.get(key)) for key in keys if not _has_moved(before, seen, key, slack)}
            if not left:
                return
            time.sleep(0.1)
        raise AssertionError(f"these did not move: {left}")


def _has_moved(before: Mapping[str, float], seen: Mapping[str, float], key: str, slack: Mapping[str, float]) -> bool:
    return seen.get(key, 0.0) > before.get(key, 0.0) + slack.get(key.split()[0], 0.0)


def stays(url: str, quiet: Mapping[str, float], nothing: Sequence[str], names: frozenset[str]) -> None:
    """Assert that every metric of an engine is told or has `nothing` to be told of, and that none moves by itself.

    What was done before may come into the numbers a little later, so they are given time to come to rest.
    """
    moved: dict[str, Any] = {}
    for _ in range(20):
        before = numbers(url)
        time.sleep(0.3)
        after = numbers(url)
        moved = {
            key: (before.get(key), after.get(key))
            for key in before.keys() | after.keys()
            if key not in before or key not in after or abs(after[key] - before[key]) > quiet[key.split()[0]]
        }
        if not moved:
            break
    assert moved == {}, moved
    told = {key.split()[0] for key in after}
    assert told | set(nothing) == names, names - told - set(nothing)


@contextmanager
def slow_road(port: int, delay_s: float) -> Iterator[int]:
    """Give a port of this machine whose every answer comes so much later than that of `port`."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=_accept, args=(listener, port, delay_s), daemon=True)
    accepting.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        accepting.join(timeout=10)
        listener.close()


def _accept(listener: socket.socket, port: int, delay_s: float) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            for source, sink, wait_s in ((client, server, 0.0), (server, client, delay_s)):
                threading.Thread(target=_carry, args=(source, sink, wait_s), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket, wait_s: float) -> None:
    with source, suppress(OSError):
        while data := source.recv(65536):
            time.sleep(wait_s)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
