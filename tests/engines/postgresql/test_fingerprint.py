"""The fingerprint moves with every DDL and stands still under data; the last write moves with everything."""

from __future__ import annotations

import re

import pytest

from dbops.engines.postgresql.connect import PostgresConnection
from dbops.engines.postgresql.fingerprint import fingerprint, last_write
from dbops.engines.postgresql.inspect import inspect
from tests.databases import PostgresDatabase
from tests.engines.postgresql.sessions import session

BASE = """
CREATE EXTENSION postgres_fdw;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN email AS text;
CREATE TABLE p (id int PRIMARY KEY, c text, n int NOT NULL DEFAULT 1, s serial);
CREATE TABLE f (id int, p_id int);
ALTER TABLE f ADD CONSTRAINT f_n CHECK (id > 0) NOT VALID;
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part1 (id int);
CREATE INDEX f_i ON f (id);
CREATE VIEW v AS SELECT id FROM p;
CREATE MATERIALIZED VIEW m AS SELECT id FROM p;
CREATE SEQUENCE q;
CREATE FUNCTION fn() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER tr BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION fn();
CREATE POLICY pol ON p USING (true);
CREATE STATISTICS st ON id, c FROM p;
CREATE SERVER sv FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR PUBLIC SERVER sv;
CREATE PUBLICATION pub FOR TABLE p;
CREATE TEXT SEARCH CONFIGURATION cfg (COPY = simple);
"""

DDL = """
CREATE TABLE x (id int)
CREATE SCHEMA x
ALTER TABLE p ADD COLUMN x int
ALTER TABLE p DROP COLUMN c
ALTER TABLE p RENAME COLUMN c TO d
ALTER TABLE p ALTER COLUMN c TYPE varchar(10)
ALTER TABLE p ALTER COLUMN c SET DEFAULT 'x'
ALTER TABLE p ALTER COLUMN n DROP NOT NULL
ALTER TABLE p ALTER COLUMN c SET STORAGE EXTERNAL
ALTER TABLE p ALTER COLUMN c SET STATISTICS 50
ALTER TABLE p ALTER COLUMN c SET (n_distinct = 5)
ALTER TABLE p SET (fillfactor = 70)
ALTER TABLE p ENABLE ROW LEVEL SECURITY
ALTER TABLE p REPLICA IDENTITY FULL
ALTER TABLE p DISABLE TRIGGER tr
ALTER TABLE p CLUSTER ON p_pkey
ALTER TABLE p RENAME TO pp
ALTER TABLE f ADD CONSTRAINT fk FOREIGN KEY (p_id) REFERENCES p
ALTER TABLE f VALIDATE CONSTRAINT f_n
ALTER TABLE f RENAME CONSTRAINT f_n TO g_n
ALTER TABLE part ATTACH PARTITION part1 FOR VALUES FROM (1) TO (9)
ALTER TYPE mood ADD VALUE 'great'
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'
ALTER TYPE pair ADD ATTRIBUTE c int
ALTER DOMAIN email ADD CHECK (VALUE ~ '@')
ALTER SEQUENCE q INCREMENT 5
ALTER SEQUENCE q OWNED BY p.id
ALTER INDEX f_i SET (fillfactor = 50)
ALTER INDEX f_i RENAME TO f_j
ALTER VIEW v SET (security_barrier)
ALTER POLICY pol ON p USING (false)
ALTER FUNCTION fn() COST 5
ALTER STATISTICS st SET STATISTICS 5
ALTER SERVER sv OPTIONS (ADD host 'h')
ALTER USER MAPPING FOR PUBLIC SERVER sv OPTIONS (ADD user 'u')
ALTER PUBLICATION pub ADD TABLE f
ALTER TEXT SEARCH CONFIGURATION cfg DROP MAPPING FOR word
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC
ALTER TABLE p OWNER TO pg_monitor
ALTER SCHEMA public RENAME TO pub
CREATE OR REPLACE VIEW v AS SELECT id, c FROM p
CREATE UNIQUE INDEX x ON f (p_id)
CREATE RULE r AS ON DELETE TO f DO INSTEAD NOTHING
CREATE EXTENSION hstore
CREATE CAST (mood AS int) WITH INOUT
CREATE COLLATION x (locale = 'C')
CREATE AGGREGATE x (int) (SFUNC = int4pl, STYPE = int)
CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)
CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION et()
COMMENT ON COLUMN p.c IS 'x'
COMMENT ON TABLE p IS 'x'
GRANT SELECT (c) ON p TO PUBLIC
GRANT EXECUTE ON FUNCTION fn() TO pg_monitor
REVOKE USAGE ON TYPE mood FROM PUBLIC
CREATE ROLE dbops_fingerprint
CREATE SUBSCRIPTION sub CONNECTION '' PUBLICATION pub WITH (connect = false, slot_name = NONE, enabled = false)
ALTER ROLE CURRENT_USER IN DATABASE {database} SET work_mem = '5MB'
DROP INDEX f_i
DROP VIEW v
DROP TRIGGER tr ON p
""".strip().splitlines()

