"""An undo that fails half way is gone on with, where the engine could not take back the half; databases out of reach wait."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.errors import ConnectError, DbopsError, PlanError
from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import history, show_apply, undo
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
spec: {{connection: shop, source: {{sql: [shop.sql]}}, policy: {{unmanaged: ignore}}}}
"""
BEFORE = "CREATE TABLE kept (id integer NOT NULL PRIMARY KEY, mail varchar(20), name varchar(20));"
AFTER = """
CREATE TABLE kept (id integer NOT NULL PRIMARY KEY);
CREATE TABLE a (id integer NOT NULL PRIMARY KEY);
CREATE TABLE b (id integer NOT NULL PRIMARY KEY);
CREATE VIEW v AS SELECT id FROM b;
"""
CONSENT = Consent(lambda _: True, allow=frozenset({"all"}))


@pytest.mark.parametrize("database", ["mysql", "postgresql"], indirect=True)
def test_an_undo_that_failed_half_way_is_gone_on_with(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)))
    (tmp_path / "shop.sql").write_text(BEFORE)
    _apply(tmp_path)
    before = database.dump()
    database.load("INSERT INTO kept VALUES (1, 'a@b.c', 'Ann'), (2, NULL, 'Bob')")
    (tmp_path / "shop.sql").write_text(AFTER)
    applied = _apply(tmp_path)

    for obstacle in ("a", "b"):  # each table is in the way of another half
        database.load(f"CREATE TABLE by_hand_{obstacle} (id integer, FOREIGN KEY (id) REFERENCES {obstacle} (id))")
    for obstacle in ("b", "a"):
        with pytest.raises(DbopsError):
            _undo(tmp_path, applied)
        database.load(f"DROP TABLE by_hand_{obstacle}")
    _undo(tmp_path, applied)
    assert database.dump() == before
    assert database.rows("SELECT id, mail, name FROM kept ORDER BY id") == [(1, "a@b.c", "Ann"), (2, None, "Bob")]
    with pytest.raises(PlanError, match="taken back already"):
        _undo(tmp_path, applied)


TWO = """\
apiVersion: dbops/v1
kind: Connection
metadata: {name: near}
spec: {url: "sqlite:///near.db"}
---
apiVersion: dbops/v1
kind: Connection
metadata: {name: far}
spec: {url: "sqlite:///mounted/far.db"}
---
apiVersion: dbops/v1
kind: Schema
metadata: {name: near}
spec: {connection: near, source: {sql: [shop.sql]}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {name: far}
spec: {connection: far, source: {sql: [shop.sql]}}
"""


def test_what_cannot_be_reached_is_left_out_of_history_and_taken_back_later(tmp_path: Path) -> None:
    (tmp_path / "env.yaml").write_text(TWO)
    (tmp_path / "shop.sql").write_text("CREATE TABLE a (id integer);")
    (mounted := tmp_path / "mounted").mkdir()
    applied = _apply(tmp_path)
    mounted.rename(tmp_path / "away")
    told: list[str] = []
    with open_workspace(tmp_path) as workspace:
        assert [one.connection for one in history(workspace, told=told.append)] == ["near"]
        assert [one.connection for one in show_apply(workspace, applied, told=told.append)] == ["near"]
        assert len(told) == 2
        assert all(text.startswith("far is left out: there is no folder") for text in told)
        with pytest.raises(ConnectError) as error:
            undo(workspace, applied, CONSENT)
        assert error.value.fix is not None
        assert "--connection" in error.value.fix
    _undo(tmp_path, applied, "near")
    (tmp_path / "away").rename(mounted)
    with pytest.raises(PlanError, match="taken back already"):
        _undo(tmp_path, applied)
    _undo(tmp_path, applied, "far")
    with pytest.raises(PlanError, match="taken back already"):
        _undo(tmp_path, applied, "far")


def _apply(folder: Path) -> str:
    with open_workspace(folder) as workspace:
        return str(apply(workspace, CONSENT).apply_id)


def _undo(folder: Path, apply_id: str, *only: str) -> None:
    with open_workspace(folder) as workspace:
        undo(workspace, apply_id, CONSENT, only=only)
