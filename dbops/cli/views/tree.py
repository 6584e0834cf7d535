"""A database as a tree, and the way from one schema to another as text, SQL and data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.text import indented
from dbops.usecases.compare import Comparison
from dbops.usecases.inspect import Inspection
from dbops.usecases.outline import Line


def inspection_text(inspection: Inspection, lines: Sequence[Line]) -> str:
    """Return the tree, what is not managed, and counts by kind."""
    head = f"{wording.on_one_line(inspection.url)}: {inspection.server.flavour} {inspection.server.version_text}"
    parts = [style(head, bold=True), *("\n".join(_tree(line)) for line in lines)]
    if unmanaged := inspection.catalog.unmanaged:
        found = [f"  {item.kind} {wording.on_one_line(item.name)}: {wording.on_one_line(item.reason)}" for item in unmanaged]
        parts.append("\n".join([style("Not managed", bold=True), *found]))
    counts = Counter(line.kind for line in lines)
    totals = ", ".join(wording.count(number, kind, wording.plural(kind)) for kind, number in counts.items())
    parts.append(totals or "The database is empty.")
    return "\n\n".join(parts)


def comparison_text(found: Comparison) -> str:
    """Return the acts with their SQL and hazards, and how many changes they make."""
    titles = f"from {wording.on_one_line(found.before)} to {wording.on_one_line(found.after)}"
    parts = []
    for act in found.acts:
        symbol, color = ("+", "green") if act.creates else ("-", "red") if act.drops else ("~", "yellow")
        lines = [style(f"{symbol:>3} {wording.on_one_line(str(act.ref))}", fg=color, bold=True)]
        lines += [indented(statement.sql, 8) + ";" for statement in act.do]
        mark = style("!", fg="yellow")
        lines += [f"      {mark} {hazard.code}: {wording.on_one_line(hazard.message)}" for hazard in act.hazards]
        parts.append("\n".join(lines))
    verdict = f"{wording.count(len(found.changes), 'change')} lead {titles}." if found.changes else f"No difference {titles}."
    return "\n\n".join([*parts, style(verdict, bold=True)])


def comparison_sql(found: Comparison) -> str:
    """Return the statements as a script of the engine's dialect."""
    head = f"-- from {wording.on_one_line(found.before)} to {wording.on_one_line(found.after)}\n"
    return head + "".join(
        found.engine.dialect.terminated(statement.for_client) + "\n" for act in found.acts for statement in act.do
    )


def comparison_data(found: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON values."""
    return {
        "before": found.before,
        "after": found.after,
        "differences": [{"address": one.address, "action": one.action, "reason": one.reason} for one in found.differences],
        "steps": [
            {
                "address": str(act.ref),
                "title": act.title,
                "sql": [statement.sql for statement in act.do],
                "hazards": [{"code": hazard.code, "message": hazard.message} for hazard in act.hazards],
            }
            for act in found.acts
        ],
    }


def _tree(line: Line) -> Iterator[str]:
    yield f"{line.kind} {style(wording.on_one_line(line.name), bold=True)} {wording.on_one_line(line.detail)}".rstrip()
    columns = [part for part in line.parts if part.kind == "column"]
    width = max((len(wording.on_one_line(part.name)) for part in columns), default=0)
    for part in columns:
        yield f"  {wording.on_one_line(part.name):<{width}}  {wording.on_one_line(part.detail)}".rstrip()
    for part in line.parts:
        if part.kind != "column":
            words = (style(part.kind, dim=True), wording.on_one_line(part.name), wording.on_one_line(part.detail))
            yield "  " + " ".join(word for word in words if word)
