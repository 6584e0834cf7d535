"""Renames by ALTER TABLE: rows, views, triggers and foreign keys follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import ChangeSet, RenameColumn, RenameObject, diff
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.sqlite.connect import SqliteConnection
from tests.engines.sqlite.loop import ENGINE, MEMORY, copy, plan, read, run, take_back

OLD = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, "mail" TEXT CHECK (mail LIKE '%@%'), g AS (lower(mail)));
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id REFERENCES customer (id));
CREATE INDEX contacts ON customer (lower([mail])) WHERE mail IS NOT NULL;
CREATE VIEW mails AS SELECT c.mail, count(*) AS orders FROM customer AS c JOIN orders ON customer_id = c.id;
CREATE TRIGGER ordered AFTER INSERT ON orders BEGIN UPDATE customer SET mail = 'x@y' WHERE id = new.customer_id; END;
CREATE TRIGGER own AFTER UPDATE OF mail ON customer BEGIN SELECT new.mail; END;
"""
NEW = OLD.replace("customer ", "customers ").replace("mail ", "email ").replace("mail)", "email)").replace("mail]", "email]")
NEW = NEW.replace('"mail"', '"email"').replace("c.mail,", "c.email,").replace("new.mail;", "new.email;")
RENAMES = (
    RenameObject(Ref("table", "", "customer"), Ref("table", "", "customers")),
    RenameColumn(Ref("table", "", "customers"), "mail", "email"),
)


@pytest.fixture
def conn() -> Iterator[SqliteConnection]:
    with ENGINE.scratch(MEMORY) as opened:
        yield opened


def renamed(conn: SqliteConnection, live: Catalog, renames: Sequence[RenameObject | RenameColumn]) -> list[Act]:
    copy(live, conn)
    acts = ENGINE.render(ChangeSet(live, live, tuple(renames)), RenderContext(conn.server))
    run(conn, acts)
    return acts


def test_everything_follows_a_new_name(conn: SqliteConnection) -> None:
    live = read(OLD)
    acts = renamed(conn, live, RENAMES)
    assert [statement.sql for act in acts for statement in act.do] == [
        "ALTER TABLE customer RENAME TO customers",
        "ALTER TABLE customers RENAME COLUMN mail TO email",
    ]
    assert {hazard.code for act in acts for hazard in act.hazards} == {"RENAMES"}
    assert diff(ENGINE.inspect(conn), read(NEW)) == ()
    take_back(conn, acts)
    assert diff(ENGINE.inspect(conn), live) == ()


def test_a_name_may_change_in_case_only(conn: SqliteConnection) -> None:
    live = read(OLD)
    acts = renamed(conn, live, [RenameObject(Ref("table", "", "customer"), Ref("table", "", "Customer"))])
    assert "Customer" in [table.name for table in ENGINE.inspect(conn) if table.kind == "table"]
    take_back(conn, acts)
    assert diff(ENGINE.inspect(conn), live) == ()


def test_views_that_do_not_compile_step_aside(conn: SqliteConnection) -> None:
    broken = "CREATE VIEW broken AS SELECT * FROM no_such;"
    acts = renamed(conn, read(OLD + broken), RENAMES)
    assert diff(ENGINE.inspect(conn), read(NEW + broken)) == ()
    take_back(conn, acts)
    assert diff(ENGINE.inspect(conn), read(OLD + broken)) == ()


