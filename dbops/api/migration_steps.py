"""Migrations that are functions, in the order of their dependencies."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import field
from time import monotonic
from typing import TYPE_CHECKING

from dbops.api.db_manager import DatabaseManager
from dbops.api.migration_data import MigrationResult
from dbops.api.migration_records import connection_of
from dbops.arguments import checked
from dbops.dataclass import dataclass
from dbops.errors import MigrationError

if TYPE_CHECKING:
    from dbops.usecases.migrate.by_steps import StepLedger, StepSession

__all__ = ["MigrationRunner", "MigrationStep"]


@dataclass()
class MigrationStep:
    """A migration in Python.

    `up_fn` and `down_fn` are called with a session (`query(sql, params)` returns rows, `execute(sql, params)` the number of rows
    changed) in a transaction, or without arguments where they take none. Without `down_fn` nothing leads back.
    """

    id: str
    name: str
    description: str = ""
    up_fn: Callable[..., object] | None = None
    down_fn: Callable[..., object] | None = None
    dependencies: list[str] = field(default_factory=list)


@checked
class MigrationRunner:
    """Runs steps in the order of their dependencies, equal ones by id.

    With a URL or a `DatabaseManager` the database's ledger remembers them; without, they are remembered as long as the runner
    lives, and their functions are called without a session.

    Raises:
        MigrationError: the manager has no connection.
    """

    def __init__(self, database: str | DatabaseManager | None = None) -> None:
        if isinstance(database, DatabaseManager):
            database = connection_of(database).get_connection_string()
        self._steps: dict[str, MigrationStep] = {}
        self._applied: list[str] = []
        self._ledger: StepLedger | None = None
        if database is not None:
            from dbops.usecases.migrate.by_steps import StepLedger

            self._ledger = StepLedger(database)

    def add_step(self, step: MigrationStep) -> MigrationRunner:
        """Add a step, and return the runner.

        Raises:
            MigrationError: there is a step of that id (1 and 01 are one), or it has no `up_fn`.
        """
        from dbops.usecases.migrate.by_steps import must_be_new

        must_be_new(step.id, self._steps)
        if step.up_fn is None:
            raise MigrationError(f"the step {step.id} has no up_fn")
        self._steps[step.id] = step
        return self

    def get_steps(self) -> list[MigrationStep]:
        """Return all steps in the order in which they run.

        Raises:
            Problems: unknown dependencies, or a circle.
        """
        from dbops.usecases.migrate.by_steps import in_order

        return [self._steps[one] for one in in_order({step.id: step.dependencies for step in self._steps.values()})]

    def get_completed(self) -> list[str]:
        """Return the ids of what stands, in the order in which it ran."""
        return self._ledger.applied() if self._ledger is not None else list(self._applied)

    def get_pending(self) -> list[MigrationStep]:
        """Return the steps that are still to run, in order."""
        from dbops.usecases.migrate.by_steps import without

        steps = {step.id: step for step in self.get_steps()}
        return [steps[one] for one in without(steps, self.get_completed())]

    def run_up(self, target: str | None = None) -> list[MigrationResult]:
        """Run what is pending, up to the step `target` if one is named, until one fails.

        Raises:
            MigrationError: there is no step `target`.
        """
        if target is not None and target not in self._steps:
            raise MigrationError(f"Migration not found: {target}")
        results: list[MigrationResult] = []
        for step in self.get_pending():
            results.append(self._run(step, is_up=True))
            if not results[-1].success or step.id == target:
                break
        return results

    def run_down(self, steps: int = 1) -> list[MigrationResult]:
        """Take the last `steps` back, last first, until one fails.

        Raises:
            MigrationError: a step has no way back, or is not known here; nothing was done.
        """
        from dbops.usecases.migrate.by_steps import same_of

        last = list(reversed(self.get_completed()))[:steps]
        going = [self._steps.get(same_of(one, self._steps) or one) or MigrationStep(one, one) for one in last]
        if stuck := next((step for step in going if step.down_fn is None), None):
            raise MigrationError(f"nothing leads back from {stuck.id}", expected="a step with down_fn")
        results: list[MigrationResult] = []
        for step in going:
            results.append(self._run(step, is_up=False))
            if not results[-1].success:
                break
        return results

    def close(self) -> None:
        """Close the sessions."""
        if self._ledger is not None:
            self._ledger.close()

    def _run(self, step: MigrationStep, *, is_up: bool) -> MigrationResult:
        function = step.up_fn if is_up else step.down_fn
        assert function is not None
        if self._ledger is not None:
            ran = self._ledger.run(step.id, step.name, lambda session: _called(function, session), is_up=is_up)
            seconds, rows, error = ran.seconds, ran.rows, ran.error
        else:
            began, rows, error = monotonic(), 0, None
            try:
                function()
            except Exception as failed:  # whatever the program's function raises is the answer
                error = f"{type(failed).__name__}: {failed}"
            seconds = monotonic() - began
        if error is None and is_up:
            self._applied.append(step.id)
        elif error is None and step.id in self._applied:
            self._applied.remove(step.id)
        return MigrationResult(step.id, error is None, seconds, error, rows)


def _called(function: Callable[..., object], session: StepSession) -> object:
    return function(session) if inspect.signature(function).parameters else function()
