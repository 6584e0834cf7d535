"""The statements that cost most, as text."""

from __future__ import annotations

from collections.abc import Sequence

from click import style

from dbops.cli.views import wording
from dbops.cli.views.journal import table
from dbops.usecases.workload import Asked, Counted

_TEXT = 300


def asked_text(found: Sequence[Asked]) -> str:
    """Return a table of costs for each connection, and the texts below it by their numbers."""
    return "\n\n".join(map(_asked, found)) if found else "This environment has no connections."


def _asked(one: Asked) -> str:
    name = style(wording.on_one_line(one.connection), bold=True)
    if one.error is not None:
        return f"{name}: {style('not asked', fg='red')}: {wording.printable(one.error)}"
    workload = one.workload
    if workload.why:
        mark = style("?", fg="yellow")
        return (
            f"{name} ({one.engine})\n\n{mark} not seen: {wording.printable(workload.why)}\n    {wording.printable(workload.fix)}"
        )
    if not workload.statements:
        return f"{name} ({one.engine}): no statement was counted yet"
    rows: list[tuple[str, ...]] = [("#", "SHARE", "TOTAL", "CALLS", "MEAN", "P95", "MOST", "ROWS", "READS")]
    rows += [_row(place, statement) for place, statement in enumerate(workload.statements, 1)]
    texts = [f"{place}. {_text(statement)}" for place, statement in enumerate(workload.statements, 1)]
    return "\n\n".join([f"{name} ({one.engine})", table(rows), "\n".join(texts)])


def _row(place: int, one: Counted) -> tuple[str, ...]:
    p95 = wording.duration(one.p95_s) if one.p95_s is not None else "?"
    times = (wording.duration(one.mean_s), p95, wording.duration(one.most_s))
    return (
        str(place),
        f"{one.share:.1%}",
        wording.duration(one.total_s),
        f"{one.calls:,}",
        *times,
        f"{one.rows:,}",
        f"{one.reads:,}",
    )


def _text(one: Counted) -> str:
    text = wording.on_one_line(one.text)
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
