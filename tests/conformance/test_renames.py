"""Renames with what else changes in the same plan."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dbops.errors import DbopsError
from dbops.reconcile.plan import Entry, Plan
from dbops.usecases.accept import accept
from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import undo
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from dbops.usecases.validate import validate
from tests.databases import Database

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec:
  connection: shop
  source: {{sql: [shop.sql]}}
  renames: {renames}
"""

OLD = "CREATE TABLE customer (id integer NOT NULL PRIMARY KEY, mail varchar(100));"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    env = tmp_path / "env"
    env.mkdir()
    return env


def planned(folder: Path, database: Database, sql: str, renames: str) -> Plan:
    (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url), renames=renames))
    (folder / "shop.sql").write_text(sql)
    with open_workspace(folder) as workspace:
        return plan(workspace)


def entry(found: Plan, ending: str) -> Entry:
    return next(entry for entry in found.entries if entry.change.address.endswith(ending))


def test_a_renamed_table_weighs_what_it_weighed(folder: Path, database: Database) -> None:
    database.load(OLD)
    database.load("INSERT INTO customer (id, mail) VALUES (1, 'a@b.c'), (2, 'd@e.f');")
    if database.engine == "postgresql":
        database.load("ANALYZE customer;")
    wanted = OLD.replace("customer", "customers") + "CREATE INDEX customers_mail ON customers (mail);"
    found = planned(folder, database, wanted, "[{table: customer, to: customers}]")
    index = entry(found, "/index/customers_mail").steps[0]
    assert index.estimate and index.estimate["rows"] == 2
    assert "INDEX_BUILD" in {hazard.code for hazard in index.hazards}


def test_an_invalid_index_is_built_again_under_its_tables_new_name(folder: Path, pg_database: Database) -> None:
    pg_database.load("CREATE TABLE customer (id integer); CREATE INDEX i ON customer (id);")
    pg_database.load("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass;")
    wanted = "CREATE TABLE customers (id integer); CREATE INDEX i ON customers (id);"
    found = planned(folder, pg_database, wanted, "[{table: customer, to: customers}]")
    assert "INVALID_INDEX" in {hazard.code for step in entry(found, "/index/i").steps for hazard in step.hazards}


NOTED = """\
-- dbops:renamed_from customer
CREATE TABLE customers (
  id integer NOT NULL PRIMARY KEY,
  email varchar(100), -- dbops:renamed_from mail
  -- dbops:renamed_from tel   since 2026
  phone varchar(20)
);
-- dbops:renamed_from customer_mail
CREATE INDEX customers_email ON customers (email);
-- dbops:renamed_from known
CREATE VIEW known_customers AS SELECT id, email FROM customers;
"""
BEFORE = """\
CREATE TABLE customer (id integer NOT NULL PRIMARY KEY, mail varchar(100), tel varchar(20));
CREATE INDEX customer_mail ON customer (mail);
CREATE VIEW known AS SELECT id, mail AS email FROM customer;
"""


def test_what_the_server_named_after_a_table_follows_its_new_name(folder: Path, pg_database: Database) -> None:
    source = (
        "CREATE TABLE people (id integer PRIMARY KEY, mail text UNIQUE, boss integer REFERENCES people (id), CHECK (id > 0));\n"
        "CREATE INDEX ON people (boss);\nCREATE TABLE parts (id integer) PARTITION BY RANGE (id);\n"
    )
    (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url), renames="[{table: people, to: users}]"))
    (folder / "shop.sql").write_text(source)
    pg_database.load(source + "INSERT INTO people VALUES (1, 'a', 1);")
    (folder / "shop.sql").write_text(source.replace("people", "users"))
    with open_workspace(folder) as workspace:
        found = plan(workspace)
        assert {entry.change.action for entry in found.entries} == {"update"} and len(found.entries) == 6
        done = apply(workspace, Consent(lambda _: True))
    assert pg_database.rows("SELECT * FROM users") == [(1, "a", 1)]
    with open_workspace(folder) as workspace:
        assert plan(workspace).is_empty
        undo(workspace, done.apply_id or "", Consent(lambda _: True))
    assert pg_database.rows("SELECT conname FROM pg_constraint WHERE conname = 'people_pkey'") == [("people_pkey",)]


