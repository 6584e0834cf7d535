"""plan: what apply would do, rehearsed; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbops.reconcile.plan import Plan
from dbops.reconcile.planner import make_plan
from dbops.telemetry import measured
from dbops.usecases.fleet import within_reach
from dbops.usecases.observing import look_together
from dbops.usecases.runtime import Workspace, now
from dbops.version import __version__


@measured("plan")
def plan(workspace: Workspace, *, only: Sequence[str] = (), rehearse: bool = True) -> Plan:
    """Return the plan of an environment, or of the addresses `only` and what lies below them.

    Raises:
        PlanError: an address that does not exist, or a rehearsal that did not come out right.
        Problems, SchemaError, ConnectError: sources that do not load, databases that cannot be reached.
    """
    workspace, fleet = within_reach(workspace, only)
    findings = look_together(workspace, only)
    made = make_plan(
        findings, workspace.targets, version=__version__, environment=workspace.path, now=now(), only=only, rehearse=rehearse
    )
    return replace(made, observations=(*made.observations, *fleet.observations)) if fleet.failures else made