NO_DDL = """
INSERT INTO p (id) VALUES (1)
UPDATE p SET c = 'x'
DELETE FROM p
SELECT nextval('q')
VACUUM FREEZE
CHECKPOINT
ANALYZE p
""".strip().splitlines()


@pytest.fixture
def prepared(pg_database: PostgresDatabase) -> PostgresDatabase:
    pg_database.load(BASE + "CREATE FUNCTION et() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';")
    return pg_database


def moves(conn: PostgresConnection, sql: str) -> bool:
    before = fingerprint(conn)
    with pytest.raises(ZeroDivisionError), conn.transaction():  # each from the same start
        conn.execute(sql)
        moved = fingerprint(conn) != before
        raise ZeroDivisionError
    return moved


def test_every_kind_of_ddl_moves_it(prepared: PostgresDatabase) -> None:
    with session(prepared) as conn:
        still = [sql for sql in DDL if not moves(conn, sql.replace("{database}", prepared.name))]
        back = fingerprint(conn)
    assert still == []
    assert len(DDL) >= 40
    with session(prepared) as other:
        assert fingerprint(other) == back


def test_data_does_not_move_it(prepared: PostgresDatabase) -> None:
    with session(prepared) as conn:
        conn.execute("INSERT INTO p (id, c) VALUES (0, 'seen')")
        conn.execute("ANALYZE")  # the first one creates statistics, and marks tables as analyzed
        before = fingerprint(conn)
        moved = []
        for sql in NO_DDL:
            conn.execute(sql)
            if fingerprint(conn) != before:
                moved.append(sql)
                before = fingerprint(conn)
    assert moved == []


def test_one_query_whatever_the_size(prepared: PostgresDatabase) -> None:
    from tests.engines.postgresql.sessions import Counting

    with session(prepared) as conn:
        counting = Counting(conn)
        fingerprint(counting)
    assert len(counting.asked) == 1


#: Functions, files of the server, and what stands in the fingerprint under another name.
_NOT_CATALOGS = frozenset({"pg_options_to_table", "pg_available_extensions", "pg_database"})


@pytest.mark.majors
def test_whatever_inspection_reads_is_in_the_fingerprint(prepared: PostgresDatabase) -> None:
    from tests.engines.postgresql.sessions import Counting

    with session(prepared) as conn:
        reading, marking = Counting(conn), Counting(conn)
        inspect(reading)
        fingerprint(marking)
    read = set(re.findall(r"(?:FROM|JOIN|,)\s+(?:pg_catalog\.)?(pg_\w+)(?!\w|\()", "\n".join(reading.asked)))
    marked = set(re.findall(r"pg_catalog\.(pg_\w+)", "\n".join(marking.asked)))
    assert len(read) > 40
    assert read - marked - _NOT_CATALOGS == set()


@pytest.mark.majors
def test_the_last_write_moves_with_whatever_is_written(prepared: PostgresDatabase) -> None:
    seen: list[str] = []
    with session(prepared) as conn, session(prepared) as other:
        for sql in ("INSERT INTO p (id) VALUES (1)", "CREATE TABLE x (id int)", "DROP TABLE x", "ANALYZE p", "CREATE ROLE fp_x"):
            seen.append(_settled(conn))
            try:
                other.execute(sql)
            finally:
                if "ROLE" in sql:
                    other.execute("DROP ROLE fp_x")
        seen.append(_settled(conn))
    assert len(set(seen)) == len(seen)


def _settled(conn: PostgresConnection) -> str:
    """The last write in a moment without one; other tests use the same server."""
    while (found := last_write(conn)) is None:
        conn.query("SELECT pg_sleep(0.01)")
    return found


def test_a_transaction_under_way_is_no_last_write_until_it_ends(prepared: PostgresDatabase) -> None:
    with session(prepared) as conn, session(prepared) as first, session(prepared) as second:
        with first.transaction():
            first.execute("ALTER TABLE p ADD COLUMN x int")
            before = last_write(conn)
            second.execute("INSERT INTO f VALUES (1)")
            assert last_write(conn) is None
        assert _settled(conn) != before
        assert conn.query("SELECT x FROM p") == []


def test_a_quiet_server_has_one_last_write(prepared: PostgresDatabase) -> None:
    with session(prepared) as conn:
        same = False
        for _ in range(200):  # until no other test writes between two looks
            before = _settled(conn)
            conn.query("SELECT * FROM p")
            same = same or last_write(conn) == before
    assert same
