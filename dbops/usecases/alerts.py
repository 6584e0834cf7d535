"""alerts: hold policies against what the databases do, remember what fires, and tell whoever should hear of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

from dbops.dataclass import dataclass
from dbops.engines.base.metrics import METRICS, Unseen
from dbops.errors import DbopsError, MonitoringError
from dbops.manifests.secrets import resolve
from dbops.resources.monitoring.alerts import Alert as Alert  # what faces show
from dbops.resources.monitoring.alerts import after_telling, rules_of, threshold, to_tell, with_those_gone
from dbops.resources.monitoring.figures import FIGURES
from dbops.resources.monitoring.spec import ChannelSpec
from dbops.resources.monitoring.watching import DesiredAlerts, figures_with, judge
from dbops.state.metrics import MetricsStore
from dbops.usecases.monitor import Reading, read
from dbops.usecases.runtime import Workspace
from dbops.usecases.telling import Telling, tell


@dataclass(frozen=True, slots=True)
class PolicyAlerts:
    """What the rules of one policy say of one connection. `told` are the alerts somebody was told of now, `failures` why not."""

    policy: str
    connection: str
    alerts: Sequence[Alert]
    told: Sequence[Alert] = ()
    failures: Sequence[str] = ()

    @property
    def firing(self) -> Sequence[Alert]:
        return [alert for alert in self.alerts if alert.state == "firing" and not alert.is_silenced]


def check(
    workspace: Workspace,
    store: MetricsStore,
    *,
    only: Collection[str] = (),
    notify: bool = True,
    clock: Callable[[], float] = time.time,
    process_env: Mapping[str, str] = os.environ,
) -> list[PolicyAlerts]:
    """Look once at every connection that a policy watches, and return what fires; without `notify` nobody is told.

    Raises:
        PlanError: `only` names a connection that is not there.
        MonitoringError: the environment has no AlertPolicy for these connections.
    """
    for name in only:
        workspace.require_connection(name)
    policies = [one for one in _policies(workspace) if not only or one.connection in only]
    if not policies:
        raise MonitoringError("no AlertPolicy watches these connections", fix="write one; dbops schema shows its fields")
    names = sorted({one.connection for one in policies})
    readings = {one.connection: one for one in read(workspace, store, only=names, clock=clock)}
    return [_of_policy(workspace, store, one, readings[one.connection], notify, process_env) for one in policies]


def _policies(workspace: Workspace) -> list[DesiredAlerts]:
    wanted = [item.desired for item in workspace.work if item.resource.kind == "alertpolicy"]
    return sorted(cast("list[DesiredAlerts]", wanted), key=lambda one: one.name)


def _of_policy(
    workspace: Workspace,
    store: MetricsStore,
    policy: DesiredAlerts,
    reading: Reading,
    notify: bool,
    process_env: Mapping[str, str],
) -> PolicyAlerts:
    has = workspace.targets.engine(policy.connection).metrics.names
    unseen = reading.unseen if reading.error is None else [Unseen(name, reading.error, "") for name in METRICS if name != "up"]
    alerts = judge(policy, has, reading.figures, unseen, store, reading.at)
    shown = len(alerts)
    alerts = with_those_gone(alerts, store.alerts(policy.name))
    told: dict[tuple[str, tuple[str, ...]], Alert] = {}
    failures: list[str] = []
    for place, channel in enumerate(policy.spec.notify if notify else ()):
        heard = []
        for alert in to_tell(alerts, str(place), policy.spec.remind, reading.at):
            if (failure := _tell(policy, channel, alert, reading, process_env)) is not None:
                failures.append(failure)
            else:
                heard.append(alert.key)
                told[alert.key] = alert
        alerts = after_telling(alerts, heard, str(place), reading.at)
    store.keep_alerts(policy.name, {alert.key: alert.kept() for alert in alerts if not alert.is_over})
    return PolicyAlerts(policy.name, policy.connection, alerts[:shown], list(told.values()), failures)


def _tell(
    policy: DesiredAlerts, channel: ChannelSpec, alert: Alert, reading: Reading, process_env: Mapping[str, str]
) -> str | None:
    """Tell one channel; return why it could not hear, None when it did or need not."""
    if alert.severity not in channel.severities:
        return None
    secret = channel.webhook or channel.apprise
    assert secret is not None
    names = FIGURES[alert.figure].labels if alert.figure else ()
    telling = Telling(
        policy=policy.name,
        connection=policy.connection,
        rule=alert.rule,
        state="firing" if alert.state == "firing" else "resolved",
        severity=alert.severity,
        figure=alert.figure,
        labels=dict(zip(names, alert.labels, strict=False)),
        value=alert.value,
        number=alert.number,
        threshold=alert.threshold,
        says=alert.says,
        summary=alert.summary,
        since=alert.since,
        at=reading.at,
    )
    try:
        url = resolve(secret, policy.root, process_env, policy.at).reveal()
        tell("webhook" if channel.webhook is not None else "apprise", url, telling)
    except DbopsError as error:
        return error.message
    return None


@dataclass(frozen=True, slots=True)
class KnownRule:
    """A rule as a policy has it on a connection, with what it wants in words."""

    policy: str
    connection: str
    name: str
    figure: str
    wants: str
    for_s: float
    severity: str
    summary: str


def rules(workspace: Workspace) -> list[KnownRule]:
    """Return every rule of every policy, by connection; nothing is looked at."""
    found = []
    for policy in _policies(workspace):
        has = figures_with(workspace.targets.engine(policy.connection).metrics.names)
        found += [
            KnownRule(policy.name, policy.connection, r.name, r.metric, threshold(r), r.for_, r.severity, r.summary)
            for r in rules_of(policy.spec, has)
        ]
    return found


def prometheus_rules(workspace: Workspace) -> str:
    """Return the policies as a rule file of Prometheus."""
    from dbops.resources.monitoring.promql import rule_file

    policies = _policies(workspace)
    engines = {one.name: figures_with(workspace.targets.engine(one.connection).metrics.names) for one in policies}
    return rule_file([(one, rules_of(one.spec, engines[one.name])) for one in policies])


def dashboard(workspace: Workspace) -> str:
    """Return a Grafana dashboard of what the environment's databases have."""
    from dbops.resources.monitoring.dashboard import dashboard_json

    names = [workspace.targets.engine(name).metrics.names for name in workspace.connection_names()]
    return dashboard_json(workspace.environment.root.name, frozenset().union(*names))
