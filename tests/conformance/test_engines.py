"""The conformance suite: each engine fills the ports the same way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import pytest

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.model import ForeignKey, Index, PrimaryKey, Table, View
from dbops.catalog.scope import Scope
from dbops.engines.base.connect import Connection, Target, Timeouts
from dbops.engines.base.engine import Engine
from dbops.engines.base.render import RenderContext
from dbops.engines.base.url import parse_url
from dbops.errors import DbopsError, LockTimeoutError, MissingDatabaseError, Problems, QueryError
from dbops.sql.splitter import split
from dbops.usecases.runtime import engine_for
from tests.databases import Database

pytestmark = pytest.mark.majors(daily=True)

SHOP = """
CREATE TABLE orders (
  id integer NOT NULL PRIMARY KEY,
  customer_id integer NOT NULL,
  total decimal(10, 2) DEFAULT 0 NOT NULL,
  CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE,
  CONSTRAINT orders_total CHECK (total >= 0)
);
CREATE VIEW big_orders AS SELECT id, total FROM orders WHERE total > 100;
CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(200) NOT NULL, name varchar(100));
CREATE UNIQUE INDEX customers_email ON customers (email);
"""


@pytest.fixture
def target(database: Database) -> Target:
    return Target("shop", parse_url(database.url), timeouts=Timeouts(lock_s=2))


@pytest.fixture
def engine(target: Target) -> Engine:
    return engine_for(target.url)


@pytest.fixture
def conn(engine: Engine, target: Target) -> Iterator[Connection]:
    engine.create_database(target)
    with closing(engine.connect(target)) as opened:
        yield opened


def loaded(engine: Engine, target: Target, sql: str) -> Catalog:
    with engine.scratch(target) as scratch:
        engine.load(scratch, split(sql, engine.dialect, "shop.sql"))
        return engine.inspect(scratch, Scope(), declared=True)


def carry_out(engine: Engine, conn: Connection, wanted: Catalog) -> None:
    live = engine.inspect(conn, Scope())
    changes = diff(as_declared(live, wanted), wanted, column_order=engine.features.has_column_order)
    for act in engine.render(ChangeSet(live, wanted, changes), RenderContext(conn.server)):
        for statement in act.do:
            conn.execute(statement.sql, statement.parameters)


def test_the_server_says_what_it_is(conn: Connection, engine: Engine) -> None:
    server = conn.server
    assert server.version >= (3, 37) if engine.name == "sqlite" else server.version >= (8,)
    assert server.version_text and server.identity


def test_values_come_back_as_they_went(conn: Connection, engine: Engine) -> None:
    conn.execute("CREATE TABLE v (n integer, t varchar(100))")
    tricky = "100% ? %s :name 'quoted' \\ \"x\" ünï ✓"
    conn.execute("INSERT INTO v (n, t) VALUES (?, ?)", (7, tricky))
    conn.execute("INSERT INTO v (n, t) VALUES (?, '50% ?')", (None,))
    assert conn.query("SELECT n, t FROM v WHERE t = ?", (tricky,)) == [(7, tricky)]
    assert conn.query("SELECT n, t FROM v WHERE n IS NULL") == [(None, "50% ?")]
    assert conn.execute("UPDATE v SET n = 1") == 2


def test_a_failed_block_leaves_no_rows(conn: Connection) -> None:
    conn.execute("CREATE TABLE v (n integer)")
    with pytest.raises(QueryError), conn.transaction():
        conn.execute("INSERT INTO v (n) VALUES (1)")
        conn.execute("INSERT INTO no_such_table (n) VALUES (1)")
    assert conn.query("SELECT n FROM v") == []
    with conn.transaction():
        conn.execute("INSERT INTO v (n) VALUES (2)")
    assert conn.query("SELECT n FROM v") == [(2,)]


def test_what_is_said_for_later_comes_before_what_is_said_after_it(conn: Connection) -> None:
    conn.execute("CREATE TABLE v (n integer, t varchar(100))")
    tricky = "100% ? %s 'quoted' \\ \"x\" ünï ✓"
    with conn.transaction():
        conn.execute_later("INSERT INTO v (n, t) VALUES (?, ?)", (1, tricky))
        assert conn.query("SELECT n, t FROM v") == [(1, tricky)]
        conn.execute_later("INSERT INTO v (n, t) VALUES (?, 'why?')", (None,))
        conn.execute_later("UPDATE v SET n = 2 WHERE n = ?", (1,))
    assert conn.query("SELECT n, t FROM v WHERE n IS NOT NULL") == [(2, tricky)]
    assert conn.query("SELECT n, t FROM v WHERE n IS NULL") == [(None, "why?")]
    conn.execute_later("DELETE FROM v")  # outside of a transaction: at once
    assert conn.query("SELECT n FROM v") == []


def test_what_fails_later_undoes_the_block(conn: Connection) -> None:
    conn.execute("CREATE TABLE v (n integer)")
    with pytest.raises(QueryError), conn.transaction():
        conn.execute("INSERT INTO v (n) VALUES (1)")
        conn.execute_later("INSERT INTO no_such_table (n) VALUES (?)", (1,))
    with pytest.raises(ZeroDivisionError), conn.transaction():
        conn.execute_later("INSERT INTO v (n) VALUES (2)")
        raise ZeroDivisionError
    with conn.transaction():
        pass
    assert conn.query("SELECT n FROM v") == []


def test_a_reader_cannot_write(conn: Connection, engine: Engine, target: Target) -> None:
    conn.execute("CREATE TABLE v (n integer)")
    with closing(engine.connect(target, readonly=True)) as reader:
        assert reader.query("SELECT n FROM v") == []
        with pytest.raises(QueryError):
            reader.execute("INSERT INTO v (n) VALUES (1)")


def test_a_missing_database_is_told_and_made(engine: Engine, target: Target, database: Database) -> None:
    name = f"{target.url.database}_absent"
    absent = Target("absent", target.url.with_database(name))
    with pytest.raises(MissingDatabaseError):
        engine.connect(absent)
    engine.create_database(absent)
    engine.create_database(absent)
    try:
        with closing(engine.connect(absent, readonly=True)) as conn:
            assert len(engine.inspect(conn).all(Table)) == 0
    finally:
        if engine.features.has_servers:
            quoted = engine.dialect.quote_identifier(name)
            database.rows(f"DROP DATABASE {quoted}")


def test_statements_load_in_any_order(engine: Engine, target: Target) -> None:
    catalog = loaded(engine, target, SHOP)
    assert {table.name for table in catalog.all(Table)} == {"orders", "customers"}
    assert len(catalog.all(PrimaryKey)) == 2
    (key,) = catalog.all(ForeignKey)
    assert (key.columns, key.references.name, key.on_delete) == (("customer_id",), "customers", "CASCADE")
    assert [view.name for view in catalog.all(View)] == ["big_orders"]
    assert any(index.name == "customers_email" for index in catalog.all(Index))


def test_a_wrong_statement_is_named_with_its_place(engine: Engine, target: Target) -> None:
    with pytest.raises((Problems, DbopsError)) as caught:
        loaded(engine, target, "CREATE TABLE a (id integer);\n\n  CREATE TABLE b (id integer,, x);\n")
    assert "shop.sql:3:" in caught.value.explain()


def test_two_loads_give_equal_catalogs(engine: Engine, target: Target) -> None:
    assert loaded(engine, target, SHOP) == loaded(engine, target, SHOP)


def test_what_was_carried_out_is_what_was_wanted(engine: Engine, target: Target, conn: Connection) -> None:
    wanted = loaded(engine, target, SHOP)
    carry_out(engine, conn, wanted)
    live = engine.inspect(conn, Scope())
    assert diff(as_declared(live, wanted), wanted, column_order=engine.features.has_column_order) == ()
    carry_out(
        engine, conn, EMPTY if engine.name != "postgresql" else Catalog.of(item for item in live if item.ref.kind == "schema")
    )
    assert not engine.inspect(conn, Scope()).all(Table)


def test_inspecting_changes_nothing(engine: Engine, conn: Connection, database: Database) -> None:
    database.load("CREATE TABLE a (id integer PRIMARY KEY);")
    before, mark = database.dump(), engine.fingerprint(conn)
    engine.inspect(conn)
    engine.sizes(conn)
    engine.abilities(conn)
    assert (database.dump(), engine.fingerprint(conn)) == (before, mark)


def test_what_was_captured_is_what_was_inspected(engine: Engine, conn: Connection, database: Database) -> None:
    database.load("CREATE TABLE a (id integer PRIMARY KEY, b varchar(20) DEFAULT 'x', CHECK (id > 0));")
    database.load("CREATE TABLE c (a integer REFERENCES a (id)); CREATE INDEX c_a ON c (a); CREATE VIEW v AS SELECT b FROM a;")
    text, catalog = engine.capture(conn), engine.inspect(conn)
    database.load("DROP VIEW v;")
    assert engine.captured(text) == catalog
    with pytest.raises((ValueError, KeyError, TypeError)):
        engine.captured("{}")


def test_the_fingerprint_moves_with_the_schema(engine: Engine, conn: Connection, database: Database) -> None:
    database.load("CREATE TABLE a (id integer PRIMARY KEY);")
    marks = [engine.fingerprint(conn)]
    for sql in (
        "CREATE INDEX a_id ON a (id);",
        "ALTER TABLE a ADD COLUMN b integer;",
        "CREATE VIEW v AS SELECT id FROM a;",
        "DROP VIEW v;",
    ):
        database.load(sql)
        marks.append(engine.fingerprint(conn))
    assert all(before != after for before, after in pairwise(marks))


def test_the_second_apply_waits_and_then_gives_up(engine: Engine, target: Target, conn: Connection) -> None:
    got: list[str] = []

    def second() -> None:
        with closing(engine.connect(target)) as other:
            try:
                with engine.lock(other, "apply", 0.3):
                    got.append("held")
            except LockTimeoutError:
                got.append("timed out")

    with engine.lock(conn, "apply", 1):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    with engine.lock(conn, "apply", 1):
        pass
    second()
    assert got == ["timed out", "held"]


def test_a_scratch_is_gone_afterwards(engine: Engine, target: Target, database: Database) -> None:
    with pytest.raises(ZeroDivisionError), engine.scratch(target) as scratch:
        scratch.execute("CREATE TABLE a (id integer)")
        raise ZeroDivisionError
    listing = {"postgresql": "SELECT datname FROM pg_database", "mysql": "SHOW DATABASES"}.get(engine.name)
    names = [row[0] for row in database.rows(listing)] if listing else []
    identity = f"{target.url.database}"
    assert not [name for name in names if name.startswith("dbops_scratch_") and identity in name]


def test_secrets_stay_out_of_errors(engine: Engine, target: Target) -> None:
    if not engine.features.has_servers:
        pytest.skip("a file has no password")
    url = parse_url(f"{target.url.engine}://nobody:s3cr3t-pw@127.0.0.1:1/none")
    with pytest.raises(DbopsError) as caught:
        engine.connect(Target("wrong", url, attempts=1))
    assert "s3cr3t-pw" not in caught.value.explain() + repr(caught.value.to_dict()) + repr(url)
