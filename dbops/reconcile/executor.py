"""Runs the steps of a plan under a journal.

Neighbouring steps that allow it share one transaction; the others run statement by statement. Whatever happens, the
journal says of every statement whether it ran: `pending`, `running`, `done`, `failed`, `rolled back`, `interrupted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import field, replace
from functools import partial
from itertools import groupby
from threading import Event
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.interrupt import holding
from dbops.errors import ApplyError, DbopsError, LostConnectionError
from dbops.reconcile.fleet import Fleet, Rollout
from dbops.reconcile.journal import Journal
from dbops.reconcile.patience import Lookout, Patience, patiently
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.resource import Desired, Report, Resource, Targets
from dbops.reconcile.step import Call, Step
from dbops.sql.statement import Statement
from dbops.telemetry import Attributes, operation

Progress = Callable[[Step, str], None]


@dataclass(frozen=True, slots=True)
class Execution:
    """What an execution works with.

    `desired` holds by address what calls were planned for. `progress(step, state)` is told as steps are `running` and `done`, of
    some `running: ` what inside them, and in words what a step waits for. `rollout` says of an entry that is one of many
    databases' how it goes over them; None where it stands alone. `out_of_reach` are databases of many that failed before.
    """

    targets: Targets
    resources: Mapping[str, Resource[Any, Any]]
    desired: Mapping[str, Desired]
    journal: Callable[[str], Journal | None]
    progress: Progress
    rollout: Callable[[Entry], Rollout | None] = lambda entry: None
    out_of_reach: Mapping[str, DbopsError] = field(default_factory=dict)

    def patience(self, connection: str) -> Patience:
        """Return how patiently the statements of a connection are tried."""
        return Patience(self.targets.target(connection).lock_attempts)


def execute(plan: Plan, execution: Execution) -> int:
    """Run every step; return how many statements and calls ran.

    Raises:
        ApplyError: a statement failed; says which, what was rolled back and what stands.
        FleetError: databases of many failed; the others went on as far as was allowed.
        KeyboardInterrupt: passed on; whoever catches it finishes the journals, which closes what was running.
    """
    with holding():
        return _run_groups(plan, execution)


def _run_groups(plan: Plan, execution: Execution) -> int:
    owners = {step.order: entry for entry in plan.entries for step in entry.steps}
    fleet, ran = Fleet(plan, dict(execution.out_of_reach)), 0

    def rollout(group: Sequence[Step]) -> Rollout | None:
        return execution.rollout(owners[group[0].order])

    for way, stage in groupby(_groups(plan.steps, execution.targets), key=rollout):
        groups = [group for group in stage if group[0].on not in fleet.failures]
        if way is not None and way.parallel > 1 and len({group[0].on for group in groups}) > 1:
            ran += _run_abreast(groups, way, owners, fleet, execution)
            continue
        for group in groups:
            if group[0].on in fleet.failures:
                continue
            try:
                ran += _run_group(group, owners, execution)
            except ApplyError as error:
                fleet.note(group[0].on, error, way)
                continue
            fleet.passed(group)
    fleet.close()
    return ran


def _run_group(group: Sequence[Step], owners: Mapping[int, Entry], execution: Execution) -> int:
    attributes: Attributes = {"dbops.connection": group[0].on, "dbops.steps": len(group), "dbops.step": group[0].title}
    with operation("steps", attributes):
        if group[0].is_transactional and _shares_transactions(group[0], execution.targets):
            return _run_together(group, execution)
        return sum(_run_alone(step, owners[step.order], execution) for step in group)


def _run_abreast(
    groups: Sequence[list[Step]], way: Rollout, owners: Mapping[int, Entry], fleet: Fleet, execution: Execution
) -> int:
    """Run what one set has for many databases, so many of these at a time; return how many statements ran."""
    from dbops.reconcile.abreast import InOrder, abreast

    by_connection: dict[str, list[list[Step]]] = {}
    for group in groups:
        by_connection.setdefault(group[0].on, []).append(group)
    order, is_asked_to_end = InOrder(list(by_connection)), Event()

    def tell(step: Step, state: str) -> None:
        order.tell(step.on, partial(execution.progress, step, state))
        if is_asked_to_end.is_set():
            raise KeyboardInterrupt  # its last statement may have passed being stopped for being done

    own = replace(execution, progress=tell)

    def stop(name: str) -> None:
        is_asked_to_end.set()
        execution.targets.writer(name).stop()

    def job(name: str) -> int:
        try:
            return sum(_run_group(group, owners, own) for group in by_connection[name])
        finally:
            order.finish(name)

    outcomes = abreast(
        {name: partial(copy_context().run, job, name) for name in by_connection},
        way.parallel,
        lambda failed: len(fleet.failures) + failed > way.max_failures,
        stop,
    )
    order.finish_all()
    errors = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, ApplyError)}
    for name in outcomes.keys() - errors.keys():
        fleet.passed([step for group in by_connection[name] for step in group])
    if errors:
        fleet.note_all(errors, way)
    return sum(outcome for outcome in outcomes.values() if isinstance(outcome, int))


def journaled(plan: Plan, connection: str) -> list[tuple[str, Step]]:
    """Return the steps of one connection with the addresses of their changes, in order."""
    pairs = [(entry.change.address, step) for entry in plan.entries for step in entry.steps if step.on == connection]
    return sorted(pairs, key=lambda pair: pair[1].order)


def _groups(steps: Sequence[Step], targets: Targets) -> Iterator[list[Step]]:
    for _, group in groupby(steps, key=lambda step: (step.on, step.is_transactional)):
        yield list(group)


def _shares_transactions(step: Step, targets: Targets) -> bool:
    return targets.engine(step.on).features.has_transactional_ddl


_ROLLED_BACK = "the transaction was rolled back: nothing of it stands"
_UNKNOWN = "the connection was lost while all was being committed; the journal says whether it stands"


def _run_together(steps: Sequence[Step], execution: Execution) -> int:
    """Run steps in one transaction, which is rolled back and tried again as a whole when it waits too long for a lock."""
    group = _Together(steps, execution)
    try:
        return patiently(group.attempt, group.patience, group.give_way)
    except DbopsError as error:
        is_unknown = group.is_committing and isinstance(error, LostConnectionError)
        failure = _failure(group.running, error, _UNKNOWN if is_unknown else _ROLLED_BACK, group.lookout.seen)
        first, last, failed = steps[0].order, steps[-1].order, group.running.order
        with adding_to(failure):
            _mark(group.journal, failed, failed, "failed", error=error.message)
            _mark(group.journal, first, failed - 1, "rolled back")
            _mark(group.journal, failed + 1, last, "rolled back")
        raise failure from error


class _Together:
    """Steps that share a transaction, and how far the attempt that runs has come."""

    def __init__(self, steps: Sequence[Step], execution: Execution) -> None:
        self.steps, self.progress = steps, execution.progress
        self.running, self.is_committing = steps[0], False
        on = steps[0].on
        self.conn, self.journal, self.patience = execution.targets.writer(on), execution.journal(on), execution.patience(on)
        self.lookout = _lookout(on, execution, lambda text: self.progress(self.running, text))

    def attempt(self) -> int:
        first, last = self.steps[0].order, self.steps[-1].order
        self.running, self.is_committing, ran = self.steps[0], False, 0
        _mark(self.journal, first, last, "running")
        with self.conn.transaction(schema_change=True):
            for step in self.steps:
                self.running = step
                self.progress(step, "running")
                for statement in _statements(step):
                    self.lookout.execute(statement)
                    ran += 1
            if self.journal is not None:
                self.journal.mark(first, last, "done", in_transaction=True)
            self.is_committing = True
        for step in self.steps:
            self.progress(step, "done")
        return ran

    def give_way(self, error: DbopsError, text: str) -> None:
        _mark(self.journal, self.steps[0].order, self.steps[-1].order, "pending", error=f"{error.message}; {text}")
        self.progress(self.running, f"{error.message}{_blamed(self.lookout.seen)}; {text}")


def _run_alone(step: Step, entry: Entry, execution: Execution) -> int:
    execution.progress(step, "running")
    if isinstance(step.do, Call):
        return _run_call(step, step.do, entry, execution)
    lookout = _lookout(step.on, execution, lambda text: execution.progress(step, text))
    for place, statement in enumerate(step.do):
        _run_one(step, place, statement, lookout, execution)
    execution.progress(step, "done")
    return len(step.do)


def _run_call(step: Step, call: Call, entry: Entry, execution: Execution) -> int:
    resource, desired = execution.resources[entry.change.kind], execution.desired[owner(entry.change.address)]
    journal = execution.journal(step.on)
    is_marked = False

    def done() -> None:
        nonlocal is_marked
        if journal is not None:
            journal.mark(step.order, step.order, "done", in_transaction=True)
            is_marked = True

    try:
        report = Report(lambda text: execution.progress(step, text), done)
        ran = resource.call(call, desired, step.on, execution.targets, report)
    except DbopsError as error:
        failure = _failure(step, error, "earlier steps stand")
        with adding_to(failure):
            _mark(execution.journal(step.on), step.order, step.order, "failed", error=error.message)
        raise failure from error
    if not is_marked:
        _mark(execution.journal(step.on), step.order, step.order, "done")
    execution.progress(step, "done")
    return ran


def owner(address: str) -> str:
    """Return the address of the manifest that an object's address begins with."""
    return "/".join(address.split("/", 2)[:2])


