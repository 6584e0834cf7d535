"""list and show: what a repository holds."""

from __future__ import annotations

from dataclasses import dataclass

from dbops.archive.chains import is_whole
from dbops.archive.manifest import Manifest
from dbops.archive.repository import Broken, Contents
from dbops.resources.backups.model import Standing
from dbops.resources.backups.resource import standing_of
from dbops.usecases.backup.policies import policies_of
from dbops.usecases.runtime import Workspace


@dataclass(frozen=True, slots=True)
class Listed:
    """One backup as a list shows it. `state` is `verified`, `unverified`, `failed` (its verification did) or `broken` (its chain
    is).
    """

    manifest: Manifest
    state: str
    held: str | None
    restore_s: float | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The backups of one policy, oldest first."""

    policy: str
    connection: str
    storage: str
    backups: tuple[Listed, ...]
    broken: tuple[Broken, ...]
    standing: Standing

    @property
    def stored_size(self) -> int:
        return sum(one.manifest.stored_size for one in self.backups)


def listing(workspace: Workspace, name: str | None = None) -> list[Listing]:
    """Return what the repositories of an environment hold; read-only, without keys."""
    found = []
    for policy in policies_of(workspace, name):
        standing = standing_of(policy.repository, None)
        contents = Contents(standing.backups, standing.broken)
        listed = tuple(_listed(one, contents, standing) for one in standing.backups)
        found.append(
            Listing(policy.name, policy.desired.connection, policy.repository.storage.title, listed, standing.broken, standing)
        )
    return found


def _listed(manifest: Manifest, contents: Contents, standing: Standing) -> Listed:
    evidence = [one for one in standing.evidence if one.backup_id == manifest.id]
    times = [one.seconds for one in evidence if one.seconds is not None]
    if not is_whole(manifest, contents.backups):
        state = "broken"
    elif evidence and not max(evidence, key=lambda one: one.at).ok:
        state = "failed"
    else:
        state = "verified" if manifest.id in standing.verified() else "unverified"
    return Listed(manifest, state, standing.held.get(manifest.id), times[-1] if times else None)
