"""Which backups belong together: what a restore needs, what depends on what, and where a chain is broken. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from dbops.archive.manifest import Manifest
from dbops.archive.naming import begun_at, kind_in
from dbops.errors import BackupError

_EXACT = timedelta(milliseconds=1)
"""How exact the moment in an id is."""


class BrokenChainError(BackupError):
    """A backup depends on one that is not there, or is another one than it was."""


def chain_of(manifest: Manifest, backups: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Return a backup behind all those that a restore of it needs, the full first.

    Raises:
        BrokenChainError: one of them is missing or not what it was; says which.
    """
    known = {one.id: one for one in backups}
    chain = [manifest]
    while (child := chain[-1]).parent_id is not None:
        parent = known.get(child.parent_id)
        if parent is None:
            raise BrokenChainError(f"{child.id} needs {child.parent_id}, which is not there", error_code="CHAIN_BROKEN")
        if parent.seal != child.parent_digest:
            raise BrokenChainError(
                f"{child.id} was made on top of another {parent.id} than the one that is there", error_code="CHAIN_BROKEN"
            )
        if parent in chain:
            raise BrokenChainError(f"{child.id} depends on itself", error_code="CHAIN_BROKEN")
        chain.append(parent)
    if chain[-1].kind != "full":
        raise BrokenChainError(f"the chain of {manifest.id} begins with no full backup", error_code="CHAIN_BROKEN")
    return tuple(reversed(chain))


def is_whole(manifest: Manifest, backups: Iterable[Manifest]) -> bool:
    """Tell whether everything is there that a restore of a backup needs."""
    try:
        chain_of(manifest, backups)
    except BrokenChainError:
        return False
    return True


def whole(backups: Iterable[Manifest], without: Collection[str] = ()) -> frozenset[str]:
    """Return the ids of backups that can be restored without those of `without`; in time that grows with their number."""
    known = {one.id: one for one in backups}
    sound: dict[str, bool] = {}
    for one in known.values():
        path: list[Manifest] = []
        current: Manifest | None = one
        while current is not None and current.id not in sound:
            sound[current.id] = False  # also what ends a circle
            path.append(current)
            current = known.get(current.parent_id) if current.parent_id is not None else None
        for child in reversed(path):
            parent = known.get(child.parent_id) if child.parent_id is not None else None
            fits = child.kind == "full" if child.parent_id is None else parent is not None and parent.seal == child.parent_digest
            sound[child.id] = fits and child.id not in without and (parent is None or sound[parent.id])
    return frozenset(backup_id for backup_id, is_sound in sound.items() if is_sound)


def dependents(backup_id: str, backups: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """Return the backups that could not be restored without this one, oldest first."""
    children: dict[str, list[Manifest]] = {}
    known = {one.id for one in backups}
    for one in backups:
        if one.parent_id is not None:
            parents = [one.parent_id] if one.parent_id in known else [other.id for other in before_gap(one, backups)]
            for parent in parents:
                children.setdefault(parent, []).append(one)
    result: dict[str, Manifest] = {}
    todo = [backup_id]
    while todo:
        for child in children.get(todo.pop(), []):
            if child.id not in result:
                result[child.id] = child
                todo.append(child.id)
    return tuple(sorted(result.values(), key=order))


def order(backup: Manifest) -> tuple[int, datetime, str]:
    """Return what sorts backups as they were made: by the numbers of leases, which only grow, for clocks are set back."""
    return backup.fence, backup.begun_at, backup.id


def before_gap(backup: Manifest, backups: Sequence[Manifest]) -> list[Manifest]:
    """Return what a backup may need whose parent's manifest is lost, and how many others nobody knows: its full, and all that
    went on from that before it.
    """
    return [
        other
        for other in backups
        if backup.full_id is not None
        and other.id != backup.id
        and (other.id == backup.full_id or (other.full_id == backup.full_id and order(other) < order(backup)))
    ]


def before_lost(backup_id: str, timeline: str, backups: Iterable[Manifest]) -> list[Manifest]:
    """Return what a backup may need whose manifest cannot be read, by its id: of each family the last full before it, and all
    since that; where a clock went back, all of the timeline.
    """
    if kind_in(backup_id) == "full":
        return []
    made = [one for one in sorted(backups, key=order) if one.timeline == timeline]
    if any(one.begun_at < before.begun_at for before, one in pairwise(made)):
        return made
    since: dict[str, list[Manifest]] = {}
    for one in made:
        if one.begun_at <= begun_at(backup_id) + _EXACT:
            since[one.family] = [one] if one.kind == "full" else [*since.get(one.family, ()), one]
    return [one for chain in since.values() for one in chain]


def may_need_lost(backup_id: str, timeline: str, backups: Sequence[Manifest]) -> list[Manifest]:
    """Return the backups that may need one whose manifest cannot be read, by its id, oldest first.

    They are those that name it, and, unless it is a full, those behind other gaps of its timeline, since nobody knows what was
    there; clocks do not tell.
    """
    known = {one.id for one in backups}
    gaps = [one for one in backups if one.timeline == timeline and one.parent_id is not None and one.parent_id not in known]
    named = [one for one in backups if backup_id in (one.parent_id, one.full_id)]
    first = named if kind_in(backup_id) == "full" else [*named, *gaps]
    found = {one.id: one for start in first for one in (start, *dependents(start.id, backups))}
    return sorted(found.values(), key=order)


class Follows(Protocol):
    """What a new backup follows by; `points` is empty where it replays no log."""

    @property
    def kind(self) -> str: ...

    @property
    def family(self) -> str: ...

    @property
    def points(self) -> Collection[str]: ...


def parent_for(new: Follows, timeline: str, backups: Sequence[Manifest]) -> Manifest | None:
    """Return the backup that a new one follows: the last of its family and timeline, for a differential the last full.

    What replays a log goes on behind a log; pages follow the last backup that is none. None when there is nothing to follow, or
    only broken chains.
    """
    for one in reversed(backups):
        if one.family != new.family or one.timeline != timeline:
            continue
        if new.kind == "differential" and one.kind != "full":
            continue
        if one.kind == "log" and not new.points:
            continue
        if is_whole(one, backups):
            return one
    return None
