"""A plan as an SQL script: every statement in the order apply would run it, with its reason and hazards as comments."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dbops.cli.views import wording
from dbops.reconcile.plan import Plan
from dbops.reconcile.step import Call, Step

Terminated = Callable[[str, str], str]


def plan_sql(plan: Plan, terminated: Terminated | None = None) -> str:
    """Return the script; a step on another connection than the one before is headed by its name.

    `terminated(connection, sql)` ends a statement the way that database's own client reads it; None ends all with `;`.
    """
    end = terminated or (lambda on, sql: f"{sql};")
    reasons = {step.order: f"{entry.change.address}: {entry.change.reason}" for entry in plan.entries for step in entry.steps}
    parts = [f"-- dbops plan: {wording.on_one_line(plan.environment)}\n-- {wording.summary(plan)}"]
    on = None
    for step in plan.steps:
        if step.on != on:
            on = step.on
            parts.append(f"-- connection {wording.on_one_line(on)}")
        parts.append("\n".join(_step(step, reasons[step.order], end)))
    return "\n\n".join(parts) + "\n"


def _step(step: Step, reason: str, end: Terminated) -> Iterator[str]:
    yield f"-- {wording.on_one_line(reason)}"
    for warned in wording.warnings(step):
        yield f"-- {'!! ' if warned.stops else '! '}{warned.code}: {warned.message}"
    if isinstance(step.do, Call):
        yield f"-- not SQL: {wording.call_line(step.do)}"
        return
    for statement in step.do:
        if statement.parameters:
            yield f"-- with {wording.on_one_line(', '.join(repr(value) for value in statement.parameters))}"
        yield end(step.on, statement.for_client)
