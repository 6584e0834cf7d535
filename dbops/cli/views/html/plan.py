"""A plan as a page: the verdict, what may go wrong, and every change with its SQL and the way back, for reviewers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dbops.cli.views import wording
from dbops.cli.views.html.markup import Child, Markup, joined, tag
from dbops.cli.views.html.page import anchor, code, link, page, sql_block, table, theme_button
from dbops.reconcile.change import ACTIONS
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.step import Call, Step

Marked = tuple[tuple[str, str], ...]
Marker = Callable[[str, str], Marked]
"""Splits SQL of a connection into pieces to be coloured."""

FOLD = 25
"""How many statements of one step are shown before the rest is folded."""


def plan_html(plan: Plan, marked: Marker | None = None) -> str:
    """Return the page; without `marked` SQL stands in one colour."""
    entries = wording.in_order(plan)
    mark = marked or (lambda on, sql: (("", sql),))
    shows_connections = len(plan.connections) > 1
    changes = tag("section", tag("h2", "Changes"), *(_entry(e, mark, shows_connections) for e in entries), class_="leaves")
    return page(
        f"dbops plan: {plan.environment}",
        _header(plan),
        _hazards(entries),
        _observations(plan),
        changes if entries else None,
        tag("p", "No change matches.", id="nothing", hidden=True),
        tag("p", f"dbops {plan.dbops_version} · {plan.created_at}", class_="foot"),
        aside=_aside(plan, entries),
    )


def _aside(plan: Plan, entries: Sequence[Entry]) -> Markup:
    search = tag(
        "div",
        tag("label", "Search changes", for_="search", class_="unseen"),
        tag("input", id="search", type="search", placeholder="Search   /", autocomplete="off", spellcheck="false"),
        tag("p", role="status", id="found", aria_live="polite"),
        class_="search needs-script",
    )
    rows = (
        tag(
            "li",
            link(
                entry.change.address,
                tag("span", wording.SYMBOLS[entry.change.action], class_=entry.change.action),
                " ",
                _short(entry),
            ),
            data_find=_words(entry),
            title=entry.change.address,
        )
        for entry in entries
    )
    title = tag("div", tag("a", "Plan", href="#content", class_="brand"), theme_button(), class_="title")
    return tag("aside", title, search, tag("nav", tag("ul", *rows), aria_label="Changes"))


def _short(entry: Entry) -> str:
    """Return an address without the kind and name of its manifest, when that leaves anything."""
    parts = entry.change.address.split("/", 2)
    return parts[2] if len(parts) > 2 else entry.change.address


def _words(entry: Entry) -> str:
    hazards = (hazard.code for step in entry.steps for hazard in step.hazards)
    return " ".join([entry.change.address, entry.change.action, entry.change.reason, *hazards]).lower()


def _header(plan: Plan) -> Markup:
    chips = (
        tag("li", tag("span", wording.SYMBOLS[action], class_=action), " ", tag("b", f"{number:,}"), f" to {action}")
        for action in ACTIONS
        if (number := plan.summary[action])
    )
    return tag(
        "header",
        tag("h1", "Plan for ", plan.environment),
        _verdict(plan),
        tag("ul", *chips, class_="totals") if plan.entries else None,
    )


def _verdict(plan: Plan) -> Markup:
    if plan.is_empty:
        return tag("p", wording.no_changes(plan), class_="verdict bad" if plan.is_refused or plan.is_blind else "verdict good")
    if plan.rehearsal is not None and not plan.rehearsal.ok:
        return tag("p", "The rehearsal did not come out right. This plan should not be applied.", class_="verdict bad")
    if plan.is_refused:
        return tag("p", wording.REFUSED, class_="verdict bad")
    rehearsed = ""
    if plan.rehearsal is not None:
        rehearsed = f" Rehearsed on a scratch copy in {wording.duration(plan.rehearsal.duration_s)}."
    if stops := wording.stops(plan):
        flags = " ".join(f"--allow {name}" for name in sorted(set(stops)))
        said = f"Blocked by {wording.count(len(stops), 'hazard')} until allowed: "
        return tag("p", said, code(f"dbops apply {flags}"), ".", rehearsed, class_="verdict bad")
    hazards = sum(len(step.hazards) for step in plan.steps)
    if hazards:
        return tag("p", f"Ready to apply, with {wording.count(hazards, 'hazard')}.", rehearsed, class_="verdict warn")
    return tag("p", "Ready to apply, no hazards.", rehearsed, class_="verdict good")


def _hazards(entries: Sequence[Entry]) -> Markup | None:
    found = [(warned, entry.change.address) for entry in entries for step in entry.steps for warned in wording.warnings(step)]
    if not found:
        return None
    found.sort(key=lambda pair: not pair[0].stops)
    rows: list[list[Child]] = [
        [_hazard(warned), link(address, address), warned.message] for warned, address in dict.fromkeys(found)
    ]
    return tag("section", tag("h2", "Hazards"), table(["Hazard", "Change", "What may happen"], rows, "hazards"))


def _hazard(warned: wording.Warned) -> Markup:
    state = " blocks" if warned.stops else " allowed" if warned.is_allowed else ""
    return joined(tag("b", warned.code, class_="hazard bad" if warned.stops else "hazard warn"), tag("small", state))


def _observations(plan: Plan) -> Markup | None:
    if not plan.observations:
        return None
    rows: list[list[Child]] = [[one.severity, code(one.code), one.message] for one in plan.observations]
    return tag("section", tag("h2", "Observations"), table(["Severity", "Code", "What was seen"], rows, "observations"))


def _entry(entry: Entry, marked: Marker, shows_connections: bool) -> Markup:
    change = entry.change
    symbol = tag("span", wording.SYMBOLS[change.action], class_=f"symbol {change.action}", aria_hidden="true")
    title = tag("h3", symbol, " ", link(change.address, change.address, class_="self"), " ", tag("small", change.action))
    because = f"drift: {change.reason}" if change.cause == "drift" else change.reason
    place = joined(" ", code(wording.place(change.at))) if change.at else None
    steps = [_step(step, marked, len(entry.steps) > 1, shows_connections) for step in entry.steps]
    none = None if entry.steps else tag("p", "Done together with another change.", class_="comment")
    return tag(
        "article",
        title,
        tag("p", because, place, class_="comment"),
        none,
        *steps,
        id=anchor(change.address),
        data_find=_words(entry),
    )


def _step(step: Step, marked: Marker, has_title: bool, shows_connections: bool) -> Markup:
    on = f" (on {step.on})" if shows_connections else ""
    facts = [wording.estimate(step.estimate), "no undo" if step.undo is None else ""]
    said = ", ".join(fact for fact in facts if fact)
    return tag(
        "div",
        tag("p", step.title, on, class_="step") if has_title or shows_connections else None,
        *_act(step.do, step.on, marked),
        *(tag("p", _hazard(warned), " ", warned.message) for warned in wording.warnings(step)),
        tag("p", said, class_="comment") if said else None,
        tag("details", tag("summary", "Undo"), *_act(step.undo, step.on, marked)) if step.undo else None,
    )


def _act(act: Call | tuple[Any, ...], on: str, marked: Marker) -> Iterator[Markup]:
    if isinstance(act, Call):
        yield sql_block((("", wording.call_text(act)),))
        return
    yield sql_block(_script(act[:FOLD], on, marked))
    if rest := act[FOLD:]:
        yield tag(
            "details", tag("summary", f"and {wording.count(len(rest), 'statement')} more"), sql_block(_script(rest, on, marked))
        )


def _script(statements: Sequence[Any], on: str, marked: Marker) -> Marked:
    pieces: list[tuple[str, str]] = []
    for number, statement in enumerate(statements):
        pieces += [("", "\n")] if number else []
        pieces += marked(on, f"{statement.sql};")
        if statement.parameters:
            pieces.append(("comment", f"\n-- with {', '.join(repr(value) for value in statement.parameters)}"))
    return tuple(pieces)
