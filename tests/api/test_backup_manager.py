"""Backups from Python: made, listed, verified and restored on every engine."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from dbops import BackupManager, DatabaseManager, backup_database
from dbops.errors import ArgumentError, BackupError, DbopsError
from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase

ITEMS = "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(40)); INSERT INTO items VALUES (1, 'one'), (2, 'it''s');"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def manager(database: Database, tmp_path: Path) -> BackupManager:
    """A manager of a database with rows."""
    database.load(ITEMS)
    return BackupManager(tmp_path / "work", database.url)


def beside(database: Database, tmp_path: Path) -> str:
    """The URL of a database that does not exist."""
    if isinstance(database, PostgresDatabase | MysqlDatabase):
        return database.server.url(f"{database.name}_restored")
    return f"sqlite:///{tmp_path}/restored.db"


def drop(database: Database) -> None:
    if isinstance(database, PostgresDatabase | MysqlDatabase):
        database.server.drop_database(f"{database.name}_restored")


def test_a_backup_is_listed_verified_and_restored(database: Database, manager: BackupManager, tmp_path: Path) -> None:
    made = manager.create_backup("shop", include_schema=True, include_data=True)
    assert made and made.duration > 0 and made.file_size_mb > 0 and made.checksum and made.error_message is None
    [listed] = BackupManager(tmp_path / "work").list_backups("shop")
    assert listed["backup_id"] == made.backup_id and listed["database_name"] == "shop" and listed["checksum"] == made.checksum
    assert (listed["database_type"], listed["backup_type"], listed["compression"]) == (database.engine, "full", "gzip")
    assert listed["encryption"] is False and Path(listed["file_path"]).is_dir() and isinstance(listed["created_at"], datetime)
    assert manager.get_backup_info(made.backup_id)["metadata"]["verified"] is None  # type: ignore[index]
    assert manager.list_backups("other") == [] and manager.get_backup_info("nothing") is None
    tries = database.engine != "mysql"  # which takes ten seconds for a server of its own; tests of backups do that
    assert manager.verify_backup(made.backup_id, test_restore=tries) == {
        "valid": True,
        "backup_id": made.backup_id,
        "file_exists": True,
        "checksum_valid": True,
        "restore_tested": tries,
        "issues": [],
    }
    assert manager.get_backup_info(made.backup_id)["metadata"]["verified"] is True  # type: ignore[index]
    target = beside(database, tmp_path)
    try:
        restored = manager.restore_backup(made.backup_id, target)
        assert restored.success and restored.error_message is None and restored.backup_id == made.backup_id
        with DatabaseManager(target) as found:
            assert found.execute("SELECT * FROM items ORDER BY id").rows == [(1, "one"), (2, "it's")]
            found.execute("DELETE FROM items")
        refused = manager.restore_backup(made.backup_id, target)
        assert not refused and refused.error_message
        if not tries:
            return
        assert manager.restore_backup(made.backup_id, target, drop_existing=True).warnings
        with DatabaseManager(target) as found:
            assert found.execute("SELECT count(*) FROM items").rows == [(2,)]
    finally:
        drop(database)


def test_two_backups_in_one_second_are_two(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load(ITEMS)
    manager = BackupManager(tmp_path, sqlite_database.url)
    made = [manager.create_backup("shop", compression="none").backup_id for _ in range(3)]
    assert len(set(made)) == 3
    assert [one["backup_id"] for one in BackupManager(tmp_path).list_backups()] == made[::-1]
    assert manager.delete_backup(made[1]) is True and manager.delete_backup(made[1]) is False
    assert manager.prune("shop", 1) == [made[0]]
    assert [one["backup_id"] for one in manager.list_backups("shop")] == [made[2]]
    with pytest.raises(BackupError, match="0 backups cannot be kept"):
        manager.prune("shop", 0)


def test_backups_that_follow_one_another_are_restored(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load(ITEMS)
    manager = BackupManager(tmp_path, sqlite_database.url)
    full = manager.create_backup("shop").backup_id
    sqlite_database.load("INSERT INTO items VALUES (3, 'three');")
    later = manager.create_backup("shop", backup_type="incremental").backup_id
    sqlite_database.load("INSERT INTO items VALUES (4, 'four');")
    last = manager.create_backup("shop", backup_type="differential").backup_id
    for backup_id, rows in ((full, 2), (later, 3), (last, 4)):
        target = f"sqlite:///{tmp_path}/{rows}.db"
        assert manager.restore_backup(backup_id, target).error_message is None
        with DatabaseManager(target) as found:
            assert found.execute("SELECT count(*) FROM items").rows == [(rows,)]
    with pytest.raises(BackupError, match="is needed by"):
        manager.delete_backup(full)


def test_what_cannot_be_made_is_an_error_and_no_full_backup(manager: BackupManager) -> None:
    for wrong in ({"backup_type": "partial"}, {"compression": "bzip2"}, {"include_data": False}):
        with pytest.raises(BackupError):
            manager.create_backup("shop", **wrong)  # type: ignore[arg-type]
    with pytest.raises(DbopsError):
        manager.create_backup("shop", backup_type="incremental")
    assert manager.list_backups() == []


def test_unknown_backups_and_databases_are_told(tmp_path: Path) -> None:
    manager = BackupManager(tmp_path)
    with pytest.raises(BackupError, match="no database URL is known"):
        manager.create_backup("shop")
    for act in (manager.verify_backup, manager.restore_backup):
        with pytest.raises(BackupError, match="Backup not found: x"):
            act("x")
    assert manager.list_backups() == [] and manager.delete_backup("x") is False


def test_damage_is_found(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load(ITEMS)
    manager = BackupManager(tmp_path, sqlite_database.url)
    made = manager.create_backup("shop")
    part = next(Path(manager.list_backups()[0]["file_path"]).rglob("parts/*"))
    content = part.read_bytes()
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = manager.verify_backup(made.backup_id)
    assert not found["valid"] and not found["checksum_valid"] and found["issues"]
    restored = manager.restore_backup(made.backup_id, f"sqlite:///{tmp_path}/restored.db")
    assert not restored and not (tmp_path / "restored.db").exists()


def test_a_backup_goes_into_a_folder_of_its_own(database: Database, manager: BackupManager, tmp_path: Path) -> None:
    made = manager.create_backup("shop", str(tmp_path / "out"))
    assert made.success and manager.list_backups() == []
    target = beside(database, tmp_path)
    try:
        assert manager.restore_backup(tmp_path / "out", database=target)
        with DatabaseManager(target) as found:
            assert found.execute("SELECT count(*) FROM items").rows == [(2,)]
    finally:
        drop(database)


def test_a_restore_is_tried_where_a_url_leads_and_nowhere_else(
    pg_database: PostgresDatabase, my_database: MysqlDatabase, tmp_path: Path
) -> None:
    """A server that is not named says nothing of a backup; for one that does not answer a private one stands in."""
    for database in (pg_database, my_database):
        database.load(ITEMS)
        made = BackupManager(tmp_path).create_backup("shop", database.url)
        absent = f"{database.engine}://nobody@127.0.0.1:1/nothing"
        for url, why in (
            (None, "no database URL leads to"),
            ("sqlite:///x.db", "no database URL leads to"),
            (absent, ""),
        ):
            found = BackupManager(tmp_path, url).verify_backup(made.backup_id)
            has_own = url == absent
            assert (found["valid"], found["checksum_valid"], found["restore_tested"]) == (True, True, has_own), found
            assert has_own or why in found["issues"][0]
        kept = BackupManager(tmp_path).get_backup_info(made.backup_id)
        assert kept is not None and kept["metadata"]["verified"] is True


def test_the_convenience_function_backs_up_here(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice within a second, which makes two backups."""
    database.load(ITEMS)
    monkeypatch.chdir(tmp_path)
    made = [backup_database("shop", database.url, backup_type="full", compression="none").backup_id for _ in range(2)]
    assert [one["backup_id"] for one in BackupManager().list_backups()] == made[::-1] and made[0] != made[1]
    assert BackupManager().delete_backup(made[0]) and not BackupManager().delete_backup(made[0])
    assert [one["backup_id"] for one in BackupManager().list_backups()] == made[1:]


def test_no_password_is_written(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    pg_database.load(ITEMS)
    url = pg_database.server.tcp_url(pg_database.name)
    manager = BackupManager(tmp_path / "work", url)
    manager.create_backup("shop", compression="none")
    from dbops import DatabaseConnection

    password = DatabaseConnection.from_url(url).password.encode()
    assert password and not any(password in file.read_bytes() for file in (tmp_path / "work").rglob("*") if file.is_file())


def test_an_empty_name_means_nothing(sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder it would be the working one."""
    monkeypatch.chdir(tmp_path)
    manager = BackupManager(tmp_path, sqlite_database.url)
    for call in (manager.create_backup, manager.restore_backup):
        with pytest.raises(ArgumentError, match="give its first argument"):
            call("")
    assert manager.list_backups() == []
