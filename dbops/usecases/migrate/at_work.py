"""Who is at work: a migration that looks interrupted is running while somebody else holds the apply lock of its database.

Not to be asked by whoever holds that lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError, LockTimeoutError
from dbops.reconcile.change import Observation
from dbops.reconcile.planner import Finding
from dbops.resources.migrations.model import DesiredMigrations, MigrationChange, ObservedMigrations, Standing
from dbops.usecases.apply import LOCK
from dbops.usecases.migrate.sets import of_sets
from dbops.usecases.runtime import Workspace

RUNNING = "MIGRATION_RUNNING"


def looks_interrupted(standing: Standing) -> bool:
    """Tell whether the ledger says that a migration runs."""
    return standing.state == "failed" and standing.record is not None and standing.record.state == "running"


def runner_of(workspace: Workspace, connection: str, engine: Engine) -> str | None:
    """Return who holds the apply lock of a database; where it cannot be asked for, nobody is named."""
    conn = workspace.targets.reader(connection)
    if conn is None:
        return None
    try:
        with engine.lock(conn, LOCK, 0.0):
            return None
    except LockTimeoutError as busy:
        return str(busy.context.get("holder", "another apply"))
    except DbopsError:
        return None


def running(standing: Standing, runner: str | None) -> Standing:
    """Return a migration that looks interrupted as one that runs, while somebody holds the lock."""
    record = standing.record
    if runner is None or record is None or not looks_interrupted(standing):
        return standing
    way = "" if record.direction == "up" else " down"
    reached = f"; {record.reached} of its statements stand" if record.reached else ""
    detail = f"running{way} by {record.who} since {record.started_at} ({runner}){reached}"
    return replace(standing, state="running", detail=detail)


def told(findings: Sequence[Finding], workspace: Workspace) -> list[Finding]:
    """Return findings in which migrations that somebody runs are told as running; asks for locks where one looks interrupted."""
    return of_sets(findings, lambda finding, desired, observed: _told(finding, desired, observed, workspace))


def _told(finding: Finding, desired: DesiredMigrations, observed: ObservedMigrations, workspace: Workspace) -> Finding:
    if not any(looks_interrupted(standing) for standing in observed.standings):
        return finding
    runner = runner_of(workspace, desired.connection, workspace.targets.engine(desired.connection))
    at_work = {one.id: one for standing in observed.standings if (one := running(standing, runner)).state == "running"}
    if not at_work:
        return finding
    entries = tuple(
        replace(entry, change=replace(change, reason=at_work[change.migration.id].detail))
        if isinstance(change := entry.change, MigrationChange) and change.migration.id in at_work
        else entry
        for entry in finding.entries
    )
    told_of = {f"{desired.address}/{one.id}": f"{one.id}: {one.detail}" for one in at_work.values()}
    said = [
        Observation(address, RUNNING, f"{text}; an apply waits until that is over", "warning")
        for address, text in told_of.items()
    ]
    # a way back that stands in part is in the way only when nobody is at it
    others = [one for one in observed.observations if one.address not in told_of]
    return replace(finding, entries=entries, observed=replace(observed, observations=(*others, *said)))
