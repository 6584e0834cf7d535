"""The statements of an environment's databases as a page: what they cost, how it went on, what became slower, and plans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from dbops.cli.views import wording
from dbops.cli.views.html.markup import Child, Markup, tag
from dbops.cli.views.html.page import anchor, code, link, page, sql_block, table, theme_button
from dbops.cli.views.html.plan import Marker
from dbops.cli.views.workload import ESTIMATED, changed, nothing, p95, seconds, span
from dbops.usecases.workload import Asked, Counted, SamplePlan, Stretch
from dbops.version import __version__

TEXT, PLAN_LINES = 4_000, 100
"""Longer texts, and plans, are cut off: with the most statements that can be asked for a page stays below 20 MB."""
_WIDTH, _HEIGHT = 960.0, 120.0


def workload_html(environment: str, found: Sequence[Asked], at: float, mark: Marker) -> str:
    """Return the page; `mark` colours SQL of a connection."""
    rows = (tag("li", link(_id(one), one.connection), data_find=one.connection.lower()) for one in found)
    title = tag("div", tag("a", "Statements", href="#content", class_="brand"), theme_button(), class_="title")
    return page(
        f"dbops monitor queries: {environment}",
        tag("header", tag("h1", "Statements of ", environment), tag("p", f"{_moment(at)} · dbops {__version__}", class_="where")),
        *(_connection(one, mark) for one in found),
        None if found else tag("p", "This environment has no connections."),
        aside=tag("aside", title, tag("nav", tag("ul", *rows), aria_label="Connections")),
    )


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}Z"


def _id(one: Asked, statement: str = "") -> str:
    return f"{one.connection}/{statement}" if statement else one.connection


def _connection(one: Asked, mark: Marker) -> Markup:
    head = tag("h2", one.connection, " ", tag("small", one.engine, class_="space"), id=anchor(_id(one)))
    if one.error is not None:
        return tag("section", head, tag("p", "Not asked: ", one.error, class_="verdict bad"))
    if one.workload.why:
        return tag(
            "section", head, tag("p", f"Not seen: {one.workload.why}", class_="verdict warn"), tag("p", code(one.workload.fix))
        )
    if not one.workload.statements:
        return tag("section", head, tag("p", nothing(one)))
    return tag(
        "section",
        head,
        tag("p", "What statements cost: ", span(one), class_="where"),
        *_course(one.course),
        *_slower(one),
        _table(one),
        tag("p", ESTIMATED, class_="legend") if any(s.p95_from == "means" for s in one.workload.statements) else None,
        *(_statement(one, place, item, mark) for place, item in enumerate(one.workload.statements, 1)),
    )


def _course(course: Sequence[Stretch]) -> Iterable[Markup]:
    """Draw the time that statements took, stretch by stretch."""
    most = max((stretch.total_s for stretch in course), default=0.0)
    if not most:
        return
    width = _WIDTH / len(course)
    length_s = course[1].at - course[0].at if len(course) > 1 else 0.0
    bars = (
        tag(
            "rect",
            tag("title", f"{_moment(stretch.at)}: {seconds(stretch.total_s)} in {wording.count(stretch.calls, 'call')}"),
            x=place * width,
            y=_HEIGHT * (1 - stretch.total_s / most),
            width=width - 1,
            height=_HEIGHT * stretch.total_s / most,
            class_="bar",
        )
        for place, stretch in enumerate(course)
    )
    drawn = tag(
        "svg", *bars, viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}", width="100%", role="img", aria_label="Time of statements"
    )
    yield tag("div", drawn, class_="scroll")
    said = f"From {_moment(course[0].at)}, {seconds(length_s)} to a bar; the highest is {seconds(most)} of statements."
    yield tag("p", said, class_="legend")


def _slower(one: Asked) -> Iterable[Markup]:
    if not one.slower:
        return
    rows: list[list[Child]] = [[code(_cut(item.text)), changed(item)] for item in one.slower]
    yield tag("h3", "Slower than in the week before")
    yield table(["Statement", "How much"], rows, "slower")


def _table(one: Asked) -> Markup:
    head = ["#", "Share", "Total", "Calls", "Mean", "95%", "Most", "Rows", "Reads", "I/O", "Statement"]
    return table(head, [_row(one, place, item) for place, item in enumerate(one.workload.statements, 1)], "statements")


def _row(one: Asked, place: int, item: Counted) -> list[Child]:
    words = " ".join(item.text.split())
    shown = words if len(words) <= 80 else f"{words[:80]}…"
    return [
        str(place),
        f"{item.share:.1%}",
        seconds(item.total_s),
        f"{item.calls:,}",
        seconds(item.mean_s),
        p95(item),
        "?" if item.most_s is None else seconds(item.most_s),
        f"{item.rows:,}",
        "?" if item.reads is None else f"{item.reads:,}",
        "?" if item.io is None else f"{item.io:,}",
        link(_id(one, item.id), code(shown)),
    ]


def _statement(one: Asked, place: int, item: Counted, mark: Marker) -> Markup:
    plan = one.plans.get(item.id)
    return tag(
        "article",
        tag("h3", f"{place}. ", link(_id(one, item.id), item.id, class_="self")),
        sql_block(mark(one.connection, _cut(item.text) or "-- its text is no longer known")),
        _plan(plan) if plan is not None else None,
        id=anchor(_id(one, item.id)),
    )


def _plan(plan: SamplePlan) -> Markup:
    if not plan.lines:
        return tag("p", f"No plan: {plan.why}", class_="comment")
    more = [f"… {len(plan.lines) - PLAN_LINES:,} lines more"] if len(plan.lines) > PLAN_LINES else []
    lines = "\n".join([*plan.lines[:PLAN_LINES], *more])
    return tag("details", tag("summary", "Plan"), tag("pre", tag("code", lines), class_="sql", tabindex=0), open=True)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}…"
