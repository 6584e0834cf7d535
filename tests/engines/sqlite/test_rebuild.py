"""Tables built anew: nothing that belongs to them is lost, nothing that refers to them notices."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dbops.catalog.changes import ChangeSet, diff
from dbops.catalog.scope import Scope
from dbops.engines.base.render import RenderContext
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.errors import QueryError
from tests.engines.sqlite.loop import ENGINE, Planned, plan, read, run, take_back, target

PARENT = """
CREATE TABLE parent (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL COLLATE NOCASE,
  twice TEXT GENERATED ALWAYS AS (code || code) STORED,
  note VARCHAR(10)
);
CREATE UNIQUE INDEX parent_code ON parent (code) WHERE code <> '';
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE);
CREATE TABLE plain (word TEXT, number INT);
CREATE TABLE pairs (a TEXT, b INT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE strict_one (id INTEGER PRIMARY KEY, v ANY) STRICT;
CREATE TABLE log (line TEXT);
CREATE VIEW names AS SELECT p.id, upper(p.code) AS n, count(*) FROM parent p JOIN child c ON c.parent_id = p.id GROUP BY p.id;
CREATE TRIGGER parent_gone AFTER DELETE ON parent BEGIN INSERT INTO log VALUES ('gone ' || old.code); END;
CREATE TRIGGER child_new AFTER INSERT ON child BEGIN UPDATE parent SET note = 'has child' WHERE id = new.parent_id; END;
"""
ROWS = """
INSERT INTO parent (id, code) VALUES (1, 'one'), (2, 'two'), (7, 'seven');
INSERT INTO parent (id, code) VALUES (900, 'gone'); DELETE FROM parent WHERE id = 900; DELETE FROM log;
INSERT INTO child VALUES (10, 1), (11, 1), (12, 7);
INSERT INTO plain (rowid, word, number) VALUES (5, 'five', 5), (50, 'fifty', 50);
INSERT INTO pairs VALUES ('x', 1), ('y', 2);
INSERT INTO strict_one VALUES (1, '007'), (2, 7);
"""
STATE = {
    "parent": "SELECT id, code, twice, note FROM parent ORDER BY id",
    "child": "SELECT * FROM child ORDER BY id",
    "plain": "SELECT rowid, word FROM plain ORDER BY rowid",
    "pairs": "SELECT a, b FROM pairs ORDER BY a",
    "strict_one": "SELECT id, v, typeof(v) FROM strict_one ORDER BY id",
    "log": "SELECT * FROM log",
    "names": "SELECT * FROM names ORDER BY id",
    "sequence": "SELECT name, seq FROM sqlite_sequence",
}


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[SqliteConnection]:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as native:
        native.executescript(PARENT + ROWS)
    with closing(ENGINE.connect(target(path, foreign_keys="on"))) as opened:
        yield opened


def state(conn: SqliteConnection) -> dict[str, object]:
    return {name: conn.query(sql) for name, sql in STATE.items()}


def applied(conn: SqliteConnection, sql: str, archive: str | None = None) -> Planned:
    planned = plan(conn, read(sql), archive)
    run(conn, planned.acts)
    assert plan(conn, read(sql)).changes == ()
    return planned


REBUILDS = {
    "a type": ("note VARCHAR(10)", "note VARCHAR(20)"),
    "a default": ("note VARCHAR(10)", "note VARCHAR(10) DEFAULT (lower('N'))"),
    "a check": ("note VARCHAR(10)", "note VARCHAR(10), CHECK (length(note) < 100)"),
    "a unique key": ("note VARCHAR(10)", "note VARCHAR(10), UNIQUE (code, note)"),
    "a collation": ("COLLATE NOCASE", "COLLATE RTRIM"),
    "a name in another case": ("CREATE TABLE parent (", "CREATE TABLE Parent ("),
    "a hidden rowid": ("CREATE TABLE plain (word TEXT, number INT)", "CREATE TABLE plain (word TEXT, number INT UNIQUE)"),
    "WITHOUT ROWID": ("b INT, PRIMARY KEY (a, b)) WITHOUT ROWID", "b INT, PRIMARY KEY (a, b))"),
    "STRICT": ("v ANY) STRICT", "v ANY UNIQUE) STRICT"),
}


@pytest.mark.parametrize("name", REBUILDS)
def test_a_rebuild_keeps_everything(conn: SqliteConnection, name: str) -> None:
    old, new = REBUILDS[name]
    before = state(conn)
    planned = applied(conn, PARENT.replace(old, new), archive="a")
    assert any("dbops_new_" in sql for sql in planned.sql)
    after = state(conn)
    if name == "a name in another case":
        assert after.pop("sequence") == [("Parent", 900)] and before.pop("sequence") == [("parent", 900)]
    assert after == before
    assert conn.query("PRAGMA foreign_keys") == [(1,)] and conn.query("PRAGMA legacy_alter_table") == [(0,)]
    conn.execute("INSERT INTO child VALUES (13, 2)")
    assert conn.query("SELECT note FROM parent WHERE id = 2") == [("has child",)]
    conn.execute("DELETE FROM parent WHERE id = 1")
    assert conn.query("SELECT id FROM child ORDER BY id") == [(12,), (13,)]
    assert conn.query("SELECT line FROM log") == [("gone one",)]


@pytest.mark.parametrize("name", REBUILDS)
def test_a_rebuild_can_be_taken_back(conn: SqliteConnection, name: str) -> None:
    old, new = REBUILDS[name]
    before, catalog = state(conn), ENGINE.inspect(conn)
    planned = applied(conn, PARENT.replace(old, new), archive="a")
    take_back(conn, planned.acts)
    assert state(conn) == before
    assert ENGINE.inspect(conn) == catalog


def test_dropping_a_parent_leaves_its_children(conn: SqliteConnection) -> None:
    without = PARENT.replace("REFERENCES parent (id) ON DELETE CASCADE", "")
    start = without.index("CREATE TABLE parent")
    without = without[:start] + without[without.index("CREATE TABLE child") :]
    without = "\n".join(line for line in without.splitlines() if not line.startswith(("CREATE VIEW", "CREATE TRIGGER")))
    before = state(conn)
    planned = applied(conn, without, archive="a")
    assert {"DELETES_DATA", "DELETES_OBJECT"} <= set(planned.hazards)
    assert conn.query("SELECT * FROM child ORDER BY id") == before["child"]
    take_back(conn, planned.acts)
    assert {**state(conn), "sequence": None} == {**before, "sequence": None}


@pytest.mark.parametrize("enforced", [0, 1])
def test_a_new_violation_rolls_back(conn: SqliteConnection, enforced: int) -> None:
    conn.execute(f"PRAGMA foreign_keys = {enforced}")
    wanted = PARENT.replace(
        "CREATE TABLE plain (word TEXT, number INT)", "CREATE TABLE plain (word TEXT, number INT REFERENCES parent (id))"
    )
    before = state(conn)
    planned = plan(conn, read(wanted))
    assert "MAY_FAIL_ON_DATA" in planned.hazards
    with pytest.raises(QueryError, match="2 rows that refer to nothing: plain row 5"):
        run(conn, planned.acts)
    assert state(conn) == before
    assert conn.query("PRAGMA foreign_keys") == [(enforced,)]


def test_a_new_column_that_refers_to_nothing_rolls_back_where_nobody_enforces_it(conn: SqliteConnection) -> None:
    conn.execute("PRAGMA foreign_keys = OFF")
    with pytest.raises(QueryError, match="rows that refer to nothing: plain row"), conn.transaction(schema_change=True):
        conn.execute("ALTER TABLE plain ADD COLUMN parent_id INTEGER DEFAULT 777 REFERENCES parent (id)")
    assert "parent_id" not in [name for (name,) in conn.query("SELECT name FROM pragma_table_info('plain')")]


@pytest.mark.parametrize("enforced", [0, 1])
def test_an_old_violation_is_no_obstacle(conn: SqliteConnection, enforced: int) -> None:
    conn.execute("PRAGMA foreign_keys = OFF")
    conn.execute("INSERT INTO child VALUES (99, 12345)")
    conn.execute(f"PRAGMA foreign_keys = {enforced}")
    applied(conn, PARENT.replace("note VARCHAR(10)", "note VARCHAR(30)"))
    assert (99, 12345) in conn.query("SELECT * FROM child")


def test_an_old_violation_hides_no_new_one_and_keeps_its_table_from_no_new_name(conn: SqliteConnection) -> None:
    conn.execute("PRAGMA foreign_keys = OFF")
    conn.execute("INSERT INTO child VALUES (99, 12345)")
    conn.execute("PRAGMA foreign_keys = ON")
    with conn.transaction(schema_change=True):
        conn.execute('ALTER TABLE child RENAME TO "the child"')
        conn.execute("ALTER TABLE parent RENAME TO elder")
    with pytest.raises(QueryError, match="plain row"), conn.transaction(schema_change=True):
        conn.execute('DELETE FROM "the child" WHERE id = 99')
        conn.execute("ALTER TABLE plain ADD COLUMN elder_id INTEGER DEFAULT 777 REFERENCES elder (id)")


def test_rows_that_break_a_new_rule_are_named_before_anything_changes(conn: SqliteConnection) -> None:
    before = state(conn)
    planned = plan(conn, read(PARENT.replace("note VARCHAR(10)", "note VARCHAR(10) NOT NULL")))
    with pytest.raises(QueryError, match=r"^NOT NULL constraint failed: parent\.note$"):
        run(conn, planned.acts)
    assert state(conn) == before


def test_a_default_fills_what_may_no_longer_be_null(conn: SqliteConnection) -> None:
    applied(conn, PARENT.replace("note VARCHAR(10)", "note VARCHAR(10) NOT NULL DEFAULT 'none'"))
    assert conn.query("SELECT DISTINCT note FROM parent WHERE id = 2") == [("none",)]


def test_nulls_that_gave_way_to_a_default_come_back(conn: SqliteConnection) -> None:
    """Not where the value was written since, nor where a default was written by somebody."""
    conn.execute("INSERT INTO plain VALUES (NULL, 1), (NULL, 2), ('007', 3), ('x', NULL)")
    wanted = "(word INT NOT NULL DEFAULT 'x', number INT NOT NULL DEFAULT (-1))"
    planned = applied(conn, PARENT.replace("(word TEXT, number INT)", wanted), archive="a")
    assert conn.query("SELECT word, number FROM plain WHERE rowid > 50") == [("x", 1), ("x", 2), (7, 3), ("x", -1)]
    conn.execute("UPDATE plain SET word = 'new' WHERE number = 2")
    conn.execute("INSERT INTO plain (number) VALUES (9)")
    take_back(conn, planned.acts)
    rows = [(None, 1), ("new", 2), ("007", 3), ("x", None), ("x", 9)]
    assert conn.query("SELECT word, number FROM plain WHERE rowid > 50") == rows


@pytest.mark.parametrize("default", ["CURRENT_TIMESTAMP", "(random())", "(lower(hex(randomblob(8))))"])
def test_nulls_that_gave_way_to_values_of_their_own_come_back(conn: SqliteConnection, default: str) -> None:
    conn.execute("INSERT INTO plain VALUES (NULL, 1), (NULL, 2), ('x', 3)")
    planned = applied(conn, PARENT.replace("word TEXT", f"word TEXT NOT NULL DEFAULT {default}"), archive="a")
    conn.execute("UPDATE plain SET word = 'new' WHERE number = 2")
    take_back(conn, planned.acts)
    assert conn.query("SELECT word, number FROM plain WHERE rowid > 50") == [(None, 1), ("new", 2), ("x", 3)]


def test_a_default_that_was_written_over_in_another_case_stays(conn: SqliteConnection) -> None:
    nocase = PARENT.replace("word TEXT", "word TEXT COLLATE NOCASE")
    applied(conn, nocase)
    conn.execute("INSERT INTO plain VALUES (NULL, 1), (NULL, 2)")
    planned = applied(conn, nocase.replace("NOCASE", "NOCASE NOT NULL DEFAULT 'd'"), archive="a")
    conn.execute("UPDATE plain SET word = 'D' WHERE number = 2")
    take_back(conn, planned.acts)
    assert conn.query("SELECT word, number FROM plain WHERE rowid > 50") == [(None, 1), ("D", 2)]


@pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
def test_a_default_fills_what_was_computed_and_may_no_longer_be_null(conn: SqliteConnection, kind: str) -> None:
    computed = PARENT.replace("word TEXT", f"word INT GENERATED ALWAYS AS (number * 2) {kind}")
    conn.execute("DELETE FROM plain")
    applied(conn, computed)
    conn.execute("INSERT INTO plain (number) VALUES (1), (NULL)")
    planned = applied(conn, PARENT.replace("word TEXT", "word INT NOT NULL DEFAULT 7"), archive="a")
    assert conn.query("SELECT word, number FROM plain") == [(2, 1), (7, None)]
    take_back(conn, planned.acts)
    assert conn.query("SELECT word, number FROM plain") == [(2, 1), (None, None)]


KEYED = "CREATE TABLE keyed (a TEXT, b INT, c INT, PRIMARY KEY (a, b));"


@pytest.mark.parametrize(
    "wanted",
    [
        KEYED.replace("c INT, ", ""),
        KEYED.replace("c INT", "c INT NOT NULL DEFAULT 9"),
        KEYED.replace("a TEXT", "a TEXT NOT NULL DEFAULT 'd'"),
        KEYED.replace("a TEXT", "a TEXT NOT NULL DEFAULT (hex(randomblob(8)))"),
    ],
)
def test_rows_with_a_primary_key_that_is_null_are_told_apart(conn: SqliteConnection, wanted: str) -> None:
    applied(conn, PARENT + KEYED)
    rows = [(None, 1, 1), (None, 2, 2), (None, 2, None), ("d", 2, 3), ("x", 1, 4)]
    if "'d'" in wanted:
        del rows[2:4]
    for row in rows:
        conn.execute("INSERT INTO keyed VALUES (?, ?, ?)", row)
    planned = applied(conn, PARENT + wanted, archive="a")
    take_back(conn, planned.acts)
    assert conn.query("SELECT * FROM keyed ORDER BY rowid") == rows


@pytest.mark.parametrize("key", ["id INTEGER PRIMARY KEY", "id INT PRIMARY KEY", "id REAL PRIMARY KEY", "id NUMERIC"])
@pytest.mark.parametrize("wanted", ["", "word TEXT NOT NULL DEFAULT 'x'"])
def test_undo_looks_kept_values_up_by_an_index(conn: SqliteConnection, key: str, wanted: str) -> None:
    """Row by row through all of them, 200,000 rows took hours."""
    applied(conn, PARENT + f"CREATE TABLE large ({key}, word TEXT);")
    planned = applied(conn, PARENT + f"CREATE TABLE large ({key}, {wanted});".replace(", )", ")"), archive="a")
    [copying] = [
        act.undo[place].sql for act in planned.acts for place in range(len(act.undo)) if "AS kept" in act.undo[place].sql
    ]
    shown = [str(line[-1]) for line in conn.query(f"EXPLAIN QUERY PLAN {copying[copying.index('SELECT') :]}")]
    assert any("kept" in line for line in shown) and not [line for line in shown if "SCAN kept" in line]


def test_conflict_clauses_drop_no_rows_while_copying(conn: SqliteConnection) -> None:
    conn.execute("INSERT INTO plain VALUES ('five', 5)")
    planned = plan(conn, read(PARENT.replace("(word TEXT, number INT)", "(word TEXT UNIQUE ON CONFLICT IGNORE, number INT)")))
    with pytest.raises(QueryError, match=r"UNIQUE constraint failed: plain\.word"):
        run(conn, planned.acts)


def test_a_dropped_column_comes_back_with_its_values(conn: SqliteConnection) -> None:
    planned = applied(conn, PARENT.replace("(word TEXT, number INT)", "(word TEXT)"), archive="a")
    assert "DELETES_DATA" in planned.hazards and "ALTER TABLE plain DROP COLUMN number" in planned.sql
    conn.execute("INSERT INTO plain VALUES ('later')")
    take_back(conn, planned.acts)
    assert conn.query("SELECT rowid, * FROM plain") == [(5, "five", 5), (50, "fifty", 50), (51, "later", None)]
    assert conn.query("SELECT name FROM sqlite_schema WHERE name LIKE 'dbops%'") == []


def test_text_that_became_numbers_comes_back_as_it_was(conn: SqliteConnection) -> None:
    conn.execute("UPDATE plain SET word = '007' WHERE rowid = 5")
    planned = applied(conn, PARENT.replace("(word TEXT, number INT)", "(word INT, number INT)"), archive="a")
    assert "DELETES_DATA" in planned.hazards
    assert conn.query("SELECT word FROM plain ORDER BY rowid") == [(7,), ("fifty",)]
    conn.execute("UPDATE plain SET word = 8 WHERE rowid = 50")
    take_back(conn, planned.acts)
    assert conn.query("SELECT word FROM plain ORDER BY rowid") == [("007",), ("8",)]


def test_a_schema_change_must_be_announced(conn: SqliteConnection) -> None:
    """Inside an ordinary transaction foreign keys stay on, and the rebuild would delete the children."""
    planned = plan(conn, read(PARENT.replace("note VARCHAR(10)", "note VARCHAR(20)")))
    before = state(conn)
    with pytest.raises(QueryError, match="cannot be switched off"), conn.transaction():
        for act in planned.acts:
            for statement in act.do:
                conn.execute(statement.sql)
    assert state(conn) == before


def test_broken_views_and_unknown_functions_stand_in_nobodys_way(conn: SqliteConnection) -> None:
    odd = (
        PARENT + "CREATE VIEW odd AS SELECT only_the_application_knows(code) FROM parent;\n"
        "CREATE VIEW broken AS SELECT * FROM no_such;\n"
    )
    applied(conn, odd)
    planned = applied(conn, odd.replace("note VARCHAR(10)", "note VARCHAR(20)").replace("number INT", "extra"))
    assert not any("VIEW" in sql for sql in planned.sql)


def test_what_the_plan_does_not_know_survives(conn: SqliteConnection) -> None:
    """Triggers and indexes that are excluded, or dbops's own, stand on tables that a plan builds anew."""
    conn.execute("CREATE TRIGGER dbops_audit AFTER UPDATE ON parent BEGIN INSERT INTO log VALUES ('seen'); END")
    conn.execute("CREATE INDEX other_index ON parent (note)")
    scope = Scope(exclude=("other_*",))
    live, wanted = ENGINE.inspect(conn, scope), read(PARENT.replace("note VARCHAR(10)", "note VARCHAR(20)"))
    changes = ChangeSet(live, wanted, diff(live, wanted))
    assert len(changes.changes) == 1
    run(conn, ENGINE.render(changes, RenderContext(conn.server)))
    conn.execute("UPDATE parent SET note = 'n' WHERE id = 1")
    assert conn.query("SELECT line FROM log") == [("seen",)]
    assert conn.query("SELECT count(*) FROM sqlite_schema WHERE name = 'other_index'") == [(1,)]


def test_what_analyze_found_out_survives_where_it_still_holds(conn: SqliteConnection) -> None:
    conn.execute("CREATE INDEX plain_number ON plain (number)")
    conn.execute("ANALYZE")
    lines = "SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx"
    before = conn.query(lines)
    wanted = PARENT.replace("word TEXT, number INT", "word BLOB, number TEXT").replace("VARCHAR(10)", "VARCHAR(20)")
    wanted = wanted.replace("a TEXT, b INT, PRIMARY", "a TEXT, b INT, c INT CHECK (c > 0), PRIMARY")
    planned = applied(conn, wanted + "CREATE INDEX plain_number ON plain (number);")
    held = [line for line in before if line[1] != "plain_number"]
    assert len(held) >= 5 and conn.query(lines) == held
    take_back(conn, planned.acts)
    assert conn.query(lines) == held
