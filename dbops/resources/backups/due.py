"""What a policy promises and what stands, compared at a moment. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from dbops.archive.chains import before_lost, whole
from dbops.archive.manifest import Kind, Manifest
from dbops.archive.retention import Guards, Rules, Verdict, judge
from dbops.dataclass import dataclass
from dbops.resources.backups.model import Failure, Standing
from dbops.resources.backups.moments import last_due, next_due
from dbops.resources.backups.sources import OTHERS_KEPT, SAFETY, others_newest
from dbops.resources.backups.spec import BackupPolicySpec, ScheduleSpec

_STANDS_FOR: dict[str, frozenset[str]] = {
    "full": frozenset({"full"}),
    "differential": frozenset({"full", "differential"}),
    "incremental": frozenset({"full", "differential", "incremental"}),
    "log": frozenset({"full", "differential", "incremental", "log"}),
}
"""What makes a backup of a kind unnecessary at its moment."""

SAFETY_KEPT = timedelta(days=14)
"""How long what no schedule made is kept."""

_CLOCKS = timedelta(minutes=10)
"""So much clocks may differ; what was made later than that from now was made while a clock was wrong."""

_EVERY = {"daily": timedelta(days=1), "weekly": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done: `back up` with a kind, `verify`, or `prune` with the ids that go; and why."""

    act: str
    reason: str
    kind: Kind | None = None
    ids: tuple[str, ...] = ()


def what_is_due(spec: BackupPolicySpec, kinds: Collection[Kind], standing: Standing, now: datetime) -> list[Due]:
    """Return what has to be done for every promise to hold, in order: backups, then the proof of the newest, then pruning.

    `kinds` are those that can be made. What is planned here counts as done for what comes behind it.
    """
    if spec.retired or given_up(spec, standing, now) is not None:  # what was tried stays, to be looked at
        return []
    backups = [Due("backup", reason, entry.type) for entry, reason in overdue(spec, kinds, standing, now)]
    result = list(backups)
    if reason := unproven(spec, standing, now, is_growing=bool(backups)):
        result.append(Due("verify", reason))
    verdict = prunable(spec, standing, now, tuple(due.kind for due in backups if due.kind), is_proving=len(result) > len(backups))
    if verdict.deleted:
        ids = tuple(one.id for one in verdict.deleted)
        result.append(Due("prune", f"retention keeps {len(verdict.kept)} and lets go of {len(ids)}", ids=ids))
    return result


def counted(standing: Standing) -> list[Manifest]:
    """Return the backups that count for the database as it is now, oldest first.

    Those of its timeline that are whole, that the policy's key opens, that the schedule made, and whose chain no verification
    found wanting.
    """
    sound = whole(standing.backups, without=standing.refuted())
    return [
        one
        for one in standing.backups
        if one.id in sound
        and standing.timeline in (None, one.timeline)
        and SAFETY not in one.labels
        and one.id not in standing.foreign
    ]


