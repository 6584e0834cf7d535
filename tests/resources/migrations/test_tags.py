"""Databases of tagged releases, brought up to date on a scratch, against all migrations from nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dbops.errors import PlanError
from dbops.usecases.migrate.tags import verify_from_tags
from dbops.usecases.migrate.verify import Verified
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, SqliteDatabase
from tests.resources.migrations.sets import Migrations


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def release(shop: Migrations, tag: str) -> None:
    git(shop.folder, "add", "-A")
    git(shop.folder, "commit", "-qm", tag, "--allow-empty")
    git(shop.folder, "tag", tag)


def proved(shop: Migrations, pattern: str = "v*") -> list[Verified]:
    with open_workspace(shop.folder) as workspace:
        return verify_from_tags(workspace, pattern)


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Migrations:
    shop = Migrations.make(database, tmp_path / "env")
    git(shop.folder, "init", "-q")
    git(shop.folder, "config", "user.email", "a@example.com")
    git(shop.folder, "config", "user.name", "a")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer NOT NULL PRIMARY KEY);\n")
    release(shop, "v1")
    shop.write("0002_b.sql", "CREATE TABLE b (id integer);\n")
    release(shop, "v2")
    release(shop, "v2.1")
    shop.write("0003_c.sql", "ALTER TABLE a ADD COLUMN n integer;\n")
    return shop


def test_each_release_comes_to_the_same(shop: Migrations) -> None:
    assert [(one.subject, one.problem) for one in proved(shop)] == [("v1", ""), ("v2, v2.1", "")]
    assert proved(shop)[0].outcome == "1 applied then and 2 since give the same catalog and rows as all from nothing"
    with pytest.raises(PlanError, match="no tag 'w"):
        proved(shop, "w*")


def test_what_a_release_had_and_is_gone_or_edited_is_named(shop: Migrations) -> None:
    shop.write("0001_a.sql", "CREATE TABLE a (id bigint NOT NULL PRIMARY KEY);\n")
    shop.remove("0002_b.sql")
    first, second = proved(shop)
    assert "0001_a: it was edited in statement 1" in first.problem and "0002_b" not in first.problem
    assert "0002_b: it was applied, and its file is gone" in second.problem


def test_a_late_file_and_one_that_does_not_run_behind_a_release_are_told(shop: Migrations) -> None:
    shop.write("0001.1_late.sql", "CREATE TABLE late (id integer);\n")
    assert "comes before 0002_b" in proved(shop)[1].problem
    shop.remove("0001.1_late.sql")
    shop.write("0002_b.sql", "-- a comment\nCREATE TABLE b (id integer);\n")
    assert not any(one.problem for one in proved(shop)), "a comment is no edit"


def test_outside_of_git_it_says_so(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    with pytest.raises(PlanError, match="is in no git repository"):
        proved(shop)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlanError, match="no program git"):
        proved(shop)


def test_a_checkpoint_brings_releases_up_to_date_too(shop: Migrations) -> None:
    from dbops.usecases.migrate.squash import squash

    with open_workspace(shop.folder) as workspace:
        squash(workspace, "2", remove=True)
    first, second = proved(shop)
    assert "had only some" in first.problem and not second.problem


def test_rows_that_migrations_write_come_to_the_same(shop: Migrations) -> None:
    chance = {"sqlite": "hex(randomblob(9))", "postgresql": "gen_random_uuid()::text", "mysql": "uuid()"}[shop.database.engine]
    shop.write("0003_c.sql", f"CREATE TABLE c (id integer, made varchar(50));\nINSERT INTO c VALUES (1, {chance});\n")
    shop.write("R__seed.sql", "INSERT INTO b VALUES (1);\n")
    release(shop, "v3")
    assert [one.problem for one in proved(shop, "v3")] == [""], "what chance gives is not compared"
    shop.write("R__seed.sql", "INSERT INTO b VALUES (1), (2);\n")
    [last] = proved(shop, "v3")
    assert "its rows are not those that all migrations write: " in last.problem
    assert "b has 1 row that they do not write" in last.problem and "c " not in last.problem


def test_revisions_outside_of_the_script_directory_are_read_as_the_tag_has_them(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env", "format: alembic")
    locations = "version_locations = %(here)s/migrations/versions;%(here)s/billing\npath_separator = ;\n"
    (shop.folder / "alembic.ini").write_text(f"[alembic]\nscript_location = %(here)s/migrations\n{locations}")
    for folder in (versions := shop.folder / "migrations" / "versions", billing := shop.folder / "billing"):
        folder.mkdir()
    text = "revision, down_revision = {0!r}, {1!r}\nfrom alembic import op\ndef upgrade():\n"
    text += "    op.execute('CREATE TABLE {0} ({2})')\n"
    (shop.folder / "migrations" / "script.py.mako").write_text("")
    (versions / "a_x.py").write_text(text.format("a", None, "n"))
    (billing / "b_x.py").write_text(text.format("b", "a", "n"))
    for arguments in (("init", "-q"), ("config", "user.email", "a@example.com"), ("config", "user.name", "a")):
        git(shop.folder, *arguments)
    release(shop, "v1")
    (versions / "c_x.py").write_text(text.format("c", "b", "n"))
    [one] = proved(shop)
    assert one.outcome.startswith("2 applied then and 1 since") and not one.problem
    (billing / "b_x.py").write_text(text.format("b", "a", "n, m"))
    [one] = proved(shop)
    assert "b: it was edited" in one.problem
    (shop.folder / "alembic.ini").write_text(f"[alembic]\nscript_location = %(here)s/migrations\n{locations}# as it is now\n")
    git(shop.folder, "checkout", "billing")
    assert [found.problem for found in proved(shop)] == [""]
