"""prune, delete, hold, release: what goes, and what must not."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from dbops.archive.manifest import Manifest
from dbops.archive.repository import manifest_key
from dbops.dataclass import dataclass
from dbops.errors import BackupError
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.pruning import Pruned as Pruned  # what faces show
from dbops.resources.backups.pruning import deletable, must_be_gone, must_let_go, prune
from dbops.usecases.backup.policies import holder_of, policies_of
from dbops.usecases.runtime import Workspace, who

Told = Callable[[str], None]
_PASSING_S, _PAUSE_S = 10.0, 0.2


@dataclass(frozen=True, slots=True)
class PrunedPolicy:
    """What went, or would go, of one policy."""

    policy: str
    pruned: Pruned


def prune_all(workspace: Workspace, name: str | None, told: Told, *, is_dry: bool) -> list[PrunedPolicy]:
    """Delete what the retention of each policy lets go, and old parts of runs that died; `is_dry` only says what.

    Raises:
        LeaseHeldError: a backup is being made.
        StorageError: the storage holds one back.
    """
    return [PrunedPolicy(policy.desired.name, policy.prune(is_dry=is_dry)) for policy in policies_of(workspace, name, told)]


def meant(workspace: Workspace, word: str, name: str | None) -> str:
    """Return the whole id that a word means, also of what is lost, so that what is asked about is what is done.

    Raises:
        BackupError: there is no such backup; or `latest` is meant, and a later one cannot be used.
    """
    for policy in policies_of(workspace, name):
        if word in {backup_id for _, backup_id in policy.repository.contents().lost}:
            return word
    policy, manifest = holder_of(workspace, word, name)
    _must_be_last(policy, manifest, word)
    return manifest.id


def _must_be_last(policy: Keeper, manifest: Manifest, word: str) -> None:
    if word == "latest" and (later := policy.repository.contents().broken_since(manifest)):
        raise BackupError(
            f"a later backup, {later[-1].backup_id}, cannot be used: {later[-1].reason}",
            fix=f"name the one that is meant by its id, such as {manifest.id}",
            error_code="BACKUP_BROKEN",
        )


def delete(workspace: Workspace, word: str, name: str | None, told: Told, *, cascades: bool) -> Pruned:
    """Delete one backup, with `cascades` those that depend on it too; by its whole id also what is left of one whose manifest is
    lost.

    Raises:
        BackupError: others depend on it, it is held, or it is the last that is known to restore, or `latest` is meant and a
        later one cannot be used; nothing was deleted.
    """
    for policy in policies_of(workspace, name, told):
        contents = policy.repository.contents()
        for timeline, backup_id in contents.lost - contents.damaged:
            if backup_id == word:
                return _delete_lost(policy, timeline, backup_id, told)
    policy, manifest = holder_of(workspace, word, name, told)
    _must_be_last(policy, manifest, word)
    with policy.leased() as lease:
        standing = policy.standing()
        going = deletable(manifest, policy.repository.contents(), standing.held, standing.verified(), cascades=cascades)
        done = prune(policy.repository, going, policy.clock, told, check=lease.check, forget=policy.forget)
    must_be_gone(manifest, done)
    return done


def _delete_lost(policy: Keeper, timeline: str, backup_id: str, told: Told) -> Pruned:
    with policy.leased() as lease:
        # once more, for a run that was about to commit it has ended meanwhile
        must_let_go(backup_id, timeline, policy.repository.contents(), policy.standing().held)
        told(f"deleting {backup_id}, whose manifest is lost")
        lease.check()
        if (why := policy.repository.delete_lost(timeline, backup_id, policy.clock())) is not None:
            raise BackupError(f"{backup_id} {why}; nothing was deleted", error_code="BACKUP_HELD")
    return Pruned((), (), (backup_id,))


def hold(workspace: Workspace, word: str, reason: str, name: str | None) -> str:
    """Keep a backup from being deleted, whatever the retention says; return its id.

    Raises:
        BackupError: there is no such backup, or it is held already, or `latest` is meant and a later one cannot be used.
    """
    policy, manifest = holder_of(workspace, word, name)
    _must_be_last(policy, manifest, word)
    facts = {"reason": reason, "who": who(), "at": policy.clock().isoformat()}
    if not policy.repository.note(f"holds/{manifest.id}.json", facts):
        raise BackupError(f"{manifest.id} is held already: {policy.standing().held.get(manifest.id, '')}")
    deadline = monotonic() + _PASSING_S
    while policy.repository.is_going(manifest, policy.clock()):
        if monotonic() > deadline:
            raise BackupError(
                f"somebody seems to be about to delete {manifest.id}, and may have looked for holds before this one was there",
                fix="it is held if it is still there when that run has ended: dbops backup list",
            )
        sleep(_PAUSE_S)  # a deletion that looked for holds just before has it gone in a moment
    if policy.repository.storage.head(manifest_key(manifest)) is None:
        raise BackupError(f"{manifest.id} was deleted at this moment, before the hold was there")
    return manifest.id


def release(workspace: Workspace, word: str, name: str | None) -> str:
    """Take a hold back, by its whole id also of what is lost; return the id.

    Raises:
        BackupError: there is no such backup, or it is not held.
    """
    holding = [policy for policy in policies_of(workspace, name) if word in policy.repository.held()]
    policy, backup_id = (holding[0], word) if holding else _named(workspace, word, name)
    key = f"{policy.repository.target}/holds/{backup_id}.json"
    if policy.repository.storage.head(key) is None:
        raise BackupError(f"{backup_id} is not held")
    policy.repository.storage.delete(key)
    return backup_id


def _named(workspace: Workspace, word: str, name: str | None) -> tuple[Keeper, str]:
    policy, manifest = holder_of(workspace, word, name)
    return policy, manifest.id
