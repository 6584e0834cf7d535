"""Which rules the numbers of a database break: those of the policies that watch it, else the pack and three of this place."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from dbops.dataclass import dataclass
from dbops.engines.base.metrics import METRICS, Value
from dbops.errors import Mark
from dbops.reconcile.planner import Work
from dbops.resources.monitoring.alerts import Alert, rules_of
from dbops.resources.monitoring.spec import AlertPolicySpec, RuleSpec
from dbops.resources.monitoring.watching import DesiredAlerts, figures_with, judge
from dbops.usecases.alerts import check
from dbops.usecases.performance.moments import Moment, history_in
from dbops.usecases.performance.places import name_of, workspace_of
from dbops.usecases.runtime import Workspace

#: What a single look can tell, beside the pack of rules that look back.
_RULES: Sequence[Mapping[str, Any]] = (
    {
        "name": "slow-statements",
        "metric": "mean_statement_seconds",
        "above": 1.0,
        "severity": "warning",
        "summary": "statements take a second and more: dbops monitor queries names the costliest, dbops advise what they lack",
    },
    {
        "name": "cache",
        "metric": "cache_hit_ratio",
        "below": 0.9,
        "severity": "warning",
        "summary": "one page in ten is asked of the system: more memory for the cache, or statements that read less",
    },
    {
        "name": "sessions-at-work",
        "metric": "connections_active",
        "above": 80,
        "severity": "warning",
        "summary": "more statements run at once than a server has cores for: a pooler, or smaller pools",
    },
)


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that is broken: since or at which moment, and the number that would be the limit, None where there is none."""

    alert: Alert
    limit: float | None
    at: float

    @property
    def effect(self) -> str:
        """What it means for the database."""
        return self.alert.summary.partition(": ")[0]

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self.alert.summary.partition(": ")[2] or self.alert.summary


def broken_now(
    folder: Path, database: str, own_url: str | None, *, clock: Callable[[], float] = time.time
) -> list[Broken] | None:
    """Look at a database and return the rules that it breaks; nobody is told. None where it cannot be reached by its name."""
    name = name_of(database)
    with workspace_of(folder, database, own_url) as found:
        if found is None:
            return None
        workspace = _watched(found, name)
        has = figures_with(workspace.targets.engine(name).metrics.names)
        limits = {
            rule.name: _limit(rule)
            for work in workspace.work
            if work.resource.kind == "alertpolicy"
            for rule in rules_of(cast("DesiredAlerts", work.desired).spec, has)
        }
        at = clock()
        with history_in(folder) as store:
            told = check(workspace, store, only=[name], notify=False, clock=lambda: at)
    return [Broken(alert, limits.get(alert.rule), at) for policy in told for alert in policy.firing]


def broken_then(database: str, moment: Moment) -> list[Broken]:
    """Return the rules that figures break which a program brought."""
    policy = _policy(Path(), name_of(database))
    has = frozenset(METRICS)
    limits = {rule.name: _limit(rule) for rule in rules_of(policy.spec, figures_with(has))}
    figures = [Value(name, number) for name, number in moment.figures.items()]
    found = judge(policy, has, figures, (), None, moment.at)
    return [Broken(alert, limits[alert.rule], moment.at) for alert in found if alert.state == "firing"]


def _watched(workspace: Workspace, name: str) -> Workspace:
    """Return a workspace in which a policy watches the database, if none does yet."""
    if any(work.resource.kind == "alertpolicy" and name in work.desired.connections for work in workspace.work):
        return workspace
    work = Work(workspace.resources["AlertPolicy"], _policy(workspace.environment.root, name))
    return replace(workspace, work=(*workspace.work, work))


def _policy(folder: Path, name: str) -> DesiredAlerts:
    spec = AlertPolicySpec.model_validate({"connection": name, "packs": ["essentials"], "rules": list(_RULES)})
    return DesiredAlerts(f"monitor of {name}", name, Mark(str(folder)), folder, folder, spec)


def _limit(rule: RuleSpec) -> float | None:
    return next((number for number in (rule.above, rule.below, rule.equals) if number is not None), None)
