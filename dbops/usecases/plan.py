"""plan: what apply would do, rehearsed; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbops.errors import PlanError
from dbops.reconcile.plan import Plan
from dbops.reconcile.planner import make_plan
from dbops.telemetry import measured
from dbops.usecases.fleet import Fleet, same_database, within_reach
from dbops.usecases.observing import look_together
from dbops.usecases.runtime import Workspace, now
from dbops.version import __version__


@measured("plan")
def plan(workspace: Workspace, *, only: Sequence[str] = (), rehearse: bool = True) -> Plan:
    """Return the plan of an environment, or of the addresses `only` and what lies below them.

    Raises:
        PlanError: an address that does not exist, a rehearsal that did not come out right, or two connections to one database.
        Problems, SchemaError, ConnectError: sources that do not load, databases that cannot be reached.
    """
    workspace, fleet = within_reach(workspace, only)
    findings = look_together(workspace, only)
    if not only:
        _refuse_twins(workspace, fleet)
    made = make_plan(
        findings, workspace.targets, version=__version__, environment=workspace.path, now=now(), only=only, rehearse=rehearse
    )
    return replace(made, observations=(*made.observations, *fleet.observations)) if fleet.failures else made


def _refuse_twins(workspace: Workspace, fleet: Fleet) -> None:
    """Refuse what `apply` would: it locks each database once. Of many databases it leaves the second one out, and says so."""
    places: dict[str, str] = {}
    for name in sorted({name for item in workspace.work for name in item.desired.connections}):
        conn = None if name in fleet.rollouts else workspace.targets.reader(name)
        if conn is not None and (twin := places.setdefault(conn.server.identity, name)) != name:
            raise same_database(PlanError, twin, name)
