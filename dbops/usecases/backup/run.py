"""run: make the backup that is asked for."""

from __future__ import annotations

from collections.abc import Callable

from dbops.archive.manifest import Manifest
from dbops.errors import BackupError
from dbops.resources.backups.making import make
from dbops.usecases.backup.policies import Policy, policies_of
from dbops.usecases.runtime import Workspace

Told = Callable[[str], None]


def run(workspace: Workspace, kind: str | None, name: str | None, told: Told) -> list[tuple[Policy, Manifest]]:
    """Make one backup of a kind for each policy; without a kind, the first of the schedule.

    Raises:
        BackupError: the kind cannot be made here, is not scheduled, or failed.
    """
    made = []
    for policy in policies_of(workspace, name):
        made.append((policy, run_kind(policy, kind or policy.desired.spec.schedule[0].type, told)))
    return made


def run_kind(policy: Policy, kind: str, told: Told) -> Manifest:
    """Make one backup of a policy."""
    chosen, refused = policy.mechanisms()
    mechanism = next((one for scheduled, one in chosen.items() if scheduled == kind), None)
    if mechanism is None:
        for refusal in refused:
            if refusal.kind == kind:
                raise refusal.error()
        kinds = ", ".join(entry.type for entry in policy.desired.spec.schedule)
        raise BackupError(
            f"the policy {policy.name} has no {kind} backups", at=policy.desired.at, expected=f"one of its schedule: {kinds}"
        )
    entry = next(entry for entry in policy.desired.spec.schedule if entry.type == kind)
    return make(policy.maker(told), mechanism, dict(entry.options))
