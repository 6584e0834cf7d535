"""Backups made, checked and restored, with all that may have happened to them in between."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dbops.archive.manifest import Manifest
from dbops.errors import BackupError
from dbops.usecases.backup.look import listing
from dbops.usecases.backup.verify import verify
from tests.databases import SqliteDatabase
from tests.usecases.policies import Shop


@pytest.fixture
def shop(tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    sqlite_database.load(
        "CREATE TABLE orders (id integer PRIMARY KEY, note text); CREATE INDEX notes ON orders (note);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO orders SELECT i, hex(randomblob(40)) FROM n;"
    )
    return Shop(tmp_path / "env", sqlite_database.url)


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return list(conn.iterdump())


def add_rows(database: SqliteDatabase, count: int = 20) -> None:
    for number in range(count):
        database.rows("INSERT INTO orders (note) VALUES (?)", [f"later {number}"])


def test_a_full_backup_restores(shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    made = shop.run()
    shop.restore(f"sqlite:///{tmp_path / 'restored.db'}")
    assert content(tmp_path / "restored.db") == content(sqlite_database.path)
    assert made.kind == "full"
    assert made.full_id == made.id


def test_a_chain_restores_to_each_of_its_moments(shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    states = {}
    for kind in ("full", "incremental", "incremental", "differential", "incremental"):
        made = shop.run(kind)
        states[made.id] = content(sqlite_database.path)
        add_rows(sqlite_database)
        sqlite_database.rows("DELETE FROM orders WHERE id % 97 = ?", [len(states)])
    for number, (backup_id, expected) in enumerate(states.items()):
        path = tmp_path / f"{number}.db"
        shop.restore(f"sqlite:///{path}", word=backup_id)
        assert content(path) == expected
    chains = [one.parent_id for one in shop.backups()]
    ids = list(states)
    assert chains == [None, ids[0], ids[1], ids[0], ids[3]]


def test_an_incremental_holds_what_changed(shop: Shop, sqlite_database: SqliteDatabase) -> None:
    full = shop.run()
    sqlite_database.rows("UPDATE orders SET note = 'x' WHERE id = 1000")
    incremental = shop.run("incremental")
    assert 0 < incremental.details["changed"] < 10
    assert incremental.plain_size < full.plain_size / 10


def test_an_incremental_without_a_full_is_refused(shop: Shop) -> None:
    with pytest.raises(BackupError, match="there is no full backup yet"):
        shop.run("incremental")
    assert shop.backups() == ()


def test_another_file_in_its_place_is_not_followed(shop: Shop, sqlite_database: SqliteDatabase) -> None:
    shop.run()
    with closing(sqlite3.connect(sqlite_database.path)) as conn:
        conn.execute("VACUUM INTO ?", [str(sqlite_database.path) + ".new"])
    Path(f"{sqlite_database.path}.new").replace(sqlite_database.path)
    with pytest.raises(BackupError, match="another one than before"):
        shop.run("incremental")


def test_what_stands_at_the_target_stays(shop: Shop, sqlite_database: SqliteDatabase) -> None:
    shop.run()
    add_rows(sqlite_database)
    before = content(sqlite_database.path)
    with pytest.raises(BackupError, match="it was left as it is"):
        shop.restore(sqlite_database.url)
    assert content(sqlite_database.path) == before


def test_what_is_replaced_is_saved_first(shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop.run()
    expected = content(sqlite_database.path)
    add_rows(sqlite_database)
    before = content(sqlite_database.path)
    result = shop.restore(sqlite_database.url, replaces=True)
    assert content(sqlite_database.path) == expected
    assert result.safety is not None
    shop.restore(f"sqlite:///{tmp_path / 'before.db'}", word=result.safety.id)
    assert content(tmp_path / "before.db") == before
    latest = shop.restore(f"sqlite:///{tmp_path / 'latest.db'}")
    assert latest.chain[-1].id != result.safety.id


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 16
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_a_damaged_part_is_found_and_not_restored(
    shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    made = shop.run()
    harm(shop.parts(made)[0])
    assert_damaged(shop, tmp_path)


@pytest.mark.parametrize("harm", [flip, cut])
def test_a_damaged_manifest_is_found(shop: Shop, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    made = shop.run()
    harm(shop.manifest(made))
    assert_damaged(shop, tmp_path)


def test_a_missing_manifest_is_no_backup_and_breaks_what_follows(
    shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    made = shop.run()
    add_rows(sqlite_database)
    shop.run("incremental")
    shop.manifest(made).unlink()
    assert_damaged(shop, tmp_path)


def test_the_manifest_of_another_backup_is_found(shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    first = shop.run()
    add_rows(sqlite_database)
    second = shop.run()
    shop.manifest(second).write_bytes(shop.manifest(first).read_bytes())
    with shop.workspace() as workspace:
        assert any(not one.ok for one in verify(workspace, None, 1, shop.told.append))


def test_another_parent_than_before_is_found(shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    first = shop.run()
    add_rows(sqlite_database)
    shop.run("incremental")
    path = shop.manifest(first)
    text = path.read_text(encoding="utf-8").replace('"dbops_version": "', '"dbops_version": "9')
    path.write_text(text, encoding="utf-8")
    assert_damaged(shop, tmp_path)


def assert_damaged(shop: Shop, tmp_path: Path) -> None:
    with shop.workspace() as workspace:
        assert any(not one.ok for one in verify(workspace, None, 1, shop.told.append))
    target = tmp_path / "restored.db"
    with pytest.raises(BackupError):
        shop.restore(f"sqlite:///{target}")
    assert not target.exists()
    assert [path.name for path in tmp_path.iterdir() if "restoring" in path.name] == []


def test_verified_backups_are_listed_as_such(shop: Shop) -> None:
    shop.run()
    with shop.workspace() as workspace:
        assert [one.state for one in listing(workspace)[0].backups] == ["unverified"]
        assert [one.ok for one in verify(workspace, None, 3, shop.told.append)] == [True]
        (one,) = listing(workspace)[0].backups
    assert one.state == "verified"
    assert one.restore_s is not None


def test_a_run_that_fails_leaves_a_note_and_no_backup(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from dbops.engines.sqlite.backup import making

    def fail(*_: object) -> None:
        raise BackupError("the disk is full")

    monkeypatch.setattr(making, "_inventory", fail)
    with pytest.raises(BackupError, match="disk is full"):
        shop.run()
    assert shop.backups() == ()
    files = [path for path in (shop.folder / "backups").rglob("*") if path.is_file()]
    assert sorted(path.parent.name for path in files) == ["failures", "locks"]


def test_the_index_can_be_lost(shop: Shop, tmp_path: Path) -> None:
    made = shop.run()
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.write_bytes(hashlib.sha256(path.read_bytes()).digest())
    assert shop.backups() == (made,)


def test_a_manifest_reads_as_it_was_written(shop: Shop) -> None:
    made: Manifest = shop.run("full")
    assert shop.backups() == (made,)
