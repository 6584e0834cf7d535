"""What was found to be in order is not read again, and whatever moves ends that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.resources.schema.verdict import InOrder
from dbops.usecases.apply import Consent, apply
from dbops.usecases.runtime import open_workspace
from tests.conformance.test_main_job import FIRST, MANIFEST
from tests.databases import Database


@pytest.fixture
def shop(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that was applied."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))
    (folder / "shop.sql").write_text(FIRST)
    with open_workspace(folder) as workspace:
        apply(workspace, Consent(lambda plan: True))
    return folder


def observed(shop: Path) -> tuple[bool, list[str]]:
    """Whether an earlier finding was enough, and what differs."""
    with open_workspace(shop) as workspace:
        [work] = [work for work in workspace.work if work.desired.address == "schema/shop"]
        found = work.resource.observe(work.desired, workspace.targets)
        changes = work.resource.diff(work.desired, found)
    return isinstance(found, InOrder), [change.address for change in changes]


def test_the_second_look_at_what_is_in_order_is_short(shop: Path) -> None:
    observed(shop)
    assert observed(shop) == (True, [])
    assert observed(shop) == (True, [])


def test_rows_leave_the_finding(shop: Path, database: Database) -> None:
    observed(shop)
    database.load("INSERT INTO customers (id, email) VALUES (1, 'a@example.org');")
    assert observed(shop) == (True, [])


def test_a_change_of_the_database_ends_the_finding(shop: Path, database: Database) -> None:
    observed(shop)
    database.load("CREATE INDEX orders_note ON orders (note);")
    assert observed(shop) == (False, ["schema/shop/table/" + _orders(database) + "/index/orders_note"])
    database.load("DROP INDEX orders_note" + (" ON orders;" if database.engine == "mysql" else ";"))
    assert observed(shop)[1] == []


def test_a_change_of_the_source_ends_the_finding(shop: Path, database: Database) -> None:
    observed(shop)
    (shop / "shop.sql").write_text(FIRST.replace("varchar(50)", "varchar(60)"))
    assert observed(shop) == (False, ["schema/shop/table/" + _orders(database) + "/column/note"])
    (shop / "shop.sql").write_text(FIRST)
    assert observed(shop) == (True, [])


def test_a_damaged_finding_is_none(shop: Path) -> None:
    observed(shop)
    for file in (shop.parent / "cache").rglob("*.json"):
        file.write_text("[1, 2")
    assert observed(shop) == (False, [])
    assert observed(shop) == (True, [])


def _orders(database: Database) -> str:
    return "public.orders" if database.engine == "postgresql" else "orders"
