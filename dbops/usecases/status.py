"""status: every connection of an environment at a glance."""

from __future__ import annotations

from typing import cast

from dbops.dataclass import dataclass
from dbops.errors import DbopsError
from dbops.reconcile.change import REFUSALS
from dbops.reconcile.planner import Finding, observe
from dbops.state.journal import ApplyRecord, applies
from dbops.usecases.runtime import Workspace


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """The backups of one policy: times in ISO 8601; `breaks_at` is when the promised RPO is broken without a further one.

    `windows` are the stretches and moments of the past that can be restored. `growth` is the stored size of the last beside
    the one of its kind before. `restore_s` is how long the last tried restore took.
    """

    policy: str
    count: int
    stored_size: int
    newest_at: str | None
    growth: float | None
    restore_s: float | None
    breaks_at: str | None
    windows: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """`state` is in sync, pending, drifted, refused, missing, unreachable or broken; `error` explains the last two.

    Refused: rows or migrations stand in the way of every change; the plan says which and why.

    `pending` counts changes that the manifests ask for, `drifted` those that the database made by itself.
    """

    name: str
    url: str
    engine: str
    version: str | None
    state: str
    pending: int = 0
    drifted: int = 0
    last_apply: ApplyRecord | None = None
    error: str | None = None
    backups: tuple[BackupStatus, ...] = ()


def status(workspace: Workspace) -> list[ConnectionStatus]:
    """Return the state of each connection, by name; one that fails does not hide the others."""
    return [_one(workspace, name) for name in workspace.connection_names()]


def _one(workspace: Workspace, name: str) -> ConnectionStatus:
    target = workspace.targets.target(name)
    url, engine_name = target.url.redacted(), target.url.engine
    try:
        conn = workspace.targets.reader(name)
    except DbopsError as error:
        return ConnectionStatus(name, url, engine_name, None, "unreachable", error=error.message)
    version = conn.server.version_text if conn else None
    last = next(iter(applies(conn, workspace.targets.engine(name).features, 1)), None) if conn else None
    work = [item for item in workspace.work if name in item.desired.connections]
    try:
        findings = observe(work, workspace.targets)
    except DbopsError as error:
        return ConnectionStatus(name, url, engine_name, version, "broken", last_apply=last, error=error.explain())
    causes = [entry.change.cause for finding in findings for entry in finding.entries]
    pending, drifted = causes.count("desired"), causes.count("drift")
    is_refused = any(one.code in REFUSALS for finding in findings for one in finding.observed.observations)
    if conn is not None and is_refused:
        return ConnectionStatus(name, url, engine_name, version, "refused", pending, drifted, last)
    state = "missing" if conn is None else "drifted" if drifted else "pending" if pending else "in sync"
    policies = [finding for finding in findings if finding.work.resource.kind == "backuppolicy"]
    backups = tuple(_backups(finding) for finding in policies)
    return ConnectionStatus(name, url, engine_name, version, state, pending, drifted, last, backups=backups)


def _backups(finding: Finding) -> BackupStatus:
    from dbops.resources.backups.due import breaks_at, counted, newest
    from dbops.resources.backups.leading import windows
    from dbops.resources.backups.model import DesiredBackups, ObservedBackups
    from dbops.resources.backups.remarks import restore_s
    from dbops.resources.backups.sources import SAFETY

    desired, observed = cast("DesiredBackups", finding.work.desired), cast("ObservedBackups", finding.observed)
    standing = observed.standing
    backups, breaks = counted(standing), breaks_at(desired.spec, standing, observed.now)
    made = [one for one in standing.backups if SAFETY not in one.labels]
    alike = [one.stored_size for one in made if one.kind == made[-1].kind]
    return BackupStatus(
        desired.name,
        len(standing.backups),
        sum(one.stored_size for one in standing.backups),
        newest(backups, observed.now).isoformat(timespec="seconds") if backups else None,
        round(alike[-1] / alike[-2] - 1, 4) if len(alike) > 1 and alike[-2] else None,
        restore_s(standing),
        breaks.isoformat(timespec="seconds") if breaks is not None else None,
        tuple((one.start.isoformat(timespec="seconds"), one.end.isoformat(timespec="seconds")) for one in windows(backups)),
        tuple(one.message for one in observed.observations if one.severity != "info"),
    )
