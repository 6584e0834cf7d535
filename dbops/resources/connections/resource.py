"""The Connection kind as the loop sees it: the database must exist."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from dbops.dataclass import dataclass
from dbops.errors import ApplyError, Mark
from dbops.manifests.environment import Environment, Manifest
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.plan import Entry, Rehearsal
from dbops.reconcile.resource import Check, Report, Targets
from dbops.reconcile.step import Call, Step

CREATE_DATABASE = "create_database"


@dataclass(frozen=True, slots=True)
class DesiredConnection:
    """A database that should exist."""

    name: str
    at: Mark

    @property
    def address(self) -> str:
        return f"connection/{self.name}"

    @property
    def connections(self) -> tuple[str, ...]:
        return (self.name,)


@dataclass(frozen=True, slots=True)
class ObservedConnection:
    """Whether it does; `title` names the database without secrets."""

    exists: bool
    title: str
    fingerprints: Mapping[str, str]
    observations: tuple[Observation, ...] = ()


class ConnectionResource:
    """Fills `reconcile.resource.Resource` for the kind Connection."""

    kind = "connection"
    rank = 10

    def desired(self, manifest: Manifest, environment: Environment) -> Sequence[DesiredConnection]:
        return (DesiredConnection(manifest.name, manifest.at),)

    def check(self, desired: DesiredConnection, targets: Targets) -> Check:
        targets.target(desired.name)
        return Check()

    def observe(self, desired: DesiredConnection, targets: Targets) -> ObservedConnection:
        exists = targets.reader(desired.name) is not None
        title = targets.target(desired.name).url.redacted()
        return ObservedConnection(exists, title, {desired.name: "present" if exists else "missing"})

    def diff(self, desired: DesiredConnection, observed: ObservedConnection) -> Sequence[Change]:
        if observed.exists:
            return ()
        return (Change(address=desired.address, action="create", reason=f"{observed.title} does not exist", at=desired.at),)

    def steps(
        self, changes: Sequence[Change], desired: DesiredConnection, observed: ObservedConnection, targets: Targets
    ) -> Sequence[Entry]:
        call = Call(CREATE_DATABASE, {"connection": desired.name})
        return [
            Entry(change, (Step(on=desired.name, title=f"create the database {observed.title}", do=call),)) for change in changes
        ]

    def rehearse(
        self, entries: Sequence[Entry], desired: DesiredConnection, observed: ObservedConnection, targets: Targets
    ) -> Rehearsal | None:
        return None

    def call(self, call: Call, desired: DesiredConnection, connection: str, targets: Targets, report: Report) -> int:
        if call.name != CREATE_DATABASE:
            raise ApplyError(f"a connection plans no call {call.name!r}")
        targets.create(connection)
        return 1

    def taking_back(
        self, desired: DesiredConnection, targets: Targets, undo_id: str, addresses: Collection[str]
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def settle(self, desired: DesiredConnection, targets: Targets, apply_id: str) -> Sequence[Change]:
        return self.diff(desired, self.observe(desired, targets))
