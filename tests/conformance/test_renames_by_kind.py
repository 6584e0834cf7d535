"""What can be renamed on which engine: planned from remarks, applied with rows in place, taken back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.reconcile.plan import Plan
from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import undo
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.conformance.test_renames import MANIFEST
from tests.databases import Database, MysqlDatabase

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "renames.yaml").read_text(encoding="utf-8"))
YES = Consent(lambda plan: True, allow=("all",))


@pytest.mark.parametrize(
    ("case", "database"),
    [(case, engine) for case in CASES for engine in case["engines"]],
    indirect=["database"],
    ids=lambda value: value["name"] if isinstance(value, dict) else value,
)
def test_a_rename_loses_nothing_and_is_taken_back(
    case: dict[str, Any], database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "needs" in case and isinstance(database, MysqlDatabase) and not database.server.has(case["needs"]):
        pytest.skip(f"the server has no {case['needs']}")
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database.load(case["from"])
    database.load(case.get("rows", ""))
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url), renames="[]"))
    (tmp_path / "shop.sql").write_text(case["to"])
    before = database.dump()
    with open_workspace(tmp_path) as workspace:
        done = apply(workspace, YES)
    assert renamed(done.plan, case["from"]) >= set(case["kinds"])
    assert {entry.change.action for entry in done.plan.entries} <= {"update", "replace"}
    for query, rows in case.get("then", {}).items():
        assert [list(row) for row in database.rows(query)] == rows
    with open_workspace(tmp_path) as workspace:
        assert plan(workspace).is_empty
        undo(workspace, done.apply_id or "", YES)
    assert database.dump() == before


def renamed(found: Plan, before: str) -> set[str]:
    """The kinds of what is updated under a name that was not there before; addresses end in kind/name."""
    updated = (entry.change.address.split("/")[-2:] for entry in found.entries if entry.change.action == "update")
    return {kind for kind, name in updated if not re.search(rf"\b{name.rpartition('.')[2]}\b", before)}
