"""Who moved: measured by what was last applied, or by what an undo left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Column, Table
from dbops.resources.schema.taking_back import moved
from dbops.usecases.apply import Consent, apply
from dbops.usecases.drift import drift
from dbops.usecases.history import undo
from dbops.usecases.runtime import Workspace, open_workspace
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
  data: [{{table: kinds, key: [id], file: kinds.csv}}]
"""
FIRST = "CREATE TABLE kinds (id integer NOT NULL PRIMARY KEY); CREATE TABLE other (id integer NOT NULL PRIMARY KEY);\n"
SECOND = """\
CREATE TABLE kinds (id integer NOT NULL PRIMARY KEY, name varchar(20));
CREATE TABLE other (id integer NOT NULL PRIMARY KEY);
CREATE TABLE more (id integer NOT NULL PRIMARY KEY);
CREATE VIEW named AS SELECT id, name FROM kinds;
"""
CONSENT = Consent(lambda _: True, allow=frozenset({"all"}))


@pytest.fixture
def environment(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))
    (folder / "shop.sql").write_text(FIRST)
    (folder / "kinds.csv").write_text("id\n1\n")
    return folder


def within(folder: Path, act: Callable[[Workspace], object]) -> object:
    with open_workspace(folder) as workspace:
        return act(workspace)


def applied(folder: Path) -> str:
    with open_workspace(folder) as workspace:
        return apply(workspace, CONSENT).apply_id or ""


def movers(folder: Path) -> set[tuple[str, str]]:
    with open_workspace(folder) as workspace:
        return {(item.address.removeprefix("schema/shop/").replace("public.", ""), item.mover) for item in drift(workspace).items}


def test_what_was_taken_back_waits_for_the_manifests_next_apply(environment: Path, database: Database) -> None:
    assert set(within(environment, lambda w: drift(w).never_applied)) == {"shop"}  # type: ignore[call-overload]
    applied(environment)
    assert within(environment, lambda w: drift(w).never_applied) == ()
    (environment / "shop.sql").write_text(SECOND)
    (environment / "kinds.csv").write_text("id,name\n1,one\n2,two\n")
    second = applied(environment)
    database.load("DROP TABLE other;")
    within(environment, lambda w: undo(w, second, CONSENT))
    assert movers(environment) == {
        ("table/kinds/column/name", "manifests"),
        ("table/kinds/data", "manifests"),
        ("table/more", "manifests"),
        ("view/named", "manifests"),
        ("table/other", "database"),
    }
    applied(environment)
    assert movers(environment) == set()
    database.load("DROP VIEW named;")
    assert movers(environment) == {("view/named", "database")}


def test_an_undo_takes_nothing_for_its_own_that_had_moved_before() -> None:
    def of(**tables: str) -> Catalog:
        return Catalog.of(Table(name=name, columns=(Column(name="a", type=kind),)) for name, kind in tables.items())

    applied_ = of(same="int", changed="bigint", drifted="int", gone="int")
    before = of(same="int", changed="bigint", drifted="text", gone="int", strange="int")
    after = of(same="int", changed="int", drifted="blob", strange="int", back="int")
    assert moved(applied_, before, after) == of(back="int", changed="int", drifted="int", same="int")
