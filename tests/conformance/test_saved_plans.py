"""What a saved plan is bound to, and what a plan of some addresses says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.cli.views.text import plan_text
from dbops.errors import StalePlanError
from dbops.reconcile import plan as plans
from dbops.usecases.apply import Consent, apply_saved
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
spec: {{connection: shop, source: {{sql: [shop.sql]}}}}
"""
LIVE = "CREATE TABLE customers (id integer NOT NULL PRIMARY KEY);"
WANTED = "CREATE TABLE customers (id integer NOT NULL PRIMARY KEY, email varchar(100));"
YES = Consent(lambda _: True)


@pytest.fixture
def folder(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that wants one column more than there is."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database.load(LIVE)
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))
    (tmp_path / "shop.sql").write_text(WANTED)
    return tmp_path


def test_a_saved_plan_is_stale_when_the_manifests_moved(folder: Path, database: Database) -> None:
    with open_workspace(folder) as workspace:
        saved = plans.from_json(plans.to_json(plan(workspace)), "plan.json")
    (folder / "shop.sql").write_text(WANTED.replace("100", "200"))
    before = database.dump()
    with open_workspace(folder) as workspace, pytest.raises(StalePlanError):
        apply_saved(saved, workspace, YES)
    assert database.dump() == before
    (folder / "shop.sql").write_text(WANTED)
    with open_workspace(folder) as workspace:
        assert apply_saved(saved, workspace, YES).state == "done"


def test_an_empty_plan_can_be_applied_however_it_was_found(folder: Path) -> None:
    (folder / "shop.sql").write_text(LIVE)
    for _ in range(2):
        with open_workspace(folder) as workspace:
            saved = plan(workspace)
        with open_workspace(folder) as workspace:
            assert apply_saved(saved, workspace, YES).state == "nothing"


def test_a_plan_of_some_addresses_does_not_speak_of_others(folder: Path) -> None:
    with open_workspace(folder) as workspace:
        found = plan(workspace, only=["schema/shop/view/nothing"])
    assert found.is_empty
    assert "Others were not looked at" in plan_text(found)
