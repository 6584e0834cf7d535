"""What is kept of a look: rates over resets, ratios, and where each comes from."""

from __future__ import annotations

import pytest

from dbops.engines.base.metrics import METRICS, Look, Value, counters_of
from dbops.resources.monitoring.figures import FIGURES, RATIOS, figures_of, sources_of


def look(epoch: str = "a", **numbers: float) -> Look:
    epochs = dict.fromkeys(("server", "database", "table", "index"), epoch)
    return Look([Value(name, number) for name, number in numbers.items()], epochs=epochs)


def figures(before: Look, after: Look, seconds: float = 10) -> dict[str, float]:
    return {one.metric: one.number for one in figures_of(after, 100 + seconds, counters_of(before, 100))}


def test_a_counter_becomes_a_rate() -> None:
    assert figures(look(deadlocks_total=5), look(deadlocks_total=25)) == {"deadlocks_per_second": 2}


def test_the_first_look_has_no_rates() -> None:
    found = figures_of(look(deadlocks_total=5, connections_used=3), 100, None)
    assert [(one.metric, one.number) for one in found] == [("connections_used", 3)]


@pytest.mark.parametrize(
    ("after", "seconds"),
    [(look("b", deadlocks_total=25), 10), (look(deadlocks_total=4), 10), (look(deadlocks_total=25), 0), (look(), 10)],
    ids=["another epoch", "a smaller number", "no time between", "gone"],
)
def test_a_stretch_over_a_reset_says_nothing(after: Look, seconds: float) -> None:
    assert figures(look(deadlocks_total=5), after, seconds) == {}


def test_ratios_are_those_of_the_stretch_not_of_all_time() -> None:
    found = figures(look(cache_hits_total=1e9, cache_misses_total=0), look(cache_hits_total=1e9 + 30, cache_misses_total=10))
    assert found["cache_hit_ratio"] == 0.75


def test_a_ratio_of_nothing_is_not_told() -> None:
    assert "cache_hit_ratio" not in figures(
        look(cache_hits_total=1, cache_misses_total=1), look(cache_hits_total=1, cache_misses_total=1)
    )


def test_objects_keep_their_labels() -> None:
    of = [Value("table_dead_rows", 30, ("t",)), Value("table_rows", 90, ("t",)), Value("table_rows", 5, ("u",))]
    found = figures_of(Look(of), 100, None)
    assert [one for one in found if one.metric == "table_dead_ratio"] == [Value("table_dead_ratio", 0.25, ("t",))]


def test_every_figure_has_its_sources() -> None:
    for name in FIGURES:
        assert sources_of(name) <= METRICS.keys()
    assert {source for name in FIGURES for source in sources_of(name)} == METRICS.keys()
    for ratio in RATIOS:
        assert set(ratio.needs) <= FIGURES.keys()
