"""list and show: what a repository holds, and until when the promise holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from dbops.archive.chains import BrokenChainError, chain_of, dependents, whole
from dbops.archive.encryption import WrongKeyError
from dbops.archive.manifest import Manifest
from dbops.archive.repository import Broken
from dbops.dataclass import dataclass
from dbops.resources.backups.due import breaks_at, counted, prunable
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.leading import Window, windows
from dbops.resources.backups.model import Evidence, Standing
from dbops.resources.backups.model import Failure as Failure  # what faces show
from dbops.resources.backups.moments import next_due
from dbops.resources.backups.proving import rows_in
from dbops.resources.backups.remarks import restore_s
from dbops.resources.backups.sources import SAFETY
from dbops.resources.backups.standing import standing_of
from dbops.usecases.backup.policies import Place, holder_of, others_in, policies_of


@dataclass(frozen=True, slots=True)
class Listed:
    """One backup as a list shows it.

    `state` is `verified`, `unverified`, `failed` (its verification did) or `broken` (its chain is). `kept` are the reasons for
    which retention keeps it, none when it goes next. `growth` is the stored size beside the backup of its kind before. `opens` is
    False where the key at hand is another one than that of the backup.
    """

    manifest: Manifest
    state: str
    held: str | None
    restore_s: float | None
    kept: tuple[str, ...] = ()
    growth: float | None = None
    opens: bool = True


@dataclass(frozen=True, slots=True)
class Listing:
    """The backups of one policy, oldest first. `breaks_at` is when the promised RPO would be broken; `due` when each kind is;
    `windows` are the moments of the past that can be restored.
    """

    policy: str
    connection: str
    storage: str
    backups: tuple[Listed, ...]
    broken: tuple[Broken, ...]
    breaks_at: datetime | None
    restore_s: float | None
    due: Mapping[str, datetime]
    windows: tuple[Window, ...] = ()
    failures: tuple[Failure, ...] = ()
    """The runs that made no backup, oldest first."""
    others: tuple[str, ...] = ()
    """The names under which the storage has backups, where the policy has none: it may have been called so."""

    @property
    def stored_size(self) -> int:
        return sum(one.manifest.stored_size for one in self.backups)


@dataclass(frozen=True, slots=True)
class Shown:
    """One backup with all that is known of it; `rows` is None where they cannot be read without the key."""

    listed: Listed
    chain: tuple[Manifest, ...]
    dependents: tuple[Manifest, ...]
    evidence: tuple[Evidence, ...]
    rows: Mapping[str, int] | None


def listing(place: Place, name: str | None = None) -> list[Listing]:
    """Return what the repositories of an environment hold; no database is asked, no key is needed."""
    return [_listing(policy) for policy in policies_of(place, name)]


def show(place: Place, word: str, name: str | None = None) -> Shown:
    """Return all that is known of one backup.

    Raises:
        BackupError: there is no such backup.
    """
    policy, manifest = holder_of(place, word, name)
    standing = standing_of(policy.repository, None)
    listed = next(one for one in _listing(policy).backups if one.manifest.id == manifest.id)
    try:
        chain = chain_of(manifest, standing.backups)
    except BrokenChainError:
        chain = (manifest,)
    try:
        rows: Mapping[str, int] | None = rows_in(policy.repository, manifest)
    except WrongKeyError:
        rows = None
    evidence = tuple(one for one in standing.evidence if one.backup_id == manifest.id)
    return Shown(listed, chain, dependents(manifest.id, standing.backups), evidence, rows)


def _listing(policy: Keeper) -> Listing:
    desired, now = policy.desired, policy.clock()
    standing = standing_of(policy.repository, None)
    facts = _Facts(standing, whole(standing.backups), standing.refuted(), standing.verified())
    kept = prunable(desired.spec, standing, now).kept
    before: dict[str, Manifest] = {}
    keys = policy.repository.keys
    listed = []
    for one in standing.backups:
        opens = not keys.methods or keys.opens(one.encryption)
        is_aside = SAFETY in one.labels  # of what stood where a restore went, so that it says nothing of growth
        beside = before.get(one.kind) if not is_aside else None
        listed.append(replace(_listed(one, facts, kept.get(one.id, ()), beside), opens=opens))
        if not is_aside:
            before[one.kind] = one
    return Listing(
        desired.name,
        desired.connection,
        policy.repository.storage.title,
        tuple(listed),
        standing.broken,
        breaks_at(desired.spec, standing, now),
        restore_s(standing),
        {entry.type: next_due(entry.cron, desired.spec.zone, now) for entry in desired.spec.schedule if not desired.spec.retired},
        tuple(windows(counted(standing))),
        tuple(sorted(standing.failures, key=lambda one: one.at)),
        () if standing.backups or standing.broken else tuple(others_in(policy)),
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    standing: Standing
    whole: frozenset[str]
    refuted: frozenset[str]
    verified: frozenset[str]


def _listed(manifest: Manifest, facts: _Facts, kept: tuple[str, ...], before: Manifest | None) -> Listed:
    standing = facts.standing
    times = [one.seconds for one in standing.evidence if one.backup_id == manifest.id and one.seconds is not None]
    if manifest.id not in facts.whole:
        state = "broken"
    elif manifest.id in facts.refuted:
        state = "failed"
    else:
        state = "verified" if manifest.id in facts.verified else "unverified"
    growth = manifest.stored_size / before.stored_size - 1 if before is not None and before.stored_size else None
    return Listed(manifest, state, standing.held.get(manifest.id), times[-1] if times else None, kept, growth)
