"""What the history of statements says, out of steps alone."""

from __future__ import annotations

import pytest

from dbops.engines.base.workload import OTHERS, Before, Cost, Step, Tally, costs_between
from dbops.resources.monitoring.statements import MEANS, counted_over, p95_of_means, slower, stretches


def steps(*means_s: float, calls: int = 100) -> list[Step]:
    return [Step(300.0 * place, Cost(calls, mean * calls)) for place, mean in enumerate(means_s)]


def tally(key: str, since: str, calls: int, total_s: float) -> Tally:
    return Tally(key, key.partition("/")[0], since, Cost(calls, total_s, io=calls))


def test_counters_of_several_accounts_are_one_statement_and_what_began_anew_counts_from_there() -> None:
    before = Before(
        0.0, {one.key: one for one in (tally("q/1", "", 10, 1.0), tally("r/1", "then", 9, 9.0), tally("s/1", "", 5, 5.0))}
    )
    now = [tally("q/1", "", 12, 1.5), tally("q/2", "", 3, 0.1), tally("r/1", "now", 11, 2.0), tally("s/1", "", 2, 0.5)]
    found = costs_between(before, now)
    assert {id_: (cost.calls, cost.total_s, cost.io) for id_, cost in found.items()} == {
        "q": (5, pytest.approx(0.6), 5),
        "r": (11, 2.0, 11),
        "s": (2, 0.5, 2),
    }
    assert costs_between(Before(0.0, {one.key: one for one in now}), now) == {}


def test_an_estimate_of_the_95th_part_wants_enough_stretches_and_is_marked() -> None:
    (few,) = counted_over({"q": steps(*[0.01] * (MEANS - 1))})
    assert few.p95_s is None and few.p95_from == ""
    (many,) = counted_over({"q": steps(*[0.01] * 18, 0.5, 0.9)})
    assert (many.p95_s, many.p95_from) == (0.5, "means")
    (told,) = counted_over({"q": [Step(0.0, Cost(1, 1.0, p95_s=0.3)), Step(1.0, Cost(1, 1.0, p95_s=0.2))]})
    assert (told.p95_s, told.p95_from) == (0.2, "server")
    assert p95_of_means([Step(0, Cost(1, 9.0)), *steps(0.1)]) == 0.1


def test_shares_are_of_all_statements_those_too_that_are_not_kept_by_themselves() -> None:
    (one,) = counted_over({"q": steps(0.01), OTHERS: steps(0.03)})
    assert one.share == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("before", "now", "is_slower"),
    [
        (steps(0.1, 0.1, 0.1, 0.1), steps(0.2, 0.2), True),
        (steps(0.1, 0.1, 0.1, 0.1), steps(0.14, 0.14), False),  # not enough of a difference
        (steps(0.1, 0.3, 0.1, 0.3), steps(0.3, 0.3), False),  # it was so bad before, now and then
        (steps(0.1, 0.1, 0.1), steps(0.1, 0.1, 0.1, 0.9), False),  # one stretch alone was bad
        (steps(0.1, 0.1, 0.1, calls=5), steps(0.9, calls=5), False),  # too few calls
        (steps(0.1, 0.1), steps(0.9), False),  # nobody knows how much it moves by itself
        (steps(0.001, 0.001, 0.001), steps(0.005), False),  # half a second in all is nobody's trouble
        ([], steps(0.9), False),
    ],
)
def test_a_statement_became_slower_where_numbers_bear_it_out(before: list[Step], now: list[Step], is_slower: bool) -> None:
    found = slower({"q": before, OTHERS: steps(0.1, 0.1, 0.1)}, {"q": now, OTHERS: steps(9.0)})
    assert bool(found) is is_slower
    if is_slower:
        (one,) = found
        assert (one.calls_before, one.calls, one.ratio) == (400, 200, pytest.approx(2.0))
        assert one.extra_s == pytest.approx(20.0)


def test_a_course_divides_a_time_into_stretches() -> None:
    found = stretches({"q": steps(1.0, 2.0, calls=1), "r": [Step(599.0, Cost(4, 4.0))]}, 0.0, 600.0, 2)
    assert [(one.at, one.calls, one.total_s) for one in found] == [(0.0, 1, 1.0), (300.0, 5, 6.0)]