HANDED_ON = """
CREATE TABLE {table} (id INTEGER PRIMARY KEY, {mail} TEXT, other TEXT);
CREATE VIEW mails AS SELECT id, {mail} FROM {table};
CREATE TRIGGER put INSTEAD OF INSERT ON mails BEGIN INSERT INTO {table} ({mail}) VALUES (new.{mail}); END;
CREATE VIEW loud AS SELECT upper({mail}) AS up FROM mails;
CREATE VIEW aliased AS SELECT {mail} AS address FROM {table};
CREATE VIEW by_with AS WITH found AS (SELECT {mail} FROM {table}) SELECT {mail} || '!' AS up FROM found;
CREATE VIEW over_with AS SELECT up FROM by_with;
CREATE VIEW nested AS SELECT q.{mail} FROM (SELECT {mail} FROM {table}) AS q;
CREATE TABLE mailbox (mail TEXT);
CREATE VIEW boxes AS SELECT {table}.id FROM {table} JOIN mailbox {join};
CREATE TRIGGER filled AFTER INSERT ON {table} BEGIN
  UPDATE {table} SET other = (SELECT max(up) FROM over_with) WHERE id = new.id; END;
"""


def test_code_that_knows_a_column_as_it_is_handed_on_steps_aside(conn: SqliteConnection) -> None:
    """SQLite renames no column while a view, a WITH clause or a subquery hands it on to somebody by the old name."""
    live = read(HANDED_ON.format(table="customer", mail="mail", join="USING (mail)"))
    wanted = read(HANDED_ON.format(table="customers", mail="email", join="ON mailbox.mail = email"))
    acts = renamed(conn, live, RENAMES)
    rest = plan(conn, wanted)
    assert {change.ref.name for change in rest.changes} == {"put", "loud", "by_with", "nested", "boxes", "filled"}
    run(conn, rest.acts)
    assert diff(ENGINE.inspect(conn), wanted) == ()
    take_back(conn, [*acts, *rest.acts])
    assert diff(ENGINE.inspect(conn), live) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Ref("view", "", "mails"), Ref("view", "", "letters")),
        (Ref("index", "", "contacts", "customer"), Ref("index", "", "by contact", "customer")),
        (Ref("trigger", "", "ordered", "orders"), Ref("trigger", "", "was ordered", "orders")),
    ],
)
def test_views_indexes_and_triggers_are_made_again(conn: SqliteConnection, old: Ref, new: Ref) -> None:
    live = read(OLD)
    acts = renamed(conn, live, [RenameObject(old, new)])
    found = ENGINE.inspect(conn)
    assert new in found and old not in found
    take_back(conn, acts)
    assert diff(ENGINE.inspect(conn), live) == ()


