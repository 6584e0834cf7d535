"""Many databases of one plan: which are done, which failed, and how many failures are too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.errors import ApplyError, DbopsError
from dbops.reconcile.plan import Plan
from dbops.reconcile.step import Step

_FIX = "mend the causes and run again: what is done is left alone, the rest goes on from where it is"


@dataclass(frozen=True, slots=True)
class Rollout:
    """How the set called `name` goes over many databases: how many may fail, and how many are worked on at a time."""

    name: str
    max_failures: int = 0
    parallel: int = 1


class FleetError(ApplyError):
    """Some of many databases failed. `failures` are told by connection; all steps of those in `done` ran."""

    def __init__(self, message: str, failures: Mapping[str, DbopsError], done: Sequence[str], left: Sequence[str]) -> None:
        self.failures: dict[str, DbopsError] = dict(failures)
        self.done: frozenset[str] = frozenset(done)
        first = next(iter(failures.values()))
        told = {"failed": {name: error.message for name, error in failures.items()}, "done": list(done), "left": list(left)}
        super().__init__(message, {**first.context, **told}, at=first.at, fix=_FIX)


@dataclass(slots=True)
class Fleet:
    """Counts the connections of a plan; one that failed gets no further steps, one out of reach had none."""

    plan: Plan
    failures: dict[str, DbopsError] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)
    """The last step of each connection that ran."""

    def passed(self, steps: Sequence[Step]) -> None:
        """Take note of neighbouring steps of one connection that ran."""
        self.reached[steps[0].on] = steps[-1].order

    def note(self, connection: str, error: ApplyError, rollout: Rollout | None) -> None:
        """Take note of a failure.

        Raises:
            ApplyError: as it is, where the plan is about one database, or the step is no fleet's and the first that failed.
            FleetError: there are more failures than allowed, or what failed is no fleet's.
        """
        is_single = rollout is None or len({step.on for step in self.plan.steps}) == 1
        if is_single and not self.failures:
            raise error
        self.failures[connection] = error
        if rollout is None:
            raise self._error(f"and what failed on {connection} stops the others") from error
        self.note_all({}, rollout)

    def note_all(self, errors: Mapping[str, DbopsError], rollout: Rollout) -> None:
        """Take note of failures that came side by side.

        Raises:
            FleetError: there are more than allowed.
        """
        self.failures |= errors
        if len(self.failures) > rollout.max_failures:
            raise self._error(f"more than maxFailures, {rollout.max_failures}") from next(reversed(self.failures.values()))

    def close(self) -> None:
        """Raise FleetError where there were failures, after all."""
        if self.failures:
            raise self._error("the others went on")

    def _error(self, verdict: str) -> FleetError:
        last = {step.on: step.order for step in self.plan.steps}
        done = [name for name in last if name not in self.failures and self.reached.get(name) == last[name]]
        left = [name for name in last if name not in self.failures and name not in done]
        return fleet_error(self.failures, verdict, done, left)


def fleet_error(failures: Mapping[str, DbopsError], verdict: str, done: Sequence[str], left: Sequence[str]) -> FleetError:
    """Return the error that counts databases: those that failed, with why, those that are done, those not begun."""
    total = len(failures) + len(done) + len(left)
    counts = f"{len(failures)} of {total} databases failed, {verdict}; {len(done)} are done"
    counts += f", {len(left)} wait for the next run: {_listed(left)}" if left else ""
    lines = "".join(f"\n  {name}: {error.message}{_further(error)}" for name, error in failures.items())
    return FleetError(f"{counts}{lines}", failures, done, left)


def _further(error: DbopsError) -> str:
    return f"\n    {error.fix}" if error.fix else ""


_SHOWN = 5


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
