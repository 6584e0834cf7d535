"""Runs the steps of a plan under a journal.

Neighbouring steps that allow it share one transaction; the others run statement by statement. Whatever happens, the
journal says of every statement whether it ran: `pending`, `running`, `done`, `failed`, `rolled back`, `interrupted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from dbops.errors import ApplyError, DbopsError, LostConnectionError, QueryError
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.resource import Resource, Targets
from dbops.reconcile.step import Call, Step
from dbops.sql.statement import Statement


class Journal(Protocol):
    """The record of one apply inside one database; `order` names a step, `statement` its statement from 0."""

    def begin(self, steps: Sequence[tuple[str, Step]]) -> None:
        """Write down all steps with their addresses as pending."""
        ...

    def mark(
        self, first: int, last: int, state: str, *, statement: int | None = None, error: str = "", in_transaction: bool = False
    ) -> None:
        """Set the state of the steps `first` to `last`, or of one statement of the step `first`; what is done stays done.

        With `in_transaction` it is written with what the transaction does, or not at all; else on another session if need be.
        """
        ...

    def finish(self, state: str, error: str = "") -> None:
        """Close the record: done, failed, interrupted or not converged; what still runs in it was interrupted."""
        ...


Progress = Callable[[Step, str], None]


@dataclass(frozen=True, slots=True)
class Execution:
    """What an execution works with. `progress(step, state)` is told as steps start and end."""

    targets: Targets
    resources: Mapping[str, Resource[Any, Any]]
    journal: Callable[[str], Journal | None]
    progress: Progress


def execute(plan: Plan, execution: Execution) -> int:
    """Run every step; return how many statements and calls ran.

    Raises:
        ApplyError: a statement failed; says which, what was rolled back and what stands.
        KeyboardInterrupt: passed on; whoever catches it finishes the journals, which closes what was running.
    """
    owners = {step.order: entry for entry in plan.entries for step in entry.steps}
    ran = 0
    for group in _groups(plan.steps, execution.targets):
        if group[0].is_transactional and _shares_transactions(group[0], execution.targets):
            ran += _run_together(group, execution)
        else:
            for step in group:
                ran += _run_alone(step, owners[step.order], execution)
    return ran


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
    conn = execution.targets.writer(steps[0].on)
    journal = execution.journal(steps[0].on)
    first, last = steps[0].order, steps[-1].order
    _mark(journal, first, last, "running")
    running, ran = steps[0], 0
    is_committing = False
    try:
        with conn.transaction(schema_change=True):
            for step in steps:
                running = step
                execution.progress(step, "running")
                for statement in _statements(step):
                    conn.execute(statement.sql, statement.parameters)
                    ran += 1
                execution.progress(step, "done")
            if journal is not None:
                journal.mark(first, last, "done", in_transaction=True)
            is_committing = True
    except DbopsError as error:
        is_unknown = is_committing and isinstance(error, LostConnectionError)
        failure = _failure(running, error, _UNKNOWN if is_unknown else _ROLLED_BACK)
        with adding_to(failure):
            _mark(journal, running.order, running.order, "failed", error=error.message)
            _mark(journal, first, running.order - 1, "rolled back")
            _mark(journal, running.order + 1, last, "rolled back")
        raise failure from error
    return ran


def _run_alone(step: Step, entry: Entry, execution: Execution) -> int:
    execution.progress(step, "running")
    if isinstance(step.do, Call):
        try:
            execution.resources[entry.change.kind].call(step.do, step.on, execution.targets)
        except QueryError as error:
            raise _failure(step, error, "earlier steps stand") from error
        _mark(execution.journal(step.on), step.order, step.order, "done")
        execution.progress(step, "done")
        return 1
    conn = execution.targets.writer(step.on)
    journal = execution.journal(step.on)
    for place, statement in enumerate(step.do):
        _mark(journal, step.order, step.order, "running", statement=place)
        try:
            conn.execute(statement.sql, statement.parameters)
        except DbopsError as error:
            failure = _failure(step, error, _standing(step, place, error))
            state = "interrupted" if isinstance(error, LostConnectionError) else "failed"
            with adding_to(failure):
                _mark(journal, step.order, step.order, state, statement=place, error=error.message)
            raise failure from error
        _mark(journal, step.order, step.order, "done", statement=place)
    execution.progress(step, "done")
    return len(step.do)


def _statements(step: Step) -> tuple[Statement, ...]:
    if isinstance(step.do, Call):
        raise ApplyError(f"the step {step.title!r} is no SQL and cannot share a transaction")
    return step.do


def _standing(step: Step, place: int, error: DbopsError) -> str:
    done = f"{place} of its {len(_statements(step))} statements stand" if place else "nothing of this step stands"
    if isinstance(error, LostConnectionError):
        done = f"{place} of its {len(_statements(step))} statements stand, and whether this one does shows the next plan"
    return f"{done}; earlier steps stand; the journal names them"


def _failure(step: Step, error: DbopsError, what_stands: str) -> ApplyError:
    return ApplyError(
        f"{step.title}: {error.message}",
        {**error.context, "step": step.order, "connection": step.on},
        at=error.at,
        expected=error.expected,
        fix=f"{what_stands}. {error.fix or 'Mend the cause and run apply again: it goes on from what is there'}",
    )


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
