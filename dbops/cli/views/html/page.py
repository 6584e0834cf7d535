"""The frame of every page: head with styles and script inside, and a policy that lets nothing else run or load."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from dbops.cli.views.html.markup import Child, Markup, joined, tag


def page(title: str, *body: Child, aside: Child = None) -> str:
    """Return a whole document; `aside` stands at its left."""
    script = _asset("page.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", **{"http-equiv": "Content-Security-Policy"}, content=_policy(script)),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content="dbops"),
        tag("title", title),
        tag("style", Markup(_asset("page.css"))),
    )
    skip = tag("a", "Skip to the content", class_="skip", href="#content")
    main = tag("main", *body, id="content", tabindex=-1)
    end = tag("script", Markup(script))
    document = tag("html", head, tag("body", skip, aside, main, end, class_="with-aside" if aside else None), lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def theme_button() -> Markup:
    """Return the button that switches between dark and light; shown where scripts run."""
    return tag(
        "button",
        "◐",
        type="button",
        class_="theme needs-script",
        title="Dark or light",
        aria_label="Switch between dark and light",
    )


def anchor(address: str) -> str:
    """Return the id of what has `address`: what of it is no plain character is percent-encoded, so that links can name it."""
    return quote(address, safe="/.:-_()")


def link(address: str, *children: Child, class_: str | None = None) -> Markup:
    """Return a link inside the page."""
    return tag("a", *children, href=f"#{anchor(address)}", class_=class_)


def code(*children: Child, class_: str | None = None) -> Markup:
    return tag("code", *children, class_=class_)


def table(head: list[str], rows: list[list[Child]], class_: str) -> Markup:
    """Return a table that scrolls inside itself where it is too wide."""
    cells = tag("tr", *(tag("th", title, scope="col") for title in head))
    body = (tag("tr", *(tag("td", cell) for cell in row)) for row in rows)
    inner = tag("table", tag("thead", cells), tag("tbody", *body), class_=class_)
    return tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=class_)


def sql_block(pieces: tuple[tuple[str, str], ...]) -> Markup:
    """Return SQL in colours."""
    spans = (tag("span", piece, class_=f"sql-{kind}") if kind else joined(piece) for kind, piece in pieces)
    return tag("pre", tag("code", *spans), class_="sql", tabindex=0)


@cache
def _asset(name: str) -> str:
    return files("dbops.cli.views.html").joinpath(name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
