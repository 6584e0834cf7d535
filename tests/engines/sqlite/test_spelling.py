"""What authors wrote is kept: layout and comments survive making, copying and rebuilding."""

from __future__ import annotations

from dataclasses import replace

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.catalog.model import Table
from dbops.engines.base.connect import Server
from dbops.engines.base.render import RenderContext
from tests.engines.sqlite.loop import ENGINE, MEMORY, plan, read, run

SQL = """CREATE TABLE t ( -- the things
  id integer primary key, /* rowid */
  n  int  check (n > 0)  not null
);
CREATE VIEW v AS
  SELECT n -- only this
  FROM t;
CREATE TRIGGER tr AFTER INSERT ON t
BEGIN
  SELECT 1; -- nothing
END;
CREATE INDEX i ON t ( n  ASC );
"""


def rendered(catalog: Catalog) -> str:
    acts = ENGINE.render(ChangeSet(EMPTY, catalog, diff(EMPTY, catalog)), RenderContext(Server("sqlite", (3, 40), "", "")))
    return "".join(f"{statement.sql};\n" for act in acts for statement in act.do)


def test_a_schema_is_written_as_its_author_wrote_it() -> None:
    text = rendered(read(SQL))
    assert all(statement in text for statement in SQL.split(";\nCREATE")[0:1])
    assert "-- only this\n" in text and "-- nothing\n" in text and "( n  ASC )" in text
    assert rendered(read(text)) == text


def test_a_spelling_that_no_longer_fits_is_not_used() -> None:
    catalog = read(SQL)
    [table] = catalog.all(Table)
    other = replace(table, columns=(*table.columns[:1], replace(table.columns[1], type="BIGINT")))
    text = rendered(replace(catalog, objects={**catalog.objects, table.ref: other}))
    assert "n BIGINT NOT NULL" in text and "the things" not in text


def test_a_rebuilt_table_is_spelled_like_its_source() -> None:
    with ENGINE.scratch(MEMORY) as conn:
        run(conn, plan(conn, read("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT);")).acts)
        run(conn, plan(conn, read(SQL)).acts)
        [(text,)] = conn.query("SELECT sql FROM sqlite_schema WHERE name = 't'")
        assert text == SQL[: SQL.index(";")].replace("TABLE t", 'TABLE "t"')


def test_spelling_is_no_difference() -> None:
    plain = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT NOT NULL, CHECK (n > 0));"
    assert diff(read(SQL[: SQL.index(";") + 1]), read(plain)) == ()
