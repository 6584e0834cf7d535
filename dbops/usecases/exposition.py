"""Looks in the words of Prometheus and OpenMetrics, and answering a scraper.

Every metric is called `dbops_` and its name of ours, with the label `connection` before its own. `dbops_up` is 0 where a database
could not be looked at, `dbops_unseen` is 1 for each metric that this account or server does not show.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from dbops.engines.base.metrics import Metric, Value
from dbops.errors import MonitoringError
from dbops.usecases.monitor import Reading

try:
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.openmetrics.exposition import generate_latest
    from prometheus_client.registry import Collector
except ImportError as _error:
    raise MonitoringError("this needs the package prometheus-client", fix="install it: pip install 'dbops[monitor]'") from _error

_PREFIX = "dbops_"
Families = dict[str, "CounterMetricFamily | GaugeMetricFamily"]


class _Looking(Collector):
    """Looks when it is asked; scrapers that ask together are answered one after the other."""

    def __init__(self, look: Callable[[], Sequence[Reading]]) -> None:
        self._look, self._turn = look, threading.Lock()

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        with self._turn:
            readings = self._look()
        yield from _families(readings)

    def describe(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Say nothing, so that registering does not look."""
        yield from ()


def exposition(readings: Sequence[Reading]) -> str:
    """Return looks in OpenMetrics' words."""
    registry = CollectorRegistry()
    registry.register(_Looking(lambda: readings))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library has no types there
    return text.decode()


def serve(look: Callable[[], Sequence[Reading]], host: str, port: int, told: Callable[[str], None]) -> None:
    """Answer at `/metrics` until interrupted; `told` hears where.

    Raises:
        MonitoringError: the address cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(_Looking(look))
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise MonitoringError(f"{host}:{port}: {error.strerror}", fix="another address, or end what listens there") from error
    told(f"http://{host}:{server.server_port}/metrics")
    try:
        thread.join()
    finally:
        server.shutdown()
        server.server_close()


def _families(readings: Sequence[Reading]) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    up = GaugeMetricFamily(f"{_PREFIX}up", "1 where the database could be looked at", labels=("connection",))
    unseen = GaugeMetricFamily(
        f"{_PREFIX}unseen", "1 for what this account or server does not show", labels=("connection", "metric")
    )
    found: Families = {}
    for reading in readings:
        up.add_metric((reading.connection,), float(reading.error is None))  # also where there are no values
        for item in reading.unseen:
            unseen.add_metric((reading.connection, item.metric), 1.0)
        for metric, value in reading.values:
            if metric.name != "up":
                _add(found, reading.connection, metric, value)
    yield from (up, unseen, *found.values())


def _add(found: Families, connection: str, metric: Metric, value: Value) -> None:
    if metric.name not in found:
        family = CounterMetricFamily if metric.shape == "counter" else GaugeMetricFamily
        labels = ("connection", *metric.labels)
        found[metric.name] = family(f"{_PREFIX}{metric.name.removesuffix('_total')}", metric.meaning, labels=labels)
    found[metric.name].add_metric((connection, *value.labels), value.number)
