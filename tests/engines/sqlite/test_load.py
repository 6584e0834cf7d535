"""Sources: any order, what is left out, and what is refused at its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from dbops.errors import Problems
from dbops.sql.splitter import split
from tests.engines.sqlite.loop import ENGINE, MEMORY, read


def problems(sql: str) -> list[str]:
    with ENGINE.scratch(MEMORY) as conn, pytest.raises(Problems) as caught:
        ENGINE.load(conn, split(sql, ENGINE.dialect, "a.sql"))
    return [problem.explain().splitlines()[0] for problem in caught.value.problems]


def test_statements_stand_in_any_order() -> None:
    catalog = read(
        "CREATE TRIGGER tr AFTER INSERT ON v2t BEGIN SELECT 1; END; CREATE INDEX i ON v2t (b);"
        "ALTER TABLE v2t ADD COLUMN b;"
        "CREATE TRIGGER iv INSTEAD OF DELETE ON v BEGIN SELECT 1; END; CREATE VIEW v AS SELECT * FROM w;"
        "CREATE VIEW w AS SELECT b FROM v2t;"
        "CREATE TABLE copied AS SELECT * FROM v2t; CREATE TABLE v2t (a PRIMARY KEY);"
    )
    assert sorted(str(ref) for ref in catalog.objects) == [
        "table/copied",
        "table/v/trigger/iv",
        "table/v2t",
        "table/v2t/index/i",
        "table/v2t/primary_key/(a)",
        "table/v2t/trigger/tr",
        "view/v",
        "view/w",
    ]


def test_a_script_that_migrates_runs_as_it_stands() -> None:
    catalog = read(
        "CREATE TABLE u (a); BEGIN; ALTER TABLE u RENAME TO old; CREATE TABLE u (a, b);"
        "INSERT INTO u SELECT a, 1 FROM old; DROP TABLE old; COMMIT;"
    )
    assert [str(ref) for ref in catalog.objects] == ["table/u"]


def test_rows_pragmas_and_internal_tables_are_left_out() -> None:
    catalog = read(
        "PRAGMA foreign_keys=OFF; BEGIN TRANSACTION; CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT);"
        "INSERT INTO t VALUES (1); CREATE TABLE sqlite_sequence(name,seq); DELETE FROM sqlite_sequence;"
        "INSERT INTO sqlite_sequence VALUES('t',1);"
        "UPDATE no_such SET x = 1; ANALYZE; WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a; COMMIT;"
    )
    assert len(catalog) == 2


def test_a_dump_with_virtual_tables_is_a_source() -> None:
    made = (
        "CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT); CREATE VIRTUAL TABLE f USING fts5(t, content='b', content_rowid='id')"
    )
    with closing(sqlite3.connect(":memory:")) as native:
        native.executescript(f"{made}; INSERT INTO b VALUES (1, 'it''s'); INSERT INTO f (rowid, t) SELECT id, t FROM b;")
        tables = native.execute("SELECT name, sql, quote(sql) FROM sqlite_schema").fetchall()
    lines = ["PRAGMA writable_schema=ON;", "BEGIN TRANSACTION;", "INSERT INTO b VALUES(1,'it''s');", "COMMIT;"]
    lines[2:2] = [  # as the sqlite3 shell writes a virtual table; iterdump does so since Python 3.11.3
        f"INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)VALUES('table','{name}','{name}',0,{quoted});"
        if name == "f"
        else f"{sql};"
        for name, sql, quoted in tables
    ]
    assert read("\n".join(lines)) == read(made)


def test_problems_are_told_together_with_their_places() -> None:
    assert problems(
        "CREATE TABLE t (a);\n.mode csv\nATTACH 'x' AS y;\n  SELECT load_extension('x');\n"
        "CREATE VIEW v AS SELEC 1;\nCREATE INDEX i ON gone (a);"
    ) == [
        "a.sql:2:1: commands of the sqlite3 shell are not SQL",
        "a.sql:3:1: ATTACH has no place in a schema: it is about one database",
        "a.sql:4:3: a schema loads no extensions",
        'a.sql:5:18: near "SELEC": syntax error',
        "a.sql:6:1: no such table: main.gone",
    ]


def test_what_cannot_be_kept_is_refused() -> None:
    assert problems("CREATE TEMP TABLE x (a);") == ["a.sql:1:1: the temporary table x is no part of a database"]
    assert problems("UPDATE sqlite_master SET sql = 'CREATE TABLE t (b)' WHERE name = 't';") == [
        "a.sql:1:1: this writes into SQLite's own schema table"
    ]
    assert problems("CREATE TABLE t (a CHECK (unheard_of(a)));") == ["a.sql:1:1: no such function: unheard_of"]


def test_dropping_what_is_not_there_is_an_error_unless_allowed() -> None:
    assert problems("DROP TABLE t; CREATE TABLE t (a);") == ["a.sql:1:1: no such table: t"]
    assert len(read("DROP TABLE IF EXISTS t; CREATE TABLE t (a);")) == 1