VIEWS = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);
CREATE VIEW {v} AS SELECT id FROM t;
CREATE VIEW {w} AS SELECT q.a FROM (SELECT a FROM t) AS q;
CREATE TRIGGER on_v INSTEAD OF DELETE ON {v} BEGIN DELETE FROM t; END;
CREATE TRIGGER on_w INSTEAD OF INSERT ON {w} BEGIN INSERT INTO t (a) VALUES (1); END;
"""


@pytest.mark.parametrize(
    ("more", "old_names", "new_names", "pairs"),
    [
        ("", "vw", "nw", ["vn"]),
        ("", "vw", "wn", ["wn", "vw"]),
        ("CREATE VIEW broken AS SELECT * FROM no_such;", "vw", "vn", ["wn"]),
    ],
    ids=["one", "to a name that another gives away", "beside one that does not compile"],
)
def test_triggers_on_a_view_that_is_renamed_stay(
    conn: SqliteConnection, more: str, old_names: str, new_names: str, pairs: Sequence[str]
) -> None:
    live, wanted = (read(VIEWS.format(v=names[0], w=names[1]) + more) for names in (old_names, new_names))
    acts = renamed(conn, live, [RenameObject(Ref("view", "", old), Ref("view", "", new)) for old, new in pairs])
    assert diff(ENGINE.inspect(conn), wanted) == ()
    take_back(conn, acts)
    assert diff(ENGINE.inspect(conn), live) == ()


def test_tables_and_columns_are_renamed_beside_a_view_that_code_uses(conn: SqliteConnection) -> None:
    live = read("""
        CREATE TABLE t (a INT);
        CREATE TABLE u (c INT);
        CREATE VIEW v AS SELECT a FROM t;
        CREATE VIEW w AS SELECT a FROM v;
        CREATE TRIGGER within AFTER INSERT ON t BEGIN DELETE FROM v WHERE a < 0; END;
        CREATE TRIGGER on_v INSTEAD OF DELETE ON v BEGIN DELETE FROM t WHERE a = OLD.a; END;
    """)
    view = RenameObject(Ref("view", "", "v"), Ref("view", "", "n"))
    table = RenameObject(Ref("table", "", "u"), Ref("table", "", "x"))
    acts = renamed(conn, live, [view, table, RenameColumn(Ref("table", "", "x"), "c", "d")])
    found = ENGINE.inspect(conn)
    assert {view.ref, table.ref, Ref("trigger", "", "within", "t")} <= set(found.objects)
    take_back(conn, acts)
    assert diff(ENGINE.inspect(conn), live) == ()


def test_a_view_that_steps_aside_for_a_column_is_renamed(conn: SqliteConnection) -> None:
    live = read(HANDED_ON.format(table="customer", mail="mail", join="USING (mail)"))
    acts = renamed(conn, live, [*RENAMES, RenameObject(Ref("view", "", "nested"), Ref("view", "", "deep"))])
    found = {item.name for item in ENGINE.inspect(conn)}
    assert "deep" in found and "nested" not in found
    take_back(conn, acts)
    assert diff(ENGINE.inspect(conn), live) == ()


INDEXED = """
CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT);
CREATE VIRTUAL TABLE docs_fts USING fts5(title, content='docs', content_rowid='id');
CREATE TRIGGER added AFTER INSERT ON docs BEGIN INSERT INTO docs_fts (rowid, title) VALUES (new.id, new.title); END;
CREATE TRIGGER gone AFTER DELETE ON docs BEGIN
  INSERT INTO docs_fts (docs_fts, rowid, title) VALUES ('delete', old.id, old.title); END;
"""
TABLE = RenameObject(Ref("table", "", "docs"), Ref("table", "", "papers"))
INDEX = RenameObject(Ref("virtual_table", "", "docs_fts"), Ref("virtual_table", "", "papers_fts"))


@pytest.mark.parametrize(
    ("renames", "wanted"),
    [
        ([TABLE], INDEXED.replace("docs ", "papers ").replace("'docs'", "'papers'")),
        ([TABLE, INDEX], INDEXED.replace("docs", "papers")),
        ([INDEX, TABLE], INDEXED.replace("docs", "papers")),
        ([RenameColumn(Ref("table", "", "docs"), "title", "head")], INDEXED.replace("title", "head")),
        (
            [TABLE, RenameColumn(Ref("table", "", "papers"), "title", "head")],
            INDEXED.replace("docs", "papers").replace("title", "head"),
        ),
    ],
)
def test_a_full_text_index_finds_its_rows_after_a_rename_and_its_undo(
    conn: SqliteConnection, renames: Sequence[RenameObject | RenameColumn], wanted: str
) -> None:
    live = read(INDEXED)
    copy(live, conn)
    conn.execute("INSERT INTO docs VALUES (1, 'running'), (7, 'walking')")
    acts = ENGINE.render(ChangeSet(live, live, tuple(renames)), RenderContext(conn.server))
    run(conn, acts)
    planned = plan(conn, read(wanted), archive="t")
    run(conn, planned.acts)
    assert diff(ENGINE.inspect(conn), planned.wanted) == ()
    index = "papers_fts" if "papers_fts" in wanted else "docs_fts"
    assert conn.query(f"SELECT rowid FROM {index} WHERE {index} MATCH 'walking'") == [(7,)]
    take_back(conn, [*acts, *planned.acts])
    assert diff(ENGINE.inspect(conn), live) == ()
    assert conn.query("SELECT rowid FROM docs_fts WHERE docs_fts MATCH 'walking'") == [(7,)]
