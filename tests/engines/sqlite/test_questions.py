"""What is asked of values before their table becomes STRICT, beside what SQLite itself refuses."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import diff
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.sqlite.engine import SqliteEngine
from tests.databases import SqliteDatabase

ENGINE = SqliteEngine()

VALUES = ["NULL", "7", "-0.0", "1.5", "3.0", "9223372036854775807", "9223372036854775808.0", "-9223372036854775808.0", "9e999",
          "''", "' '", "'x'", "'7'", "' 7 '", "'7x'", "'1.5'", "'3.0'", "'3e2'", "'1e-1'", "'0x10'", "'9223372036854775808'",
          "'-9223372036854775808'", "'-9223372036854775808.0'", "'1e400'", "'+4'", "'.5'", "'5.'", "'1_000'", "x''", "x'37'",
          "'2024-01-31'"]  # fmt: skip


@pytest.mark.parametrize("kind", ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"])
@pytest.mark.parametrize("was", ["", "TEXT", "NUMERIC", "INTEGER", "REAL", "BLOB"])
def test_values_that_strict_refuses_are_told_as_sqlite_tells_them(was: str, kind: str, tmp_path: Path) -> None:
    asked, refused = _found(f"CREATE TABLE t (v {was})", f"CREATE TABLE t (v {kind}) STRICT", tmp_path)
    assert asked == refused
    assert ("x'37'" in asked) is (kind not in ("BLOB", "ANY"))


@pytest.mark.parametrize("was", ["ANY", "TEXT", "BLOB", "REAL"])
def test_another_type_in_a_strict_table_is_asked_for(was: str, tmp_path: Path) -> None:
    asked, refused = _found(f"CREATE TABLE t (v {was}) STRICT", "CREATE TABLE t (v INTEGER) STRICT", tmp_path)
    assert asked == refused != set()


def _found(before: str, after: str, place: Path) -> tuple[set[str], set[str]]:
    """Return the values that are asked for before the table changes, and those that a copy of it then refuses."""
    live, wanted = _catalog_of(before, place / "before.db"), _catalog_of(after, place / "after.db")
    questions = list(ENGINE.questions(diff(live, wanted), live))
    refused, asked = set(), set()
    for value in VALUES:
        with closing(sqlite3.connect(":memory:")) as native:
            native.executescript(f"{before}; {after.replace(' t ', ' becomes ', 1)};")
            with suppress(sqlite3.IntegrityError):
                native.execute(f"INSERT INTO t VALUES ({value})")
            if any(native.execute(f"SELECT 1 FROM t WHERE {question.condition}").fetchall() for question in questions):
                asked.add(value)
            try:
                native.execute("INSERT INTO becomes SELECT v FROM t")
            except sqlite3.IntegrityError:
                refused.add(value)
    return asked, refused


def _catalog_of(sql: str, path: Path) -> Catalog:
    database = SqliteDatabase(path)
    database.load(sql)
    with closing(ENGINE.connect(Target("test", parse_url(database.url)))) as conn:
        return ENGINE.inspect(conn)
