"""verify: prove backups, and keep the evidence beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dbops.errors import BackupError
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.leading import drill_points
from dbops.resources.backups.model import Evidence as Evidence  # what faces show
from dbops.resources.backups.standing import proven_at
from dbops.usecases.backup.policies import Place, holder_of, policies_of


def verify(place: Place, word: str | None, level: int, told: Callable[[str], None], name: str | None = None) -> list[Evidence]:
    """Verify one backup, or for None every one, up to a level; what is broken comes out as evidence too, not as an error.

    So does, where there are several policies, one that has nothing to verify; a retired one need not. What the key at hand does
    not open is checked as far as that needs no key, and falls short of what was asked. Of every one, such as a key before was
    for do not, where a restore of the same bytes was proven with it, and the key at hand opens a later one.

    Raises:
        BackupError: there is no backup at all; MissingPackageError, StorageError: nothing can be said, because this machine
        lacks something, or there is no answer.
    """
    if word is not None:
        policy, manifest = holder_of(place, word, name, told)
        return [policy.verify(manifest, level)]
    found: list[Evidence] = []
    empty: list[Keeper] = []
    for policy in policies_of(place, name, told):
        seen = _verify_all(policy, level)
        found += seen
        empty += [policy] if not seen and not policy.desired.spec.retired else []
    if not found:
        raise BackupError("there is no backup yet", fix="dbops backup run makes one")
    return found + [Evidence(one.desired.name, one.clock(), 0, False, ("there is no backup yet",)) for one in empty]


def _verify_all(policy: Keeper, level: int) -> list[Evidence]:
    """Verify every backup of a policy, and say what is broken."""
    contents = policy.repository.contents()
    found = list[Evidence]()
    between = {one.id for one in contents.backups if drill_points(one, contents) is not None} if level == 4 else set()
    for manifest in contents.backups:
        # what no log goes on from, such as the last one, is restored to its end where others are restored to a moment between
        found.append(policy.verify(manifest, 3 if between and manifest.id not in between else level))
    found = _excused(policy, found)
    now = policy.clock()
    broken = [*contents.broken, *policy.repository.cut_off(now), *policy.repository.damaged_notes()]
    return found + [Evidence(one.key, now, 0, False, (one.reason,)) for one in broken]


def _excused(policy: Keeper, found: Sequence[Evidence]) -> list[Evidence]:
    """Let those not fall short, oldest first, that are behind a change of keys and were proven before it."""
    opened = max((place for place, one in enumerate(found) if one.ok and one.unopened is None), default=-1)
    return [
        replace(one, falls_short=False)
        if one.falls_short and place < opened and proven_at(policy.repository, one.backup_id, 3) is not None
        else one
        for place, one in enumerate(found)
    ]
