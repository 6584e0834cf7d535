"""Migrations beside a Schema: the one leads to the other, a plan says where they part, and generate writes what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from dbops.cli.main import run
from dbops.errors import MigrationError, PlanError, RehearsalError
from dbops.usecases.apply import apply
from dbops.usecases.drift import drift
from dbops.usecases.migrate.generate import Generated, generate
from dbops.usecases.migrate.verify import dry_run, verify
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, PostgresDatabase, SqliteDatabase
from tests.resources.migrations.sets import YES, Migrations

_SCHEMA = """\
---
apiVersion: dbops/v1
kind: Schema
metadata: {name: shop}
spec: {connection: shop, source: {sql: [schema.sql]}}
"""
CUSTOMERS = "CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(100) NOT NULL);\n"
ORDERS = """\
CREATE TABLE orders (id integer NOT NULL PRIMARY KEY, customer_id integer NOT NULL);
CREATE INDEX o ON orders (customer_id);
"""
NAMED = CUSTOMERS.replace("email", "name varchar(50) DEFAULT 'none' NOT NULL, email")


@pytest.fixture
def shop(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migrations:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    shop = Migrations.make(database, tmp_path / "env")
    with (shop.folder / "env.yaml").open("a") as file:
        file.write(_SCHEMA)
    return shop


def wants(shop: Migrations, sql: str) -> None:
    (shop.folder / "schema.sql").write_text(sql, encoding="utf-8")


def generated(shop: Migrations, title: str) -> Generated:
    with open_workspace(shop.folder) as workspace:
        return generate(workspace, title)


def applied(shop: Migrations) -> str:
    with open_workspace(shop.folder) as workspace:
        return apply(workspace, YES).state


def test_a_plan_names_what_migrations_and_schema_do_not_agree_about(shop: Migrations) -> None:
    shop.write("0001_customers.sql", CUSTOMERS + "CREATE TABLE extra (id integer);")
    wants(shop, CUSTOMERS + ORDERS)
    with pytest.raises(PlanError, match="do not lead to schema/shop") as caught:
        shop.plan()
    assert "table/" in caught.value.message
    assert "orders: no migration makes it" in caught.value.message
    assert "extra: migrations make it" in caught.value.message


def test_generate_writes_what_is_missing_and_apply_runs_it(shop: Migrations) -> None:
    wants(shop, CUSTOMERS)
    assert generated(shop, "customers").files
    assert applied(shop) == "done"
    assert shop.plan().is_empty
    wants(shop, NAMED + ORDERS)
    made = generated(shop, "orders and names")
    assert [path.name for path in made.files] == ["0002_orders_and_names.sql", "migrations.lock"]
    assert not generated(shop, "nothing").files
    plan = shop.plan()
    assert {entry.change.address for entry in plan.entries} == {"migrationset/shop/0002_orders_and_names"}
    assert applied(shop) == "done"
    assert shop.plan().is_empty
    assert applied(shop) == "nothing"
    with open_workspace(shop.folder) as workspace:
        proved = verify(workspace)
    assert [one.problem for one in proved] == [""] * 3
    assert proved[1].outcome == "runs up, down and up again"


def test_generate_leads_back_over_what_is_dropped(shop: Migrations) -> None:
    shop.write("0001_all.sql", NAMED + ORDERS)
    wants(shop, CUSTOMERS)
    made = generated(shop, "less")
    text = made.files[0].read_text()
    assert "DELETES_DATA" in text and "archive" not in text
    with open_workspace(shop.folder) as workspace:
        assert [one.problem for one in verify(workspace)] == [""] * 3


def test_a_history_adopted_without_its_beginning_stops_nobody(shop: Migrations) -> None:
    shop.database.load(CUSTOMERS + "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);")
    shop.database.load("ALTER TABLE customers ADD COLUMN n integer; INSERT INTO schema_migrations VALUES ('0001');")
    shop.write("0001_n.sql", "ALTER TABLE customers ADD COLUMN n integer;\n")
    assert run(["migrate", "adopt", str(shop.folder)]) == 0
    shop.database.load("DROP TABLE schema_migrations;")
    with_n = CUSTOMERS + "ALTER TABLE customers ADD COLUMN n integer;\n"
    wants(shop, with_n)
    found = shop.plan()
    assert found.is_empty
    [said] = [one.message for one in found.observations if one.code == "MIGRATIONS_NOT_COMPARED"]
    assert said.endswith("are not compared with this schema: 0001_n, which is applied, does not run from nothing")
    wants(shop, with_n + ORDERS)
    shop.write("0002_orders.sql", ORDERS)
    assert [entry.change.address for entry in shop.plan().entries] == ["migrationset/shop/0002_orders"]
    assert applied(shop) == "done"
    assert shop.plan().is_empty
    with open_workspace(shop.folder) as workspace:
        assert not drift(workspace).has_drift


def test_a_change_by_hand_is_drift_once_nothing_is_pending(shop: Migrations) -> None:
    wants(shop, CUSTOMERS)
    shop.write("0001_customers.sql", CUSTOMERS)
    applied(shop)
    shop.database.load("CREATE TABLE by_hand (id integer NOT NULL PRIMARY KEY);")
    with open_workspace(shop.folder) as workspace:
        assert drift(workspace).has_drift
    wants(shop, CUSTOMERS + ORDERS)
    shop.write("0002_orders.sql", ORDERS)
    assert applied(shop) == "done"
    assert [entry.change.action for entry in shop.plan().entries] == ["delete"]


def test_verify_names_a_way_back_that_leads_elsewhere(shop: Migrations) -> None:
    wants(shop, CUSTOMERS + ORDERS)
    shop.write("0001_all.sql", f"-- migrate:up\n{CUSTOMERS}{ORDERS}-- migrate:down\nDROP TABLE orders;\n")
    with open_workspace(shop.folder) as workspace:
        found = verify(workspace)
    assert "customers" in found[0].problem


@pytest.mark.parametrize("form", ["alembic", "json"])
def test_generate_writes_in_the_form_of_the_set(database: Database, tmp_path: Path, form: str) -> None:
    shop = beside_a_schema(database, tmp_path, form)
    wants(shop, CUSTOMERS)
    assert len(generated(shop, "customers").files) == 2
    assert applied(shop) == "done"
    named = NAMED.replace("'none'", "'10% :a %s'")
    wants(shop, named + ORDERS)
    assert len(generated(shop, "orders: all").files) == 2
    assert applied(shop) == "done"
    database.load("INSERT INTO customers (id, email) VALUES (1, 'a');")
    assert database.rows("SELECT name FROM customers") == [("10% :a %s",)]
    assert shop.plan().is_empty
    with open_workspace(shop.folder) as workspace:
        assert [one.problem for one in verify(workspace)] == [""] * 3


def beside_a_schema(database: Database, tmp_path: Path, form: str = "sql") -> Migrations:
    shop = Migrations.make(database, tmp_path / "env", f"format: {form}")
    with (shop.folder / "env.yaml").open("a") as file:
        file.write(_SCHEMA)
    return shop


def test_generate_writes_for_tables_in_use(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    shop = beside_a_schema(pg_database, tmp_path)
    shop.write("0001_all.sql", CUSTOMERS + ORDERS.replace("CREATE INDEX", "-- CREATE INDEX"))
    key = "ALTER TABLE orders ADD CONSTRAINT c FOREIGN KEY (customer_id) REFERENCES customers (id);\n"
    wants(shop, CUSTOMERS.replace("NULL);", "NULL, note text);") + ORDERS + key)
    made = [path for path in generated(shop, "in use").files if path.suffix == ".sql"]
    texts = [path.read_text() for path in made]
    assert [path.name for path in made] == ["0002_in_use.sql", "0003_in_use_2.sql"]
    assert "dbops:transaction off" not in texts[0]
    assert "-- hazard LOCK_QUEUE: ACCESS EXCLUSIVE on public.customers" in texts[0]
    up, down = texts[1].split("-- migrate:down")
    assert up.startswith("-- in use 2\n-- dbops:transaction off\n") and down.startswith("\n-- dbops:transaction off\n")
    assert "CREATE INDEX CONCURRENTLY o ON" in up and "NOT VALID;\n" in up and "VALIDATE CONSTRAINT c;" in up
    assert "-- hazard INDEX_BUILD: an index is built over all its rows of" in up
    assert "-- TODO(data): mend the rows that would stand in the way\nALTER TABLE" in up
    assert applied(shop) == "done" and shop.plan().is_empty
    with open_workspace(shop.folder) as workspace:
        assert [one.problem for one in verify(workspace)] == [""] * 4


@pytest.mark.parametrize("form", ["alembic", "json"])
def test_what_commits_by_itself_is_a_migration_of_its_own(pg_database: PostgresDatabase, tmp_path: Path, form: str) -> None:
    shop = beside_a_schema(pg_database, tmp_path, form)
    wants(shop, CUSTOMERS)
    generated(shop, "customers")
    wants(shop, CUSTOMERS.replace("NULL);", "NULL, note text);") + "CREATE INDEX e ON customers (email);")
    made = generated(shop, "in use")
    assert len(made.files) == 3
    text = made.files[1].read_text()
    assert ("autocommit_block():\n        # create index" if form == "alembic" else '"transaction": false') in text
    assert form == "alembic" or "hazard INDEX_BUILD" in json.loads(text)["description"]
    assert applied(shop) == "done" and shop.plan().is_empty
    with open_workspace(shop.folder) as workspace:
        assert [one.problem for one in verify(workspace)] == [""] * 4


@pytest.mark.parametrize("form", ["alembic", "sql"])
def test_a_table_built_anew_on_sqlite_keeps_the_rows_that_refer_to_it(
    sqlite_database: SqliteDatabase, tmp_path: Path, form: str
) -> None:
    child = "CREATE TABLE orders (id integer PRIMARY KEY, c integer REFERENCES customers (id) ON DELETE CASCADE);\n"
    shop = beside_a_schema(sqlite_database, tmp_path, form)
    text = (shop.folder / "env.yaml").read_text()
    (shop.folder / "env.yaml").write_text(text.replace("timeouts:", "sqlite: {foreignKeys: true}, timeouts:"))
    wants(shop, CUSTOMERS + child)
    generated(shop, "all")
    assert applied(shop) == "done"
    sqlite_database.load("INSERT INTO customers VALUES (1, 'a'); INSERT INTO orders VALUES (1, 1);")
    wants(shop, CUSTOMERS.replace("varchar(100)", "text CHECK (email > '')") + child)
    made = generated(shop, "checked")
    assert "DROP TABLE" in made.files[0].read_text() and "PRAGMA foreign_keys" not in made.files[0].read_text()
    assert applied(shop) == "done"
    assert sqlite_database.rows("SELECT * FROM orders") == [(1, 1)]


def test_only_a_plan_is_told_to_leave_the_scratch_out(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_a.sql", "INSERT INTO nothing_is_called_so VALUES (1);")
    with pytest.raises(RehearsalError) as planned:
        shop.plan()
    assert "--no-rehearse" in planned.value.explain()
    with open_workspace(shop.folder) as workspace, pytest.raises(MigrationError) as tried:
        dry_run(workspace)
    assert tried.value.fix == "mend the migration, or let one before it make what it needs"


@pytest.mark.parametrize("style", ["named", "pyformat"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ':a', x::int, now() ::date, '50% :b', a[1:2], a[:n], '12:30:45', y := z, 'é :é :1 :$x'",
        r"SELECT '\:x', 'C:\:y z', '\\:q', '\::int', ':a:b', '\:'",
    ],
)
def test_a_revision_sends_the_statement_whatever_colons_it_has(sql: str, style: Literal["named", "pyformat"]) -> None:
    from sqlalchemy import text
    from sqlalchemy.dialects.postgresql import dialect

    from dbops.usecases.migrate.parts import as_text

    sent = str(text(as_text(sql)).compile(dialect=dialect(paramstyle=style)))
    assert sent == (sql.replace("%", "%%") if style == "pyformat" else sql)
