"""apply: lock, plan, ask, do, look again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import partial
from time import monotonic

from dbops.dataclass import dataclass
from dbops.errors import ApplyError, ConvergenceError, DbopsError, LockTimeoutError, StalePlanError
from dbops.reconcile import plan as plans
from dbops.reconcile.executor import Execution, Progress, adding_to, execute, journaled, owner
from dbops.reconcile.fleet import FleetError, Rollout, fleet_error
from dbops.reconcile.journal import Journal, PatientJournal
from dbops.reconcile.patience import Patience, patiently
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.planner import Finding, Work, fingerprints, make_plan
from dbops.reconcile.policy import gate, refuse
from dbops.reconcile.resource import NOTHING_APPLIED
from dbops.state.journal import ApplyRecord, DatabaseJournal, close_interrupted
from dbops.state.tables import have_tables
from dbops.telemetry import measured
from dbops.usecases.fleet import Fleet, fleet_of, rollout_of, same_database
from dbops.usecases.observing import observe_together
from dbops.usecases.runtime import Workspace, now, timestamp, who
from dbops.version import __version__

LOCK = "dbops-apply"
LOCK_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """`apply_id` is None when nothing was done; `statements` counts what ran; `state` is done, nothing or declined."""

    plan: Plan
    apply_id: str | None
    statements: int
    state: str

    @property
    def is_approved(self) -> bool:
        return self.state != "declined"


@dataclass(frozen=True, slots=True)
class Consent:
    """How an apply is let through: `approve` is shown the plan, `allow` are hazard codes, `announce` tells what it waits for."""

    approve: Callable[[Plan], bool]
    allow: Collection[str] = ()
    lock_timeout_s: float = LOCK_TIMEOUT_S
    progress: Progress = lambda step, state: None
    announce: Callable[[str], None] = lambda text: None
    parallel: int | None = None
    """How many databases of a set bound by labels are worked on at a time, in place of what its manifest says."""


@measured("apply")
def apply(workspace: Workspace, consent: Consent, *, only: Sequence[str] = (), rehearse: bool = True) -> ApplyResult:
    """Plan under the locks of all databases that exist, ask, and carry the plan out.

    Raises:
        HazardError: a hazard is not allowed; nothing was done.
        ApplyError: a step failed; the journal says what stands.
        ConvergenceError: every step ran and a database still differs.
        LockTimeoutError: another apply held a lock for too long.
    """
    while True:
        with locked(workspace, consent, work=workspace.work) as locks:
            there = locks.workspace
            findings = observe_together(there, only)
            plan = make_plan(
                findings,
                there.targets,
                version=__version__,
                environment=there.path,
                now=now(),
                only=only,
                rehearse=rehearse,
            )
            try:
                return carry_out(plan, findings, there, consent, locks)
            except OvertakenError as error:
                consent.announce(f"{error.message}; planning anew")


@measured("apply")
def apply_saved(plan: Plan, workspace: Workspace, consent: Consent) -> ApplyResult:
    """Carry out a saved plan, if every database and what is wanted of it still are what the plan saw.

    Raises:
        StalePlanError: a database or its manifests moved since; nothing was done.
        and what `apply` raises.
    """
    with locked(workspace, consent, work=workspace.work) as locks:
        findings = observe_together(locks.workspace, plan.only)
        current = fingerprints(findings)
        moved = [name for name, mark in plan.fingerprints.items() if name in current and current[name] != mark]
        if moved:
            raise StalePlanError(
                f"the database or its manifests moved since this plan was made: {', '.join(moved)}",
                fix="make the plan again and review it",
                connections=moved,
            )
        return carry_out(plan, findings, locks.workspace, consent, locks)


def carry_out(plan: Plan, findings: Sequence[Finding], workspace: Workspace, consent: Consent, locks: Locks) -> ApplyResult:
    """Carry out a plan that was made from `findings` under `locks`; raises as `apply` does."""
    plan = replace(plan, observations=(*plan.observations, *locks.fleet.observations)) if locks.fleet.failures else plan
    refuse(said for finding in findings for said in finding.observations)
    if plan.is_empty:
        _settle(findings, workspace, NOTHING_APPLIED)
        if locks.fleet.failures:
            raise fleet_error(locks.fleet.failures, "the others lack nothing", sorted(locks.held), ())
        return ApplyResult(plan, None, 0, "nothing")
    gate(plan.steps, consent.allow)
    if not consent.approve(plan):
        return ApplyResult(plan, None, 0, "declined")
    apply_id = new_id()
    try:
        with run_plan(plan, workspace, consent, apply_id, locks) as statements:
            _settle(findings, workspace, apply_id)
    except FleetError as error:
        with adding_to(error):
            _settle([one for one in findings if error.done.issuperset(one.work.desired.connections)], workspace, apply_id)
        raise
    return ApplyResult(plan, apply_id, statements, "done")


def new_id() -> str:
    """Return an id that sorts by time: `20260131T120000-1a2b3c`, microseconds and one random digit after the dash."""
    moment = datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{moment.microsecond:05x}{secrets.randbelow(16):x}"


@contextmanager
def run_plan(
    plan: Plan, workspace: Workspace, consent: Consent, apply_id: str, locks: Locks, undoes: str | None = None
) -> Iterator[int]:
    """Run a plan under journals; the block looks at the outcome, and what it raises goes into the journals too.

    `undoes` is the apply that the plan takes back.
    """
    journals = _Journals(plan, workspace, apply_id, locks, undoes)
    try:
        execution = Execution(
            workspace.targets,
            workspace.by_address,
            workspace.desired,
            journals.of,
            consent.progress,
            _rollout(workspace, consent.parallel),
            locks.fleet.failures,
        )
        ran = execute(plan, execution)
        yield ran
    except FleetError as error:
        journals.part(error)
        raise
    except ConvergenceError as error:
        journals.fail("not converged", error)
        raise
    except DbopsError as error:
        journals.fail("failed", error)
        raise
    except KeyboardInterrupt:
        with suppress(DbopsError):  # the next apply closes what we cannot
            journals.finish("interrupted")
        raise
    journals.finish("done")


def _rollout(workspace: Workspace, parallel: int | None) -> Callable[[Entry], Rollout | None]:
    """Return what says of an entry how its set goes over many databases."""
    desired = workspace.desired

    def of(entry: Entry) -> Rollout | None:
        return rollout_of(desired.get(owner(entry.change.address)), parallel)

    return of


class _Journals:
    """One journal per database, begun when its first step is about to run: a database may be made by the step before."""

    def __init__(self, plan: Plan, workspace: Workspace, apply_id: str, locks: Locks, undoes: str | None) -> None:
        self._plan, self._workspace, self._apply_id, self._locks = plan, workspace, apply_id, locks
        self._undoes = undoes
        self._open: dict[str, Journal] = {}

    def of(self, connection: str) -> Journal | None:
        if connection not in self._open:
            targets = self._workspace.targets
            if targets.reader(connection) is None:
                return None  # the database is not there yet; its creation is told by its being there
            self._locks.take_new(connection)
            patience = Patience(targets.target(connection).lock_attempts)
            make = partial(
                DatabaseJournal,
                targets.writer(connection),
                targets.engine(connection).features,
                self._record(),
                timestamp,
                partial(targets.reopen, connection),
            )
            journal = PatientJournal(patiently(make, patience), patience)
            journal.begin(journaled(self._plan, connection))
            self._open[connection] = journal
        return self._open[connection]

    def finish(self, state: str, error: str = "") -> None:
        for journal in self._open.values():
            journal.finish(state, error)

    def fail(self, state: str, error: DbopsError) -> None:
        """Close every record; what keeps one from being written is told with the error."""
        for journal in self._open.values():
            with adding_to(error):
                journal.finish(state, error.message)

    def part(self, error: FleetError) -> None:
        """Close the record of each database by what came of it; what was not finished did not fail by itself."""
        for name, journal in self._open.items():
            own = error.failures.get(name)
            with adding_to(error):
                if name in error.done:
                    journal.finish("done", "")
                else:
                    journal.finish("failed", own.message if own is not None else "too many other databases failed")

    def _record(self) -> ApplyRecord:
        return ApplyRecord(
            id=self._apply_id,
            started_at=timestamp(),
            finished_at=None,
            state="running",
            who=who(),
            environment=self._plan.environment,
            dbops_version=__version__,
            plan_digest=plans.digest(self._plan),
            error=None,
            undoes=self._undoes,
        )


def _settle(findings: Sequence[Finding], workspace: Workspace, apply_id: str) -> None:
    """Look again; what was planned must be gone.

    Raises:
        ConvergenceError: names what still differs.
    """
    left = []
    for finding in findings:
        changes = finding.work.resource.settle(finding.work.desired, workspace.targets, apply_id)
        left += [change for change in changes if change.address not in finding.left_out]
    if left:
        lines = "\n".join(f"  {change.address}: {change.reason}" for change in left)
        raise ConvergenceError(
            f"every step ran, and the database still differs:\n{lines}",
            fix="run plan to see what is left, and please report this",
        )


class OvertakenError(StalePlanError):
    """The database was missing when the plan was made, and another apply has made and filled it meanwhile."""


@dataclass(slots=True)
class Locks:
    """The apply locks that are held, released with `stack`; all of them are waited for no longer than the consent says.

    The time counts from the first wait: what it takes to connect is none of it.
    """

    workspace: Workspace
    consent: Consent
    stack: ExitStack
    fleet: Fleet
    deadline: float | None = None
    held: set[str] = field(default_factory=set)
    places: dict[str, str] = field(default_factory=dict)

    def take(self, name: str) -> None:
        """Wait for the lock of a database, and close the records of applies that died in it.

        Raises:
            ApplyError: it is held already, by another connection of this environment.
            LockTimeoutError: another apply holds it for too long.
        """
        conn, engine = self.workspace.targets.writer(name), self.workspace.targets.engine(name)
        if (twin := self.places.get(conn.server.identity)) is not None:
            raise same_database(ApplyError, twin, name)
        try:
            self.stack.enter_context(engine.lock(conn, LOCK, 0.0))
        except LockTimeoutError as busy:
            self.deadline = self.deadline or monotonic() + self.consent.lock_timeout_s
            left_s = self.deadline - monotonic()
            if left_s <= 0:
                raise
            self.consent.announce(f"{name}: waiting up to {left_s:.0f} s for {busy.context.get('holder', 'another apply')}")
            self.stack.enter_context(engine.lock(conn, LOCK, left_s))
        self.held.add(name)
        self.places[conn.server.identity] = name
        close_interrupted(conn, engine.features, timestamp)

    def take_new(self, name: str) -> None:
        """Take the lock of a database that was missing when the plan was made; nothing happens when it is held.

        Raises:
            OvertakenError: another apply was faster.
        """
        if name in self.held:
            return
        self.take(name)
        if have_tables(self.workspace.targets.writer(name), self.workspace.targets.engine(name).features):
            raise OvertakenError(
                f"another apply made the database of {name} meanwhile",
                fix="make the plan again and review it",
                connections=[name],
            )


@contextmanager
def locked(
    workspace: Workspace, consent: Consent, names: Sequence[str] | None = None, work: Sequence[Work] = ()
) -> Iterator[Locks]:
    """Hold the apply lock of every database that exists (or of `names`), in the order of their names.

    `work` is what is wanted of them, by whoever can do without some: databases of sets bound by labels that cannot be reached or
    locked are left out of `locks.workspace`, as far as their sets allow.
    """
    with ExitStack() as stack:
        locks = Locks(workspace, consent, stack, fleet_of(work))
        for name in workspace.connection_names() if names is None else sorted(set(names)):
            try:
                if workspace.targets.writer_if_there(name) is not None:
                    locks.take(name)
            except DbopsError as error:
                locks.fleet.note(name, error)
        locks.workspace = locks.fleet.without(workspace)
        yield locks
