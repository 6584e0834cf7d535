"""Renames with what else changes in the same plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.reconcile.plan import Entry, Plan
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
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
