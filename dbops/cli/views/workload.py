"""The statements that cost most, as text."""

from __future__ import annotations

from collections.abc import Sequence

from click import style

from dbops.cli.views import wording
from dbops.cli.views.tables import table
from dbops.usecases.monitor import in_words
from dbops.usecases.workload import Asked, Counted, SamplePlan, Slower

_TEXT = 300
ESTIMATED = "~: of the means of short stretches of time, so that single slow calls are hidden"


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
        return f"{name} ({one.engine}): {nothing(one)}"
    rows: list[tuple[str, ...]] = [("#", "SHARE", "TOTAL", "CALLS", "MEAN", "P95", "MOST", "ROWS", "READS", "IO")]
    rows += [_row(place, statement) for place, statement in enumerate(workload.statements, 1)]
    parts = [f"{name} ({one.engine}), {span(one)}", table(rows)]
    if any(statement.p95_from == "means" for statement in workload.statements):
        parts.append(ESTIMATED)
    plans = one.plans
    parts.append("\n".join(_text(place, item, plans.get(item.id)) for place, item in enumerate(workload.statements, 1)))
    if one.slower:
        parts.append("\n".join([style("Slower than in the week before:", fg="yellow"), *map(_slower, one.slower)]))
    return "\n\n".join(parts)


def seconds(number: float) -> str:
    """Return a time as people read it, short ones in milliseconds."""
    return in_words(number, "seconds")


def span(one: Asked) -> str:
    """Say which time the costs are of."""
    return "since counting began" if one.since_s is None else f"the last {seconds(one.since_s)}"


def nothing(one: Asked) -> str:
    """Say that there are no statements, and why."""
    if one.since_s is None:
        return "no statement was counted yet"
    return "the history has nothing of that time; every look of dbops monitor adds to it"


def p95(one: Counted) -> str:
    """Return the 95th part of a hundred with `~` before an estimate, `?` where nothing is known."""
    if one.p95_s is None:
        return "?"
    return f"{'~' if one.p95_from == 'means' else ''}{seconds(one.p95_s)}"


def changed(one: Slower) -> str:
    """Say what became slower in both figures."""
    before = f"{seconds(one.mean_before_s)} over {wording.count(one.calls_before, 'call')}"
    now = f"{seconds(one.mean_s)} over {wording.count(one.calls, 'call')}"
    return f"{one.ratio:.1f} times: {before} before, {now} now, {seconds(one.extra_s)} more in all"


def _slower(one: Slower) -> str:
    return f"  {changed(one)}\n    {_shortened(one.text)}"


def _row(place: int, one: Counted) -> tuple[str, ...]:
    most = seconds(one.most_s) if one.most_s is not None else "?"
    return (
        str(place),
        f"{one.share:.1%}",
        seconds(one.total_s),
        f"{one.calls:,}",
        seconds(one.mean_s),
        p95(one),
        most,
        f"{one.rows:,}",
        f"{one.reads:,}" if one.reads is not None else "?",
        f"{one.io:,}" if one.io is not None else "?",
    )


def _text(place: int, one: Counted, plan: SamplePlan | None) -> str:
    lines = [f"{place}. {_shortened(one.text)}"]
    if plan is not None:
        said = plan.lines or [f"no plan: {plan.why}"]
        lines += [f"     {wording.printable(line)}" for line in said]
    return "\n".join(lines)


def _shortened(text: str) -> str:
    text = wording.on_one_line(text) or "(its text is no longer known)"
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
