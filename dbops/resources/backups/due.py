"""What a policy promises and what stands, compared at a moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from dbops.archive.chains import is_whole
from dbops.archive.manifest import Kind, Manifest
from dbops.resources.backups.model import Failure, Standing
from dbops.resources.backups.spec import BackupPolicySpec, ScheduleSpec

_STANDS_FOR: dict[str, frozenset[str]] = {
    "full": frozenset({"full"}),
    "differential": frozenset({"full", "differential"}),
    "incremental": frozenset({"full", "differential", "incremental"}),
    "log": frozenset({"full", "differential", "incremental", "log"}),
}
"""What makes a backup of a kind unnecessary at its moment."""

SAFETY = "made_for"
"""The label of backups that no schedule made: what stood where a restore went."""


def last_due(entry: ScheduleSpec, now: datetime) -> datetime:
    """Return the last moment at or before `now` at which an entry of a schedule was due."""
    from croniter import croniter

    moment: datetime = croniter(entry.cron, now + timedelta(seconds=1)).get_prev(datetime)
    return moment


def next_due(entry: ScheduleSpec, now: datetime) -> datetime:
    """Return the next moment after `now` at which an entry of a schedule is due."""
    from croniter import croniter

    moment: datetime = croniter(entry.cron, now).get_next(datetime)
    return moment


def counted(standing: Standing) -> list[Manifest]:
    """Return the backups that count for the database as it is now: of its timeline, whole, and made for the schedule."""
    return [
        one
        for one in standing.backups
        if (standing.timeline is None or one.timeline == standing.timeline)
        and SAFETY not in one.labels
        and is_whole(one, standing.backups)
    ]


def overdue(spec: BackupPolicySpec, kinds: Iterable[Kind], standing: Standing, now: datetime) -> list[tuple[ScheduleSpec, str]]:
    """Return the entries of a schedule that are due, full first, and why.

    A full that is due stands for everything that is due with it.
    """
    possible = set(kinds)
    entries = sorted((entry for entry in spec.schedule if entry.type in possible), key=_weight)
    backups = counted(standing)
    result: list[tuple[ScheduleSpec, str]] = []
    for entry in entries:
        if any(entry.type in _STANDS_FOR and due.type in _STANDS_FOR[entry.type] for due, _ in result):
            continue
        if reason := _reason(entry, backups, standing, now):
            result.append((entry, reason))
    return result


def _reason(entry: ScheduleSpec, backups: Sequence[Manifest], standing: Standing, now: datetime) -> str:
    due = last_due(entry, now)
    fitting = [one for one in backups if one.kind in _STANDS_FOR[entry.type]]
    if not fitting:
        if entry.type == "full" and standing.backups:
            return "there is no full backup of the database as it is now"
        return f"there is no {entry.type} backup yet"
    last = max(one.begun_at for one in fitting)
    if last >= due:
        return ""
    failed = failed_since(entry.type, last, standing.failures)
    why = f"; the last try failed: {failed.error}" if failed else ""
    return f"due since {due:%Y-%m-%d %H:%M}Z, the last was made {last:%Y-%m-%d %H:%M}Z{why}"


def failed_since(kind: str, moment: datetime, failures: Iterable[Failure]) -> Failure | None:
    """Return the last failure of a kind behind a moment."""
    found = [one for one in failures if one.kind == kind and one.at > moment]
    return max(found, key=lambda one: one.at) if found else None


def _weight(entry: ScheduleSpec) -> int:
    return ("full", "differential", "incremental", "log").index(entry.type)
