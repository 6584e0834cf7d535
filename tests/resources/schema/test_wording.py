"""Texts that an engine writes otherwise when it reads its own account of them again are no difference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.reconcile.plan import Plan
from dbops.usecases.apply import Consent, apply
from dbops.usecases.compare import compare
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import MysqlDatabase, PostgresDatabase

AUTHORED = """
CREATE DOMAIN grade AS varchar(9) CONSTRAINT known CHECK (VALUE IN ('low', 'it''s high'));
CREATE TABLE task (id int PRIMARY KEY, state varchar(9) CONSTRAINT known CHECK (state IN ('new', 'done')), g grade,
  is_new boolean GENERATED ALWAYS AS (state IN ('new', 'hot')) STORED);
CREATE FUNCTION task_count() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM task';
CREATE INDEX open ON task (g) WHERE state NOT IN ('done', 'gone');
CREATE VIEW everybody AS SELECT g.who, task_count()
  FROM (SELECT 1, tablename FROM pg_tables UNION ALL SELECT 0, 'all') g (n, who);
CREATE POLICY mine ON task USING (state IN ('new', 'done'));
"""
MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: live}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: live}}
spec:
  connection: live
  source: {{sql: [schema.sql]}}
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pg_database: PostgresDatabase) -> Path:
    """The SQL source of an environment for the test's database, which holds what an author wrote; the source is its dump."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    pg_database.load(AUTHORED)
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    path = folder / "schema.sql"
    path.write_text(pg_database.dump())
    return path


def planned(source: Path) -> Plan:
    with open_workspace(source.parent) as workspace:
        return plan(workspace)


def test_a_dump_of_the_database_is_no_change(source: Path, pg_database: PostgresDatabase) -> None:
    assert planned(source).is_empty
    assert compare(pg_database.url, str(source), None).changes == ()


def test_what_was_written_by_hand_is_no_obstacle_to_a_change_elsewhere(source: Path, pg_database: PostgresDatabase) -> None:
    source.write_text(source.read_text() + "\nALTER TABLE public.task ADD COLUMN note text;")
    before = pg_database.dump()
    with open_workspace(source.parent) as workspace:
        assert apply(workspace, Consent(lambda _: True)).statements == 1
    assert planned(source).is_empty
    assert pg_database.dump().replace(",\n    note text", "") == before


def test_a_text_that_means_something_else_is_a_change(source: Path) -> None:
    source.write_text(source.read_text().replace("'done'", "'over'"))
    assert {entry.change.address for entry in planned(source).entries} == {
        "schema/live/table/public.task/check/known",
        "schema/live/table/public.task/index/open",
        "schema/live/table/public.task/policy/mine",
    }


def test_a_check_whose_constants_the_server_worked_out_is_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, my_database: MysqlDatabase
) -> None:
    """MySQL does so when a column of the check has changed its type; MariaDB never does."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    source = (
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (c {kind}, d varchar(9), id int,"
        " FOREIGN KEY f (id) REFERENCES p (id),"
        " CONSTRAINT a CHECK (c > 1 + 2), CONSTRAINT b CHECK (c = '4'),"
        " CONSTRAINT n CHECK (c > -(1) AND d <> concat('a', 'b')), CONSTRAINT i CHECK (id > 2 * 3));"
    )
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(my_database.url)))
    for kind in ("int", "bigint"):
        (tmp_path / "schema.sql").write_text(source.format(kind=kind))
        with open_workspace(tmp_path) as workspace:
            apply(workspace, Consent(lambda _: True, allow=frozenset({"all"})))
    my_database.load("ALTER TABLE t ADD KEY k (d)")
    my_database.load("ALTER TABLE t DROP KEY k")
    assert ("(1 + 2)" in my_database.dump() or "1 + 2" in my_database.dump()) == my_database.server.has("sequences")
    assert planned(tmp_path / "schema.sql").is_empty
    (tmp_path / "schema.sql").write_text(source.format(kind="bigint").replace("1 + 2", "1 + 3"))
    assert [entry.change.address for entry in planned(tmp_path / "schema.sql").entries] == ["schema/live/table/t/check/a"]
