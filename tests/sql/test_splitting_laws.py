"""What holds of every script: statements come back as they went in, in order, and the work grows with the text."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dbops.errors import SchemaError
from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE, Dialect
from dbops.sql.splitter import iterate, split

DIALECTS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}
each_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
NASTY = st.text(st.sampled_from("ab';\"`[]$-/*#\\\n (){}eE!\r\té"), max_size=20)


def quoted(dialect: Dialect, text: str) -> str:
    escaped = text.replace("\\", "\\\\") if dialect.backslash_escapes else text
    return "'" + escaped.replace("'", "''") + "'"


def pieces(dialect: Dialect) -> st.SearchStrategy[str]:
    """Return a strategy of texts that may stand anywhere inside a statement."""
    strings = NASTY.map(lambda text: quoted(dialect, text))
    names = NASTY.filter(bool).map(dialect.quote_identifier)
    comments = NASTY.filter(lambda text: "*" not in text and "/" not in text and "!" not in text).map(lambda text: f"/*{text} */")
    lines = NASTY.filter(lambda text: "\n" not in text and "\r" not in text).map(lambda text: f"-- {text}\n")
    plain = st.sampled_from(["a", "x1", "(b, 2)", "-1", "*", "<=", "4/2", ".5", "é", "CASE WHEN 1 THEN 2 END", "\n", "\r\n"])
    more: dict[str, list[st.SearchStrategy[str]]] = {
        "postgresql": [
            NASTY.filter(lambda text: "$" not in text).map(lambda text: f"$tag${text}$tag$"),
            NASTY.map(lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
            st.sampled_from(["$1", "a$b$c", "/* /* ; */ ' */"]),
        ],
        "mysql": [
            NASTY.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'),
            st.sampled_from(["/*!50003 b, ';' */", "5--1", "@a", "# it's;\n", "/*+ x; */"]),
        ],
        "sqlite": [st.sampled_from(["[a;']", ":p", "?1", "$v"])],
    }
    return st.one_of(strings, names, comments, lines, plain, *more[dialect.name])


def statements(dialect: Dialect) -> st.SearchStrategy[str]:
    """Return a strategy of statements: a verb, pieces, and a word at the end, since comments there belong to no text."""
    simple = st.lists(pieces(dialect), max_size=6).map(lambda parts: " ".join(["SELECT", *parts, "z"]))
    bodies = {
        "postgresql": "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC {}; {}; END",
        "mysql": "CREATE PROCEDURE f(a INT) BEGIN IF a THEN {}; END IF; {}; END",
        "sqlite": "CREATE TRIGGER f AFTER INSERT ON t BEGIN {}; {}; END",
    }
    return simple | st.tuples(simple, simple).map(lambda inner: bodies[dialect.name].format(*inner))


@each_dialect
@given(data=st.data())
def test_statements_come_back_as_they_went_in(dialect: Dialect, data: st.DataObject) -> None:
    texts = data.draw(st.lists(statements(dialect), max_size=5))
    assert [found.text for found in split(";\n".join([*texts, ""]), dialect)] == texts
    assert [found.text for found in split("\r\n;;".join(texts), dialect)] == texts
    assert [found.text for found in split("\n".join(map(dialect.terminated, texts)), dialect)] == texts


_WORDS = "SELECT CREATE FUNCTION PROCEDURE TRIGGER RULE TEMP BEGIN ATOMIC END IF THEN ELSE LOOP CASE WHEN DO a 1 : @ , ( ) ; ; ;"
_MARKS = "' \" ` [ ] $$ $t$ -- # /* */ /*! \\ E' ''"
_LINES = ["\n", "\n", "\r\n", "DELIMITER //\n", "//", "COPY t FROM stdin;\n", "\\.\n", "use x\n"]
TOKENS = st.lists(st.sampled_from([*_WORDS.split(), *_MARKS.split(), *_LINES]), max_size=30).map(" ".join)


@each_dialect
@given(text=TOKENS)
def test_any_text_is_split_in_order_or_refused_at_a_place_in_it(dialect: Dialect, text: str) -> None:
    lines = text.split("\n")
    try:
        found = split(text, dialect, "x.sql")
    except SchemaError as error:
        assert error.at is not None
        assert 1 <= error.at.line <= len(lines)
        assert 1 <= error.at.column <= len(lines[error.at.line - 1]) + 1
        return
    end = 0
    for statement in found:
        start = sum(len(line) + 1 for line in lines[: statement.at.line - 1]) + statement.at.column - 1
        assert start >= end
        assert text.startswith(statement.text, start)
        assert statement.text == statement.text.strip(" \t\n\r\f\v")
        for comment in statement.comments:
            assert text.startswith(comment.text, start + comment.offset)
        assert statement.mark(len(statement.text)).line == statement.at.line + statement.text.count("\n")
        end = start + len(statement.text)


@given(text=TOKENS)
def test_sqlite_ends_statements_where_we_do(text: str) -> None:
    assume("[" not in text or "]" in text)
    try:
        before = split(text, SQLITE)
        after = split(text + "\nzzz", SQLITE)
    except SchemaError:
        assert not sqlite3.complete_statement(text)
        return
    assume(before)
    assert (len(after) == len(before) + 1) == sqlite3.complete_statement(text)


def lines_run(work: Callable[[], Any]) -> int:
    """Return how many lines of Python `work` executes."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


GROWING = {
    "short statements": "INSERT INTO t VALUES (1, 'a;b', \"c\", -2);\n",
    "statements on one line": "SELECT 'x'; ",
    "one statement": "(1, 'a;''b', 'c'), ",
    "escaped quotes": "'a\\'b\\\\' , E'\\'' ",
    "comments": "-- it's a comment\n/* ; */ ",
    "blank lines": "\n \n\t",
    "nested comments": "/* /* */ */ a ",
    "dollars and dashes": "$a - $b / $c $1 -",
    "programs": "CREATE PROCEDURE p(a INT) BEGIN IF a THEN SELECT 1; END IF; END;\n",
    "headers without a body": "CREATE PROCEDURE p; CREATE TRIGGER g; CREATE EVENT e;\n",
    "labels": "a: b ;\n",
    "triggers": "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; END;\n",
    "standard bodies": "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END;\n",
    "rules": "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);\n",
    "empty statements": ";;;; ",
    "copied rows": "COPY t FROM stdin;\n1\t2\n\\\\.\n\\.\n",
    "settings": "SET standard_conforming_strings = on; SET sql_mode = 'ANSI';\n",
    "semicolons in brackets": "[;] `;` ",
}


@each_dialect
@pytest.mark.parametrize("piece", GROWING.values(), ids=GROWING)
def test_work_grows_no_faster_than_the_text(dialect: Dialect, piece: str) -> None:
    def work(times: int) -> Callable[[], Any]:
        def run() -> None:
            try:
                for _ in iterate("SELECT 1; " + piece * times, dialect):
                    pass
            except SchemaError:
                pass

        return run

    work(1)()  # compiles the patterns
    small, large = lines_run(work(100)), lines_run(work(400))
    assert large <= 4.4 * small + 200
