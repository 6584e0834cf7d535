"""Migrations beside a Schema: the one leads to the other, a plan says where they part, and generate writes what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import PlanError
from dbops.usecases.apply import apply
from dbops.usecases.drift import drift
from dbops.usecases.migrate.generate import Generated, generate
from dbops.usecases.migrate.verify import verify
from dbops.usecases.runtime import open_workspace
from tests.databases import Database
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
    shop = Migrations.make(database, tmp_path / "env", f"format: {form}")
    with (shop.folder / "env.yaml").open("a") as file:
        file.write(_SCHEMA.replace("connection: shop,", "connection: shop, exclude: [alembic_version],"))
    wants(shop, CUSTOMERS)
    assert len(generated(shop, "customers").files) == 2
    assert applied(shop) == "done"
    wants(shop, NAMED + ORDERS)
    assert len(generated(shop, "orders: all").files) == 2
    assert applied(shop) == "done"
    assert shop.plan().is_empty
    with open_workspace(shop.folder) as workspace:
        assert [one.problem for one in verify(workspace)] == [""] * 3
