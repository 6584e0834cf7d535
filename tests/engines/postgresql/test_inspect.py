"""Inspection: rows of cases/inspect.yaml, and what holds for every database."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.model import ForeignTable, Grant, Table
from dbops.catalog.ref import Ref
from dbops.catalog.scope import Scope
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.postgresql.connect import connect
from dbops.engines.postgresql.fingerprint import fingerprint
from dbops.engines.postgresql.inspect import inspect
from dbops.engines.postgresql.sizes import sizes
from tests.databases import PostgresDatabase
from tests.engines.postgresql.sessions import Counting, loaded, session, target_of

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "inspect.yaml").read_text())


@pytest.mark.majors(daily=True)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_inspection_finds(case: dict[str, Any], pg_database: PostgresDatabase) -> None:
    if pg_database.server.version < case.get("since", 0):
        pytest.skip(f"needs PostgreSQL {case['since']}")
    pg_database.load(case["sql"])
    try:
        with session(pg_database) as conn:
            catalog = inspect(conn)
    finally:
        if "cleanup" in case:
            pg_database.load(case["cleanup"])
    refs = {str(ref): ref for ref in catalog.objects}
    for address, fields in case.get("finds", {}).items():
        assert address in refs, f"{address} is not among {sorted(refs)}"
        assert chosen(catalog.objects[refs[address]], fields) == fields
    for address, fields in case.get("columns", {}).items():
        assert chosen(column(catalog, address), fields) == fields
    needs = {str(ref): {str(need) for need in needed} for ref, needed in catalog.dependencies.items()}
    for address, wanted in case.get("needs", {}).items():
        assert needs.get(address, set()) >= set(wanted)
    assert not set(case.get("absent", ())) & set(refs)
    if "only" in case:
        assert set(refs) == set(case["only"])
    assert [[item.kind, item.name] for item in catalog.unmanaged] == case.get("unmanaged", [])


def chosen(item: object, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(getattr(item, name)) for name in fields}


def plain(value: object) -> Any:
    """A value as YAML has it."""
    if isinstance(value, Ref):
        return list(value)
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def column(catalog: Catalog, address: str) -> object:
    table_address, _, name = address.partition("/column/")
    schema, _, table = table_address.removeprefix("table/").partition(".")
    found = catalog.get(Ref("table", schema, table)) or catalog.get(Ref("foreign_table", schema, table))
    assert isinstance(found, Table | ForeignTable)
    return next(item for item in found.columns if item.name == name)


MANY = """
DO $$ BEGIN FOR i IN 1..{count} LOOP
  EXECUTE format('CREATE TABLE t%s (id serial PRIMARY KEY, c text DEFAULT ''x'' CHECK (c <> ''''), n int)', i);
  EXECUTE format('CREATE INDEX ON t%s (lower(c)) WHERE n > 0', i);
  EXECUTE format('CREATE VIEW v%s AS SELECT * FROM t%s', i, i);
  EXECUTE format('COMMENT ON TABLE t%s IS ''x''', i);
