"""A drift report as text, Markdown and data: what left the last apply, and what waits for the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.markdown import LIMIT, code, fenced, plain
from dbops.cli.views.text import indented, observations_text
from dbops.reconcile.change import ACTIONS
from dbops.usecases.drift import DriftItem, DriftReport, Mover

_SYMBOLS: dict[str, str] = {action: wording.SYMBOLS[action] for action in ACTIONS}
_HEADINGS: dict[Mover, tuple[str, str]] = {
    "database": (
        "The database moved",
        "Put it back with dbops apply, or keep it with dbops drift --accept all. To go back:",
    ),
    "manifests": ("The manifests moved", "Not applied yet. To catch up:"),
}
_BY_HAND = "Apply does not put it back, for no Schema says what it was: take it back by hand, or let a migration say it."


def drift_text(report: DriftReport, movers: Sequence[Mover]) -> str:
    """Return one block for each mover, then the verdict."""
    parts = []
    for mover in movers:
        heading, advice = _HEADINGS[mover]
        of_mover = [item for item in report.items if item.mover == mover]
        for how, is_mended in ((advice, True), (_BY_HAND, False)):
            if items := [item for item in of_mover if item.is_mended == is_mended]:
                parts.append(f"{style(heading + '.', bold=True)} {how}")
                parts += ["\n".join(_item(item)) for item in items]
    return "\n\n".join([*parts, *observations_text(report.observations), _verdict(report)])


def drift_markdown(report: DriftReport, movers: Sequence[Mover]) -> str:
    """Return the report for a code host's comment field; items that do not fit are counted."""
    title = f"## dbops drift\n\n{'⚠️' if report.has_drift else '✅'} {plain(_sentence(report))}"
    room = LIMIT - len(title.encode()) - 200
    blocks, left_out = [], 0
    for item in (item for mover in movers for item in report.items if item.mover == mover):
        block = _markdown_item(item)
        room -= len(block.encode()) + 2
        if room < 0:
            left_out += 1
        else:
            blocks.append(block)
    note = [f"**Left out for length:** {wording.count(left_out, 'object')}."] if left_out else []
    return "\n\n".join([title, *blocks, *note]) + "\n"


def drift_data(report: DriftReport, movers: Sequence[Mover]) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "has_drift": report.has_drift,
        "connections": list(report.connections),
        "never_applied": list(report.never_applied),
        "items": [_item_data(item) for item in report.items if item.mover in movers],
        "observations": [
            {"address": o.address, "code": o.code, "message": o.message, "severity": o.severity} for o in report.observations
        ],
    }


def _item_data(item: DriftItem) -> dict[str, Any]:
    return {
        "address": item.address,
        "connections": list(item.connections),
        "action": item.action,
        "mover": item.mover,
        "detail": item.detail,
        "at": None if item.at is None else item.at._asdict(),
        "sql": list(item.sql),
    }


def _item(item: DriftItem) -> Iterator[str]:
    color = "red" if item.mover == "database" else "yellow"
    yield style(f"{_SYMBOLS[item.action]:>3} {wording.on_one_line(item.address)}", fg=color, bold=True)
    where = style(f"({wording.place(item.at)})", dim=True) if item.at else ""
    yield "    " + " ".join(part for part in (wording.on_one_line(item.detail), where) if part)
    for sql in item.sql:
        yield indented(sql, 8) + ";"


def _markdown_item(item: DriftItem) -> str:
    heading = f"<b>{_HEADINGS[item.mover][0].lower()}</b> {code(item.address)}: {plain(item.detail)}"
    if not item.sql:
        return f"* {heading}"
    sql = fenced("\n".join(f"{statement};" for statement in item.sql), "sql")
    return f"<details><summary>{heading}</summary>\n\n{sql}\n\n</details>"


def _verdict(report: DriftReport) -> str:
    return style(_sentence(report), fg="red" if report.has_drift else "green", bold=report.has_drift)


def _sentence(report: DriftReport) -> str:
    moved = [item for item in report.items if item.mover == "database"]
    waiting = len(report.items) - len(moved)
    if moved:
        touched = len({name for item in moved for name in item.connections})
        text = f"Drift: {wording.count(len(moved), 'object')} in {wording.count(touched, 'database')} left what was last applied."
    elif report.never_applied == report.connections:
        text = "No drift: nothing was applied yet, so there is nothing to compare with."
    else:
        text = "No drift. The databases are what was last applied."
    if report.never_applied and report.never_applied != report.connections:
        text += f" Nothing was applied to {', '.join(report.never_applied)} yet."
    return f"{text} {wording.count(waiting, 'change')} in the manifests not applied yet." if waiting else text
