"""Loading sources: any order, settings of files, what is skipped, and errors at their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.catalog.model import ForeignKey, Index, Routine, Table, View
from dbops.catalog.ref import Ref
from dbops.errors import Problems
from dbops.resources.schema.sources import read_sql
from tests.databases import PostgresDatabase
from tests.engines.postgresql.sessions import ENGINE, loaded, session, target_of

ORDERS = [
    pytest.param(
        ["CREATE VIEW w AS SELECT * FROM v; CREATE VIEW v AS SELECT a FROM t; CREATE TABLE t (a s.kind);",
         "CREATE TYPE s.kind AS ENUM ('x'); CREATE SCHEMA s;"],
        ["view/public.w", "view/public.v", "table/public.t", "enum/s.kind", "schema/s"],
        id="everything before what it needs",
    ),
    pytest.param(
        ["CREATE TABLE a (id int PRIMARY KEY, b_id int); ALTER TABLE a ADD CONSTRAINT ab FOREIGN KEY (b_id) REFERENCES b (id);",
         "CREATE TABLE b (id int, a_id int REFERENCES a); ALTER TABLE b ADD CONSTRAINT b_pk PRIMARY KEY (id);"],
        ["table/public.a/foreign_key/ab", "table/public.b/foreign_key/b_a_id_fkey"],
        id="keys in a circle",
    ),
    pytest.param(
        ["CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT two() + (SELECT count(*)::int FROM t)';"
         "CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT one()';"
         "CREATE TABLE t (id int DEFAULT one());"],
        ["routine/public.one()", "routine/public.two()", "table/public.t"],
        id="functions that need each other",
    ),
    pytest.param(
        ["CREATE TYPE mood AS ENUM ('sad'); ALTER TYPE mood ADD VALUE 'ok'; CREATE TABLE t (m mood DEFAULT 'ok');"],
        ["enum/public.mood", "table/public.t"],
        id="a label used where it was just added",
    ),
    pytest.param(
        ["CREATE INDEX CONCURRENTLY i ON t (id); CREATE TABLE t (id int);"],
        ["table/public.t/index/i"],
        id="concurrently",
    ),
    pytest.param(
        ["CREATE INDEX i ON t USING gin (c gin_trgm_ops); CREATE TABLE t (c text); CREATE EXTENSION pg_trgm;"],
        ["table/public.t/index/i", "extension/pg_trgm"],
        id="the extension last",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "addresses"), ORDERS)
def test_statements_find_their_order(pg_database: PostgresDatabase, files: list[str], addresses: list[str]) -> None:
    forward, backward = loaded(target_of(pg_database), *files), loaded(target_of(pg_database), *reversed(files))
    assert {str(ref) for ref in forward.objects} >= set(addresses)
    assert forward == backward


def test_a_source_names_its_encoding_as_it_does_for_psql(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    sql = "SET client_encoding = 'LATIN1';\nCREATE TABLE \"größe\" (a text DEFAULT 'é');\nCOMMENT ON TABLE \"größe\" IS 'ça';\n"
    (tmp_path / "latin1.sql").write_bytes(sql.encode("latin-1"))
    pg_database.load("CREATE TABLE \"größe\" (a text DEFAULT 'é'); COMMENT ON TABLE \"größe\" IS 'ça'")
    with session(pg_database) as conn:
        wanted = ENGINE.inspect(conn, declared=True)
    assert loaded(target_of(pg_database), read_sql(tmp_path / "latin1.sql", ENGINE.dialect)).objects == wanted.objects


_MAKES_PUBLIC = [("CREATE SCHEMA public;", None), ("/* DDL */ CREATE SCHEMA public AUTHORIZATION pg_monitor;", "pg_monitor")]


@pytest.mark.parametrize(("sql", "owner"), _MAKES_PUBLIC)
def test_the_schema_of_every_new_database_may_be_made_anew(pg_database: PostgresDatabase, sql: str, owner: str | None) -> None:
    objects = loaded(target_of(pg_database), f"{sql} CREATE TABLE public.t (a int);").objects
    assert Ref("table", "public", "t") in objects
    assert objects[Ref("schema", "", "public")].owner == owner


def test_a_label_used_where_it_was_just_added_keeps_its_place(pg_database: PostgresDatabase) -> None:
    catalog = loaded(
        target_of(pg_database),
        """
        CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (m mood); CREATE INDEX i ON t (m) WHERE m = 'sad';
        ALTER TYPE mood ADD VALUE 'ok';
        CREATE INDEX i_next ON t (m) WHERE m = 'ok'; DROP INDEX i; ALTER INDEX i_next RENAME TO i;
        DROP INDEX i; CREATE INDEX last ON t (m) WHERE m = 'ok';
        """,
    )
    assert [index.name for index in catalog.all(Index)] == ["last"]


def test_an_index_of_a_divided_table_waits_for_partitions_of_other_files(pg_database: PostgresDatabase) -> None:
    parent = "CREATE TABLE pay (id int, staff int) PARTITION BY LIST (id); CREATE INDEX by_staff ON public.pay (staff);"
    child = "CREATE TABLE pay_1 PARTITION OF pay FOR VALUES IN (1); CREATE INDEX own ON pay_1 (staff);"
    forward, backward = loaded(target_of(pg_database), parent, child), loaded(target_of(pg_database), child, parent)
    assert forward == backward
    assert {index.name: index.partition_of for index in forward.all(Index)} == {
        "by_staff": None,
        "own": Ref("index", "public", "by_staff", "pay"),
    }


def test_a_long_chain_in_reverse_order_loads(pg_database: PostgresDatabase) -> None:
    views = [f"CREATE VIEW v{i} AS SELECT * FROM v{i + 1};" for i in range(150)]
    catalog = loaded(target_of(pg_database), "\n".join([*views, "CREATE VIEW v150 AS SELECT 1 AS a;"]))
    assert len(catalog.all(View)) == 151


def test_settings_hold_for_their_file_only(pg_database: PostgresDatabase) -> None:
    catalog = loaded(
        target_of(pg_database),
        "CREATE SCHEMA s; SET search_path = s; CREATE VIEW early AS SELECT * FROM later; CREATE TABLE later (id int);",
        "CREATE TABLE here (id int);",
        "SELECT pg_catalog.set_config('search_path', 's', false); CREATE TABLE there (id int);"
        "RESET search_path; CREATE TABLE out (id int);",
    )
    assert {f"{t.schema}.{t.name}" for t in catalog.all(Table)} == {"s.later", "public.here", "s.there", "public.out"}
    assert {f"{v.schema}.{v.name}" for v in catalog.all(View)} == {"s.early"}


DUMP = r"""
\restrict abc
\connect shop
\set ON_ERROR_STOP on
CREATE DATABASE shop;
ALTER DATABASE shop SET work_mem = '1GB';
CREATE ROLE nobody_has_this_name;
GRANT pg_monitor TO nobody_has_this_name;
GRANT CONNECT ON DATABASE shop TO PUBLIC;
COMMENT ON DATABASE shop IS 'x';
SET transaction_timeout_of_the_future = 0;
SET statement_timeout = 0;
ALTER TABLE ONLY public.t DROP CONSTRAINT t_pkey;
DROP TABLE public.t;
BEGIN;
CREATE TABLE public.t (id int NOT NULL);
COMMIT;
COPY public.t (id) FROM stdin;
1
2
\.
INSERT INTO public.t VALUES (3);
SELECT pg_catalog.setval('public.s', 7, true);
ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (id);
VACUUM ANALYZE public.t;
REFRESH MATERIALIZED VIEW public.none;
\unrestrict abc
"""


def test_a_dump_loads_without_its_rows_and_touches_nothing_of_the_server(pg_database: PostgresDatabase) -> None:
    catalog = loaded(target_of(pg_database), DUMP)
    assert {str(ref) for ref in catalog.objects} == {"schema/public", "table/public.t", "table/public.t/primary_key/t_pkey"}
    assert pg_database.rows("SELECT 1 FROM pg_roles WHERE rolname = 'nobody_has_this_name'") == []
    assert pg_database.rows("SELECT 1 FROM pg_database WHERE datname = 'shop'") == []


@pytest.mark.parametrize(
    ("sql", "explanation"),
    [
        ("CREATE TABLE a (id int);\n\n  CREATE TABLE b (\n  id int,, x);", '1.sql:4:10: syntax error at or near ","'),
        ("CREATE TABLE b (\n  id intt\n);", '1.sql:2:6: type "intt" does not exist'),
        ("CREATE TABLE a (id int); CREATE VIEW v AS SELECT idd FROM a; CREATE VIEW w AS SELECT * FROM v;",
         '1.sql:1:50: column "idd" does not exist'),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETRN 1; END';",
         '1.sql:1:60: syntax error at or near "RETRN"'),
        ("CREATE TABLE a (id int);\nCREATE TABLE a (id int);", '1.sql:2:1: relation "a" already exists'),
        ("CREATE TABLE a (id int);\nGRANT SELECT ON a TO no_such_role;", 'CREATE ROLE "no_such_role"'),
        ("\\i other.sql", "1.sql:1:1: the psql command '\\i' cannot be loaded"),
        ("\n DROP OWNED BY CURRENT_USER;", "1.sql:2:2: DROP OWNED would reach beyond this database"),
        ("SELECT 1; CREATE TABLE t (id int DEFAULT 'x');", "1.sql:1:42: invalid input syntax for type integer"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_named_with_its_place(pg_database: PostgresDatabase, sql: str, explanation: str) -> None:
    with pytest.raises(Problems) as caught:
        loaded(target_of(pg_database), sql)
    assert explanation in caught.value.explain()


def test_only_the_cause_is_named_not_what_follows_from_it(pg_database: PostgresDatabase) -> None:
    with pytest.raises(Problems) as caught:
        loaded(target_of(pg_database), "CREATE VIEW v AS SELECT 1 FROM t; CREATE TABLE t (id intt); CREATE INDEX i ON t (id);")
    assert len(caught.value.problems) == 1


def test_statements_of_many_files_build_on_each_other(pg_database: PostgresDatabase) -> None:
    catalog = loaded(
        target_of(pg_database),
        "ALTER TABLE t ADD COLUMN n int; CREATE INDEX i ON t (n);",
        "CREATE TABLE t (id int PRIMARY KEY);",
        "CREATE TABLE u (t_id int REFERENCES t); CREATE FUNCTION f() RETURNS SETOF t LANGUAGE sql AS 'SELECT * FROM t';",
    )
    table = catalog.objects[Ref("table", "public", "t")]
    assert isinstance(table, Table) and [column.name for column in table.columns] == ["id", "n"]
    assert len(catalog.all(Index)) == len(catalog.all(ForeignKey)) == len(catalog.all(Routine)) == 1
