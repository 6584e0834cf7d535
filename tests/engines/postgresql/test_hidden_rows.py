"""Rows that row security hides from the owner of their table are moved, kept and brought back all the same."""

from __future__ import annotations

from contextlib import closing

from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.postgresql.connect import connect
from tests.databases import PostgresDatabase, fresh_postgres
from tests.engines.postgresql.loop import plan, roles, run, take_back
from tests.engines.postgresql.sessions import ENGINE, session
from tests.servers import PostgresServer

_HIDING = "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON {0} USING (id = 1);"
_TABLES = "CREATE TABLE kept (id int PRIMARY KEY, t text); CREATE TABLE gone (id int); CREATE TABLE divided (id int);"
_WANTED = """
CREATE TABLE kept (id int PRIMARY KEY);
CREATE TABLE divided (id int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF divided DEFAULT;
"""


def test_rows_that_their_owner_does_not_see_are_not_lost(postgres_server: PostgresServer) -> None:
    with (
        roles(postgres_server, ["hidden_owner"]),
        fresh_postgres(postgres_server) as live,
        fresh_postgres(postgres_server) as declared,
    ):
        for database, tables, names in ((live, _TABLES, ("kept", "gone", "divided")), (declared, _WANTED, ("kept", "divided"))):
            owned = f'ALTER DATABASE "{database.name}" OWNER TO hidden_owner; ALTER ROLE hidden_owner LOGIN;'
            hiding = "".join(_HIDING.format(name) for name in names)
            database.load(f"{owned} SET ROLE hidden_owner; {tables} {hiding}")
        live.load(
            "INSERT INTO kept VALUES (1, 'a'), (2, 'b'); INSERT INTO gone VALUES (1), (2); INSERT INTO divided VALUES (1), (2)"
        )
        with session(declared) as conn:
            wanted = ENGINE.inspect(conn, declared=True)
        url = live.url.replace("postgres@", "hidden_owner@")
        with closing(connect(Target("test", parse_url(url), attempts=1))) as conn:
            planned = plan(conn, wanted, archive="a")
            run(conn, planned.acts)
            assert _rows(live, "divided") == [(1,), (2,)]
            take_back(conn, planned.acts)
        assert _rows(live, "kept") == [(1, "a"), (2, "b")]
        assert _rows(live, "gone") == _rows(live, "divided") == [(1,), (2,)]


def _rows(database: PostgresDatabase, table: str) -> list[tuple[object, ...]]:
    return database.rows(f"SELECT * FROM {table} ORDER BY id")
