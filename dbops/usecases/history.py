"""history, show and undo: what was applied, by whom, and taking it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.errors import DbopsError, PlanError
from dbops.reconcile.change import Change
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.policy import gate
from dbops.reconcile.step import Call, Step
from dbops.sql.statement import Statement
from dbops.state.journal import UNDONE, ApplyRecord, StepRecord, applies, mark_undone, standing_after, step_records
from dbops.usecases.apply import ApplyResult, Consent, Locks, locked, new_id, run_plan
from dbops.usecases.runtime import Workspace, now
from dbops.version import __version__


@dataclass(frozen=True, slots=True)
class AppliedTo:
    """One apply as one database remembers it."""

    connection: str
    record: ApplyRecord
    steps: tuple[StepRecord, ...] = ()


Told = Callable[[str], None]
"""Hears in words which databases were left out, because they cannot be reached."""


def history(workspace: Workspace, *, limit: int = 20, told: Told = lambda text: None) -> list[AppliedTo]:
    """Return the latest applies of all connections that exist, newest first.

    Raises:
        ConnectError: no database can be reached.
    """
    found = []
    for name, conn in _within_reach(workspace, told):
        found += [AppliedTo(name, record) for record in applies(conn, workspace.targets.engine(name).features, limit)]
    return sorted(found, key=lambda item: (item.record.started_at, item.record.id), reverse=True)[:limit]


def _within_reach(workspace: Workspace, told: Told) -> Iterator[tuple[str, Connection]]:
    """Yield the databases that are there; those out of reach are told, and are an error where all of them are."""
    names = workspace.connection_names()
    failures = 0
    for name in names:
        try:
            conn = workspace.targets.reader(name)
        except DbopsError as error:
            failures += 1
            if failures == len(names):
                raise
            told(f"{name} is left out: {error.message}")
            continue
        if conn is not None:
            yield name, conn


def show_apply(workspace: Workspace, apply_id: str, *, only: Sequence[str] = (), told: Told | None = None) -> list[AppliedTo]:
    """Return one apply, with its statements, as each database remembers it, or each of `only`.

    Databases that cannot be reached are left out where somebody is `told`.

    Raises:
        PlanError: no database that was asked knows the id.
        ConnectError: a database cannot be reached, and nobody is told; or none can.
    """
    found = []
    asked = _within_reach(workspace, told) if told is not None and not only else _all(workspace, only)
    for name, conn in asked:
        features = workspace.targets.engine(name).features
        record = next((record for record in applies(conn, features, 10_000) if record.id == apply_id), None)
        if record:
            found.append(AppliedTo(name, record, tuple(step_records(conn, features, apply_id))))
    if not found:
        where = f"in {', '.join(only)}" if only else "in this environment"
        raise PlanError(f"no apply {apply_id!r} {where}", fix="list them with: dbops history")
    return found


def _all(workspace: Workspace, only: Sequence[str]) -> Iterator[tuple[str, Connection]]:
    """Yield the databases of an environment that are there, or those of `only`."""
    for name in only or workspace.connection_names():
        try:
            conn = workspace.targets.reader(workspace.require_connection(name))
        except DbopsError as error:
            if not only and len(workspace.targets.known) > 1:
                error.fix = "--connection names the databases on which it is taken back; it can be on the others later"
            raise
        if conn is not None:
            yield name, conn


def undo(workspace: Workspace, apply_id: str, consent: Consent, *, only: Sequence[str] = ()) -> ApplyResult:
    """Take an apply back, on the connections of `only` or all of them: run the undo of what was done, last first.

    What comes back is the structure, and the rows that were archived when they were deleted. The manifests still say
    what they said: a plan right after shows the difference. Where an undo failed half way, the next goes on from there.

    Raises:
        PlanError: unknown id, taken back already, later applies stand on it, or a step that nothing takes back; nothing was done.
        ConnectError: a database cannot be reached; nothing was done.
        and what `apply` raises.
    """
    names = [applied.connection for applied in show_apply(workspace, apply_id, only=only)]
    with locked(workspace, consent, names) as locks:
        return _take_back(workspace, apply_id, names, consent, locks)


def _take_back(workspace: Workspace, apply_id: str, names: Sequence[str], consent: Consent, locks: Locks) -> ApplyResult:
    entries: list[Entry] = []
    found = show_apply(workspace, apply_id, only=names)
    offset, is_resumed = 0, False
    for applied in found:
        _must_be_last(applied, workspace)
        attempts = _attempts(workspace, applied)
        is_resumed = is_resumed or bool(attempts)
        entries += _undo_entries(applied, offset, attempts)
        offset += len(_done_steps(applied.steps))
    if not entries and not is_resumed:
        raise PlanError(f"nothing of apply {apply_id} stands, so there is nothing to take back")
    plan = Plan(
        dbops_version=__version__,
        environment=workspace.path,
        created_at=f"{now():%Y-%m-%dT%H:%M:%SZ}",
        fingerprints={},
        entries=tuple(entries),
    )
    gate(plan.steps, consent.allow)
    if not consent.approve(plan):
        return ApplyResult(plan, None, 0, "declined")
    undo_id = new_id()
    with (
        _counting_as_applied(plan, [applied.connection for applied in found], workspace, undo_id),
        run_plan(plan, workspace, consent, undo_id, locks, undoes=apply_id) as statements,
    ):
        for applied in found:
            targets = workspace.targets
            mark_undone(targets.writer(applied.connection), targets.engine(applied.connection).features, apply_id)
    return ApplyResult(plan, undo_id, statements, "done")


@contextmanager
def _counting_as_applied(plan: Plan, connections: Sequence[str], workspace: Workspace, undo_id: str) -> Iterator[None]:
    """Hold while a plan takes an apply back: what it leaves is what drift is measured by afterwards."""
    addresses = {entry.change.address for entry in plan.entries}
    with ExitStack() as stack:
        for work in workspace.work:
            if not set(connections).isdisjoint(work.desired.connections):
                stack.enter_context(work.resource.taking_back(work.desired, workspace.targets, undo_id, addresses))
        yield


def _must_be_last(applied: AppliedTo, workspace: Workspace) -> None:
    """Refuse what was taken back before, and what later applies were built upon."""
    record, name = applied.record, applied.connection
    if record.state == UNDONE:
        raise PlanError(f"apply {record.id} was taken back already", fix="dbops apply does what the manifests say")
    if record.undoes is not None:
        raise PlanError(f"apply {record.id} took back {record.undoes}", fix="dbops apply does what the manifests say")
    later = standing_after(workspace.targets.writer(name), workspace.targets.engine(name).features, record.id)
    if later:
        raise PlanError(
            f"later applies of {name} stand upon apply {record.id}: {', '.join(later)}",
            fix=f"take back the latest first: {later[-1]}",
        )


def _attempts(workspace: Workspace, applied: AppliedTo) -> list[list[StepRecord]]:
    """Return the statements of each undo of this apply that did not come to its end, oldest first."""
    conn, features = workspace.targets.writer(applied.connection), workspace.targets.engine(applied.connection).features
    before = [
        record for record in applies(conn, features, 10_000) if record.undoes == applied.record.id and record.state != "done"
    ]
    return [step_records(conn, features, record.id) for record in reversed(before)]


def _undo_entries(applied: AppliedTo, offset: int, attempts: Sequence[Sequence[StepRecord]]) -> list[Entry]:
    """Return what is left to take back; each step has the same number in every attempt, which is how they are told."""
    done = _done_steps(applied.steps)
    stuck = [step for step in done if step.undo is None]
    if stuck:
        raise PlanError(
            f"apply {applied.record.id} cannot be taken back: nothing undoes “{stuck[0].title}”",
            {"address": stuck[0].address},
            fix="restore a backup, or write the way back into the manifests",
        )
    return [
        _undo_entry(replace(step, undo=left), applied.connection, order)
        for order, step in enumerate(reversed(done), offset)
        if (left := _left(step.undo, order, attempts))
    ]


def _left(
    act: tuple[Statement, ...] | Call | None, order: int, attempts: Sequence[Sequence[StepRecord]]
) -> tuple[Statement, ...] | Call | None:
    """Return what earlier attempts did not come to, with the session settings it runs under."""
    for attempt in attempts:
        if isinstance(act, tuple):
            ran = {step.statement for step in attempt if step.order == order and step.state == "done"}
            act = tuple(sql for place, sql in enumerate(act) if place not in ran or _holds_for_session(sql))
            act = () if ran and all(map(_holds_for_session, act)) else act
    return act


def _holds_for_session(statement: Statement) -> bool:
    return _is_setting(statement.sql)


def _is_setting(sql: str) -> bool:
    return sql.startswith(("SET ", "PRAGMA "))


def _done_steps(steps: Sequence[StepRecord]) -> list[StepRecord]:
    """Return the first record of each step of which something ran, settings apart; a database that was made stays."""
    ran = {step.order for step in steps if step.state == "done" and not _is_setting(step.sql)}
    first = [step for step in steps if step.statement == 0 and step.order in ran]
    return [step for step in first if not step.address.startswith("connection/")]


def _undo_entry(record: StepRecord, connection: str, order: int) -> Entry:
    act = record.undo
    assert act is not None
    step = Step(on=connection, title=f"undo: {record.title}", do=act, order=order)
    return Entry(Change(address=record.address, action="run", reason="taken back"), (step,))
