"""Many databases of one plan: which are done, which failed, and how many failures are too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.errors import ApplyError
from dbops.reconcile.plan import Plan
from dbops.reconcile.step import Step

_FIX = "mend the causes and run again: what is done is left alone, the rest goes on from where it is"


class FleetError(ApplyError):
    """Some of many databases failed. `failures` are told by connection; all steps of those in `done` ran."""

    def __init__(self, message: str, failures: Mapping[str, ApplyError], done: Sequence[str], left: Sequence[str]) -> None:
        self.failures, self.done = dict(failures), frozenset(done)
        first = next(iter(failures.values()))
        told = {"failed": {name: error.message for name, error in failures.items()}, "done": list(done), "left": list(left)}
        super().__init__(message, {**first.context, **told}, at=first.at, fix=_FIX)


@dataclass(slots=True)
class Fleet:
    """Counts the connections of a plan; one that failed gets no further steps."""

    plan: Plan
    failures: dict[str, ApplyError] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)
    """The last step of each connection that ran."""

    def passed(self, steps: Sequence[Step]) -> None:
        """Take note of neighbouring steps of one connection that ran."""
        self.reached[steps[0].on] = steps[-1].order

    def note(self, connection: str, error: ApplyError, allowed: int | None) -> None:
        """Take note of a failure.

        Raises:
            ApplyError: as it is, where the plan is about one database, or the step is no fleet's and the first that failed.
            FleetError: there are more failures than allowed, or what failed is no fleet's.
        """
        is_single = allowed is None or len({step.on for step in self.plan.steps}) == 1
        if is_single and not self.failures:
            raise error
        self.failures[connection] = error
        if allowed is None:
            raise self._error(f"and what failed on {connection} stops the others") from error
        if len(self.failures) > allowed:
            raise self._error(f"more than maxFailures, {allowed}") from error

    def close(self) -> None:
        """Raise FleetError where there were failures, after all."""
        if self.failures:
            raise self._error("the others went on")

    def _error(self, verdict: str) -> FleetError:
        last = {step.on: step.order for step in self.plan.steps}
        done = [name for name in last if name not in self.failures and self.reached.get(name) == last[name]]
        left = [name for name in last if name not in self.failures and name not in done]
        counts = f"{len(self.failures)} of {len(last)} databases failed, {verdict}; {len(done)} are done"
        counts += f", {len(left)} wait for the next run: {_listed(left)}" if left else ""
        lines = "".join(f"\n  {name}: {error.message}\n    {error.fix}" for name, error in self.failures.items())
        return FleetError(f"{counts}{lines}", self.failures, done, left)


_SHOWN = 5


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
