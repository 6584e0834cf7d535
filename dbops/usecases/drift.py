"""drift: live against what was last applied, and against the manifests: who must move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Literal

from dbops.dataclass import dataclass
from dbops.errors import Mark
from dbops.reconcile.change import MIGRATION_DRIFT, Observation
from dbops.reconcile.plan import Entry
from dbops.reconcile.planner import Finding
from dbops.state.tables import have_tables
from dbops.usecases.fleet import within_reach
from dbops.usecases.observing import look_together
from dbops.usecases.runtime import Workspace

Mover = Literal["database", "manifests"]


@dataclass(frozen=True, slots=True)
class DriftItem:
    """One object whose live state is not the desired one.

    `mover` is `database` when the live state left what was last applied (put it back, or accept it), `manifests` when
    the manifests went ahead (apply them). `sql` is what apply would run. `is_mended` is false of what apply does not put back:
    what no migration did, where no schema says how things should be.
    """

    address: str
    connections: tuple[str, ...]
    action: str
    mover: Mover
    detail: str
    at: Mark | None
    sql: tuple[str, ...]
    is_mended: bool = True


@dataclass(frozen=True, slots=True)
class DriftReport:
    """`connections` are all that were looked at; `never_applied` are those of them that have nothing to leave."""

    connections: tuple[str, ...]
    items: tuple[DriftItem, ...]
    observations: tuple[Observation, ...]
    never_applied: tuple[str, ...] = ()

    @property
    def has_drift(self) -> bool:
        """Whether any database left what was last applied."""
        return any(item.mover == "database" for item in self.items)

    @property
    def is_clean(self) -> bool:
        return not self.items


def drift(workspace: Workspace, *, only: Sequence[str] = ()) -> DriftReport:
    """Return what differs between live databases, the last apply and the manifests; read-only."""
    workspace, fleet = within_reach(workspace, only)
    findings = look_together(workspace, only)
    connections = dict.fromkeys(name for finding in findings for name in finding.work.desired.connections)
    items = [_item(entry, finding.work.desired.connections) for finding in findings for entry in finding.entries]
    told = {name for item in items if item.mover == "database" for name in item.connections}
    items += [item for finding in findings for item in _by_hand(finding, told)]
    observations = dict.fromkeys(o for finding in findings for o in finding.observed.observations)
    observations |= dict.fromkeys(fleet.observations)
    never = tuple(name for name in connections if not _was_applied_to(name, workspace))
    return DriftReport(tuple(connections), tuple(items), tuple(observations), never)


def _was_applied_to(connection: str, workspace: Workspace) -> bool:
    reader = workspace.targets.reader(connection)
    return reader is not None and have_tables(reader, workspace.targets.engine(connection).features)


def _by_hand(finding: Finding, told: Set[str]) -> Iterator[DriftItem]:
    """Yield what no migration changed, unless a schema of the database tells of what drifted."""
    connections = finding.work.desired.connections
    for observation in finding.observed.observations:
        if observation.code == MIGRATION_DRIFT and told.isdisjoint(connections):
            yield DriftItem(
                observation.address,
                connections,
                "update",
                "database",
                observation.message,
                finding.work.desired.at,
                (),
                is_mended=False,
            )


def _item(entry: Entry, connections: tuple[str, ...]) -> DriftItem:
    change = entry.change
    mover: Mover = "database" if change.cause == "drift" else "manifests"
    sql = tuple(statement.sql for step in entry.steps if isinstance(step.do, tuple) for statement in step.do)
    return DriftItem(change.address, connections, change.action, mover, change.reason, change.at, sql)
