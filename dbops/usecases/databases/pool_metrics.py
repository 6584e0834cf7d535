"""Pools of sessions in OpenTelemetry's words for the pools of database clients (Semantic conventions for database metrics, 1.33).

A pool is known by weak reference from when it is made; instruments are made when a session is first handed out in a program that
has loaded OpenTelemetry, which may be later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from dbops import telemetry
from dbops.dataclass import dataclass
from dbops.errors import ConnectError

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation

_NAME, _STATE = "db.client.connection.pool.name", "db.client.connection.state"
_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


class Measured(Protocol):
    """A pool that can be asked how it is, at any moment and by any thread."""

    @property
    def name(self) -> str: ...

    def counts(self) -> tuple[int, int, int, int]:
        """Return how many sessions are in use, are idle, may be, and how many users wait for one."""
        ...


_pools: WeakSet[Any] = WeakSet()


def known(pool: Measured) -> None:
    """Let a pool be told of from now on."""
    _pools.add(pool)


@contextmanager
def waiting(pool: Measured) -> Iterator[None]:
    """Measure how long a user waits for a session; a wait in vain counts as a timeout."""
    if not telemetry.is_heard():
        yield
        return
    told = _instruments()
    started = time.perf_counter()
    try:
        yield
    except ConnectError:
        told.timeouts.add(1, {_NAME: pool.name})
        raise
    told.waited.record(time.perf_counter() - started, {_NAME: pool.name})


def used(pool: Measured, seconds: float) -> None:
    """Tell how long a user had a session."""
    if telemetry.is_heard():
        _instruments().used.record(seconds, {_NAME: pool.name})


@dataclass(frozen=True, slots=True)
class _Instruments:
    timeouts: Counter
    waited: Histogram
    used: Histogram


def _instruments() -> _Instruments:
    from opentelemetry import metrics

    return _made(metrics.get_meter_provider())


@lru_cache(maxsize=4)
def _made(provider: object) -> _Instruments:
    """Make the instruments of a provider, which a program may set later than dbops first runs."""
    meter = telemetry.meter()
    observed: dict[str, tuple[str, str, Callable[[tuple[int, int, int, int]], dict[str, int]]]] = {
        "count": ("{connection}", "sessions that are open, by state", lambda of: {"used": of[0], "idle": of[1]}),
        "max": ("{connection}", "sessions that may be open", lambda of: {"": of[2]}),
        "pending_requests": ("{request}", "users that wait for a session", lambda of: {"": of[3]}),
    }
    for name, (unit, meaning, numbers) in observed.items():
        meter.create_observable_up_down_counter(f"db.client.connection.{name}", [_observer(numbers)], unit, meaning)

    def times(name: str, meaning: str) -> Histogram:
        name = f"db.client.connection.{name}"
        return meter.create_histogram(name, "s", meaning, explicit_bucket_boundaries_advisory=_BUCKETS)

    timeouts = meter.create_counter("db.client.connection.timeouts", "{timeout}", "waits for a session that were in vain")
    waited, used = times("wait_time", "waits for a session"), times("use_time", "from handed out to given back")
    return _Instruments(timeouts, waited, used)


def _observer(numbers: Callable[[tuple[int, int, int, int]], dict[str, int]]) -> Callable[[CallbackOptions], list[Observation]]:
    """Return what tells of all pools; those of one name, which are pools of one database, are told together."""

    def observe(options: CallbackOptions) -> list[Observation]:
        from opentelemetry.metrics import Observation

        sums: dict[tuple[str, str], int] = {}
        for pool in list(_pools):
            for state, number in numbers(pool.counts()).items():
                sums[pool.name, state] = sums.get((pool.name, state), 0) + number
        return [
            Observation(number, {_NAME: name, **({_STATE: state} if state else {})}) for (name, state), number in sums.items()
        ]

    return observe
