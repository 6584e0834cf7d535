"""What was seen of a database, moment by moment: by looks of dbops, or by a program that brings its own numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.dataclass import dataclass
from dbops.engines.base.metrics import Counters, Value
from dbops.errors import MonitoringError
from dbops.state.metrics_folder import history_file
from dbops.usecases.monitor import Reading, read
from dbops.usecases.performance.places import name_of, workspace_of
from dbops.usecases.runtime import Workspace

if TYPE_CHECKING:
    from dbops.state.metrics import MetricsStore

SETTLE_S = 1.0
"""Counters say something between two looks alone: so long lies between the first two."""

#: The figures of a moment.
FIGURES = (
    "connections_active",
    "connections_idle",
    "statements_per_second",
    "mean_statement_seconds",
    "latency_seconds",
    "cache_hit_ratio",
    "read_bytes_per_second",
    "written_bytes_per_second",
)


@dataclass(frozen=True, slots=True)
class Moment:
    """Figures by name at one time, in seconds since 1970; what was not told is not in it."""

    at: float
    figures: Mapping[str, float]


@contextmanager
def history_in(folder: Path) -> Iterator[MetricsStore]:
    """Open the history of a workspace, made where it is missing."""
    from dbops.state.metrics import MetricsStore

    folder.mkdir(parents=True, exist_ok=True)
    store = MetricsStore.in_folder(folder.absolute())
    try:
        yield store
    finally:
        store.close()


def look(
    folder: Path,
    database: str,
    own_url: str | None,
    *,
    settle_s: float = SETTLE_S,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Reading | None:
    """Look at a database now and keep what was seen; None where the name means nothing that can be reached.

    Where it was never looked at before, and counts, it is looked at again after `settle_s`.

    Raises:
        MonitoringError: it cannot be looked at.
    """
    name = name_of(database)
    with workspace_of(folder, database, own_url) as workspace:
        if workspace is None:
            return None
        with history_in(folder) as store:
            before = store.counters(name)
            is_first = before is None or not before.numbers
            reading = _read(workspace, store, name, clock)
            if is_first and settle_s > 0 and any(metric.shape == "counter" for metric, _ in reading.values):
                sleep(settle_s)
                reading = _read(workspace, store, name, clock)
            return reading


def _read(workspace: Workspace, store: MetricsStore, name: str, clock: Callable[[], float]) -> Reading:
    (reading,) = read(workspace, store, only=[name], clock=clock)
    if reading.error is not None:
        raise MonitoringError(f"{name} cannot be looked at: {reading.error}")
    return reading


def moment_of(reading: Reading) -> Moment:
    """Return the figures of a look that a moment has."""
    found = {value.metric: value.number for value in reading.figures if value.metric in FIGURES and not value.labels}
    return Moment(reading.at, found)


def keep(folder: Path, database: str, moment: Moment) -> None:
    """Keep figures that a program brings, beside those of looks."""
    name = name_of(database)
    with history_in(folder) as store:
        before = store.counters(name) or Counters(moment.at)
        store.keep(name, moment.at, [Value(figure, number) for figure, number in moment.figures.items()], before)


def moments(folder: Path, database: str, since: float, until: float) -> list[Moment]:
    """Return what was seen of a database, in the order of time; nothing is made where there is no history."""
    if not history_file(folder).exists():
        return []
    found: dict[float, dict[str, float]] = {}
    name = name_of(database)
    with history_in(folder) as store:
        for figure in FIGURES:
            for point in store.series(name, figure, since, until).get((), ()):
                found.setdefault(point.at, {})[figure] = point.mean
    return [Moment(at, figures) for at, figures in sorted(found.items())]
