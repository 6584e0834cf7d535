"""Which chain leads to a moment, a place in the log, or a named point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from dbops.archive.chains import chain_of, whole
from dbops.archive.manifest import Manifest
from dbops.archive.repository import Contents
from dbops.dataclass import dataclass
from dbops.engines.base.backup import LATEST, Backups, Link, Point
from dbops.errors import BackupError
from dbops.resources.backups.sources import SAFETY


def chain_to(contents: Contents, point: Point, backups: Backups, linked: Callable[[Manifest], Link]) -> tuple[Manifest, ...]:
    """Return the chain whose restore can stop at a point.

    The last backup that ended before it or at it, with the first log behind that reaches it; for a name the last of all, before
    which `chains_to_name` has others.

    Raises:
        BackupError: nothing leads there; says from when on something does.
    """
    sound = whole(contents.backups)
    made = [one for one in contents.backups if SAFETY not in one.labels and one.id in sound]
    if not contents.backups and contents.broken:
        raise BackupError(f"no backup can be used: {contents.broken[0].reason}", error_code="BACKUP_BROKEN")
    if not contents.backups:
        raise BackupError("there is no backup yet", fix="dbops backup run makes one")
    if not made:
        raise BackupError("no backup has all that a restore of it needs", fix="dbops backup verify says what is missing")
    if point == LATEST:
        return chain_of(made[-1], contents.backups)
    return _to_point(contents, made, point, backups, linked)


def chains_to_name(contents: Contents) -> list[tuple[Manifest, ...]]:
    """Return the chains whose logs may hold a named point, the last first: only a replay tells which does."""
    sound = whole(contents.backups)
    made = [one for one in contents.backups if one.id in sound and SAFETY not in one.labels]
    seen, found = set[str](), list[tuple[Manifest, ...]]()
    for one in reversed(made):
        if "name" not in one.points:
            continue
        chains = [] if one.id in seen else [chain_of(one, contents.backups)]
        chains += [(*chain_of(before, contents.backups), one) for before in made if _joins(before, one)]
        for chain in chains:
            found.append(chain)
            seen |= {link.id for link in chain}
    return found


def _to_point(
    contents: Contents, made: Sequence[Manifest], point: Point, backups: Backups, linked: Callable[[Manifest], Link]
) -> tuple[Manifest, ...]:
    behind: Manifest | None = None
    nearest: Manifest | None = None
    passed = set[str]()
    is_replayed = any(point.what in one.points for one in made)
    for one in reversed(made):
        if not is_replayed and ends_at(one, point):
            return chain_of(one, contents.backups)
        reached = _reaches(one, point, backups, linked)
        if reached is None or (point.what == "time" and one.ended_at == point.time):
            return chain_of(one, contents.backups)  # where only a replay tells, all that there is has to be there
        if reached:
            passed.add(one.id)
            behind = one if point.what in one.points else behind
            continue
        nearest = nearest or one
        if behind is not None and _joins(one, behind):
            return (*chain_of(one, contents.backups), behind)
        if behind is None or behind.parent_id not in passed:
            return _checked(chain_of(behind or one, contents.backups), one, point)
    if nearest is not None:  # the log that reaches the point follows a base behind it, and joins nothing before
        raise _nothing_leads_from(nearest, point)
    first = min(made, key=lambda one: one.ended_at)  # clocks are set back
    raise BackupError(
        f"no backup leads to {point.text}",
        expected=f"a moment behind {first.ended_at:%Y-%m-%d %H:%M:%S}Z, at which {first.id} ended",
    )


def _reaches(one: Manifest, point: Point, backups: Backups, linked: Callable[[Manifest], Link]) -> bool | None:
    """Ask the engine whether a backup reaches a point; one that ended behind a moment does, whatever else its manifest says."""
    try:
        return backups.reached(point, linked(one))
    except BackupError as error:
        is_behind = point.time is not None and one.ended_at > point.time
        if error.error_code != "MANIFEST_DAMAGED" or not is_behind:
            raise
        return True


def ends_at(one: Manifest, point: Point) -> bool:
    """Tell whether a backup ended at a moment; one that is told to the second, as lists show it, is all of that second."""
    if point.what != "time" or point.time is None:
        return False
    return point.time in (one.ended_at, one.ended_at.replace(microsecond=0))


def _joins(before: Manifest, log: Manifest) -> bool:
    """Tell whether a log goes on where a backup ended that is not its parent: both reach over the base between them."""
    are_one = (log.family, log.timeline) == (before.family, before.timeline)
    return are_one and log.parent_id != before.id and bool(log.start) and dict(log.start) == dict(before.end)


def _checked(chain: tuple[Manifest, ...], base: Manifest, point: Point) -> tuple[Manifest, ...]:
    """Let a chain pass that stops at the point, or that ended at the last moment before it with nothing to replay behind."""
    if base not in chain:
        raise _nothing_leads_from(base, point)
    if base is chain[-1] and point.what in base.points:
        raise BackupError(
            f"the log that is stored ends {base.ended_at:%Y-%m-%d %H:%M:%S.%f}Z, before {point.text}",
            fix="take a log backup first: dbops backup run --type log; or restore latest",
        )
    return chain


def _nothing_leads_from(base: Manifest, point: Point) -> BackupError:
    return BackupError(
        f"nothing leads from {base.id}, the last backup before {point.text}, to that point",
        fix="schedule log backups; a restore can stop at the moments at which backups ended: dbops backup list",
    )


@dataclass(frozen=True, slots=True)
class Window:
    """Moments that a restore can stop at: all of them from `start` to `end` in UTC, or the one where both are the same."""

    start: datetime
    end: datetime


def windows(backups: Sequence[Manifest]) -> list[Window]:
    """Return what of the past can be restored by those that count, oldest first: stretches, and single moments between them."""
    known = {one.id: one for one in backups}
    found = [Window(one.ended_at, one.ended_at) for one in backups]
    for one in backups:
        if "time" not in one.points or one.parent_id not in known:
            continue
        start = known[one.parent_id].ended_at
        start = min([start, *(before.ended_at for before in backups if _joins(before, one))])
        found.append(Window(start, max(start, one.ended_at)))
    merged: list[Window] = []
    for window in sorted(found, key=lambda one: (one.start, one.end)):
        if merged and window.start <= merged[-1].end:
            merged[-1] = Window(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return merged


def drill_points(manifest: Manifest, contents: Contents) -> tuple[Manifest, Manifest] | None:
    """Return two neighbours behind a backup between which a restore can stop at any time; None where there are none."""
    for one in reversed(contents.backups):
        if "time" not in one.points:
            continue
        try:
            chain = chain_of(one, contents.backups)
        except BackupError:
            continue
        if manifest in chain[:-1]:
            return chain[-2], one
    return None
