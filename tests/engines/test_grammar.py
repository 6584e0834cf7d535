"""The engines' own grammars, asked offline: where a statement stops making sense, and nothing about names."""

from __future__ import annotations

import importlib.util

import pytest

from dbops.usecases.runtime import engine_named

needs_parser = pytest.mark.skipif(importlib.util.find_spec("postgast") is None, reason="the package postgast is not installed")


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("CREATE TABLE a (id integer PRIMARY KEY, b text)", None),
        ("SELECT * FROM nowhere WHERE a = ?1", None),
        ("ALTER TABLE nowhere RENAME COLUMN a TO b", None),
        ("PRAGMA journal_mode = wal", None),
        ("CREATE TABLE a (id integer PRIMARY KEY AUTO_INCREMENT)", "AUTO_INCREMENT"),
        ("SELECT 'FORM', 1 FORM a WHERE FORM", "a WHERE"),
        ("CREATE VIEW v AS SELCT 1", "SELCT"),
    ],
)
def test_sqlite_says_where_it_stops(sql: str, place: str | None) -> None:
    found = engine_named("sqlite").syntax_error(sql)
    assert found is None if place is None else found is not None and sql[found[0] :].startswith(place)


@needs_parser
@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT 1", None),
        ("ALTER TABLE nowhere ADD COLUMN a int GENERATED ALWAYS AS (b * 2) VIRTUAL", None),
        ("SELECT :'name', :value FROM a", None),
        ("SELECT * FROM a WHERE b = %(b)s AND c = %s", None),
        ("ALTER TABLE a ADD DEFAULT ''", "DEFAULT"),
        ("SELECT 'é', 1 FORM t x y", "t x"),
    ],
)
def test_postgresql_says_where_it_stops(sql: str, place: str | None) -> None:
    found = engine_named("postgresql").syntax_error(sql)
    assert found is None if place is None else found is not None and sql[found[0] :].startswith(place)


def test_mysql_has_no_grammar_to_ask() -> None:
    assert engine_named("mysql").syntax_error("SELCT") is None
