"""What is kept of a look: rates over resets, ratios, and where each comes from."""

from __future__ import annotations

import pytest

from dbops.engines.base.metrics import METRICS, Look, Value, counters_of, is_same_epoch
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


def test_a_start_that_is_known_to_a_few_seconds_alone_is_the_same_when_it_is_a_little_apart() -> None:
    """MySQL tells how many whole seconds it has been up, so the moment of its start wavers from look to look."""
    assert is_same_epoch("~1795832384", "~1795832385") and is_same_epoch("~1795832385", "~1795832384")
    assert not is_same_epoch("~1795832384", "~1795832400")
    assert is_same_epoch("2026-11-28", "2026-11-28") and not is_same_epoch("2026-11-28", "2026-11-29")
    assert is_same_epoch(None, None) and not is_same_epoch(None, "~1795832384")
    before, after = look("~1795832384", deadlocks_total=1), look("~1795832385", deadlocks_total=11)
    assert figures(before, after) == {"deadlocks_per_second": 1}