def test_remarks_in_the_source_rename_and_lose_no_row(folder: Path, database: Database) -> None:
    database.load(BEFORE)
    database.load("INSERT INTO customer VALUES (1, 'a@b.c', '12'), (2, 'd@e.f', NULL);")
    found = planned(folder, database, NOTED, "[]")
    codes = {hazard.code for entry in found.entries for step in entry.steps for hazard in step.hazards}
    assert "DELETES_DATA" not in codes
    names = {re.split(r"[/.]", entry.change.address)[-1] for entry in found.entries}
    assert {"customers", "known_customers", "email", "phone"} <= names
    applied(folder)
    rows = database.rows("SELECT id, email, phone FROM customers ORDER BY id")
    assert [tuple(row) for row in rows] == [(1, "a@b.c", "12"), (2, "d@e.f", None)]
    assert planned(folder, database, NOTED, "[]").entries == ()


def applied(folder: Path) -> None:
    with open_workspace(folder) as workspace:
        apply(workspace, Consent(approve=lambda plan: True, allow=("all",)))


def test_remarks_that_are_settled_or_came_too_early_say_nothing(folder: Path, database: Database) -> None:
    assert all(entry.change.action == "create" for entry in planned(folder, database, NOTED, "[]").entries)
    applied(folder)
    assert planned(folder, database, NOTED, "[]").entries == ()


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("CREATE TABLE a (\n  id integer PRIMARY KEY -- dbops:renamed_from\n);", "names nothing"),
        ("CREATE TABLE a (\n  id integer,\n  CONSTRAINT k CHECK (id > 0) -- dbops:renamed_from j\n);", "beside a check"),
    ],
)
def test_a_remark_that_says_nothing_is_an_error_at_its_place(
    sql: str, says: str, folder: Path, sqlite_database: Database
) -> None:
    with pytest.raises(DbopsError) as caught:
        planned(folder, sqlite_database, sql, "[]")
    assert says in caught.value.explain()
    assert "shop.sql:" in caught.value.explain()
    with pytest.raises(DbopsError, match=says):
        validate(folder, {})


def test_accepting_drift_keeps_remarks(folder: Path, sqlite_database: Database) -> None:
    planned(folder, sqlite_database, NOTED, "[]")
    applied(folder)
    sqlite_database.load("ALTER TABLE customers ADD COLUMN born text;")
    with open_workspace(folder) as workspace:
        accept(workspace, ["all"])
    text = (folder / "shop.sql").read_text()
    assert "born" in text
    assert text.count("dbops:renamed_from") == NOTED.count("dbops:renamed_from")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_old_name_is_found_in_any_case_where_the_engine_finds_it_so(folder: Path, database: Database) -> None:
    database.load("CREATE TABLE Customers (Id int PRIMARY KEY, FullName text); CREATE INDEX ByName ON Customers (FullName);")
    database.load("INSERT INTO Customers VALUES (1, 'x');")
    source = """
        -- dbops:renamed_from customers
        CREATE TABLE Clients (Id int PRIMARY KEY,
          Name text  -- dbops:renamed_from fullname
        );
        CREATE INDEX clients_name ON Clients (Name);  -- dbops:renamed_from byname
    """
    assert {entry.change.action for entry in planned(folder, database, source, "[]").entries} == {"update"}
    with open_workspace(folder) as workspace:
        apply(workspace, Consent(lambda _: True, allow=("all",)))
    assert database.rows("SELECT Id, Name FROM Clients") == [(1, "x")]
    assert not planned(folder, database, source, "[]").entries


@pytest.mark.parametrize("database", ["mysql"], indirect=True)
def test_an_old_column_is_found_in_any_case_where_the_engine_finds_it_so(folder: Path, database: Database) -> None:
    database.load("CREATE TABLE customers (Id int PRIMARY KEY, FullName varchar(20)); INSERT INTO customers VALUES (1, 'x');")
    source = "CREATE TABLE customers (Id int PRIMARY KEY, Name varchar(20));"
    found = planned(folder, database, source, "[{column: customers.fullname, to: name}]")
    assert [entry.change.address for entry in found.entries] == ["schema/shop/table/customers/column/Name"]
