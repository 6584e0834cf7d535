"""Whether another runner has had a database before: then what is pending may have been applied, and adopt takes it over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbops.errors import DbopsError
from dbops.reconcile.change import Observation
from dbops.reconcile.planner import Finding
from dbops.resources.migrations.model import DesiredMigrations, ObservedMigrations
from dbops.resources.migrations.standing import to_run
from dbops.usecases.runtime import Workspace

ELSEWHERE = "MIGRATION_ELSEWHERE"


def warned(findings: Sequence[Finding], workspace: Workspace) -> list[Finding]:
    """Return findings in which sets whose ledger is empty are told what another runner has applied; costs some queries each."""
    return [_warned(finding, workspace) for finding in findings]


def _warned(finding: Finding, workspace: Workspace) -> Finding:
    desired, observed = finding.work.desired, finding.observed
    if not isinstance(desired, DesiredMigrations) or not isinstance(observed, ObservedMigrations):
        return finding
    if not observed.exists or any(one.record is not None for one in observed.standings):
        return finding
    pending = [one.migration for one in to_run(observed.standings) if one.migration is not None]
    reader = workspace.targets.reader(desired.connection) if pending else None
    if reader is None:
        return finding
    from dbops.resources.migrations.adoption import spoken_of
    from dbops.state.histories import find_history

    try:
        history = find_history(reader, workspace.targets.engine(desired.connection).dialect)
    except DbopsError:  # there is none, or several, of which adopt tells; or none that could be read
        return finding
    known = spoken_of(history, pending)
    if not known or (history.tool == "alembic" and desired.format == "alembic"):  # Alembic's revisions are not run twice
        return finding
    named = ", ".join(one.id for one in known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
    text = (
        f"{history.title} has had this database: its {history.table} speaks of {named}, which would run once more;"
        " dbops migrate adopt takes the history over"
    )
    said = Observation(desired.address, ELSEWHERE, text, "warning")
    return replace(finding, observed=replace(observed, observations=(*observed.observations, said)))
