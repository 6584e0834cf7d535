"""What plan and apply say, and exit with, where something declared could not be looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.cli.main import run
from tests.databases import SqliteDatabase
from tests.usecases.policies import Shop

SCHEMA = "---\napiVersion: dbops/v1\nkind: Schema\nmetadata: {name: shop}\nspec: {connection: shop, source: {sql: [shop.sql]}}\n"


def test_backups_that_cannot_be_seen_are_no_backups_that_are_well(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_database.load("CREATE TABLE t (id integer PRIMARY KEY);")
    shop = Shop(tmp_path / "env", sqlite_database.url)
    (shop.folder / "backups").write_text("no folder")
    for command in (["plan"], ["apply", "--auto-approve"]):
        assert run([*command, str(shop.folder)]) == 1
        shown = capsys.readouterr().out
        assert "BACKUP_STORAGE: the backups cannot be seen" in shown and "No changes in what could be seen." in shown
    with (shop.folder / "env.yaml").open("a") as file:
        file.write(SCHEMA)
    (shop.folder / "shop.sql").write_text("CREATE TABLE t (id integer PRIMARY KEY);\nCREATE TABLE u (id integer PRIMARY KEY);")
    assert run(["apply", "--auto-approve", str(shop.folder)]) == 1
    assert "Something could not be looked at" in capsys.readouterr().out
    assert sqlite_database.rows("SELECT name FROM sqlite_schema WHERE name = 'u'") == [("u",)]
