"""A policy bound to a connection, held against one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from dbops.dataclass import dataclass
from dbops.engines.base.metrics import Counters, Unseen, Value
from dbops.errors import Mark
from dbops.resources.monitoring.alerts import Alert, Dot, evaluate, rules_of, silenced
from dbops.resources.monitoring.figures import FIGURES, sources_of
from dbops.resources.monitoring.spec import AlertPolicySpec

OBJECTS = 50
"""So many tables, indexes and sequences of a database are told at most, unless asked otherwise."""
LOOK_S = 10.0
"""A query of a look that takes longer is ended."""


class Remembered(Protocol):
    """What was kept of former looks and alerts."""

    def counters(self, connection: str) -> Counters | None: ...

    def series(self, connection: str, figure: str, since: float, until: float) -> Mapping[tuple[str, ...], Sequence[Dot]]: ...

    def alerts(self, policy: str) -> Mapping[tuple[str, tuple[str, ...]], Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class DesiredAlerts:
    """A policy bound to a connection. `name` is `policy`, or `policy@connection` where a selector chose; `root` is the
    manifest's folder, `environment` the one being planned.
    """

    name: str
    connection: str
    at: Mark
    root: Path
    environment: Path
    spec: AlertPolicySpec = field(repr=False)

    @property
    def address(self) -> str:
        return f"alertpolicy/{self.name}"

    @property
    def connections(self) -> tuple[str, ...]:
        return (self.connection,)


def judge(
    desired: DesiredAlerts,
    has: frozenset[str],
    figures: Sequence[Value],
    unseen: Sequence[Unseen],
    remembered: Remembered | None,
    now: float,
) -> list[Alert]:
    """Return what the policy's rules say of a look. `has` are the engine's metrics; without memory nothing was wrong before."""

    def past(figure: str, since: float) -> Mapping[tuple[str, ...], Sequence[Dot]]:
        return remembered.series(desired.connection, figure, since, now) if remembered is not None else {}

    rules = rules_of(desired.spec, figures_with(has))
    kept = remembered.alerts(desired.name) if remembered is not None else {}
    found = evaluate(rules, figures, reasons(unseen, has), past, kept, now)
    return silenced(found, desired.spec.silences, now)


def figures_with(has: frozenset[str]) -> frozenset[str]:
    """Return the figures that rest on these metrics alone."""
    return frozenset(name for name in FIGURES if sources_of(name) <= has)


def reasons(unseen: Sequence[Unseen], has: frozenset[str]) -> dict[str, str]:
    """Return by figure why it cannot be told."""
    why = {one.metric: f"{one.why}; {one.fix}" if one.fix else one.why for one in unseen}
    found = {name: next((why[source] for source in sorted(sources_of(name)) if source in why), None) for name in FIGURES}
    found |= {name: "this engine has no such figure" for name in FIGURES if not sources_of(name) <= has}
    return {name: reason for name, reason in found.items() if reason is not None}
