"""A plan as text for a person at a terminal: what changes, why, where it is written, the SQL, and what may go wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.reconcile.change import Action, Observation
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.step import Call, Step

COLORS: dict[Action, str] = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red", "run": "cyan"}
_SEVERITIES = {"info": "blue", "warning": "yellow", "error": "red"}


def plan_text(plan: Plan, allow: Collection[str] = ()) -> str:
    """Return the whole plan; SQL is indented and never wrapped. `allow` are hazards that the command line lets pass."""
    parts = [*_changes(plan, allow), *observations_text(plan.observations), *_rehearsal(plan)]
    if plan.entries:
        parts.append(style(wording.summary(plan), bold=True))
    if plan.is_refused:
        parts.append(style(wording.REFUSED, fg="red", bold=True))
    elif plan.is_empty:
        parts.append(style(wording.no_changes(plan), fg="yellow" if plan.is_blind else "green"))
    if codes := sorted(set(wording.stops(plan, allow))):
        flags = " ".join(f"--allow {code}" for code in codes)
        parts.append(style("Blocked", fg="red", bold=True) + f" until allowed: {flags}, or policy.allow in the manifest.")
    return "\n\n".join(parts)


def observations_text(observations: Sequence[Observation]) -> Iterator[str]:
    """Yield one block that lists what no step changes; nothing when there is nothing to say."""
    if not observations:
        return
    lines = [style("Observations", bold=True)]
    said = Counter((observation.code, observation.message) for observation in observations)
    for observation in observations:
        label = style(observation.severity, fg=_SEVERITIES[observation.severity])
        where = ""
        if said[observation.code, observation.message] > 1:  # of several databases
            where = style(f" ({'/'.join(observation.address.split('/')[:2])})", dim=True)
        first, *more = observation.message.split("\n")
        lines.append(f"  {label} {wording.on_one_line(f'{observation.code}: {first}')}{where}")
        lines += [indented(line, 2) for line in more]
        if observation.fix:
            lines.append(indented(observation.fix, 4))
    yield "\n".join(lines)


def indented(sql: str, spaces: int) -> str:
    """Return SQL as written, moved right."""
    return "\n".join(" " * spaces + line if line else line for line in wording.printable(sql).splitlines())


def _changes(plan: Plan, allow: Collection[str]) -> Iterator[str]:
    shows_connections = len(plan.connections) > 1
    for entry in wording.in_order(plan):
        yield "\n".join(_entry(entry, allow, shows_connections))


def _entry(entry: Entry, allow: Collection[str], shows_connections: bool) -> Iterator[str]:
    change = entry.change
    symbol = wording.SYMBOLS[change.action]
    yield style(f"{symbol:>3} {wording.on_one_line(change.address)}", fg=COLORS[change.action], bold=True)
    because = f"drift: {change.reason}" if change.cause == "drift" else change.reason
    where = style(f"({wording.place(change.at)})", dim=True) if change.at else ""
    if because or where:
        yield "    " + " ".join(part for part in (wording.on_one_line(because), where) if part)
    if not entry.steps:
        yield style("    done together with another change", dim=True)
    for step in entry.steps:
        yield from _step(step, allow, has_title=len(entry.steps) > 1, shows_connections=shows_connections)


def _step(step: Step, allow: Collection[str], *, has_title: bool, shows_connections: bool) -> Iterator[str]:
    if has_title or shows_connections:
        on = f" (on {step.on})" if shows_connections else ""
        yield style(f"    {wording.on_one_line(step.title + on)}", dim=True)
    yield from _act(step)
    for warned in wording.warnings(step, allow):
        yield _hazard(warned)
    if size := wording.estimate(step.estimate):
        yield style(f"      {size}", dim=True)
    if step.undo is None:
        yield style("      no undo", dim=True)


def _act(step: Step) -> Iterator[str]:
    if isinstance(step.do, Call):
        yield indented(wording.call_text(step.do), 8)
        return
    first, left_out, last = wording.folded(step.do)
    for statement in first:
        yield from _statement(statement)
    if left_out:
        yield style(f"        {left_out}", dim=True)
    for statement in last:
        yield from _statement(statement)


def _statement(statement: Any) -> Iterator[str]:
    yield indented(statement.sql, 8) + ";"
    if statement.parameters:
        yield indented(f"-- with {', '.join(repr(value) for value in statement.parameters)}", 8)


def _hazard(warned: wording.Warned) -> str:
    verdict = " (blocks until allowed)" if warned.stops else " (allowed)" if warned.is_allowed else ""
    mark = style(f"! {warned.code}{verdict}", fg="red" if warned.stops else "yellow", bold=warned.stops)
    return f"      {mark}: {warned.message}"


def _rehearsal(plan: Plan) -> Iterator[str]:
    done = plan.rehearsal
    if done is None:
        return
    where = wording.on_one_line(", ".join(done.connections))
    if done.ok:
        outcome = "the steps lead to the desired schema"
        yield f"Rehearsed on a scratch copy of {where} in {wording.duration(done.duration_s)}: {outcome}."
    else:
        lines = [style(f"The rehearsal on a scratch copy of {where} did not come out right:", fg="red")]
        yield "\n".join([*lines, *(f"  {wording.on_one_line(difference)}" for difference in done.differences)])
