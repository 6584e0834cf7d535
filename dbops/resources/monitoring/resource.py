"""The AlertPolicy kind as the loop sees it: nothing is ever changed, and what is wrong now is an observation of the plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

from dbops.dataclass import dataclass
from dbops.errors import ApplyError, DbopsError
from dbops.manifests.environment import Environment, Manifest, bindings
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.plan import Entry, Rehearsal
from dbops.reconcile.resource import Check, Report, Targets
from dbops.reconcile.step import Call
from dbops.resources.monitoring.alerts import Alert
from dbops.resources.monitoring.figures import figures_of
from dbops.resources.monitoring.spec import AlertPolicySpec
from dbops.resources.monitoring.watching import LOOK_S, OBJECTS, DesiredAlerts, Remembered, judge

#: Opens what was remembered for an environment's folder, None where nothing was.
Opening = Callable[[Path], AbstractContextManager[Remembered | None]]


@dataclass(frozen=True, slots=True)
class ObservedAlerts:
    """What the rules say now. A plan made from it cannot be wrong, for nothing is planned."""

    observations: tuple[Observation, ...] = ()

    @property
    def fingerprints(self) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True, slots=True)
class AlertResource:
    """Fills `reconcile.resource.Resource` for the kind AlertPolicy; `clock` gives seconds since 1970."""

    clock: Callable[[], float]
    remembered: Opening

    kind = "alertpolicy"
    rank = 50

    def desired(self, manifest: Manifest, environment: Environment) -> Sequence[DesiredAlerts]:
        spec = cast("AlertPolicySpec", manifest.spec)
        several = spec.connection is None
        return [
            DesiredAlerts(
                name=f"{manifest.name}@{connection.name}" if several else manifest.name,
                connection=connection.name,
                at=manifest.at,
                root=manifest.root,
                environment=environment.root,
                spec=spec,
            )
            for connection in bindings(environment, manifest)
        ]

    def check(self, desired: DesiredAlerts, targets: Targets) -> Check:
        return Check()

    def observe(self, desired: DesiredAlerts, targets: Targets) -> ObservedAlerts:
        """Look without keeping what was seen: a plan leaves no trace."""
        conn = targets.reader(desired.connection)
        if conn is None:
            return ObservedAlerts()
        metrics, now = targets.engine(desired.connection).metrics, self.clock()
        try:
            with conn.ending_statements_after(LOOK_S):
                look = metrics.look(conn, objects=OBJECTS)
        except DbopsError as error:
            told = Observation(desired.address, "ALERT_UNKNOWN", f"nothing could be looked at: {error.message}", "warning")
            return ObservedAlerts((told,))
        with self.remembered(desired.environment) as remembered:
            before = remembered.counters(desired.connection) if remembered is not None else None
            figures = figures_of(look, now, before)
            alerts = judge(desired, metrics.names, figures, look.unseen, remembered, now)
        return ObservedAlerts(tuple(_told(desired, alert) for alert in alerts if alert.state != "ok" and not alert.is_silenced))

    def diff(self, desired: DesiredAlerts, observed: ObservedAlerts) -> Sequence[Change]:
        return ()

    def steps(
        self, changes: Sequence[Change], desired: DesiredAlerts, observed: ObservedAlerts, targets: Targets
    ) -> Sequence[Entry]:
        return ()

    def rehearse(
        self, entries: Sequence[Entry], desired: DesiredAlerts, observed: ObservedAlerts, targets: Targets
    ) -> Rehearsal | None:
        return None

    def call(self, call: Call, desired: DesiredAlerts, connection: str, targets: Targets, report: Report) -> int:
        raise ApplyError(f"an alert policy plans no call {call.name!r}")

    def taking_back(
        self, desired: DesiredAlerts, targets: Targets, undo_id: str, addresses: Collection[str]
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def settle(self, desired: DesiredAlerts, targets: Targets, apply_id: str) -> Sequence[Change]:
        return ()


def _told(desired: DesiredAlerts, alert: Alert) -> Observation:
    address = f"{desired.address}/{alert.rule}"
    if alert.state == "unknown":
        return Observation(address, "ALERT_UNKNOWN", f"{alert.figure} cannot be seen: {alert.summary}", "info")
    message = alert.says + (f": {alert.summary}" if alert.summary else "")
    if alert.state == "pending":
        return Observation(address, "ALERT_PENDING", message, "info")
    return Observation(address, "ALERT_FIRING", message, "error" if alert.severity == "critical" else alert.severity)
