"""Plans that need more locks than the server has room for say so beforehand."""

from __future__ import annotations

from dbops.catalog.catalog import EMPTY
from dbops.catalog.changes import CreateObject, diff
from dbops.catalog.model import Column, Index, IndexKey, Table
from dbops.engines.postgresql.lock_table import lock_shortage, locks_of
from dbops.resources.schema.copying import run
from dbops.sql.statement import Statement
from tests.databases import PostgresDatabase
from tests.engines.postgresql.sessions import ENGINE, loaded, session, target_of

_HELD = (
    "SELECT count(DISTINCT relation) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384"
)


def test_the_estimate_is_what_a_transaction_holds(pg_database: PostgresDatabase) -> None:
    sql = "".join(
        f"CREATE TABLE t{n} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text UNIQUE, b int REFERENCES t0 (id));\n"
        f"CREATE INDEX t{n}_b ON t{n} (b);\nCREATE VIEW v{n} AS SELECT a FROM t{n};\n"
        for n in range(30)
    )
    estimate = locks_of(diff(EMPTY, loaded(target_of(pg_database), sql)))
    with session(pg_database) as conn, conn.transaction():
        conn.execute(sql)
        [(held,)] = conn.query(_HELD)
    assert 0.8 * held <= estimate <= 1.2 * held


def test_too_many_new_tables_are_told_beforehand(pg_database: PostgresDatabase) -> None:
    tables = [CreateObject(Table(schema="public", name=f"t{n}", columns=(Column(name="a", type="text"),))) for n in range(20_000)]
    indexes = [
        CreateObject(Index(schema="public", parent=f"t{n}", name=f"i{n}", keys=(IndexKey(column="a"),))) for n in range(20_000)
    ]
    with session(pg_database) as conn:
        [(each, sessions)] = conn.query(
            "SELECT current_setting('max_locks_per_transaction')::int, current_setting('max_connections')::int"
        )
        words = lock_shortage(conn, [*tables, *indexes])
        assert lock_shortage(conn, [*tables[:500], *indexes[:500]]) is None
    assert words is not None
    assert f"holds about 80,000 locks, and the server's lock table has room for {each * sessions:,}" in words
    assert f"set max_locks_per_transaction to {-(-80_000 * 5 // (sessions * 4)):,}" in words


def test_settings_hold_in_every_batch_of_a_scratch(pg_database: PostgresDatabase) -> None:
    check = "DO $$ BEGIN ASSERT current_setting('check_function_bodies') = 'off'; END $$"
    statements = [Statement("SET LOCAL check_function_bodies = off"), *[Statement("SELECT 1")] * 2_500, Statement(check)]
    with session(pg_database) as conn:
        run(statements, ENGINE, conn)
        assert conn.query("SHOW check_function_bodies") == [("on",)]