def _run_one(step: Step, place: int, statement: Statement, lookout: Lookout, execution: Execution) -> None:
    """Run one statement that commits by itself, and try it again when it waits too long for a lock.

    One that waits as long as it takes has no lock timeouts, and what is left of it after a deadlock is not what it began with.
    """
    journal = execution.journal(step.on)

    def attempt() -> None:
        _mark(journal, step.order, step.order, "running", statement=place)
        lookout.execute(statement)

    def give_way(error: DbopsError, text: str) -> None:
        _mark(journal, step.order, step.order, "pending", statement=place, error=f"{error.message}; {text}")
        execution.progress(step, f"{error.message}{_blamed(lookout.seen)}; {text}")

    patience = execution.patience(step.on)
    try:
        patiently(attempt, replace(patience, attempts=1) if statement.lock_timeout_s == 0 else patience, give_way)
    except DbopsError as error:
        failure = _failure(step, error, _standing(step, place, error), lookout.seen)
        state = "interrupted" if isinstance(error, LostConnectionError) else "failed"
        with adding_to(failure):
            _mark(journal, step.order, step.order, state, statement=place, error=error.message)
        raise failure from error
    _mark(journal, step.order, step.order, "done", statement=place)


def _lookout(connection: str, execution: Execution, told: Callable[[str], None]) -> Lookout:
    lock_s = execution.targets.target(connection).timeouts.lock_s
    return Lookout(execution.targets.writer(connection), lock_s, told)


