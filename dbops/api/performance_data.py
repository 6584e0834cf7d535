"""What monitoring shows: its dataclasses, and how they are made of what the use cases tell."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dbops.api.fields import ByName
from dbops.dataclass import dataclass
from dbops.errors import MonitoringError

if TYPE_CHECKING:
    from dbops.usecases.performance.advising import Recommendation
    from dbops.usecases.performance.judging import Broken
    from dbops.usecases.performance.moments import Moment
    from dbops.usecases.performance.statements import Timing

SLOW_S = 1.0
"""A statement that takes so long is slow."""
_MEGABYTE = 1_000_000


@dataclass()
class DatabaseMetrics(ByName):
    """What a database did at one moment; None stands for what it does not show.

    `average_query_time_ms` is the mean of the statements since the look before where they are counted, else how long the first
    statement of the look took. `cache_hit_ratio` is from 0 to 1. `disk_io_mb` are millions of bytes read and written in a
    second. SQLite counts neither sessions nor statements for all who use a file.
    """

    database_name: str
    timestamp: datetime
    connections_active: int | None = None
    connections_idle: int | None = None
    queries_per_second: float | None = None
    average_query_time_ms: float | None = None
    cache_hit_ratio: float | None = None
    disk_io_mb: float | None = None


@dataclass()
class QueryMetrics(ByName):
    """One run of a statement; `query_type` is its first word. `details` is what else was said of it."""

    query_hash: str
    query_text: str
    execution_time_ms: float
    rows_affected: int
    timestamp: datetime
    query_type: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass()
class SlowQuery(ByName):
    """A statement that takes long: its mean and longest time, how often it ran, and who says so, `recorded` or `server`."""

    query_hash: str
    query_text: str
    query_type: str
    calls: int
    execution_time_ms: float
    max_time_ms: float
    total_time_ms: float
    source: str


@dataclass()
class DatabaseStats(ByName):
    """What a look at a database tells: its figures, those of each table, and what cannot be seen with the reason."""

    database_name: str
    database_type: str
    timestamp: datetime
    figures: dict[str, float]
    tables: dict[str, dict[str, float]]
    unseen: dict[str, str]


@dataclass()
class PerformanceAlert(ByName):
    """A rule that is broken. `severity` is info, warning, error or critical; `threshold_value` None where there is no limit."""

    alert_id: str
    severity: str
    metric_name: str
    current_value: float | None
    threshold_value: float | None
    description: str
    timestamp: datetime
    resolution_suggestions: list[str] = field(default_factory=list)


#: Under which figure a metric is kept, and what one of it is there.
FIGURES: Mapping[str, tuple[str, float]] = {
    "connections_active": ("connections_active", 1),
    "connections_idle": ("connections_idle", 1),
    "queries_per_second": ("statements_per_second", 1),
    "average_query_time_ms": ("mean_statement_seconds", 0.001),
    "cache_hit_ratio": ("cache_hit_ratio", 1),
    "disk_io_mb": ("read_bytes_per_second", _MEGABYTE),
}
_METRIC_OF = {figure: (metric, size) for metric, (figure, size) in FIGURES.items()}


def metrics_of(database_name: str, moment: Moment) -> DatabaseMetrics:
    """Return the figures of a moment under the names of this face."""
    found = moment.figures
    took_s = found.get("mean_statement_seconds", found.get("latency_seconds"))
    moved = [found[name] for name in ("read_bytes_per_second", "written_bytes_per_second") if name in found]
    active, idle = found.get("connections_active"), found.get("connections_idle")
    return DatabaseMetrics(
        database_name,
        moment_at(moment.at),
        None if active is None else int(active),
        None if idle is None else int(idle),
        found.get("statements_per_second"),
        None if took_s is None else took_s * 1000,
        found.get("cache_hit_ratio"),
        sum(moved) / _MEGABYTE if moved else None,
    )


def stats_of(numbers: Sequence[float | None]) -> dict[str, Any]:
    """Return `{count, mean, median, min, max, p95}` of the numbers that are there, None for all but `count` where none is."""
    from dbops.usecases.performance.summary import summary_of

    summary = summary_of([number for number in numbers if number is not None])
    nothing = {"count": 0} | dict.fromkeys(("mean", "median", "min", "max", "p95"))
    return nothing if summary is None else asdict(summary)


def kind_stats(timings: Sequence[Timing]) -> dict[str, Any]:
    """Return what statements of one kind took, in milliseconds, and how many were slow."""
    stats = stats_of([one.took_s * 1000 for one in timings])
    shown = {"avg_time_ms": "mean", "median_time_ms": "median", "min_time_ms": "min", "max_time_ms": "max"}
    slow = sum(1 for one in timings if one.took_s >= SLOW_S)
    return {"count": len(timings)} | {name: stats[of] for name, of in shown.items()} | {"slow_queries": slow}


def slow_query_of(timings: Sequence[Timing]) -> SlowQuery:
    """Return what the runs of one statement have in common."""
    last, stats = timings[-1], stats_of([one.took_s * 1000 for one in timings])
    total_ms = sum(one.took_s for one in timings) * 1000
    return SlowQuery(last.statement, last.text, last.kind, len(timings), stats["mean"], stats["max"], total_ms, "recorded")


def query_metrics_of(timing: Timing) -> QueryMetrics:
    """Return a timing under the names of this face."""
    took_ms = timing.took_s * 1000
    return QueryMetrics(
        timing.statement, timing.text, took_ms, timing.rows, moment_at(timing.at), timing.kind, dict(timing.details)
    )


def alert_of(database_name: str, broken: Broken) -> PerformanceAlert:
    """Return a broken rule as an alert."""
    alert = broken.alert
    metric, size = _METRIC_OF.get(alert.figure, (alert.figure, 1))
    of = f" of {' '.join(alert.labels)}" if alert.labels else ""
    return PerformanceAlert(
        ":".join((database_name, alert.rule, *alert.labels)),
        alert.severity,
        metric,
        None if alert.value is None else alert.value / size,
        None if broken.limit is None else broken.limit / size,
        f"{metric}{of} is {alert.number}, {alert.threshold}",
        moment_at(broken.at),
        [broken.remedy],
    )


def issue_of(broken: Broken) -> dict[str, Any]:
    """Return a broken rule as an issue."""
    alert = alert_of("", broken)
    return {
        "type": broken.alert.rule,
        "severity": alert.severity,
        "description": alert.description,
        "impact": broken.effect,
        "recommendations": alert.resolution_suggestions,
    }


def recommendation_of(advised: Recommendation) -> dict[str, Any]:
    """Return a finding as a recommendation."""
    return {
        "rule": advised.rule,
        "severity": advised.severity,
        "description": f"{advised.title}: {advised.evidence}" if advised.evidence else advised.title,
        "object": advised.object,
        "remedy": advised.remedy,
        "sql": advised.sql,
        "is_safe": advised.is_safe,
    }


def number_of(name: str, value: Any) -> float:
    """Return a number, 0 or more.

    Raises:
        MonitoringError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise MonitoringError(f"{name} is {value!r}", expected="a number, 0 or more")
    return float(value)


def seconds_of(given: datetime | float | None) -> float:
    """Return a moment in seconds since 1970; now unless given."""
    if isinstance(given, datetime):
        return given.timestamp()
    return time.time() if given is None else number_of("timestamp", given)


def moment_at(seconds: float) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
