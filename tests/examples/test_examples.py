"""Every example environment is planned, applied, and then has nothing to do, on databases with rows in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands import run
from tests.databases import MysqlDatabase, PostgresDatabase, SqliteDatabase
from tests.stories.story import ROOT

EXAMPLES = ROOT / "examples/environments"
ALONE = [folder for folder in sorted(EXAMPLES.iterdir()) if folder.name != "03-three-engines"]


def dbops(*arguments: str, cache: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "XDG_CACHE_HOME": str(cache), **variables}
    return run(*arguments, env=settings)


@pytest.mark.parametrize("example", ALONE, ids=lambda example: example.name)
def test_an_example_applies_and_then_has_nothing_to_do(example: Path, tmp_path: Path) -> None:
    environment = str(shutil.copytree(example, tmp_path / "env"))
    assert dbops("plan", environment, "--detailed-exitcode", cache=tmp_path).returncode == 2
    applied = dbops("apply", environment, "--auto-approve", cache=tmp_path)
    assert applied.returncode == 0, applied.stderr
    assert dbops("plan", environment, "--detailed-exitcode", cache=tmp_path).returncode == 0


def test_one_manifest_keeps_three_engines_the_same(
    tmp_path: Path, sqlite_database: SqliteDatabase, pg_database: PostgresDatabase, my_database: MysqlDatabase
) -> None:
    databases = (sqlite_database, pg_database, my_database)
    urls = {f"{database.engine.upper()}_URL": database.url for database in databases}
    environment = str(shutil.copytree(EXAMPLES / "03-three-engines", tmp_path / "env"))
    applied = dbops("apply", environment, "--auto-approve", cache=tmp_path, **urls)
    assert applied.returncode == 0, applied.stderr
    for database in databases:
        database.load("INSERT INTO members (email) VALUES ('ada@example.org');")
        database.load("INSERT INTO loans (member_id, title) VALUES (1, 'Notes');")
        assert database.rows("SELECT member_id, title, days FROM loans") == [(1, "Notes", 14)]
    status = json.loads(dbops("status", environment, "-o", "json", cache=tmp_path, **urls).stdout)
    assert {one["name"]: one["state"] for one in status} == dict.fromkeys(("embedded", "mysql", "postgres"), "in sync")

    pg_database.load("DROP INDEX loans_member;")
    drift = dbops("drift", environment, "-o", "json", cache=tmp_path, **urls)
    assert drift.returncode == 2
    assert [item["address"] for item in json.loads(drift.stdout)["items"]] == [
        "schema/library@postgres/table/public.loans/index/loans_member"
    ]

    manifest = Path(environment) / "library.yaml"
    manifest.write_text(
        manifest.read_text().replace(
            "{name: due, type: date}", "{name: due, type: datetime}\n          - {name: note, type: text}"
        )
    )
    changed = dbops("apply", environment, "--auto-approve", "--allow", "all", cache=tmp_path, **urls)
    assert changed.returncode == 0, changed.stderr
    for database in databases:
        assert database.rows("SELECT member_id, title, days, due, note FROM loans") == [(1, "Notes", 14, None, None)]
    assert dbops("plan", environment, "--detailed-exitcode", cache=tmp_path, **urls).returncode == 0
