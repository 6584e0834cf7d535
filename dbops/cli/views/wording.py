"""Counts, sizes, places and marks in the words that every view uses."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from dbops.dataclass import dataclass
from dbops.errors import Mark
from dbops.reconcile.change import Action
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.step import Call, Step

SYMBOLS: dict[Action, str] = {"create": "+", "update": "~", "replace": "-/+", "delete": "-", "run": ">"}
NO_CHANGES = "No changes. The databases are what the manifests say."
NO_CHANGES_SEEN = "No changes in what could be seen. The errors say what could not."
NO_CHANGES_THERE = "No changes at the addresses asked for. Others were not looked at."

T = TypeVar("T")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return `text` with control and direction characters spelled out, so that a name cannot paint the screen."""
    text = text.replace("\r\n", "\n")
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def on_one_line(text: str) -> str:
    return " ".join(printable(text).split())


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 row`, `2 rows`, `1,200 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def folded(do: Sequence[T]) -> tuple[Sequence[T], str, Sequence[T]]:
    """Return the statements to show first, words for those in the middle that are too many to read, and those to show last."""
    if len(do) <= _MANY:
        return do, "", ()
    return do[:_FIRST], f"… and {count(len(do) - _FIRST - _LAST, 'more statement')}", do[-_LAST:]


_MANY, _FIRST, _LAST = 25, 10, 2


def plural(noun: str) -> str:
    """Return `tables`, `indexes`, `policies`, `foreign keys`."""
    if noun.endswith(("x", "s")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") and not noun.endswith("ey") else f"{noun}s"


def size(size_bytes: float) -> str:
    """Return a size with its binary unit: `512 B`, `3.1 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def duration(seconds: float) -> str:
    """Return `40 ms`, `1.2 s`, `90 s`, `3 min 20 s`."""
    if seconds < 1:
        return f"{max(seconds * 1000, 1):.0f} ms"
    if seconds < 120:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def estimate(values: Mapping[str, int | float] | None) -> str:
    """Return what is known of a table's weight, empty when nothing is."""
    if not values:
        return ""
    parts = []
    if "rows" in values:
        parts.append(count(int(values["rows"]), "row"))
    if values.get("bytes"):
        parts.append(size(values["bytes"]))
    if "seconds" in values:
        parts.append(duration(values["seconds"]))
    return "about " + ", ".join(parts) if parts else ""


def place(mark: Mark | None) -> str:
    """Return `file:line:column`, the file as seen from the working directory where it is inside; empty without a mark."""
    if mark is None:
        return ""
    if not os.path.isabs(mark.file):  # noqa: PTH117 (see below)
        return on_one_line(str(mark))
    here = os.getcwd() + os.sep  # noqa: PTH109 (pathlib is not worth its import for a prefix)
    return on_one_line(str(Mark(mark.file.removeprefix(here), mark.line, mark.column)))


def in_order(plan: Plan) -> list[Entry]:
    """Return the changes in the order in which their steps run; one without steps stands behind the first of its table."""
    first: dict[str, int] = {}
    for entry in plan.entries:
        for step in entry.steps:
            whole = _whole(entry)
            first[whole] = min(first.get(whole, step.order), step.order)
    last = len(plan.steps)
    return sorted(
        plan.entries, key=lambda entry: min((step.order for step in entry.steps), default=first.get(_whole(entry), last))
    )


def _whole(entry: Entry) -> str:
    """Return the address of the table (or other free-standing object) that a change belongs to."""
    return "/".join(entry.change.address.split("/", 4)[:4])


REFUSED = "Refused: apply stops before its first statement until the errors are settled."


def no_changes(plan: Plan) -> str:
    """Say that a plan is empty, and no more than it knows."""
    if plan.is_refused:
        return REFUSED
    if plan.is_blind:
        return NO_CHANGES_SEEN
    return NO_CHANGES_THERE if plan.only else NO_CHANGES


def summary(plan: Plan) -> str:
    """Return `Plan: 2 to create, 1 to update, 0 to replace, 1 to delete.`"""
    counts = plan.summary
    shown = [action for action in SYMBOLS if action != "run" or counts["run"]]
    return "Plan: " + ", ".join(f"{counts[action]} to {action}" for action in shown) + "."


@dataclass(frozen=True, slots=True)
class Warned:
    """A hazard as views show it. `stops`: apply refuses it until it is allowed."""

    code: str
    message: str
    stops: bool
    is_allowed: bool


def warnings(step: Step, allow: Collection[str] = ()) -> list[Warned]:
    """Return the hazards of a step, those that stop first; `allow` are codes that the command line lets pass."""
    found = []
    for hazard in step.hazards:
        by_flag = hazard.is_blocking and bool({hazard.code, "all"} & {*step.allowed, *allow})
        message = hazard.message if not hazard.allowed else f"{hazard.message} (its file allows it: {hazard.allowed})"
        is_allowed = by_flag or hazard.allowed is not None
        found.append(Warned(on_one_line(hazard.code), on_one_line(message), hazard.is_blocking and not by_flag, is_allowed))
    return sorted(found, key=lambda warned: not warned.stops)


def stops(plan: Plan, allow: Collection[str] = ()) -> list[str]:
    """Return the codes of the hazards that block apply, one for each step that carries one."""
    return [warned.code for step in plan.steps for warned in warnings(step, allow) if warned.stops]


def call_line(call: Call) -> str:
    """Return a step that is no SQL as `name(argument=value)`."""
    import json

    arguments = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    return f"{call.name}({', '.join(arguments)})"


def call_text(call: Call) -> str:
    """Return what people see of a step that is no SQL: the SQL that it will run, as far as it shows it, else the call itself."""
    return "\n".join(sql if sql.startswith("--") else f"{sql};" for sql in call.shows) if call.shows else call_line(call)