def _statements(step: Step) -> tuple[Statement, ...]:
    if isinstance(step.do, Call):
        raise ApplyError(f"the step {step.title!r} is no SQL and cannot share a transaction")
    return step.do


def _standing(step: Step, place: int, error: DbopsError) -> str:
    done = f"{place} of its {len(_statements(step))} statements stand" if place else "nothing of this step stands"
    if isinstance(error, LostConnectionError):
        done = f"{place} of its {len(_statements(step))} statements stand, and whether this one does shows the next plan"
    return f"{done}; earlier steps stand; the journal names them"


def _failure(step: Step, error: DbopsError, what_stands: str, blockers: Sequence[str] = ()) -> ApplyError:
    many = f", {attempts} times" if (attempts := error.context.get("attempts", 1)) > 1 else ""
    named = {"blockers": list(blockers)} if blockers else {}
    further = error.fix or "Mend the cause and run apply again: it goes on from what is there"
    return ApplyError(
        f"{step.title}: {error.message}{many}{_blamed(blockers)}",
        {**error.context, **named, "step": step.order, "connection": step.on},
        at=error.at,
        expected=error.expected,
        fix=f"{what_stands}{'; ' if further[0].islower() else '. '}{further}",
    )


def _blamed(blockers: Sequence[str]) -> str:
    return f"; in the way: {' and '.join(blockers)}" if blockers else ""


@contextmanager
def adding_to(failure: DbopsError) -> Iterator[None]:
    """Tell an error of the journal together with `failure`, not in its place."""
    try:
        yield
    except DbopsError as further:
        failure.fix = f"{failure.fix or ''}\n  and the journal could not be brought up to date: {further.message}"


def _mark(journal: Journal | None, first: int, last: int, state: str, *, statement: int | None = None, error: str = "") -> None:
    if journal is not None:
        journal.mark(first, last, state, statement=statement, error=error)
