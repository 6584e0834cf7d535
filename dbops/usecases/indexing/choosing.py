"""Which of the indexes that might help the planner takes, and what each saves; no more of them than help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dbops.catalog.model import Index
from dbops.dataclass import dataclass
from dbops.engines.base.trial import Explained
from dbops.engines.base.workload import Counted
from dbops.usecases.indexing.trying import Trial

_LOSS = 0.05
"""An index is given up for a shorter one, or for none, where statements lose no more than this part of what they save."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement as it is counted, and the SQL that is explained for it."""

    counted: Counted
    sql: str


@dataclass(frozen=True, slots=True)
class Saving:
    """What a statement costs without the new indexes, and with them."""

    counted: Counted
    before: float
    after: float

    @property
    def weight(self) -> float:
        """How much all its calls would save."""
        return (self.before - self.after) * max(1, self.counted.calls)


@dataclass(frozen=True, slots=True)
class Choice:
    """An index that statements would use, those it serves most first, with its size by estimate."""

    index: Index
    savings: tuple[Saving, ...]
    size_bytes: int

    @property
    def weight(self) -> float:
        return sum(saving.weight for saving in self.savings)


def choose(
    asked: Sequence[Asked],
    candidates: Sequence[Index],
    trial: Trial,
    *,
    min_cost: float,
    max_share: float,
    most: int,
    more: Sequence[Index] = (),
) -> tuple[list[Choice], int]:
    """Return the indexes worth having, those that save most first, and how many statements could not be explained.

    A statement counts when it costs at least `min_cost`, and is helped when new indexes leave no more than `max_share` of that.
    Indexes of `more`, which serve fewer statements or take more room, are worth having only for statements that cost `min_cost`
    still with those of `candidates`, and where they leave `max_share` of that.
    """
    before = {one: found for one in asked if (found := trial.explain(one.sql)) is not None}
    costly = {one: found.cost for one, found in before.items() if found.cost >= min_cost}
    if not costly:
        return [], len(asked) - len(before)
    there = [index for index in candidates if trial.add(index)]
    kept = _used(_plans(costly, trial), costly, there, max_share)
    for index in there:
        if index not in kept:
            trial.remove(index)
    kept = _shortened(_without_spare(kept, costly, trial, max_share), candidates, costly, trial)
    kept = _with_more(kept, more, costly, trial, min_cost, max_share)
    for index in kept[most:]:
        trial.remove(index)
    plans = _plans(costly, trial)
    choices = [_choice(index, plans, costly, trial, max_share) for index in kept[:most]]
    helping = sorted((choice for choice in choices if choice.savings), key=lambda choice: -choice.weight)
    return helping, len(asked) - len(before)


def _plans(costly: Mapping[Asked, float], trial: Trial) -> dict[Asked, Explained]:
    return {one: found for one in costly if (found := trial.explain(one.sql)) is not None}


def _used(
    plans: Mapping[Asked, Explained], costly: Mapping[Asked, float], indexes: Sequence[Index], max_share: float
) -> list[Index]:
    """Return the indexes that plans use which got much cheaper, those that save most first."""
    saved: dict[str, float] = {}
    for one, plan in plans.items():
        if plan.cost <= max_share * costly[one]:
            for name in plan.indexes:
                saved[name] = saved.get(name, 0.0) + (costly[one] - plan.cost) * max(1, one.counted.calls)
    return sorted((index for index in indexes if index.name in saved), key=lambda index: -saved[index.name])


def _without_spare(indexes: Sequence[Index], costly: Mapping[Asked, float], trial: Trial, max_share: float) -> list[Index]:
    """Take away, the least useful first, every index without which the statements cost about the same."""
    kept = list(indexes)
    costs = {one: plan.cost for one, plan in _plans(costly, trial).items()}
    for index in reversed(indexes):
        trial.remove(index)
        without = {one: plan.cost for one, plan in _plans(costly, trial).items()}
        if _is_as_good(without, {one: cost for one, cost in costs.items() if cost <= max_share * costly[one]}, costly):
            kept.remove(index)
            costs = without
        else:
            trial.add(index)
    return kept


def _with_more(
    kept: list[Index], more: Sequence[Index], costly: Mapping[Asked, float], trial: Trial, min_cost: float, max_share: float
) -> list[Index]:
    """Add indexes of `more` that what is kept leaves a need for; what they make spare goes."""
    still = {one: plan.cost for one, plan in _plans(costly, trial).items() if plan.cost >= min_cost}
    if not still or not more:
        return kept
    there = [index for index in more if trial.add(index)]
    used = _used(_plans(still, trial), still, there, max_share)
    for index in there:
        if index not in used:
            trial.remove(index)
    added = _without_spare(used, still, trial, max_share)
    return [*_without_spare(kept, costly, trial, max_share), *added] if added else kept


def _shortened(indexes: Sequence[Index], candidates: Sequence[Index], costly: Mapping[Asked, float], trial: Trial) -> list[Index]:
    """Put a shorter index in the place of each whose last columns save nothing."""
    kept = []
    for index in indexes:
        costs = {one: plan.cost for one, plan in _plans(costly, trial).items()}
        begins = (one for one in candidates if one.ref.table == index.ref.table and one.keys == index.keys[: len(one.keys)])
        for shorter in sorted((one for one in begins if len(one.keys) < len(index.keys)), key=lambda one: len(one.keys)):
            trial.remove(index)
            if trial.add(shorter):
                if _is_as_good({one: plan.cost for one, plan in _plans(costly, trial).items()}, costs, costly):
                    index = shorter
                    break
                trial.remove(shorter)
            trial.add(index)
        if index not in kept:
            kept.append(index)
    return kept


def _is_as_good(costs: Mapping[Asked, float], than: Mapping[Asked, float], before: Mapping[Asked, float]) -> bool:
    """Tell whether no statement loses more than a small part of what it would save, or of what it costs."""
    return all(costs.get(one, 0.0) - cost <= _LOSS * max(before[one] - cost, cost) for one, cost in than.items())


def _choice(
    index: Index, plans: Mapping[Asked, Explained], costly: Mapping[Asked, float], trial: Trial, max_share: float
) -> Choice:
    savings = [
        Saving(one.counted, costly[one], plan.cost)
        for one, plan in plans.items()
        if index.name in plan.indexes and plan.cost <= max_share * costly[one]
    ]
    return Choice(index, tuple(sorted(savings, key=lambda one: -one.weight)), trial.size_bytes(index))


def shortened(counted: Counted, length: int = 200) -> Counted:
    """Return a statement with its text on one line, cut after `length` characters."""
    text = " ".join(counted.text.split())
    return replace(counted, text=text if len(text) <= length else f"{text[: length - 1]}…")
