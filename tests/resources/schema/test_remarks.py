"""Which rename a remark asks for, by where it stands."""

from __future__ import annotations

import pytest

from dbops.errors import SchemaError
from dbops.resources.schema.remarks import noted_renames
from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE, Dialect
from dbops.sql.splitter import split


def noted(sql: str, dialect: Dialect) -> list[tuple[str, str, str]]:
    return [(rename.kind, rename.old, rename.new) for rename in noted_renames(split(sql, dialect, "a.sql"), dialect)]


@pytest.mark.parametrize(
    ("sql", "dialect", "renames"),
    [
        ("-- dbops:renamed_from old\nCREATE TABLE new (a int)", SQLITE, [("table", "old", "new")]),
        ("CREATE TABLE new (a int); -- dbops:renamed_from old", SQLITE, [("table", "old", "new")]),
        ("CREATE TABLE new ( -- dbops:renamed_from old\n  a int\n)", SQLITE, [("table", "old", "new")]),
        ("CREATE TABLE new -- dbops:renamed_from old\n(a int)", SQLITE, [("table", "old", "new")]),
        ("CREATE TABLE t (\n  a int, -- dbops:renamed_from b\n  c int\n)", SQLITE, [("column", "t.b", "a")]),
        ("CREATE TABLE t (\n  a int,\n  c int -- dbops:renamed_from b\n)", SQLITE, [("column", "t.b", "c")]),
        ("CREATE TABLE t (\n  a int,\n  -- dbops:renamed_from b\n  c int\n)", SQLITE, [("column", "t.b", "c")]),
        ("CREATE TABLE t (a int /* dbops:renamed_from b */, c int)", SQLITE, [("column", "t.b", "a")]),
        ("CREATE TABLE t (a int, /* dbops:renamed_from b */ c int)", SQLITE, [("column", "t.b", "c")]),
        ("CREATE TABLE t (\n  a int -- dbops:renamed_from b\n    NOT NULL,\n  c int\n)", SQLITE, [("column", "t.b", "a")]),
        ("CREATE TABLE t (\n  a int -- dbops:renamed_from t.b\n)", SQLITE, [("column", "t.b", "a")]),
        ("CREATE TABLE s.t (a int); -- dbops:renamed_from Old", POSTGRESQL, [("table", "s.old", "s.t")]),
        ('CREATE TABLE s.t (a int); -- dbops:renamed_from x."Old"', POSTGRESQL, [("table", "x.Old", "s.t")]),
        ("CREATE TABLE s.t (\n  a int -- dbops:renamed_from b, for short\n)", POSTGRESQL, [("column", "s.t.b", "a")]),
        ("ALTER TABLE t ADD COLUMN a int; -- dbops:renamed_from b", POSTGRESQL, [("column", "t.b", "a")]),
        ("CREATE TYPE mood AS ENUM ('a'); -- dbops:renamed_from feeling", POSTGRESQL, [("enum", "feeling", "mood")]),
        ("CREATE SCHEMA shop; -- dbops:renamed_from store", POSTGRESQL, [("schema", "store", "shop")]),
        ("CREATE SEQUENCE s; -- dbops:renamed_from r", POSTGRESQL, [("sequence", "r", "s")]),
        ("CREATE UNIQUE INDEX i ON t (a); -- dbops:renamed_from j", POSTGRESQL, [("index", "j", "i")]),
        ("CREATE TABLE t (\n  a int,\n  KEY k (a) # dbops:renamed_from j\n)", MYSQL, [("index", "j", "k")]),
        ("CREATE TABLE `t` (\n  `a` int # dbops:renamed_from `old name`\n)", MYSQL, [("column", "t.old name", "a")]),
        (
            "-- dbops:renamed_from one\n-- dbops:renamed_from two\nCREATE VIEW v AS SELECT 1",
            SQLITE,
            [("view", "one", "v"), ("view", "two", "v")],
        ),
        ("CREATE TABLE t (\n  a int -- renamed_from b\n)", SQLITE, []),
    ],
)
def test_a_remark_is_about_what_it_stands_beside(sql: str, dialect: Dialect, renames: list[tuple[str, str, str]]) -> None:
    assert noted(sql, dialect) == renames


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE MATERIALIZED VIEW v AS SELECT 1; -- dbops:renamed_from w",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; -- dbops:renamed_from g",
        "SELECT 1; -- dbops:renamed_from g",
    ],
)
def test_what_cannot_be_renamed_so_is_named(sql: str) -> None:
    with pytest.raises(SchemaError, match="stands beside") as caught:
        noted(sql, POSTGRESQL)
    assert caught.value.at is not None
    assert caught.value.at.line == 1
