"""run: make the backup that is asked for, or do what is due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dbops.archive.lease import LeaseHeldError
from dbops.archive.manifest import Manifest
from dbops.dataclass import dataclass
from dbops.errors import DbopsError
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.model import Evidence
from dbops.usecases.backup.policies import policies_of
from dbops.usecases.runtime import Workspace

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What was done for one policy. `busy` says who else is at it; `error` why the rest was not done."""

    policy: str
    made: tuple[Manifest, ...] = ()
    verified: tuple[Evidence, ...] = ()
    deleted: tuple[str, ...] = ()
    busy: str | None = None
    error: DbopsError | None = None


def run(workspace: Workspace, kind: str | None, name: str | None, told: Told) -> list[Done]:
    """Make one backup of a kind for each policy; without a kind, the first of the schedule.

    Raises:
        BackupError: the kind cannot be made here, is not scheduled, or failed.
    """
    return [
        Done(policy.desired.name, (policy.back_up(kind or policy.desired.spec.schedule[0].type),))
        for policy in policies_of(workspace, name, told)
    ]


def run_due(workspace: Workspace, name: str | None, told: Told) -> list[Done]:
    """Do for each policy what is due: backups, the proof of the newest, pruning.

    One policy's failure does not keep the others from theirs. Where another run is at work, nothing is done.
    """
    return [_do(replace(policy, wait_s=0)) for policy in policies_of(workspace, name, told)]


def _do(policy: Keeper) -> Done:
    if policy.desired.spec.retired:
        return Done(policy.desired.name)
    made: list[Manifest] = []
    verified: list[Evidence] = []
    deleted: Sequence[str] = ()
    busy: str | None = None
    failed: DbopsError | None = None
    try:
        refused = policy.mechanisms()[1]
        for due in policy.due():
            match due.act:
                case "backup" if due.kind is not None:
                    backup = policy.back_up_if_due(due.kind)
                    made += [backup] if backup is not None else []
                case "verify":
                    evidence = policy.verify_newest()
                    verified += [evidence] if evidence else []
                case _:
                    deleted = [one.id for one in policy.prune(due.ids).deleted]
        failed = refused[0].error() if refused else None
        policy.must_be_of_use()
    except LeaseHeldError as error:
        busy = error.message
    except DbopsError as error:
        failed = error
    return Done(policy.desired.name, tuple(made), tuple(verified), tuple(deleted), busy, failed)
