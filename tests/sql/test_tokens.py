"""Tokens, first words, comments stripped, and the normal form that content hashes compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE, Dialect
from dbops.sql.tokens import leading_words, normalise, strip_comments, tokens

DIALECTS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}
SPELLINGS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases" / "normalise.yaml").read_text())


def pairs(relation: str) -> list[Any]:
    return [
        pytest.param(DIALECTS[engine], *pair, id=f"{engine}: {pair[0]} | {pair[1]}")
        for engine in SPELLINGS
        for pair in SPELLINGS[engine][relation]
    ]


@pytest.mark.parametrize(("dialect", "one", "other"), pairs("same"))
def test_cosmetic_edits_keep_the_normal_form(dialect: Dialect, one: str, other: str) -> None:
    assert normalise(one, dialect) == normalise(other, dialect)


@pytest.mark.parametrize(("dialect", "one", "other"), pairs("different"))
def test_edits_with_a_meaning_change_the_normal_form(dialect: Dialect, one: str, other: str) -> None:
    assert normalise(one, dialect) != normalise(other, dialect)


@pytest.mark.parametrize(
    ("dialect", "text", "kinds"),
    [
        (POSTGRESQL, "SELECT E'a\\'' , $1, $x$;$x$", "word string symbol variable symbol string"),
        (POSTGRESQL, 'U&"d" "x""y" 1.5e-3 a->>b', "name name number word symbol word"),
        (POSTGRESQL, "a::text -- c\n/* d */", "word symbol word comment comment"),
        (MYSQL, '`a``b` "s" @@session.x # c\n/*!50003 1 */', "name string variable comment version number version"),
        (MYSQL, "a */ b /*+ h */", "word symbol symbol word hint"),
        (SQLITE, "[a b] :p ?1 x'00'", "name variable variable string"),
    ],
)
def test_tokens_have_their_kind(dialect: Dialect, text: str, kinds: str) -> None:
    assert [token.kind for token in tokens(text, dialect)] == kinds.split()


@pytest.mark.parametrize(
    ("dialect", "text", "words"),
    [
        (POSTGRESQL, "create /* x */ or -- y\n replace view v as", ("CREATE", "OR", "REPLACE")),
        (POSTGRESQL, 'DROP TABLE "x"', ("DROP", "TABLE")),
        (POSTGRESQL, "(SELECT 1)", ()),
        (POSTGRESQL, "", ()),
        (MYSQL, "# c\n/*!40101 SET NAMES utf8 */", ("SET", "NAMES", "UTF8")),
        (MYSQL, "CREATE DEFINER=`root`@`%` PROCEDURE p()", ("CREATE", "DEFINER")),
    ],
)
def test_leading_words_skip_comments_and_stop_at_symbols(dialect: Dialect, text: str, words: tuple[str, ...]) -> None:
    assert leading_words(text, dialect) == words


@pytest.mark.parametrize(
    ("dialect", "text", "left"),
    [
        (POSTGRESQL, "SELECT 1 -- a\n, '--' /* b */ FROM t", "SELECT 1  \n, '--'   FROM t"),
        (POSTGRESQL, "a/* /* */ */b", "a b"),
        (MYSQL, "SELECT /*+ h */ 1 # a", "SELECT /*+ h */ 1  "),
        (MYSQL, "/*!40101 SET /* x */ NAMES utf8 */ /*M!999999\\- s */", "/*!40101 SET   NAMES utf8 */  "),
        (SQLITE, "SELECT [--], `/*` -- x", "SELECT [--], `/*`  "),
    ],
)
def test_comments_are_stripped_and_hints_stay(dialect: Dialect, text: str, left: str) -> None:
    assert strip_comments(text, dialect) == left


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@given(text=st.text(st.sampled_from("ab1$ \n'\"`[]\\/*-#;:@.(){}eE!M+<>=|é")))
def test_tokens_and_blanks_make_up_the_text(dialect: Dialect, text: str) -> None:
    at = 0
    for token in tokens(text, dialect):
        assert not text[at : token.offset].strip(" \t\n\r\f\v")
        assert token.text
        assert text.startswith(token.text, token.offset)
        at = token.offset + len(token.text)
    assert not text[at:].strip(" \t\n\r\f\v")
