"""apply: lock, plan, ask, do, look again."""

from __future__ import annotations

import getpass
import secrets
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dbops.errors import ConvergenceError, DbopsError, StalePlanError
from dbops.reconcile import plan as plans
from dbops.reconcile.executor import Execution, Journal, Progress, execute, journaled
from dbops.reconcile.plan import Plan
from dbops.reconcile.planner import Finding, fingerprints, make_plan, observe
from dbops.reconcile.policy import gate
from dbops.state.journal import ApplyRecord, DatabaseJournal, close_interrupted
from dbops.usecases.runtime import Workspace, now
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


def apply(workspace: Workspace, consent: Consent, *, only: Sequence[str] = (), rehearse: bool = True) -> ApplyResult:
    """Plan under the locks of all databases that exist, ask, and carry the plan out.

    Raises:
        HazardError: a hazard is not allowed; nothing was done.
        ApplyError: a step failed; the journal says what stands.
        ConvergenceError: every step ran and a database still differs.
        LockTimeoutError: another apply held a lock for too long.
    """
    with _locks(workspace, consent):
        findings = observe(workspace.work, workspace.targets, only)
        plan = make_plan(
            findings, workspace.targets, version=__version__, environment=workspace.path, now=now(), only=only, rehearse=rehearse
        )
        return _carry_out(plan, findings, workspace, consent)


def apply_saved(plan: Plan, workspace: Workspace, consent: Consent) -> ApplyResult:
    """Carry out a saved plan, if every database still is what the plan saw.

    Raises:
        StalePlanError: a database moved since; nothing was done.
        and what `apply` raises.
    """
    with _locks(workspace, consent):
        findings = observe(workspace.work, workspace.targets, plan.only)
        current = fingerprints(findings)
        moved = [name for name, mark in plan.fingerprints.items() if name in current and current[name] != mark]
        if moved:
            raise StalePlanError(
                f"the database moved since this plan was made: {', '.join(moved)}",
                fix="make the plan again and review it",
                connections=moved,
            )
        return _carry_out(plan, findings, workspace, consent)


def _carry_out(plan: Plan, findings: Sequence[Finding], workspace: Workspace, consent: Consent) -> ApplyResult:
    if plan.is_empty:
        _settle(findings, workspace, "baseline")
        return ApplyResult(plan, None, 0, "nothing")
    gate(plan.steps, consent.allow)
    if not consent.approve(plan):
        return ApplyResult(plan, None, 0, "declined")
    apply_id = new_id()
    with run_plan(plan, workspace, consent, apply_id) as statements:
        _settle(findings, workspace, apply_id)
    return ApplyResult(plan, apply_id, statements, "done")


def new_id() -> str:
    """Return an id that sorts by time: `20260131T120000-1a2b3c`, microseconds and one random digit after the dash."""
    moment = datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{moment.microsecond:05x}{secrets.randbelow(16):x}"


@contextmanager
def run_plan(plan: Plan, workspace: Workspace, consent: Consent, apply_id: str) -> Iterator[int]:
    """Run a plan under journals; the block looks at the outcome, and what it raises goes into the journals too."""
    journals = _Journals(plan, workspace, apply_id)
    try:
        ran = execute(plan, Execution(workspace.targets, workspace.by_address, journals.of, consent.progress))
        yield ran
    except ConvergenceError as error:
        journals.finish("not converged", error.message)
        raise
    except DbopsError as error:
        journals.finish("failed", error.message)
        raise
    except KeyboardInterrupt:
        journals.finish("interrupted")
        raise
    journals.finish("done")


class _Journals:
    """One journal per database, begun when its first step is about to run: a database may be made by the step before."""

    def __init__(self, plan: Plan, workspace: Workspace, apply_id: str) -> None:
        self._plan, self._workspace, self._apply_id = plan, workspace, apply_id
        self._open: dict[str, Journal] = {}

    def of(self, connection: str) -> Journal | None:
        if connection not in self._open:
            targets = self._workspace.targets
            if targets.reader(connection) is None:
                return None  # the database is not there yet; its creation is told by its being there
            journal = DatabaseJournal(targets.writer(connection), targets.engine(connection).features, self._record(), _timestamp)
            journal.begin(journaled(self._plan, connection))
            self._open[connection] = journal
        return self._open[connection]

    def finish(self, state: str, error: str = "") -> None:
        for journal in self._open.values():
            journal.finish(state, error)

    def _record(self) -> ApplyRecord:
        return ApplyRecord(
            id=self._apply_id,
            started_at=_timestamp(),
            finished_at=None,
            state="running",
            who=who(),
            environment=self._plan.environment,
            dbops_version=__version__,
            plan_digest=plans.digest(self._plan),
            error=None,
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


@contextmanager
def _locks(workspace: Workspace, consent: Consent) -> Iterator[None]:
    """Hold the apply lock of every database that exists, in the order of their names."""
    deadline = now() + timedelta(seconds=consent.lock_timeout_s)
    with ExitStack() as stack:
        for name in workspace.connection_names():
            if workspace.targets.reader(name) is None:
                continue
            conn, engine = workspace.targets.writer(name), workspace.targets.engine(name)
            left_s = max((deadline - now()).total_seconds(), 0.0)
            stack.enter_context(engine.lock(conn, LOCK, left_s))
            close_interrupted(conn, engine.features, _timestamp)
        yield


def who() -> str:
    """Return `user@host` of whoever runs this."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _timestamp() -> str:
    return f"{now():%Y-%m-%dT%H:%M:%SZ}"
