"""Marks of parameters are told from operators, casts, strings and comments, and written in a driver's own style."""

from __future__ import annotations

import pytest

from dbops.errors import QueryError
from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE, Dialect
from dbops.sql.marks import named, positional

DIALECTS = {"sqlite": (SQLITE, "?"), "postgresql": (POSTGRESQL, "%s"), "mysql": (MYSQL, "%s")}


@pytest.mark.parametrize(
    ("sql", "count", "expected"),
    [
        ("SELECT ? || 'x?' -- ?", 1, "SELECT %s || 'x?' -- ?"),
        ("WHERE a=? AND b<>? AND c LIKE 'a%'", 2, "WHERE a=%s AND b<>%s AND c LIKE 'a%%'"),
        ("x=?and y=?", 2, "x=%s and y=%s"),
        ("SELECT ?||'x', ?-1, -?", 3, "SELECT %s||'x', %s-1, -%s"),
        ("VALUES (?, ?::int, ?::text)", 3, "VALUES (%s, %s::int, %s::text)"),
        ("LIMIT ? OFFSET ?", 2, "LIMIT %s OFFSET %s"),
        ("a BETWEEN ? AND ? ORDER BY ? DESC", 3, "a BETWEEN %s AND %s ORDER BY %s DESC"),
        ("SELECT $$ ? $$, $q$?$q$, ?", 1, "SELECT $$ ? $$, $q$?$q$, %s"),
        ("/* ? /* ? */ ? */ SELECT ?", 1, "/* ? /* ? */ ? */ SELECT %s"),
        ("data ? 'key' AND id = ?", 1, "data ? 'key' AND id = %s"),
        ("data ?| ?", 1, "data ?| %s"),
        ("data ?& array[?, ?]", 2, "data ?& array[%s, %s]"),
        ("data ? ?", 1, "data ? %s"),
        ("data @? ?::jsonpath", 1, "data @? %s::jsonpath"),
        ("data->>? = ?", 2, "data->>%s = %s"),
        ("(data->'tags') ? 'x' AND id=?", 1, "(data->'tags') ? 'x' AND id=%s"),
        ("data ? 'key' AND id = %s", 1, "data ? 'key' AND id = %s"),
        ("data ?? 'key' AND id = ?", 1, "data ? 'key' AND id = %s"),
        ("SELECT 7 % ?", 1, "SELECT 7 %% %s"),
        ("SELECT 7 %% %s", 1, "SELECT 7 %% %s"),
        ("SELECT '%s', %s", 1, "SELECT '%%s', %s"),
    ],
)
def test_marks_of_postgresql_are_told_from_operators(sql: str, count: int, expected: str) -> None:
    assert positional(sql, count, POSTGRESQL, "%s").sql == expected


@pytest.mark.parametrize(
    ("sql", "names", "expected", "order"),
    [
        ("a = :a AND b = :b OR a = :a", {"a", "b"}, "a = %s AND b = %s OR a = %s", ("a", "b", "a")),
        (":a::int, ':a', x := 1, now()::date", {"a"}, "%s::int, ':a', x := 1, now()::date", ("a",)),
        ("tags[1:n], tags[:lo], :n", {"n", "lo"}, "tags[1:n], tags[%s], %s", ("lo", "n")),
        ("a=:a", {"a"}, "a=%s", ("a",)),
        ("a = %(a)s AND 5 %% 2 = 1", {"a"}, "a = %s AND 5 %% 2 = 1", ("a",)),
        ("data ? 'key' AND id = :id", {"id"}, "data ? 'key' AND id = %s", ("id",)),
    ],
)
def test_names_of_postgresql_are_told_from_casts_and_slices(
    sql: str, names: set[str], expected: str, order: tuple[str, ...]
) -> None:
    marked = named(sql, frozenset(names), POSTGRESQL, "%s")
    assert (marked.sql, marked.names) == (expected, order)


@pytest.mark.parametrize(("dialect", "style"), DIALECTS.values(), ids=DIALECTS)
def test_every_style_is_written_in_every_drivers_own(dialect: Dialect, style: str) -> None:
    expected = f"SELECT {style}, '? %s :a'".replace("'? %s :a'", "'? %%s :a'" if style == "%s" else "'? %s :a'")
    for sql in ("SELECT ?, '? %s :a'", "SELECT %s, '? %s :a'"):
        assert positional(sql, 1, dialect, style).sql == expected  # type: ignore[arg-type]
    for sql in ("SELECT :a, '? %s :a'", "SELECT %(a)s, '? %s :a'"):
        assert named(sql, frozenset("a"), dialect, style).sql == expected  # type: ignore[arg-type]


def test_numbered_marks_of_sqlite_stay() -> None:
    assert positional("SELECT ?1, ?2, ?1", 2, SQLITE, "?").sql == "SELECT ?1, ?2, ?1"


def test_user_variables_of_mysql_are_no_marks() -> None:
    assert named("SELECT @v := :a, @@version", frozenset("a"), MYSQL, "%s").sql == "SELECT @v := %s, @@version"


def test_too_few_values_are_told() -> None:
    with pytest.raises(QueryError, match="2 marks for parameters, and 1 value was given"):
        positional("SELECT ?, ?", 1, SQLITE, "?")


def test_a_name_without_value_is_told() -> None:
    with pytest.raises(QueryError, match="no value was given for the parameter 'b'"):
        named("SELECT :a, :b", frozenset("a"), SQLITE, "?")
