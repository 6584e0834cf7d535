"""What the history of statements says: what they cost over some time, and which of them became slower. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

from dbops.dataclass import dataclass
from dbops.engines.base.workload import OTHERS, Cost, Counted, Step, counted

MEANS = 20
"""From fewer stretches of time no 95th part of a hundred is estimated."""
CALLS, RATIO, EXTRA_S = 30, 1.5, 1.0
"""A statement became slower when it was called so often before and now, its mean grew so much, and it cost so much more time."""
STEPS_BEFORE = 3
"""So many stretches of time before have to say how much the mean moves by itself."""


@dataclass(frozen=True, slots=True)
class Slower:
    """A statement that became slower: its calls and mean before and now, and the time that it cost more for it."""

    id: str
    text: str
    calls_before: int
    mean_before_s: float
    calls: int
    mean_s: float
    extra_s: float

    @property
    def ratio(self) -> float:
        return self.mean_s / self.mean_before_s


def counted_over(steps: Mapping[str, Sequence[Step]]) -> list[Counted]:
    """Return what each statement cost over all of its steps; the others, which have no id, count for shares alone."""
    costs = {id_: _sum(of) for id_, of in steps.items() if of}
    total_s = sum(cost.total_s for cost in costs.values())
    return [_with_p95(counted(id_, cost, total_s), steps[id_]) for id_, cost in costs.items() if id_ != OTHERS]


def _with_p95(one: Counted, steps: Sequence[Step]) -> Counted:
    if one.p95_s is not None:
        return replace(one, p95_s=steps[-1].cost.p95_s)
    estimate = p95_of_means(steps) if len(steps) >= MEANS else None
    return one if estimate is None else replace(one, p95_s=estimate, p95_from="means")


def p95_of_means(steps: Sequence[Step]) -> float:
    """Return the mean that no stretch of 95 of 100 calls is above; single slow calls are hidden in their stretch."""
    by_mean = sorted(steps, key=lambda step: step.cost.mean_s)
    border = 0.95 * sum(step.cost.calls for step in steps)
    calls = 0
    for step in by_mean:
        calls += step.cost.calls
        if calls >= border:
            return step.cost.mean_s
    return 0.0


def slower(before: Mapping[str, Sequence[Step]], now: Mapping[str, Sequence[Step]]) -> list[Slower]:
    """Return the statements that became slower, those that cost most time for it first; their texts are others' to tell.

    The mean has to grow by `RATIO`, and more than half of the calls now have to come from stretches of time that are worse than
    95 of 100 calls were in before: what swings by itself is not told.
    """
    found = [
        Slower(id_, "", old.calls, old.mean_s, new.calls, new.mean_s, (new.mean_s - old.mean_s) * new.calls)
        for id_, steps in now.items()
        if id_ != OTHERS and len(before.get(id_, ())) >= STEPS_BEFORE
        for old, new in [(_sum(before[id_]), _sum(steps))]
        if _is_slower(old, new, before[id_], steps)
    ]
    return sorted(found, key=lambda one: -one.extra_s)


def _is_slower(old: Cost, new: Cost, before: Sequence[Step], now: Sequence[Step]) -> bool:
    if min(old.calls, new.calls) < CALLS or new.mean_s < RATIO * old.mean_s:
        return False
    if (new.mean_s - old.mean_s) * new.calls < EXTRA_S:
        return False
    usual_s = p95_of_means(before)
    return sum(step.cost.calls for step in now if step.cost.mean_s > usual_s) > new.calls / 2


def _sum(steps: Sequence[Step]) -> Cost:
    return reduce(Cost.plus, (step.cost for step in steps))


@dataclass(frozen=True, slots=True)
class Stretch:
    """What all statements cost from `at` on, for the length of the others."""

    at: float
    calls: int
    total_s: float


def stretches(steps: Mapping[str, Sequence[Step]], since: float, until: float, number: int) -> list[Stretch]:
    """Divide a time into `number` stretches of one length."""
    length = (until - since) / number
    calls, total_s = [0] * number, [0.0] * number
    for step in (step for of in steps.values() for step in of):
        place = min(max(int((step.at - since) / length), 0), number - 1)
        calls[place] += step.cost.calls
        total_s[place] += step.cost.total_s
    return [Stretch(since + place * length, calls[place], total_s[place]) for place in range(number)]
