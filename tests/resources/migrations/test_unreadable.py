"""Files that the account may not read or write: told with their place, and nothing is changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import SqliteDatabase
from tests.resources.migrations.sets import Migrations

_BOUND = "-dac_override,-dac_read_search"
_ASKED = "let the account that dbops runs as"


def as_anybody() -> list[str]:
    """Return what starts a program that obeys the modes of files, as root does not."""
    if os.name != "posix":
        pytest.skip("modes of files are POSIX's")
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no setpriv to give that up")
    return ["setpriv", "--bounding-set", _BOUND, "--inh-caps", _BOUND]


@pytest.fixture
def shop(sqlite_database: SqliteDatabase, tmp_path: Path) -> Migrations:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);")
    return shop


def refused_by(shop: Migrations, *arguments: str) -> str:
    """Run `dbops migrate`, which is to fail, and return what it says."""
    command = [*as_anybody(), sys.executable, "-m", "dbops", "migrate", *arguments, str(shop.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    return done.stderr


@pytest.mark.parametrize("name", ["migrations/0001_a.sql", "migrations", "after.sql"])
def test_what_may_not_be_read_is_named_before_anything_runs(shop: Migrations, name: str) -> None:
    Migrations.make(shop.database, shop.folder, "hooks: {after: [after.sql]}")
    (shop.folder / "after.sql").write_text("SELECT 1;")
    mode = (shop.folder / name).stat().st_mode
    (shop.folder / name).chmod(0)
    try:
        said = refused_by(shop, "up", "--auto-approve")
    finally:
        (shop.folder / name).chmod(mode)
    assert f"{name}: the " in said and "cannot be read: Permission denied" in said
    assert shop.states() == {"0001_a": "pending"}


def test_what_may_not_be_written_is_named(shop: Migrations) -> None:
    folder = shop.folder / "migrations"
    folder.chmod(0o555)
    try:
        assert [_ASKED in refused_by(shop, *arguments) for arguments in (["new", "next"], ["lock"])] == [True, True]
    finally:
        folder.chmod(0o755)
    assert [file.name for file in folder.iterdir()] == ["0001_a.sql"]
