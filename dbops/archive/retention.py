"""Which backups are kept, and why. Pure.

Rules are restic's: each keeps backups by itself, and what one of them keeps is kept. `hourly: n` keeps the newest backup of each
of the last n hours that have any, and so on; `last` the newest n. To these comes what they depend on. Logs are no points of their
own: they stay with the backup that they go on from. What follows a backup that was lost is kept until somebody deletes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta, tzinfo

from dbops.archive.chains import before_gap, whole
from dbops.archive.manifest import Manifest
from dbops.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """Counts of 0 keep nothing; all of them 0 and no `within_s` keep everything."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_s: float | None = None
    minimum_age_s: float = 0.0
    verified: int = 1
    zone: tzinfo = UTC
    """Where an hour, a day, a week begins."""

    @property
    def keep_everything(self) -> bool:
        return self.within_s is None and not any((self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly))


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kept` gives the reasons by id; `deleted` are the others, those that depend on others first."""

    kept: Mapping[str, tuple[str, ...]]
    deleted: tuple[Manifest, ...] = ()


@dataclass(frozen=True, slots=True)
class Guards:
    """What no rule can delete: `held` and `verified` ids, and `set_aside` ones, which no rule counts either, until their age.

    `others`, the newest of other databases, stay until theirs; `wanted` ones may be needed by what was lost. `refuted` ones,
    which a verification found wanting, are counted by themselves: they let none go that may be good.
    """

    held: Collection[str] = ()
    verified: Collection[str] = ()
    refuted: Collection[str] = ()
    set_aside: Mapping[str, timedelta] = field(default_factory=dict)
    others: Mapping[str, timedelta] = field(default_factory=dict)
    wanted: Collection[str] = ()


_PERIODS: Sequence[tuple[str, Callable[[datetime], object]]] = (
    ("hourly", lambda at: (at.year, at.month, at.day, at.hour)),
    ("daily", lambda at: (at.year, at.month, at.day)),
    ("weekly", lambda at: at.isocalendar()[:2]),
    ("monthly", lambda at: (at.year, at.month)),
    ("yearly", lambda at: at.year),
)


def judge(backups: Sequence[Manifest], rules: Rules, now: datetime, guards: Guards = Guards()) -> Verdict:
    """Return what is kept and what is not; backups in the order in which they were made, whatever clocks said."""
    reasons: dict[str, list[str]] = {one.id: [] for one in backups}
    if rules.keep_everything:
        return Verdict(dict.fromkeys(reasons, ("no rules",)))
    sound = whole(backups)
    points = [one for one in backups if one.kind != "log" and one.id not in guards.set_aside and one.id in sound]
    newest_first = points[::-1]
    _by_rules([one for one in newest_first if one.id not in guards.refuted], rules, now, reasons)
    _by_rules([one for one in newest_first if one.id in guards.refuted], rules, now, reasons)
    for one in backups:
        if one.id not in sound:  # what it follows was lost, and may be found again
            reasons[one.id].append("broken chain")
    _by_guards(backups, newest_first, rules, now, guards, reasons)
    _by_chains(backups, reasons)
    kept = {backup_id: tuple(dict.fromkeys(why)) for backup_id, why in reasons.items() if why}
    deleted = [one for one in reversed(_parents_first(backups)) if one.id not in kept]
    return Verdict(kept, tuple(deleted))


def _by_rules(newest_first: Sequence[Manifest], rules: Rules, now: datetime, reasons: dict[str, list[str]]) -> None:
    for one in newest_first[: rules.last]:
        reasons[one.id].append("last")
    for name, period in _PERIODS:
        wanted, seen = getattr(rules, name), set[object]()
        for one in newest_first:
            if len(seen) == wanted:
                break
            if (key := period(one.ended_at.astimezone(rules.zone))) not in seen:
                seen.add(key)
                reasons[one.id].append(name)
    for one in newest_first:
        if rules.within_s is not None and now - one.ended_at <= timedelta(seconds=rules.within_s):
            reasons[one.id].append("within")


def _by_guards(
    backups: Sequence[Manifest],
    newest_first: Sequence[Manifest],
    rules: Rules,
    now: datetime,
    guards: Guards,
    reasons: dict[str, list[str]],
) -> None:
    if newest_first:
        reasons[newest_first[0].id].append("newest")
    for one in [one for one in newest_first if one.id in guards.verified][: rules.verified]:
        reasons[one.id].append("verified")
    for one in backups:
        age = now - one.finished_at
        if one.id in guards.held:
            reasons[one.id].append("held")
        if rules.minimum_age_s and age < timedelta(seconds=rules.minimum_age_s):
            reasons[one.id].append("minimum age")
        if (aside := guards.set_aside.get(one.id)) is not None and age < aside:
            reasons[one.id].append("set aside")
        if (other := guards.others.get(one.id)) is not None and age < other:
            reasons[one.id].append("another database")
        if one.id in guards.wanted:
            reasons[one.id].append("lost one needs it")


def _by_chains(backups: Sequence[Manifest], reasons: dict[str, list[str]]) -> None:
    """Keep what kept ones depend on, and the logs that go on from kept ones."""
    known = {one.id: one for one in backups}
    for one in _parents_first(backups):
        if one.kind == "log" and one.parent_id in known and reasons[one.parent_id]:
            reasons[one.id].append("log")
    for one in backups:
        link, parent_id = one, one.parent_id if reasons[one.id] else None
        while parent_id is not None and parent_id in known:
            reasons[parent_id].append("needed")
            link, parent_id = known[parent_id], known[parent_id].parent_id
        if parent_id is not None:  # its manifest is lost, and may come back
            for other in before_gap(link, backups):
                reasons[other.id].append("needed")


def _parents_first(backups: Sequence[Manifest]) -> list[Manifest]:
    """Return the backups by age, each behind the one it follows, whatever the clocks of their machines said."""
    known, result = {one.id: one for one in backups}, dict[str, Manifest]()
    for one in sorted(backups, key=lambda one: (one.begun_at, one.id)):
        path: dict[str, Manifest] = {}
        current: Manifest | None = one
        while current is not None and current.id not in result and current.id not in path:
            path[current.id] = current
            current = known.get(current.parent_id) if current.parent_id is not None else None
        result |= reversed(path.items())
    return list(result.values())