END LOOP; END $$;
"""


def test_the_number_of_queries_does_not_grow_with_the_database(pg_database: PostgresDatabase) -> None:
    asked = []
    for count in (5, 200):
        pg_database.load("DROP SCHEMA public CASCADE; CREATE SCHEMA public;" + MANY.format(count=count))
        with session(pg_database) as conn:
            counting = Counting(conn)
            catalog = inspect(counting)
        assert len(catalog.all(Table)) == count
        asked.append(len(counting.asked))
    assert asked[0] == asked[1] <= 22


def test_the_session_is_as_it_was(pg_database: PostgresDatabase) -> None:
    shown = "SELECT current_setting('search_path'), current_setting('DateStyle'), current_setting('transaction_read_only')"
    with session(pg_database) as conn:
        conn.execute("SET search_path = nowhere; SET DateStyle = German")
        before = conn.query(shown)
        inspect(conn)
        assert conn.query(shown) == before == [("nowhere", "German, DMY", "off")]


def test_an_open_transaction_sees_its_own_changes_and_goes_on(pg_database: PostgresDatabase) -> None:
    with session(pg_database) as conn:
        with conn.transaction():
            conn.execute("SET LOCAL search_path = public")
            conn.execute("CREATE TABLE t (d date DEFAULT '2020-02-01')")
            found = inspect(conn).table("public", "t")
            assert found is not None and found.columns[0].default == "'2020-02-01'::date"
            conn.execute("INSERT INTO t DEFAULT VALUES")
        assert conn.query("SELECT count(*) FROM t") == [(1,)]


def test_texts_do_not_depend_on_settings_of_the_session(pg_database: PostgresDatabase) -> None:
    pg_database.load("""CREATE TABLE t (at timestamptz DEFAULT '2020-02-01 10:00+00', i interval DEFAULT '1 day 02:00',
        f float8 DEFAULT 0.1::float8 + 0.2::float8, CHECK (at > '2000-01-02 00:00+00'));""")
    with session(pg_database) as plain_session, session(pg_database) as odd:
        odd.execute(
            "SET DateStyle = 'SQL, DMY'; SET IntervalStyle = iso_8601; SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = -5"
        )
        assert inspect(plain_session) == inspect(odd)


def test_the_catalog_survives_json(pg_database: PostgresDatabase) -> None:
    for case in CASES:
        if "cleanup" not in case:
            pg_database.load("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
            pg_database.load(
                "DROP EXTENSION IF EXISTS postgres_fdw, hstore CASCADE; DROP SCHEMA IF EXISTS s CASCADE;" + case["sql"]
            )
            with session(pg_database) as conn:
                catalog = inspect(conn)
            assert codec.from_json(codec.to_json(catalog)) == catalog


def test_only_the_schemas_asked_for(pg_database: PostgresDatabase) -> None:
    pg_database.load(
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (id int); CREATE TABLE b.t (id int); CREATE TABLE a.u (id int);"
    )
    with session(pg_database) as conn:
        catalog = inspect(conn, Scope(schemas=("a",), exclude=("u",)))
    assert {str(ref) for ref in catalog.objects} == {"schema/a", "table/a.t"}


def test_owners_and_grants_count_only_where_declared(pg_database: PostgresDatabase) -> None:
    sql = "CREATE TABLE t (id int); CREATE TABLE u (id int); ALTER TABLE u OWNER TO pg_monitor; GRANT SELECT ON u TO PUBLIC;"
    catalog = loaded(target_of(pg_database), sql)
    t, u = catalog.table("public", "t"), catalog.table("public", "u")
    assert t is not None and (t.owner, t.grants) == (None, None)
    assert u is not None and (u.owner, u.grants) == ("pg_monitor", (Grant("public", "SELECT"),))
    pg_database.load(sql)
    with session(pg_database) as conn:
        live = inspect(conn).table("public", "t")
    assert live is not None and (live.owner, live.grants) == ("postgres", None)


def test_versions_of_extensions_count_only_where_they_are_not_the_default(pg_database: PostgresDatabase) -> None:
    old = pg_database.rows("SELECT version FROM pg_available_extension_versions WHERE name = 'hstore' ORDER BY 1 LIMIT 1")[0][0]
    named = loaded(target_of(pg_database), f"CREATE EXTENSION hstore VERSION '{old}';")
    unnamed = loaded(target_of(pg_database), "CREATE EXTENSION hstore;")
    ref = Ref("extension", "", "hstore")
    assert (getattr(named.get(ref), "version", ""), getattr(unnamed.get(ref), "version", "")) == (old, None)


def test_an_account_without_privileges_reads_the_same(pg_database: PostgresDatabase) -> None:
    case = next(case for case in CASES if case["name"] == "objects known by their statement")
    role = f"reader_{secrets.token_hex(4)}"
    pg_database.load(case["sql"] + f"CREATE ROLE {role} LOGIN PASSWORD 'pw';")
    try:
        target = Target("reader", parse_url(pg_database.server.tcp_url(pg_database.name, role, "pw")))
        with closing(connect(target, readonly=True)) as reader, session(pg_database) as owner:
            mine, theirs = inspect(reader), inspect(owner)
            hidden = set(theirs.objects) - set(mine.objects)  # options of a mapping are shown to the owner of the server alone
            assert [str(ref) for ref in hidden] == ["user_mapping/PUBLIC SERVER sv"]
            assert [item.name for item in mine.unmanaged] == ["PUBLIC SERVER sv"]
            assert mine.objects == {ref: item for ref, item in theirs.objects.items() if ref not in hidden}
            assert fingerprint(reader) and sizes(reader)
    finally:
        pg_database.load(f"DROP ROLE {role};")