def overdue(spec: BackupPolicySpec, kinds: Iterable[Kind], standing: Standing, now: datetime) -> list[tuple[ScheduleSpec, str]]:
    """Return the entries of a schedule that are due, full first, and why.

    One that is due stands for all lesser ones that are due with it. Where the last state that can be restored is older than the
    promise although nothing is due, the least of the schedule is.
    """
    possible = set(kinds)
    entries = sorted((entry for entry in spec.schedule if entry.type in possible), key=_weight)
    backups = counted(standing)
    result: list[tuple[ScheduleSpec, str]] = []
    for entry in entries:
        if any(due.type in _STANDS_FOR[entry.type] for due, _ in result):
            continue
        if reason := _reason(entry, spec.zone, backups, standing, now):
            result.append((entry, reason))
    rpo_s = spec.objectives.rpo
    if not result and entries and backups and rpo_s is not None and now - newest(backups, now) > timedelta(seconds=rpo_s):
        age = _words(now - newest(backups, now))
        result.append(
            (
                entries[-1],
                f"the newest state that can be restored is {age} old, and {_words(timedelta(seconds=rpo_s))} is promised",
            )
        )
    return result


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why no backup is made for now although none counts: the last full, what was wrong with it, and when the next is tried."""

    last: Manifest
    problem: str
    until: datetime


def given_up(spec: BackupPolicySpec, standing: Standing, now: datetime) -> GivenUp | None:
    """Return that a full was made since one was due, and another in its place, and that verifications found both wanting.

    Then a third would be no better: until the next one is due, or a day has passed, none is made, nor what would follow it. None
    where there is one to rely on, or one is worth a try.
    """
    entry = next(one for one in spec.schedule if one.type == "full")
    refuted = standing.refuted()
    since = max(last_due(entry.cron, spec.zone, now), now - _AGAIN)
    tried = [
        one
        for one in standing.backups
        if one.kind == "full" and one.id in refuted and since <= one.begun_at <= now and standing.timeline in (None, one.timeline)
    ]
    if len(tried) < 2 or any(one.kind == "full" for one in counted(standing)):
        return None
    bad = max((one for one in standing.evidence if one.backup_id == tried[-1].id and not one.ok), key=lambda one: one.turn)
    until = min(next_due(entry.cron, spec.zone, now), tried[-2].begun_at + _AGAIN)
    return GivenUp(tried[-1], bad.problems[0] if bad.problems else "it was found wanting", until)


def words_of(stop: GivenUp) -> str:
    """Say that no backup is made for now."""
    when = f"{stop.until:%Y-%m-%d %H:%M}Z"
    return f"the last two full backups do not restore, and the next is made {when}; of {stop.last.id}: {stop.problem}"


_AGAIN = timedelta(days=1)


def newest(backups: Sequence[Manifest], now: datetime) -> datetime:
    """Return the newest moment that any of the backups leads to; what says that it is of a moment to come is of the last one
    before it at the latest.
    """
    return max((one.ended_at for one in backups if one.ended_at <= now + _CLOCKS), default=min(one.ended_at for one in backups))


def breaks_at(spec: BackupPolicySpec, standing: Standing, now: datetime) -> datetime | None:
    """Return the moment at which the promise of `objectives.rpo` would be broken, None where nothing is promised or there."""
    backups = counted(standing)
    if spec.objectives.rpo is None or spec.retired or not backups:
        return None
    return newest(backups, now) + timedelta(seconds=spec.objectives.rpo)


def unproven(spec: BackupPolicySpec, standing: Standing, now: datetime, *, is_growing: bool) -> str:
    """Return why the newest backup has to be verified by a restore, empty when it has not."""
    if spec.verify.restore == "never":
        return ""
    backups = counted(standing)
    if not backups:
        return "no backup was ever restored" if is_growing else ""
    if spec.verify.restore == "always":
        is_proven = not is_growing and backups[-1].id in standing.verified()
        return "" if is_proven else "each backup is restored"
    proofs = [one.at for one in standing.evidence if one.ok and one.level >= 3]
    if not proofs:
        return "no backup was ever restored"
    past = [one for one in proofs if one <= now + _CLOCKS]
    if not past:
        return f"a clock was wrong: the last restore says that it was tried {max(proofs):%Y-%m-%d %H:%M}Z, which is to come"
    if now - max(past) >= _EVERY[spec.verify.restore]:
        return f"the last restore was tried {max(past):%Y-%m-%d %H:%M}Z, and one {spec.verify.restore} is promised"
    return ""


def rules_of(spec: BackupPolicySpec) -> Rules:
    """Return the rules of retention."""
    kept = spec.retention
    return Rules(
        kept.last,
        kept.hourly,
        kept.daily,
        kept.weekly,
        kept.monthly,
        kept.yearly,
        kept.within,
        kept.minimum_age,
        kept.verified,
        spec.zone,
    )


def guards_of(standing: Standing) -> Guards:
    """Return what no rule deletes."""
    aside = {one.id: SAFETY_KEPT for one in standing.backups if SAFETY in one.labels}
    sound = whole(standing.backups, without=standing.refuted())
    wanting = frozenset(one.id for one in standing.backups if one.id not in sound)
    others = {one.id: OTHERS_KEPT for one in others_newest(one for one in standing.backups if one.id in sound)}
    wanted = frozenset(one.id for timeline, name in standing.lost for one in before_lost(name, timeline, standing.backups))
    return Guards(frozenset(standing.held), standing.verified(), wanting, aside, others, wanted)


def prunable(
    spec: BackupPolicySpec, standing: Standing, now: datetime, planned: Sequence[Kind] = (), *, is_proving: bool = False
) -> Verdict:
    """Return what retention keeps and lets go, once backups of the `planned` kinds are made, and the last of them proven."""
    backups = list(standing.backups)
    guards = guards_of(standing)
    new = [_expected(kind, standing, now) for kind in planned if standing.backups]
    backups += new
    if is_proving and backups:
        guards = replace(guards, verified=frozenset(guards.verified) | {backups[-1].id})
    verdicts = [judge(group, rules_of(spec), now, guards) for group in _by_key(backups, standing.foreign)]
    planned_ids = {one.id for one in new}
    kept = {key: why for verdict in verdicts for key, why in verdict.kept.items() if key not in planned_ids}
    return Verdict(kept, tuple(one for verdict in verdicts for one in verdict.deleted))


def _by_key(backups: Sequence[Manifest], foreign: Collection[str]) -> list[list[Manifest]]:
    """Return the backups that the policy's key opens, and those of each other key: a new key, which may be a wrong one, is no
    reason to let go of what was made with another.
    """
    groups: dict[str, list[Manifest]] = {"": []}
    for one in backups:
        key = repr(sorted((name, str(value)) for name, value in one.encryption.items())) if one.id in foreign else ""
        groups.setdefault(key, []).append(one)
    return [group for group in groups.values() if group]


def _expected(kind: Kind, standing: Standing, now: datetime) -> Manifest:
    """Return a backup like the one that is about to be made."""
    last = (counted(standing) or list(standing.backups))[-1]
    parent = None if kind == "full" else last
    return replace(
        last,
        id=f"planned-{kind}",
        kind=kind,
        begun_at=now,
        ended_at=now,
        finished_at=now,
        parent_id=parent.id if parent else None,
        parent_digest=parent.seal if parent else None,
        labels={},
    )


def failing(standing: Standing, now: datetime) -> Failure | None:
    """Return the last failure behind the last success, None when the last run made a backup.

    What says that it was made in the future is no success behind which a failure could stand.
    """
    last = max((one.begun_at for one in counted(standing) if one.begun_at <= now + _CLOCKS), default=None)
    return max((one for one in standing.failures if last is None or one.at > last), key=lambda one: one.at, default=None)


def _reason(entry: ScheduleSpec, zone: tzinfo, backups: Sequence[Manifest], standing: Standing, now: datetime) -> str:
    due = last_due(entry.cron, zone, now)
    fitting = [one for one in backups if one.kind in _STANDS_FOR[entry.type]]
    if not fitting:
        if entry.type == "full" and standing.refuted():
            return "a verification failed, and no full backup is left that could be relied on"
        if entry.type == "full" and standing.foreign:
            return "there is no full backup that the key of the policy opens"
        if entry.type == "full" and standing.backups:
            return "there is no full backup of the database as it is now"
        return f"there is no {entry.type} backup yet"
    past = [one for one in fitting if one.begun_at <= now + _CLOCKS]
    if not past:
        return f"a clock was wrong: the last says that it was made {fitting[-1].begun_at:%Y-%m-%d %H:%M}Z, which is to come"
    last = max(one.begun_at for one in past)
    if last >= due:
        return ""
    failed = _failed_since(entry.type, last, standing.failures)
    why = f"; the last try failed: {failed.error}" if failed else ""
    return f"due since {due:%Y-%m-%d %H:%M}Z, the last was made {last:%Y-%m-%d %H:%M}Z{why}"


def _failed_since(kind: str, moment: datetime, failures: Iterable[Failure]) -> Failure | None:
    found = [one for one in failures if one.kind == kind and one.at > moment]
    return max(found, key=lambda one: one.at) if found else None


def _weight(entry: ScheduleSpec) -> int:
    return ("full", "differential", "incremental", "log").index(entry.type)


def _words(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"
