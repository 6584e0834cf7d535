"""status: every connection of an environment at a glance."""

from __future__ import annotations

from dataclasses import dataclass

from dbops.errors import DbopsError
from dbops.reconcile.change import REFUSALS
from dbops.reconcile.planner import observe
from dbops.state.journal import ApplyRecord, applies
from dbops.usecases.runtime import Workspace


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
    return ConnectionStatus(name, url, engine_name, version, state, pending, drifted, last)
