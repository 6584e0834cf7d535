"""What another runner has done to a database: applied what is pending here, or, Alembic used beside, taken something back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from dbops.errors import DbopsError
from dbops.reconcile.change import Observation
from dbops.reconcile.history import Tool
from dbops.reconcile.planner import Finding
from dbops.reconcile.step import Call
from dbops.resources.migrations.model import DesiredMigrations, MigrationChange, ObservedMigrations
from dbops.resources.migrations.resource import RUN
from dbops.resources.migrations.standing import to_run
from dbops.sql.hazard import Hazard
from dbops.usecases.migrate.sets import of_sets
from dbops.usecases.runtime import Workspace

ELSEWHERE = "MIGRATION_ELSEWHERE"


def warned(findings: Sequence[Finding], workspace: Workspace) -> list[Finding]:
    """Return findings in which sets whose ledger is empty are told what another runner has applied, and held up by it.

    Costs some queries each.
    """
    return of_sets(findings, lambda finding, desired, observed: _warned(finding, desired, observed, workspace))


def _warned(finding: Finding, desired: DesiredMigrations, observed: ObservedMigrations, workspace: Workspace) -> Finding:
    if not observed.exists:
        return finding
    if any(one.record is not None for one in observed.standings):
        return _saying(finding, _taken_back(desired, observed, workspace)) if desired.format == "alembic" else finding
    pending = [one.migration for one in to_run(observed.standings) if one.migration is not None]
    reader = workspace.targets.reader(desired.connection) if pending else None
    if reader is None:
        return finding
    from dbops.resources.migrations.adoption import implied_by, spoken_of
    from dbops.state.histories import find_history

    try:
        history = find_history(reader, workspace.targets.engine(desired.connection).dialect, *_own_history(desired))
    except DbopsError:  # there is none, or several, of which adopt tells; or none that could be read
        return finding
    known = spoken_of(history, pending)
    if not known:
        return finding
    named = ", ".join(one.id for one in known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
    if desired.format != "alembic":
        had = implied_by(known, history, pending)
        finding = _gated(finding, had, f"{history.title} has applied it: its {history.table} says so")
    is_run_beside = desired.format == "alembic"
    what = "what it has had is written down here and not run again" if is_run_beside else "which would run once more"
    text = f"{history.title} has had this database: its {history.table} speaks of {named}{';' if is_run_beside else ','} {what}"
    text += "; dbops migrate adopt takes the history over" + (" without a run" if is_run_beside else "")
    return _saying(finding, text)


def _gated(finding: Finding, versions: Collection[str], why: str) -> Finding:
    """Let what would run once more be allowed first."""
    hazard = Hazard("RUNS_AGAIN", f"{why}; dbops migrate adopt takes that over without a run")
    entries = []
    for entry in finding.entries:
        if isinstance(entry.change, MigrationChange) and entry.change.migration.version in versions:
            steps = (
                replace(step, do=replace(step.do, hazards=(*step.do.hazards, hazard)))
                if isinstance(step.do, Call) and step.do.name == RUN
                else step
                for step in entry.steps
            )
            entry = replace(entry, steps=tuple(steps))
        entries.append(entry)
    return replace(finding, entries=tuple(entries))


def _taken_back(desired: DesiredMigrations, observed: ObservedMigrations, workspace: Workspace) -> str:
    """Return what Alembic, used beside, has taken back of what the ledger says is applied; empty where it agrees."""
    applied = [one.migration for one in observed.standings if one.migration is not None and one.state in ("applied", "cosmetic")]
    reader = workspace.targets.reader(desired.connection) if applied else None
    if reader is None:
        return ""
    from dbops.resources.migrations.adoption import adopted
    from dbops.state.histories import find_history

    known = [one.migration for one in observed.standings if one.migration is not None]
    try:
        history = find_history(reader, workspace.targets.engine(desired.connection).dialect, *_own_history(desired))
        there = {one.migration.version for one in adopted(history, known)}
    except DbopsError:  # of what cannot be read, or was applied from elsewhere, nothing is said
        return ""
    gone = [one for one in applied if one.version not in there]
    if not gone:
        return ""
    named = ", ".join(one.id for one in gone[:3]) + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")
    fix = f"dbops migrate resolve {gone[-1].version} --pending lets it run again" + (", and so each" if len(gone) > 1 else "")
    return f"the ledger says that {named} is applied, and Alembic's {history.table} does not: it was taken back there; {fix}"


def _saying(finding: Finding, text: str) -> Finding:
    if not text:
        return finding
    said = Observation(finding.work.desired.address, ELSEWHERE, text, "warning")
    observed = finding.observed
    assert isinstance(observed, ObservedMigrations)
    return replace(finding, observed=replace(observed, observations=(*observed.observations, said)))


def _own_history(desired: DesiredMigrations) -> tuple[Tool | None, str | None]:
    """Return where a set of Alembic's own files has its history; of other sets any runner's counts. Raises MigrationError."""
    if desired.format != "alembic":
        return None, None
    from dbops.resources.migrations.alembic_env import history_table

    return "alembic", history_table(desired.directory, desired.alembic)
