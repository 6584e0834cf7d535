"""Two schemas compared, as a page: what differs, and the SQL that leads from one to the other."""

from __future__ import annotations

from collections import Counter

from dbops.cli.views import wording
from dbops.cli.views.html.markup import Child, Markup, joined, tag
from dbops.cli.views.html.page import code, page, sql_block, table, theme_button
from dbops.usecases.compare import Comparison
from dbops.usecases.handbook import marked


def comparison_html(found: Comparison) -> str:
    """Return the page."""
    title = tag("div", tag("h1", "Difference"), theme_button(), class_="title")
    where = tag("p", "from ", code(found.before), " to ", code(found.after), class_="where")
    differences = found.differences
    counts = Counter(one.action for one in differences)
    chips = (tag("li", tag("b", f"{number:,}"), f" to {action}") for action, number in counts.items())
    head = tag("header", title, where, tag("ul", *chips, class_="totals"))
    if not differences:
        return page("No difference", head, tag("p", "No difference.", class_="verdict good"))
    rows: list[list[Child]] = [
        [joined(tag("span", wording.SYMBOLS[one.action], class_=f"symbol {one.action}"), " ", code(one.address)), one.reason]
        for one in differences
    ]
    return page(
        f"{len(differences)} differences",
        head,
        tag("section", tag("h2", "What differs"), table(["Object", "How"], rows, "differences")),
        tag("section", tag("h2", "The way there"), *(_act(found, place) for place in range(len(found.acts)))),
    )


def _act(found: Comparison, place: int) -> Markup:
    act = found.acts[place]
    sql = "\n".join(found.engine.dialect.terminated(statement.for_client) for statement in act.do)
    hazards = (tag("p", tag("b", h.code, class_="hazard warn"), " ", h.message) for h in act.hazards)
    return tag(
        "article",
        tag("h3", str(act.ref)),
        tag("p", act.title, class_="comment"),
        sql_block(marked(sql, found.engine.dialect)),
        *hazards,
    )
