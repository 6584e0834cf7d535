"""Figures: what is kept of a look, and what alerts speak about. Gauges as they are, counters as rates, and ratios of both.

A counter says something between two looks alone: `deadlocks_total` becomes `deadlocks_per_second`. Where it began anew in
between, which its epoch or a smaller number tells, that stretch says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from dbops.dataclass import dataclass
from dbops.engines.base.metrics import METRICS, Counters, Key, Look, Metric, Value, is_same_epoch

_TOTAL, _RATE = "_total", "_per_second"


@dataclass(frozen=True, slots=True)
class Figure:
    """What a number of the history means; `unit` of a rate is per second. `labels` are as those of a metric."""

    name: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure that other figures of the same labels give; `of` gets them in the order of `needs`, None where it says nothing."""

    name: str
    unit: str
    meaning: str
    needs: tuple[str, ...]
    of: Callable[..., float | None]
    promql: str
    """The same in Prometheus's words, over the expressions of what it needs."""


def _share(part: float, other: float) -> float | None:
    return part / (part + other) if part + other > 0 else None


def _quotient(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


RATIOS: Sequence[Ratio] = (
    Ratio(
        "connections_used_ratio",
        "ratio",
        "sessions beside those that may be opened",
        ("connections_used", "connections_max"),
        _quotient,
        "{0} / {1}",
    ),
    Ratio(
        "cache_hit_ratio",
        "ratio",
        "pages found in the cache beside all that were wanted",
        ("cache_hits_per_second", "cache_misses_per_second"),
        _share,
        "{0} / ({0} + {1})",
    ),
    Ratio(
        "rollback_ratio",
        "ratio",
        "transactions rolled back beside all that ended",
        ("transactions_rolled_back_per_second", "transactions_committed_per_second"),
        _share,
        "{0} / ({0} + {1})",
    ),
    Ratio(
        "transactions_per_second",
        "1/s",
        "transactions that ended, by either way",
        ("transactions_committed_per_second", "transactions_rolled_back_per_second"),
        lambda committed, rolled_back: committed + rolled_back,
        "{0} + {1}",
    ),
    Ratio(
        "mean_statement_seconds",
        "seconds",
        "the time that a statement took, on average",
        ("statement_seconds_per_second", "statements_per_second"),
        _quotient,
        "{0} / {1}",
    ),
    Ratio(
        "free_ratio",
        "ratio",
        "room inside the files that nothing uses, beside all of it",
        ("free_bytes", "database_size_bytes"),
        _quotient,
        "{0} / {1}",
    ),
    Ratio(
        "requested_checkpoints_ratio",
        "ratio",
        "checkpoints that were forced beside all",
        ("checkpoints_requested_per_second", "checkpoints_timed_per_second"),
        _share,
        "{0} / ({0} + {1})",
    ),
    Ratio(
        "table_dead_ratio",
        "ratio",
        "rows that wait to be cleaned up beside all",
        ("table_dead_rows", "table_rows"),
        _share,
        "{0} / ({0} + {1})",
    ),
    Ratio(
        "table_index_scans_ratio",
        "ratio",
        "reads of a table through an index beside all reads",
        ("table_index_scans_per_second", "table_full_scans_per_second"),
        _share,
        "{0} / ({0} + {1})",
    ),
)


def rate_name(metric: str) -> str:
    """Return the figure that a counter becomes: `deadlocks_total` is kept as `deadlocks_per_second`."""
    return metric.removesuffix(_TOTAL) + _RATE


def _figure(metric: Metric) -> Figure:
    if metric.shape == "gauge":
        return Figure(metric.name, metric.unit, metric.meaning, metric.labels)
    return Figure(rate_name(metric.name), f"{metric.unit}/s", f"{metric.meaning}, in each second", metric.labels)


def _figures() -> Iterator[Figure]:
    found = {figure.name: figure for figure in map(_figure, METRICS.values())}
    yield from found.values()
    yield from (Figure(ratio.name, ratio.unit, ratio.meaning, found[ratio.needs[0]].labels) for ratio in RATIOS)


FIGURES: Mapping[str, Figure] = {figure.name: figure for figure in _figures()}
"""Every figure by name."""


_METRIC_OF: Mapping[str, str] = {rate_name(m.name) if m.shape == "counter" else m.name: m.name for m in METRICS.values()}
_RATIO_OF: Mapping[str, Ratio] = {ratio.name: ratio for ratio in RATIOS}


def sources_of(figure: str) -> frozenset[str]:
    """Return the metrics that a figure rests on."""
    if figure in _METRIC_OF:
        return frozenset({_METRIC_OF[figure]})
    return frozenset(_METRIC_OF[needed] for needed in _RATIO_OF[figure].needs)


def figures_of(look: Look, at: float, before: Counters | None) -> list[Value]:
    """Return the figures of a look; rates and what rests on them only where there was a look before."""
    found: dict[Key, float] = {}
    for value in look.values:
        if METRICS[value.metric].shape == "gauge":
            found[value.metric, value.labels] = value.number
        elif (rate := _rate(value, look, at, before)) is not None:
            found[rate_name(value.metric), value.labels] = rate
    for ratio in RATIOS:
        for labels in [labels for name, labels in found if name == ratio.needs[0]]:
            numbers = [found.get((needed, labels)) for needed in ratio.needs]
            if None not in numbers and (number := ratio.of(*numbers)) is not None:
                found[ratio.name, labels] = number
    return [Value(name, number, labels) for (name, labels), number in found.items()]


def _rate(value: Value, look: Look, at: float, before: Counters | None) -> float | None:
    if before is None or at <= before.at:
        return None
    scope = METRICS[value.metric].scope
    if not is_same_epoch(before.epochs.get(scope), look.epochs.get(scope)):
        return None
    last = before.numbers.get((value.metric, value.labels))
    if last is None or value.number < last:
        return None
    return (value.number - last) / (at - before.at)
