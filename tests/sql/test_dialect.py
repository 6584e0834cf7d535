"""Names are quoted where they must be, and statements terminated so that they come back whole."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.errors import SchemaError
from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE, Dialect
from dbops.sql.splitter import split

DIALECTS = [POSTGRESQL, MYSQL, SQLITE]


@pytest.mark.parametrize(
    ("dialect", "name", "spelling"),
    [
        (POSTGRESQL, "users", "users"),
        (POSTGRESQL, "Users", '"Users"'),
        (POSTGRESQL, "user", '"user"'),
        (POSTGRESQL, "order", '"order"'),
        (POSTGRESQL, "a$1", "a$1"),
        (POSTGRESQL, 'say "hi"', '"say ""hi"""'),
        (POSTGRESQL, "größe", '"größe"'),
        (MYSQL, "Users", "Users"),
        (MYSQL, "rank", "`rank`"),
        (MYSQL, "a`b", "`a``b`"),
        (MYSQL, "1a", "`1a`"),
        (SQLITE, "Users", "Users"),
        (SQLITE, "index", '"index"'),
        (SQLITE, "a]b", '"a]b"'),
    ],
)
def test_names_are_quoted_only_where_they_must_be(dialect: Dialect, name: str, spelling: str) -> None:
    assert dialect.identifier(name) == spelling


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("name", ["", "a\0b"])
def test_impossible_names_are_refused(dialect: Dialect, name: str) -> None:
    with pytest.raises(SchemaError):
        dialect.quote_identifier(name)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_sqlite_reads_every_spelling_back(name: str) -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute(f"CREATE TABLE t ({SQLITE.identifier(name)} INT)")
    assert [row[1] for row in conn.execute("PRAGMA table_info(t)")] == [name]
    conn.close()


@pytest.mark.parametrize("word", sorted(SQLITE.reserved))
def test_every_reserved_word_of_sqlite_can_be_a_name(word: str) -> None:
    sqlite3.connect(":memory:").execute(f"CREATE TABLE {SQLITE.identifier(word)} ({SQLITE.identifier(word)} INT)")


@pytest.mark.parametrize(
    ("dialect", "statement", "script"),
    [
        (POSTGRESQL, "SELECT 1", "SELECT 1;"),
        (POSTGRESQL, "SELECT 1 -- one", "SELECT 1 -- one\n;"),
        (MYSQL, "SELECT 1 # one", "SELECT 1 # one\n;"),
        (MYSQL, "INSERT INTO t VALUES (';')", "INSERT INTO t VALUES (';');"),
        (
            MYSQL,
            "CREATE PROCEDURE p() BEGIN SELECT '//'; END",
            "DELIMITER ///\nCREATE PROCEDURE p() BEGIN SELECT '//'; END///\nDELIMITER ;",
        ),
    ],
)
def test_statements_are_terminated_for_the_client(dialect: Dialect, statement: str, script: str) -> None:
    assert dialect.terminated(statement) == script
    [found] = split(script, dialect)
    assert found.text == statement.split(" -- ")[0].split(" # ")[0]
