"""verify: prove backups, and keep the evidence beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from dbops.archive.repository import Broken
from dbops.errors import BackupError
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.leading import drill_points
from dbops.resources.backups.model import Evidence as Evidence  # what faces show
from dbops.resources.backups.proving import DELETED
from dbops.resources.backups.standing import proven_at
from dbops.usecases.backup.elsewhere import Elsewhere
from dbops.usecases.backup.policies import Place, holder_of, policies_of
from dbops.usecases.runtime import moment


def verify(place: Place, word: str | None, level: int, told: Callable[[str], None], name: str | None = None) -> list[Evidence]:
    """Verify one backup, or for None every one, up to a level; what is broken comes out as evidence too, not as an error: the one
    that is meant, or what was made behind the latest that can be used.

    So does, where there are several policies, one that has nothing to verify; a retired one need not. What the key at hand does
    not open is checked as far as that needs no key, and falls short of what was asked. Of every one, such as a key before was
    for do not, where a restore of the same bytes was proven with it, and the key at hand opens a later one. What is deleted
    meanwhile is passed over.

    Raises:
        BackupError: there is no backup at all, or the one that is meant is deleted meanwhile; MissingPackageError, StorageError:
        nothing can be said, because this machine lacks something, or there is no answer.
    """
    if word is not None:
        return _verify_one(place, word, level, told, name)
    policies, unread = _all_of(place, name, told)
    found: list[Evidence] = []
    empty: list[Keeper] = []
    for policy in policies:
        seen = _verify_all(policy, level)
        found += seen
        empty += [policy] if not seen and not policy.desired.spec.retired else []
    found += unread
    if not found:
        raise BackupError("there is no backup yet", fix="dbops backup run makes one")
    return found + [Evidence(one.desired.name, one.clock(), 0, False, ("there is no backup yet",)) for one in empty]


def _verify_one(place: Place, word: str, level: int, told: Callable[[str], None], name: str | None) -> list[Evidence]:
    try:
        policy, manifest = holder_of(place, word, name, told)
    except BackupError as error:
        if error.error_code != "BACKUP_BROKEN":
            raise
        return [Evidence(word, moment(), 0, False, (error.message,))]
    later = policy.repository.contents().broken_since(manifest) if word == "latest" else []
    evidence = policy.verify(manifest, level)
    return [evidence, *_told_as_evidence(_still(policy, later), policy.clock())]


def _all_of(place: Place, name: str | None, told: Callable[[str], None]) -> tuple[list[Keeper], list[Evidence]]:
    """Return the policies that are meant, and of a storage what is broken where nothing of a policy can be read."""
    if not isinstance(place, Elsewhere):
        return policies_of(place, name, told), []
    found, unread = place.looked_at(told)
    broken = [one for target, contents in unread.items() if name in (None, target) for one in contents.broken]
    chosen = [one for one in found if name in (None, one.desired.name)]
    if not chosen and not broken:
        return policies_of(place, name, told), []
    return chosen, _told_as_evidence(broken, moment())


def _verify_all(policy: Keeper, level: int) -> list[Evidence]:
    """Verify every backup of a policy, and say what is broken."""
    contents = policy.repository.contents()
    found = list[Evidence]()
    between = {one.id for one in contents.backups if drill_points(one, contents) is not None} if level == 4 else set()
    for manifest in contents.backups:
        try:
            # what no log goes on from, such as the last one, is restored to its end where others are restored to a moment between
            found.append(policy.verify(manifest, 3 if between and manifest.id not in between else level))
        except BackupError as error:
            if error.error_code != DELETED:
                raise
            policy.told(error.message)
    found = _excused(policy, found)
    now = policy.clock()
    broken = _still(policy, contents.broken)
    return found + _told_as_evidence([*broken, *policy.repository.cut_off(now), *policy.repository.damaged_notes()], now)


def _still(policy: Keeper, broken: Sequence[Broken]) -> list[Broken]:
    """Return what is still broken once more: a run that was about to commit has done so."""
    now = policy.repository.contents().broken if broken else ()
    return [one for one in broken if one in now]


def _told_as_evidence(broken: Iterable[Broken], now: datetime) -> list[Evidence]:
    return [Evidence(one.key, now, 0, False, (one.reason,)) for one in broken]


def _excused(policy: Keeper, found: Sequence[Evidence]) -> list[Evidence]:
    """Let those not fall short, oldest first, that are behind a change of keys and were proven before it."""
    opened = max((place for place, one in enumerate(found) if one.ok and one.unopened is None), default=-1)
    return [
        replace(one, falls_short=False)
        if one.falls_short and place < opened and proven_at(policy.repository, one.backup_id, 3) is not None
        else one
        for place, one in enumerate(found)
    ]
