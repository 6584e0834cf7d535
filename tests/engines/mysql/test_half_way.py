"""Undo of an apply that stopped among the statements of one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.errors import ApplyError, PlanError
from dbops.usecases.apply import apply
from dbops.usecases.history import history, undo
from dbops.usecases.runtime import open_workspace
from tests.conformance.test_evidence import ALLOWED, MANIFEST
from tests.databases import MysqlDatabase

COLUMNS = "id int PRIMARY KEY, a int, b int WITHOUT SYSTEM VERSIONING, c date"
TIMES = "s timestamp(6) GENERATED ALWAYS AS ROW START, e timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)"


@pytest.mark.parametrize("after", [f"{COLUMNS}) WITH SYSTEM VERSIONING", f"{COLUMNS})".replace(" WITHOUT SYSTEM VERSIONING", "")])
def test_a_history_that_ended_before_something_failed_begins_again(
    after: str, my_database: MysqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = f"{COLUMNS}, {TIMES}) WITH SYSTEM VERSIONING"
    (apply_id, made), stands = _fail(before, after, my_database, tmp_path, monkeypatch)
    assert stands != made
    with open_workspace(tmp_path) as workspace:
        undo(workspace, apply_id, ALLOWED)
    assert my_database.dump() == made


def test_nothing_is_taken_back_where_settings_alone_were_made(
    my_database: MysqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = f"{COLUMNS})".replace(" WITHOUT SYSTEM VERSIONING", "")
    (apply_id, made), stands = _fail(f"{COLUMNS}) WITH SYSTEM VERSIONING", after, my_database, tmp_path, monkeypatch)
    assert stands == made
    with open_workspace(tmp_path) as workspace, pytest.raises(PlanError, match="nothing of apply"):
        undo(workspace, apply_id, ALLOWED)


def _fail(
    before: str, after: str, database: MysqlDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[tuple[str, str], str]:
    """Apply what MariaDB refuses, for it makes no year of a date; return the apply's id, and the schema before and after."""
    if not database.server.has("system versioning"):
        pytest.skip("the server keeps no history")
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(folder / "cache"))
    database.load(f"CREATE TABLE t ({before}; INSERT INTO t (id, a, b, c) VALUES (1, 2, 3, '2020-01-01');")
    made = database.dump()
    (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))
    (folder / "shop.sql").write_text(f"CREATE TABLE t ({after.replace('c date', 'c year')};")
    with open_workspace(folder) as workspace, pytest.raises(ApplyError):
        apply(workspace, ALLOWED)
    with open_workspace(folder) as workspace:
        [applied] = history(workspace)
    return (applied.record.id, made), database.dump()
