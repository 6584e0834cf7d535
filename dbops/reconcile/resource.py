"""The one protocol: I/O at both ends (`observe`, `call`), pure in the middle (`desired`, `diff`, `steps`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.errors import Mark
from dbops.manifests.environment import Environment, Manifest
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.ledger import Ledger
from dbops.reconcile.plan import Entry, Rehearsal
from dbops.reconcile.step import Call


@dataclass(frozen=True, slots=True)
class Check:
    """What an offline check found: how many statements the sources hold, and why they were not tried out, if they were not."""

    statements: int = 0
    untried: str | None = None


NOTHING_APPLIED = "baseline"
"""Stands for the id of an apply where `settle` looks at databases to which nothing had to be done."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a call tells while it works.

    `told` hears in words what is being done, behind `running: `, and what it waits for. `done` may be called once, inside the
    transaction that ends the work, so that the journal's word for the step stands or falls with it.
    """

    told: Callable[[str], None]
    done: Callable[[], None]


class Memory(Protocol):
    """Texts that dbops keeps inside a managed database, by key: the last applied canonical catalog, for one."""

    def recall(self, key: str) -> str | None:
        """Return the text kept under `key`, None when there is none."""
        ...

    def remember(self, key: str, text: str, apply_id: str) -> None:
        """Keep `text` under `key`, in place of what was there."""
        ...

    def latest_apply(self) -> str | None:
        """Return the id of the apply that was begun last, however it ended; None when there was none."""
        ...


class Targets(Protocol):
    """The databases of an environment, opened when first asked for and shared by all resources."""

    def engine(self, connection: str) -> Engine: ...

    def target(self, connection: str) -> Target: ...

    def reader(self, connection: str) -> Connection | None:
        """Return the read-only session of a connection, None when its database does not exist yet."""
        ...

    def writer(self, connection: str) -> Connection:
        """Return the session that writes; the database must exist."""
        ...

    def create(self, connection: str) -> None:
        """Make the database of a connection; a reader asked for from now on sees it."""
        ...

    def memory(self, connection: str) -> Memory:
        """Return what dbops remembers inside this database."""
        ...

    def ledger(self, connection: str, table: str, set_name: str) -> Ledger:
        """Return the ledger of a set of migrations inside this database."""
        ...


class Desired(Protocol):
    """What one manifest wants of the connections it names."""

    @property
    def address(self) -> str: ...

    @property
    def connections(self) -> tuple[str, ...]: ...

    @property
    def at(self) -> Mark: ...


class Observed(Protocol):
    """What was found. `fingerprints` per connection differ whenever a plan made from it could be wrong."""

    @property
    def fingerprints(self) -> Mapping[str, str]: ...

    @property
    def observations(self) -> Sequence[Observation]: ...


D = TypeVar("D", bound=Desired)
O = TypeVar("O", bound=Observed)  # noqa: E741


class Resource(Protocol[D, O]):
    """One manifest kind. `rank` orders kinds on the same connection, lower first."""

    @property
    def kind(self) -> str: ...

    @property
    def rank(self) -> int: ...

    def desired(self, manifest: Manifest, environment: Environment) -> Sequence[D]:
        """Return what the manifest wants, one item per connection (or set of connections) it is bound to. Pure.

        Raises:
            ManifestError: the manifest contradicts itself in a way its types cannot say.
        """
        ...

    def check(self, desired: D, targets: Targets) -> Check:
        """Check what the manifest refers to without speaking to the servers of its connections.

        Raises:
            Problems, DbopsError: what is wrong.
        """
        ...

    def observe(self, desired: D, targets: Targets) -> O:
        """Read the live state; write nothing to the managed databases."""
        ...

    def diff(self, desired: D, observed: O) -> Sequence[Change]:
        """Return what differs. Pure."""
        ...

    def steps(self, changes: Sequence[Change], desired: D, observed: O, targets: Targets) -> Sequence[Entry]:
        """Return the changes with their steps, in the order the steps must run. Pure: asks engines to render, no more.

        Entries may be added for objects that must be made again because something they depend on changes.
        """
        ...

    def rehearse(self, entries: Sequence[Entry], desired: D, observed: O, targets: Targets) -> Rehearsal | None:
        """Run the steps on a scratch copy and compare; None when there is nothing to rehearse."""
        ...

    def call(self, call: Call, desired: D, connection: str, targets: Targets, report: Report) -> int:
        """Carry out a step that is no SQL, planned for `desired`; return how many statements ran, 1 for anything else."""
        ...

    def taking_back(self, desired: D, targets: Targets, undo_id: str, addresses: Collection[str]) -> AbstractContextManager[None]:
        """Hold while an apply is taken back: what the block changes counts as applied, so that nobody takes it for drift.

        `addresses` are those whose steps are taken back.
        """
        ...

    def settle(self, desired: D, targets: Targets, apply_id: str) -> Sequence[Change]:
        """After apply: observe anew, remember what was applied, and return what still differs (nothing, if all is well)."""
        ...
