"""Many databases of one set: how the set goes over them, and what cannot be reached or locked kept apart from the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, TypeVar

from dbops.dataclass import dataclass
from dbops.errors import DbopsError
from dbops.reconcile.change import Observation

if TYPE_CHECKING:
    from dbops.reconcile.fleet import Rollout
    from dbops.reconcile.planner import Work
    from dbops.reconcile.resource import Desired
    from dbops.usecases.runtime import Workspace

E = TypeVar("E", bound=DbopsError)
OUT_OF_REACH = "DATABASE_UNREACHABLE"


def rollout_of(desired: Desired | None, parallel: int | None = None) -> Rollout | None:
    """Return how a set goes over many databases; None for everything that is bound to one by name.

    `parallel` stands in place of what the manifest says; Alembic, whose `op` is one for the whole program, runs one at a time.
    """
    from dbops.reconcile.fleet import Rollout
    from dbops.resources.migrations.model import DesiredMigrations

    if not isinstance(desired, DesiredMigrations) or desired.max_failures is None:
        return None
    side_by_side = 1 if desired.format == "alembic" else parallel or desired.parallel
    return Rollout(desired.set_name, desired.max_failures, side_by_side)


@dataclass(slots=True)
class Fleet:
    """The databases that are only bound to sets by labels, which may fail by themselves, and those that did before a plan."""

    rollouts: Mapping[str, Rollout]
    """The strictest of each connection's."""
    failures: dict[str, DbopsError] = field(default_factory=dict)

    def note(self, connection: str, error: DbopsError) -> None:
        """Take note that a database cannot be worked on.

        Raises:
            DbopsError: the error, where the database is none of many.
            FleetError: more failed than their sets allow; nothing was begun.
        """
        if connection not in self.rollouts:
            raise error
        self.failures[connection] = error
        if len(self.failures) > (allowed := self.rollouts[connection].max_failures):
            from dbops.reconcile.fleet import fleet_error

            left = [name for name in self.rollouts if name not in self.failures]
            raise fleet_error(self.failures, f"more than maxFailures, {allowed}", (), left) from error

    def without(self, workspace: Workspace) -> Workspace:
        """Return the workspace without the databases that failed."""
        if not self.failures:
            return workspace
        kept = tuple(item for item in workspace.work if self.failures.keys().isdisjoint(item.desired.connections))
        return replace(workspace, work=kept)

    @property
    def observations(self) -> list[Observation]:
        """What is to be said of those that failed."""
        return [
            Observation(f"connection/{name}", OUT_OF_REACH, f"{name} is left out: {error.message}", "warning")
            for name, error in self.failures.items()
        ]


def fleet_of(work: Iterable[Work]) -> Fleet:
    """Return the databases that nothing but sets bound by labels is wanted of."""
    found: dict[str, Rollout] = {}
    alone: set[str] = set()
    for item in work:
        if item.resource.kind == "connection":
            continue
        rollout = rollout_of(item.desired) if item.resource.kind == "migrationset" else None
        for name in item.desired.connections:
            if rollout is None:
                alone.add(name)
            elif name not in found or rollout.max_failures < found[name].max_failures:
                found[name] = rollout
    return Fleet({name: rollout for name, rollout in found.items() if name not in alone})


def within_reach(workspace: Workspace, only: Sequence[str] = ()) -> tuple[Workspace, Fleet]:
    """Open the databases of fleets; return the workspace without those that cannot be reached, and what became of them.

    `only` are the addresses that are asked about: where no set of migrations is among them, nothing is opened.

    Raises:
        FleetError: more cannot be reached than their sets allow.
    """
    is_asked = not only or any(address.startswith("migrationset/") for address in only)
    fleet = fleet_of(workspace.work if is_asked else ())
    for name in fleet.rollouts:
        try:
            workspace.targets.reader(name)
        except DbopsError as error:
            fleet.note(name, error)
    return fleet.without(workspace), fleet


def same_database(kind: type[E], twin: str, name: str) -> E:
    """Return the error about two connections of one environment that lead to one database."""
    return kind(
        f"the connections {twin} and {name} lead to the same database",
        connections=[twin, name],
        expected="one Connection for each database, which any number of manifests can name",
    )
