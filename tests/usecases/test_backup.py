"""Backups made, checked and restored, with all that may have happened to them in between."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyrage import x25519

from dbops.archive.manifest import Manifest
from dbops.archive.storage.base import StorageError
from dbops.archive.storage.local import LocalStorage
from dbops.archive.verify import check_hashes
from dbops.engines.base.backup import Point
from dbops.errors import BackupError
from dbops.resources.backups.proving import must_be_kept
from dbops.usecases.backup.elsewhere import Elsewhere
from dbops.usecases.backup.look import listing
from dbops.usecases.backup.prune import delete
from dbops.usecases.backup.restore import RestoreWish, point_of, restore
from dbops.usecases.backup.verify import verify
from dbops.usecases.plan import plan
from dbops.usecases.status import status
from tests.databases import SqliteDatabase
from tests.servers.s3 import S3, new_bucket
from tests.servers.sftp import SftpServer
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
    with shop.workspace() as workspace:
        assert [one.problems for one in verify(workspace, None, 2, shop.told.append)] == [()] * 5
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


def test_a_file_is_checked_until_a_verification_proved_its_backup(shop: Shop, tmp_path: Path) -> None:
    made = shop.run()
    whole = {path: path.read_bytes() for path in shop.parts(made)}

    def checks(name: str) -> bool:
        shop.told.clear()
        shop.restore(f"sqlite:///{tmp_path / name}")
        return "checking the file" in shop.told

    assert checks("new.db")
    assert shop.verify(1).ok
    assert checks("hashes-alone.db")
    assert shop.verify(2).ok
    assert not checks("proven.db")
    assert content(tmp_path / "proven.db") == content(tmp_path / "new.db")
    flip(next(iter(whole)))
    assert not shop.verify(1).ok
    for path, stored in whole.items():
        path.write_bytes(stored)
    assert checks("doubted.db")


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


def test_a_storage_that_was_lost_is_told_until_there_is_a_new_backup(shop: Shop, tmp_path: Path) -> None:
    shop.run()
    with shop.workspace() as workspace:
        listing(workspace)
    (shop.folder / "backups").rename(tmp_path / "gone")
    for _ in range(2):
        with shop.workspace() as workspace:
            assert "the storage was lost" in listing(workspace)[0].broken[0].reason
    with shop.workspace() as workspace:
        (evidence,) = verify(workspace, None, 1, shop.told.append)
    assert not evidence.ok
    with pytest.raises(BackupError, match="the storage was lost"):
        shop.restore(f"sqlite:///{tmp_path / 'back.db'}")
    shop.run()
    with shop.workspace() as workspace:
        assert listing(workspace)[0].broken == ()


def test_what_was_set_aside_is_not_asked_the_checks_of_the_policy(tmp_path: Path, sqlite_database: SqliteDatabase) -> None:
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY)")
    shop = Shop(tmp_path / "env", sqlite_database.url, more="  verify: {checks: ['SELECT count(*) = 0 FROM orders']}\n")
    shop.run()
    other = SqliteDatabase(tmp_path / "other.db")
    other.load("CREATE TABLE something (id integer)")
    safety = shop.restore(other.url, replaces=True).safety
    assert safety is not None
    assert shop.verify(3, safety.id).problems == ()


def test_what_was_set_aside_is_no_growth(shop: Shop, tmp_path: Path) -> None:
    shop.run()
    other = SqliteDatabase(tmp_path / "other.db")
    other.load("CREATE TABLE something (id integer)")
    shop.restore(other.url, replaces=True)
    made = shop.run()
    with shop.workspace() as workspace:
        first, aside, last = listing(workspace)[0].backups
        (told,) = (policy for one in status(workspace) for policy in one.backups)
    assert (first.growth, aside.growth, last.manifest) == (None, None, made)
    assert last.growth == made.stored_size / first.manifest.stored_size - 1
    assert told.growth is not None
    assert abs(told.growth - last.growth) < 0.001


def test_a_policy_without_backups_fails_beside_one_that_has_some(shop: Shop) -> None:
    shop.run()
    text = (shop.folder / "env.yaml").read_text()
    (shop.folder / "other.yaml").write_text(text.replace("{name: shop}", "{name: other}").replace("./backups", "./others"))
    with shop.workspace() as workspace:
        found = verify(workspace, None, 1, shop.told.append)
    assert [(one.backup_id == "other", one.ok) for one in found] in ([(False, True), (True, False)],)


def test_a_manifest_reads_as_it_was_written(shop: Shop) -> None:
    made: Manifest = shop.run("full")
    assert shop.backups() == (made,)


def test_a_file_that_another_program_has_open_is_not_replaced(shop: Shop, sqlite_database: SqliteDatabase) -> None:
    shop.run()
    add_rows(sqlite_database)
    before = content(sqlite_database.path)
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
        "c.execute('SELECT 1 FROM orders').fetchall(); print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(sqlite_database.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(BackupError, match="in use by"):
            shop.restore(sqlite_database.url, replaces=True)
        other.kill()
    assert content(sqlite_database.path) == before
    assert len(shop.backups()) == 1
    shop.restore(sqlite_database.url, replaces=True)
    assert content(sqlite_database.path) != before


def test_a_disk_without_room_is_told_and_nothing_is_left(shop: Shop, tmp_path: Path) -> None:
    shop.run()
    place = tmp_path / "small"
    place.mkdir()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limit[1]))
        with pytest.raises(
            BackupError, match=r"the restore was given up: .*/small/\.restored\.db\.restoring-\w+: File too large"
        ) as caught:
            shop.restore(f"sqlite:///{place / 'restored.db'}")
        with pytest.raises(BackupError, match="the verification was given up"):  # which says nothing of the backup
            shop.verify(3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "free space" in str(caught.value.fix)
    assert list(place.iterdir()) == []
    assert shop.verify(3).ok


def test_a_program_without_room_says_nothing_of_the_backup(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.run()
    told = {"exits": [{"tool": "pg_restore", "code": 1, "stderr": "ERROR: could not extend file: No space left on device"}]}

    def fail(*arguments: object) -> None:
        raise BackupError("pg_restore ended with exit code 1", told)

    monkeypatch.setattr("dbops.engines.sqlite.backup.restoring.assemble", fail)
    with pytest.raises(BackupError, match="the verification was given up: pg_restore ended with exit code 1") as caught:
        shop.verify(3)
    assert caught.value.error_code == "NO_ROOM"
    told["exits"][0]["stderr"] = "ERROR: something else"
    assert shop.verify(3).problems == ("pg_restore ended with exit code 1",)


def test_evidence_that_cannot_be_kept_is_told(shop: Shop) -> None:
    made = shop.run()
    (shop.folder / "backups/shop/verify").write_text("a file in the place of the folder")
    evidence = shop.verify(3)
    assert evidence.ok
    with pytest.raises(StorageError, match=f"{made.id} was found good at level 3, and the evidence of it cannot be kept"):
        must_be_kept(evidence)


def test_a_storage_that_may_only_be_read_is_verified_to_the_end(shop: Shop) -> None:
    """As where an auditor may read alone: what is damaged is found, however many good ones come before."""
    first, last = shop.run(), shop.run()
    part = shop.parts(last)[0]
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    (shop.folder / "backups/shop/verify").write_text("a file in the place of the folder")
    with shop.workspace() as workspace:
        found = verify(workspace, None, 1, shop.told.append)[:2]
    assert [(one.backup_id, one.ok) for one in found] == [(first.id, True), (last.id, False)]
    assert all(one.unkept for one in found)


def test_a_storage_that_is_gone_meanwhile_is_no_damage(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    made, get = shop.run(), LocalStorage.get

    def gone(self: LocalStorage, key: str, *place: int) -> bytes:
        if "/parts/" in key or not place:
            raise StorageError("the storage does not answer")
        return get(self, key, *place)

    with shop.keeper() as keeper:
        repository = keeper.repository
        monkeypatch.setattr(LocalStorage, "get", lambda self, key, *place: gone(self, key, *place) if place else get(self, key))
        assert "does not answer" in check_hashes(repository, made)[0], "one object alone is unreadable"
        monkeypatch.setattr(LocalStorage, "head", gone)
        with pytest.raises(StorageError, match="does not answer"):
            check_hashes(repository, made)


def test_a_moment_that_no_log_leads_to_gives_the_state_before_it_and_says_so(shop: Shop, tmp_path: Path) -> None:
    made = shop.run()
    point = point_of(made.ended_at + timedelta(hours=1))
    result = shop.restore(f"sqlite:///{tmp_path / 'restored.db'}", point=point)
    (note,) = result.restored.warnings
    assert note.startswith(f"this is the state of {made.ended_at:%Y-%m-%d %H:%M:%S}Z, the last before ")
    exactly = shop.restore(f"sqlite:///{tmp_path / 'exactly.db'}", point=point_of(made.ended_at))
    assert exactly.restored.warnings == ()


def test_a_database_that_is_gone_is_brought_back_by_what_is_said(
    shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    shop.run()
    before = sqlite_database.path.read_bytes()
    sqlite_database.path.unlink()
    with pytest.raises(BackupError, match="does not exist") as caught:
        shop.run()
    with shop.workspace() as workspace:
        told = {one.code: one.message for one in plan(workspace).observations}
    said = f"dbops backup restore latest --to 'sqlite:///{sqlite_database.path}' brings it back"
    assert said in told["DATABASE_GONE"] and said in str(caught.value.fix)
    shop.restore(f"sqlite:///{sqlite_database.path}")
    assert sqlite_database.path.read_bytes() == before


def test_backups_under_the_name_that_a_policy_had_before_are_named(shop: Shop, tmp_path: Path) -> None:
    shop.run()
    text = (shop.folder / "env.yaml").read_text()
    renamed = text.replace("kind: BackupPolicy\nmetadata: {name: shop}", "kind: BackupPolicy\nmetadata: {name: new}")
    (shop.folder / "env.yaml").write_text(renamed)
    with pytest.raises(BackupError, match=r"there is no backup of new yet; .* has those of shop") as caught:
        shop.restore(f"sqlite:///{tmp_path / 'new.db'}")
    assert "--policy shop" in str(caught.value.fix)
    with shop.workspace() as workspace:
        assert [one.others for one in listing(workspace)] == [("shop",)]


def test_a_moment_as_it_is_listed_is_that_of_the_backup(shop: Shop, tmp_path: Path) -> None:
    made = shop.run()
    listed = point_of(made.ended_at.replace(microsecond=0))
    for word in (None, made.id):
        result = shop.restore(f"sqlite:///{tmp_path / f'{word}.db'}", point=listed, word=word)
        assert result.chain == (made,) and result.restored.warnings == ()


@pytest.mark.parametrize(
    "point", [point_of(lsn="0/12"), point_of(name="before the release"), point_of(datetime(2020, 1, 1, tzinfo=UTC))]
)
def test_a_point_that_a_backup_does_not_lead_to_is_refused(shop: Shop, tmp_path: Path, point: Point) -> None:
    made = shop.run()
    for word in (None, made.id):
        with pytest.raises(BackupError, match=f"no backup leads to|{made.id} leads to its own end alone"):
            shop.restore(f"sqlite:///{tmp_path / 'new.db'}", point=point, word=word)
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize("word", ["", "2", "202"])
def test_a_word_that_is_a_slip_means_no_backup(shop: Shop, word: str) -> None:
    made = shop.run()
    with shop.workspace() as workspace, pytest.raises(BackupError, match="too short to mean a backup"):
        delete(workspace, word, None, shop.told.append, cascades=False)
    assert shop.backups() == (made,)


def test_a_wal_beside_the_old_file_is_not_taken_for_the_new_ones(shop: Shop, sqlite_database: SqliteDatabase) -> None:
    shop.run()
    expected = content(sqlite_database.path)
    with closing(sqlite3.connect(sqlite_database.path)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("DELETE FROM orders")
        conn.commit()
        files = {suffix: Path(f"{sqlite_database.path}{suffix}").read_bytes() for suffix in ("", "-wal")}
    for suffix, data in files.items():  # as a program that died would leave them
        Path(f"{sqlite_database.path}{suffix}").write_bytes(data)
    shop.restore(sqlite_database.url, replaces=True)
    assert content(sqlite_database.path) == expected


def test_one_table_is_restored_alone(shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load("CREATE TABLE big (a text); INSERT INTO big VALUES ('x'); CREATE VIEW v AS SELECT * FROM big;")
    shop.run()
    shop.restore(f"sqlite:///{tmp_path / 'one.db'}", tables=("orders",))
    restored = content(tmp_path / "one.db")
    assert any("CREATE TABLE orders" in line for line in restored)
    assert not any("big" in line for line in restored)
    with pytest.raises(BackupError, match="no table 'nowhere'"):
        shop.restore(f"sqlite:///{tmp_path / 'two.db'}", tables=("nowhere",))
    assert not (tmp_path / "two.db").exists()


@pytest.mark.parametrize("encryption", ["key: {env: SHOP_KEY}", "key: {file: identity.txt}", ""])
def test_storage_and_key_are_enough_on_another_machine(
    tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, s3_endpoint: str, encryption: str
) -> None:
    identity = str(x25519.Identity.generate())
    secret = identity if "file" in encryption else "correct horse battery"
    monkeypatch.setenv("SHOP_KEY", secret)
    monkeypatch.setenv("SECRET", S3["secret_access_key"])
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'ünïcode');")
    url = f"s3://{new_bucket(s3_endpoint)}/some/where"
    options: dict[str, object] = {**S3, "endpoint": s3_endpoint, "secret_access_key": {"env": "SECRET"}}
    more = f"  storage: {json.dumps({'url': url, 'options': options})}\n"
    shop = Shop(tmp_path / "env", sqlite_database.url, more + (f"  encryption: {{{encryption}}}\n" if encryption else ""))
    (shop.folder / "identity.txt").write_text(identity)
    shop.run()
    sqlite_database.rows("INSERT INTO orders VALUES (2, 'b')")
    made = shop.run("incremental")

    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache of another machine"))
    elsewhere = Elsewhere(url, {**S3, "endpoint": s3_endpoint}, secret.encode() if encryption else None)
    assert [one.manifest.id for one in listing(elsewhere)[0].backups][-1] == made.id
    assert [one.ok for one in verify(elsewhere, None, 3, shop.told.append)] == [True, True]
    restore(elsewhere, RestoreWish(f"sqlite:///{tmp_path / 'there.db'}"), shop.told.append)
    assert content(tmp_path / "there.db") == content(sqlite_database.path)
    if encryption:
        wrong = Elsewhere(url, elsewhere.options, b"wrong")
        with pytest.raises(BackupError, match="key"):
            restore(wrong, RestoreWish(f"sqlite:///{tmp_path / 'never.db'}"), shop.told.append)
        assert not (tmp_path / "never.db").exists()


def test_recipients_alone_make_chains(
    shop: Shop, tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = x25519.Identity.generate()
    other = Shop(tmp_path / "other", sqlite_database.url, f"  encryption: {{recipients: [{identity.to_public()}]}}\n")
    other.run()
    add_rows(sqlite_database)
    other.run("incremental")
    with pytest.raises(BackupError, match="no identity was given"):
        other.restore(f"sqlite:///{tmp_path / 'never.db'}")
    with pytest.raises(BackupError, match="no identity was given"):
        other.restore(sqlite_database.url, replaces=True)
    assert len(other.backups()) == 2  # what stands there was not saved for a restore that cannot be
    elsewhere = Elsewhere((other.folder / "backups").as_uri(), {}, str(identity).encode())
    restore(elsewhere, RestoreWish(f"sqlite:///{tmp_path / 'there.db'}"), shop.told.append)
    assert content(tmp_path / "there.db") == content(sqlite_database.path)


def test_a_damaged_database_is_kept_beside_what_replaces_it(shop: Shop, sqlite_database: SqliteDatabase) -> None:
    shop.run()
    expected = content(sqlite_database.path)
    data = bytearray(sqlite_database.path.read_bytes())
    data[200:4000] = bytes(3800)
    data[5000:9000] = b"\xff" * 4000
    sqlite_database.path.write_bytes(data)
    result = shop.restore(sqlite_database.url, replaces=True)
    assert result.safety is None
    assert content(sqlite_database.path) == expected
    (aside,) = sqlite_database.path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == data
    assert result.restored.warnings == (f"what stood there is {aside}",)


def test_a_link_stays_and_the_file_behind_it_is_replaced(shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    shop.run()
    expected = content(sqlite_database.path)
    add_rows(sqlite_database)
    sqlite_database.path.chmod(0o640)
    link = tmp_path / "link.db"
    link.symlink_to(sqlite_database.path)
    shop.restore(f"sqlite:///{link}", replaces=True)
    assert link.is_symlink()
    assert content(sqlite_database.path) == expected
    assert sqlite_database.path.stat().st_mode & 0o777 == 0o640


def test_what_killed_programs_left_is_cleared_away(shop: Shop, sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    made = shop.run()
    left = [shop.parts(made)[0].with_name(".writing-1"), shop.folder / "backups/shop/locks/.writing-2"]
    restoring = tmp_path / ".restored.db.restoring-1"
    for path in (*left, restoring):
        path.write_bytes(b"half")
        os.utime(path, (1e9, 1e9))
    with shop.keeper() as keeper:
        assert len(keeper.prune().orphans) == 2
    shop.restore(f"sqlite:///{tmp_path / 'restored.db'}")
    assert not any(path.exists() for path in (*left, restoring))
    assert shop.backups() == (made,)


def test_a_chain_goes_over_sftp_and_comes_back(
    tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, sftp: SftpServer
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SHOP_KEY", "correct horse battery")
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a');")
    url = sftp.url("back ups")
    more = f"  storage: {json.dumps({'url': url.replace(' ', '%20'), 'options': sftp.options})}\n"
    more += "  encryption: {key: {env: SHOP_KEY}}\n  retention: {last: 1}\n"
    shop = Shop(tmp_path / "env", sqlite_database.url, more)
    shop.run()
    add_rows(sqlite_database)
    made = shop.run("incremental")
    assert shop.verify(3, made.id).ok
    shop.restore(f"sqlite:///{tmp_path / 'there.db'}")
    assert content(tmp_path / "there.db") == content(sqlite_database.path)
    last = shop.run()
    with shop.keeper() as keeper:
        keeper.prune()
    kept = [one.id for one in shop.backups()]
    assert kept[-1] == last.id and made.id in kept  # the last, and the last verified with what it needs
    folders = {path.name for path in sftp.folder.rglob("backups/*")}
    assert folders == set(kept)
    assert not list(sftp.folder.rglob(".writing-*"))
