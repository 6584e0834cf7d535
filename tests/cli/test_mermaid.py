"""The erDiagram of Mermaid: whatever names a database holds, the text keeps to the grammar that code hosts read."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbops.catalog.ref import Ref
from dbops.cli.views.mermaid import entities_mermaid
from dbops.usecases.entities import Attribute, Entity, Relationship

# From the lexer of erDiagram.jison, the narrower of releases 10 and 11: a quoted name, and a word of an attribute.
NAME = r'"[^"%\r\n\v\b\\]+"'
WORD = r"(?!(?:PK|FK|UK)\b)[A-Za-z_\u00C0-\uFFFF][A-Za-z0-9\-_\[\]()\u00C0-\uFFFF]*"
LINE = re.compile(
    "|".join(
        (
            rf" {{4}}{NAME}(?: \{{)?",
            r" {4}\}",
            rf' {{8}}{WORD} {WORD}(?: (?:PK|FK|UK)(?:,(?:PK|FK|UK))*)?(?: "[^"~]*")?',
            rf" {{4}}{NAME} (?:\|\||\|o)(?:--|\.\.)(?:o\||o\{{) {NAME} : {NAME}",
        )
    ),
    re.IGNORECASE,
)
DIRECTION = re.compile(r"direction\s+(?:TB|BT|RL|LR)", re.IGNORECASE)

texts = st.text(min_size=1, max_size=12).filter(
    lambda text: all(ord(char) < 0xD800 or 0xE000 <= ord(char) < 0x10000 for char in text)
)


def relationship(child: str, parent: str, column: str, *, needs_parent: bool = True, is_single: bool = False) -> Relationship:
    return Relationship(
        Ref("table", "", child), Ref("table", "", parent), "", (column,), (), needs_parent, is_single, is_identifying=False
    )


def test_a_diagram_has_types_keys_comments_and_cardinalities() -> None:
    tables = [
        Entity(Ref("table", "s", "users"), (Attribute("id", "numeric(10,2)", False, ("PK",), "who"),)),
        Entity(
            Ref("table", "s", "posts"), (Attribute("pk", "double precision", True, ("FK", "UK")), Attribute("a b", "text", False))
        ),
        Entity(Ref("table", "s", "empty"), ()),
    ]
    reference = Relationship(tables[1].ref, tables[0].ref, "", ("pk",), ("id",), False, True, False)
    assert entities_mermaid(tables, [reference]) == (
        "erDiagram\n"
        '    "s.users" {\n'
        '        numeric(10_2) id PK "who"\n'
        "    }\n"
        '    "s.posts" {\n'
        '        double_precision _pk FK,UK "pk, null"\n'
        '        text a_b "a b"\n'
        "    }\n"
        '    "s.empty"\n'
        '    "s.users" |o..o| "s.posts" : "pk"\n'
    )


@example('x" }\n%%{init: {}}%%', "direction TB", "fk-1")
@example("direction\tLR\u00a0", 'a~b~"c', "UK")
@example('"', "\\", "<b onclick=x>")
@settings(max_examples=60)
@given(texts, texts, texts)
def test_any_name_keeps_to_the_grammar(table: str, column: str, type_: str) -> None:
    one = Entity(Ref("table", "", table), (Attribute(column, type_, True, ("PK",), comment=table),), comment=column)
    other = Entity(Ref("table", "", f"{table}2"), (Attribute(type_, column, False),))
    text = entities_mermaid([one, other], [relationship(f"{table}2", table, column)])
    head, *lines, end = text.split("\n")
    assert (head, end) == ("erDiagram", "")
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert not DIRECTION.search(text) and "<" not in text


def test_tables_that_would_look_alike_stay_apart() -> None:
    tables = [Entity(Ref("table", "", name), ()) for name in ('a"', "a”", 'a"')]
    names = entities_mermaid(tables[:2], []).splitlines()[1:]
    assert len(set(names)) == 2
