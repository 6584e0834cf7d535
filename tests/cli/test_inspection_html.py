"""The page of a database: complete, closed in itself, and safe whatever the database holds."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Column, ForeignKey, PrimaryKey, Table, Unmanaged, View
from dbops.catalog.ref import Ref
from dbops.cli.views.html import inspection as view
from dbops.cli.views.html.diagram import SHEET
from dbops.cli.views.html.inspection import inspection_html
from dbops.engines.base.connect import Server, Target
from dbops.engines.base.url import parse_url
from dbops.usecases.inspect import Inspection, inspect
from dbops.usecases.runtime import engine_for
from tests.conformance.test_nasty_names import NAMES
from tests.databases import Database

HOSTILE = (
    "<script>alert(1)</script>",
    "</style></title></svg><img src=x onerror=alert(1)>",
    "\"><a href='javascript:alert(1)'>",
    "' autofocus onfocus=alert(1) x='",
    "{{7*7}} ${7*7} <!-- --> ]]> &lt; &#x3c;",
    "\u202egnp.exe",
    "https://example.com/",
    *NAMES,
)


class Reader(HTMLParser):
    """Collects what a page holds."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute stands twice: {tag} {attrs}"
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        (self.scripts if self.cdata_elem == "script" else self.texts).append(data)

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(attribute)) is not None]


def page_of(catalog: Catalog, name: str = "shop") -> str:
    url = parse_url("sqlite:////nowhere/shop.db")
    server = Server("sqlite", (3, 40), "3.40", identity="")
    return inspection_html(Inspection(name, url.redacted(), engine_for(url), Target("shop", url), server, catalog))


def hostile_catalog(name: str) -> Catalog:
    column = Column(name=name, type="text", default=f"'{name}'", comment=name)
    reference = ForeignKey(
        parent=name, name=name, columns=(name,), references=Ref("table", "", name), referenced_columns=(name,), comment=name
    )
    objects = [
        Table(name=name, columns=(column,), comment=name, options=((name, name),)),
        PrimaryKey(parent=name, name=name, columns=(name,)),
        reference,
        View(name=f"v {name}", definition=f"SELECT '{name}'", comment=name, columns=((name, name),)),
    ]
    return Catalog.of(objects, {Ref("view", "", f"v {name}"): [Ref("table", "", name)]}, [Unmanaged(name, name, name)])


def shape(read: Reader) -> list[tuple[str, set[str]]]:
    """Return tags and attributes without the spans that colour SQL, whose number follows its quotes."""
    return [(tag, set(attributes)) for tag, attributes in read.tags if tag != "span" or attributes.keys() != {"class"}]


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_from_the_database_becomes_markup(name: str) -> None:
    plain, hostile = Reader(page_of(hostile_catalog("plain"))), Reader(page_of(hostile_catalog(name), name))
    assert shape(hostile) == shape(plain)
    assert hostile.scripts == plain.scripts


def test_a_page_needs_nothing_from_outside() -> None:
    html = page_of(hostile_catalog("https://example.com/x.js"))
    read = Reader(html)
    assert read.values("src") == [] and all(href.startswith("#") for href in read.values("href"))
    assert {tag for tag, _ in read.tags}.isdisjoint({"link", "iframe", "img", "object", "embed", "form", "base"})
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style and "url(" not in style[1] and "@import" not in style[1]
    (script,) = read.scripts
    assert "fetch" not in script and "import(" not in script and "innerHTML" not in script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [a["content"] for tag, a in read.tags if tag == "meta" and "http-equiv" in a]
    assert policy and policy.startswith("default-src 'none'") and f"'sha256-{digest}'" in policy


def test_every_link_leads_somewhere_and_every_control_has_a_name(database: Database) -> None:
    database.load(
        "CREATE TABLE users (id integer NOT NULL PRIMARY KEY, boss integer,"
        " CONSTRAINT up FOREIGN KEY (boss) REFERENCES users (id));\n"
        "CREATE TABLE posts (id integer NOT NULL PRIMARY KEY, author integer,"
        " CONSTRAINT by_user FOREIGN KEY (author) REFERENCES users (id));\n"
        "CREATE INDEX posts_author ON posts (author);\nCREATE VIEW authors AS SELECT author FROM posts;\n"
    )
    read = Reader(inspection_html(inspect(database.url, None)))
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in read.values("href")} <= set(ids)
    labelled = set(read.values("for"))
    for tag, attributes in read.tags:
        if tag == "input":
            assert attributes["id"] in labelled
        if tag in ("nav", "svg") or attributes.get("role") in ("region", "group"):
            assert attributes.get("aria-label")
        if "tabindex" in attributes:
            assert attributes["tabindex"] in ("0", "-1")
    text = " ".join(read.texts)
    assert "by_user" in text and "posts_author" in text and "Referred to by" in text and "Used by" in text
    assert "CREATE" in text  # each object's SQL


def test_many_tables_get_sheets_that_hold_each_table_once() -> None:
    names = [f"t{number:03}" for number in range(2 * SHEET)]
    objects: list[Table | ForeignKey] = [Table(name=name, columns=(Column(name="id", type="integer"),)) for name in names]
    for child, parent in zip(names[1:], names, strict=False):
        reference = Ref("table", "", parent)
        objects.append(ForeignKey(parent=child, name="f", columns=("id",), references=reference, referenced_columns=("id",)))
    read = Reader(page_of(Catalog.of(objects)))
    cards = [a["aria-label"] or "" for tag, a in read.tags if tag == "a" and a.get("class") == "table"]
    drawn = [card for card in cards if "another sheet" not in card]
    assert len(drawn) == len(names) and len(set(read.values("data-sheet"))) >= 3
    assert any("another sheet" in card for card in cards)


def test_a_page_of_very_many_tables_shows_the_most_connected_and_lists_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "MOST_SHEETS", 2)
    monkeypatch.setattr(view, "MOST_IN_FULL", 50)
    names = [f"t{number:03}" for number in range(4 * SHEET)]
    objects: list[Table | ForeignKey] = [
        Table(name=name, columns=(Column(name="id", type="integer"), Column(name=f"c_{name}", type="text"))) for name in names
    ]
    for child, parent in zip(names[-39:], names[-40:], strict=False):
        reference = Ref("table", "", parent)
        objects.append(ForeignKey(parent=child, name="f", columns=("id",), references=reference, referenced_columns=("id",)))
    read = Reader(page_of(Catalog.of(objects)))
    cards = {a["aria-label"] for tag, a in read.tags if tag == "a" and a.get("class") == "table"}
    assert len(set(read.values("data-sheet"))) <= 2
    assert all(any(name in (card or "") for card in cards) for name in names[-40:])
    text = " ".join(read.texts)
    assert "tables with fewer foreign keys among them are not drawn" in text
    assert "The 50 objects with the most neighbours are described in full" in text
    assert all(f"c_{name}" in text for name in names)
    assert text.count("CREATE") == 50 or text.count("TABLE") == 50
    ids = read.values("id")
    assert len(set(ids)) == len(ids) >= len(names)


def test_the_page_of_an_empty_database_says_so() -> None:
    assert "The database is empty." in page_of(Catalog.of([]))
