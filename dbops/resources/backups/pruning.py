"""What retention lets go is deleted: what depends on others first, then parts that belong to no backup."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from functools import partial

from dbops.archive.chains import dependents, may_need_lost
from dbops.archive.manifest import Manifest
from dbops.archive.repository import Contents, Repository
from dbops.dataclass import dataclass
from dbops.errors import BackupError

GRACE = timedelta(days=1)
"""Parts without a manifest may belong to a run that is going on; after this time they do not."""


FAILURES_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, or would be. `freed` are stored bytes."""

    deleted: tuple[Manifest, ...]
    orphans: tuple[str, ...]
    lost: tuple[str, ...] = ()
    """The ids of backups that went without a manifest."""
    staying: Mapping[str, str] = field(default_factory=dict)
    """Why backups stay that were to go, by id."""

    @property
    def freed(self) -> int:
        return sum(one.stored_size for one in self.deleted)


def prune(
    repository: Repository,
    deleted: Sequence[Manifest],
    clock: Callable[[], datetime],
    told: Callable[[str], None],
    *,
    is_dry: bool = False,
    check: Callable[[], None] = lambda: None,
    forget: Callable[[Manifest], None] = lambda manifest: None,
) -> Pruned:
    """Delete backups and orphans; `deleted` come with those that depend on others first. `is_dry` deletes nothing.

    `check` is called before each: another writer may have taken over meanwhile, and made one that follows what would go; then
    `forget`, where it is not held, which removes what lies elsewhere. What somebody holds or restores meanwhile stays, with all
    that it depends on.

    Raises:
        StorageError: the storage holds one back; those before it are deleted.
        BackupError: `check` says that the lease is lost, or `forget` that it cannot; those before are deleted.
    """
    orphans = tuple(repository.orphans(clock() - GRACE))
    if is_dry:
        return Pruned(tuple(deleted), orphans)
    gone, staying = list[Manifest](), dict[str, str]()
    for one in deleted:
        is_needed = bool(staying) and any(other.id in staying for other in dependents(one.id, deleted))
        why: str | None = "is needed by what stays"
        if not is_needed:
            told(f"deleting {one.id}")
            check()
            why = repository.delete(one, clock(), partial(forget, one))  # hours after the first, where there is much
        if why is not None:
            told(f"{one.id} stays: it {why}")
            staying[one.id] = why
        else:
            gone.append(one)
    check()
    for key in (*orphans, *_old_failures(repository, clock())):
        repository.storage.delete(key)
    return Pruned(tuple(gone), orphans, staying=staying)


def must_be_gone(chosen: Manifest, pruned: Pruned) -> None:
    """Let a deletion pass that took away what it was asked to.

    Raises:
        BackupError: it stays, or what depends on it, for somebody holds or restores it meanwhile.
    """
    if chosen.id in pruned.staying:
        why = next((f"{name} {why}" for name, why in pruned.staying.items() if name != chosen.id), "")
        raise BackupError(
            f"{chosen.id} stays: it {pruned.staying[chosen.id]}" + (f" ({why})" if why else ""),
            fix="try again when the restore has ended, or release it",
            error_code="BACKUP_HELD",
        )


def _old_failures(repository: Repository, now: datetime) -> list[str]:
    """Return the keys of notes about failures that nobody asks for any more."""
    heads = repository.storage.list(f"{repository.target}/")
    before = (now - FAILURES_KEPT).timestamp()
    return [head.key for head in heads if "/failures/" in head.key and head.modified < before]


def must_let_go(lost: str, timeline: str, contents: Contents, held: Iterable[str]) -> None:
    """Let what is left of a backup go whose manifest is lost, if nobody holds it and nothing may follow it.

    Raises:
        BackupError: one of these; or it is not lost, since a run was only about to commit it, or somebody found its manifest.
    """
    if (timeline, lost) not in contents.lost - contents.damaged:
        raise BackupError(
            f"the manifest of {lost} is there now, or nothing of it is; nothing was deleted", fix="dbops backup list shows it"
        )
    if lost in held:
        raise BackupError(f"{lost} is held; nothing was deleted", fix=f"dbops backup release {lost}", error_code="BACKUP_HELD")
    if needing := may_need_lost(lost, timeline, contents.backups):
        raise BackupError(
            f"{lost} is needed by {needing[0].id}, or may be; nothing was deleted, since its manifest may be found again",
            fix=f"delete that first: dbops backup delete {needing[0].id} --cascade",
            error_code="BACKUP_NEEDED",
        )


def deletable(
    chosen: Manifest, contents: Contents, held: Iterable[str], verified: Iterable[str], *, cascades: bool
) -> list[Manifest]:
    """Return a backup that somebody wants deleted, behind those that depend on it.

    Raises:
        BackupError: others depend on it, one of them is held, or no verified backup would be left.
    """
    others = dependents(chosen.id, contents.backups)
    if others and not cascades:
        names = ", ".join(one.id for one in others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        raise BackupError(
            f"{chosen.id} is needed by {names}; nothing was deleted",
            fix="delete these too: --cascade",
            error_code="BACKUP_NEEDED",
        )
    going = [*reversed(others), chosen]
    ids = {one.id for one in going}
    if stopped := sorted(ids & set(held)):
        raise BackupError(
            f"{stopped[0]} is held; nothing was deleted", fix=f"dbops backup release {stopped[0]}", error_code="BACKUP_HELD"
        )
    proven = set(verified) & {one.id for one in contents.backups}
    if proven and proven <= ids:
        raise BackupError(
            f"{sorted(proven)[-1]} is the last backup whose restore was tested; nothing was deleted",
            fix="verify another one first: dbops backup verify",
            error_code="BACKUP_LAST_VERIFIED",
        )
    return going
