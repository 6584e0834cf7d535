"""What counts as a backup of ours: by the key, in the order in which they were made, and committed or not at all."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbops.archive import manifest as manifests
from dbops.archive.cipher import Keys
from dbops.archive.encryption import WrongKeyError
from dbops.archive.hashes import new_hash
from dbops.archive.index import Index
from dbops.archive.lease import leased
from dbops.archive.manifest import Manifest
from dbops.errors import BackupError
from dbops.resources.backups.standing import standing_of
from dbops.usecases import runtime
from dbops.usecases.backup.direct import BackupFolder
from dbops.usecases.backup.elsewhere import Elsewhere
from dbops.usecases.backup.look import listing
from dbops.usecases.backup.policies import policies_of
from dbops.usecases.backup.prune import Pruned, delete, hold, release
from dbops.usecases.backup.restore import RestoreWish, point_of, restore
from dbops.usecases.backup.verify import verify
from dbops.usecases.plan import plan
from tests.databases import SqliteDatabase
from tests.usecases.policies import Shop

KEYED = "  encryption: {key: {env: SHOP_KEY}}\n"


@pytest.fixture
def file(sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteDatabase:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SHOP_KEY", "ab" * 32)
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a');")
    return sqlite_database


def keyed(tmp_path: Path, file: SqliteDatabase, accepts: str = "") -> Shop:
    more = f"  encryption: {{key: {{env: SHOP_KEY}}, accepts: [{accepts}]}}\n"
    return Shop(tmp_path / "env", file.url, more)


def test_an_unencrypted_backup_does_not_count_where_there_is_a_key(tmp_path: Path, file: SqliteDatabase) -> None:
    planted = Shop(tmp_path / "env", file.url).run()
    shop = keyed(tmp_path, file)
    made = shop.run()
    planted_late = Shop(tmp_path / "env", file.url).run()
    shop = keyed(tmp_path, file)
    assert shop.backups() == (made,)
    assert shop.restore(f"sqlite:///{tmp_path / 'latest.db'}").chain == (made,)
    for one in (planted, planted_late):
        with pytest.raises(BackupError, match="the key is for aes-256-gcm"):
            shop.restore(f"sqlite:///{tmp_path / 'never.db'}", word=one.id)
    with shop.workspace() as workspace:
        assert [one.ok for one in verify(workspace, None, 1, shop.told.append)] == [True, False, False]
    assert not (tmp_path / "never.db").exists()


def test_nor_does_it_with_the_storage_and_the_key_alone(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url)
    made = shop.run()
    url = (shop.folder / "backups").as_uri()
    wish = RestoreWish(f"sqlite:///{tmp_path / 'there.db'}", made.id)
    with pytest.raises(BackupError, match="says that it is not encrypted"):
        restore(Elsewhere(url, {}, b"ab" * 32), wish, shop.told.append)
    restore(Elsewhere(url, {}, b"ab" * 32, accepts=("none",)), wish, shop.told.append)
    assert (tmp_path / "there.db").exists()


def test_what_was_made_before_there_was_a_key_is_accepted_by_name(tmp_path: Path, file: SqliteDatabase) -> None:
    before = Shop(tmp_path / "env", file.url).run()
    shop = keyed(tmp_path, file, "none")
    assert shop.backups() == (before,)
    assert shop.verify(3, before.id).ok


def test_a_manifest_that_nobody_with_the_key_wrote_does_not_count(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = keyed(tmp_path, file)
    made = shop.run()
    path = shop.manifest(made)
    path.write_bytes(manifests.to_json(manifests.sealed(replace(made, ended_at=made.ended_at + timedelta(days=1)), bytes(32))))
    for cache in ("cache", "cache of another machine"):  # the first still has what was written
        monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / cache))
        with pytest.raises(BackupError, match="without the key"):
            shop.restore(f"sqlite:///{tmp_path / 'never.db'}")
    assert shop.backups() == ()


def _reshaped(text: bytes, name: str, value: object) -> bytes:
    """Return a manifest with another value in a field, of a stream's first part where there is none, under a seal that holds."""
    data = json.loads(text)
    (data if name in data else data["streams"][0]["parts"][0])[name] = value
    seal = new_hash()
    unsealed = {name: value for name, value in data.items() if name not in ("seal", "mac")}
    seal.update(json.dumps(unsealed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    return (json.dumps({**data, "seal": seal.hexdigest(), "mac": ""}, indent=1, ensure_ascii=False) + "\n").encode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("fence", value) for value in ([1], None, True, -1)),
        *(("kind", value) for value in (True, "other", None)),
        *(("parent_id", value) for value in ([], {}, 1)),
        *(("stored_size", value) for value in ("1", None, -1, [1])),
        *(("plain_size", value) for value in ("1", 1.5)),
        ("points", "time"),
        ("points", [1]),
        ("details", {"elsewhere": {"stored": "1"}}),
        ("details", {"elsewhere": []}),
        ("identity", []),
        ("id", None),
    ],
    ids=str,
)
def test_one_manifest_of_another_shape_keeps_nobody_from_the_others(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Whoever may write into the storage can seal what he likes."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    shop = Shop(tmp_path / "env", file.url)
    good, bad = shop.run(), shop.run()
    path = shop.manifest(bad)
    path.write_bytes(_reshaped(path.read_bytes(), name, value))
    with shop.workspace() as workspace:
        (found,) = listing(workspace)
        assert [one.manifest for one in found.backups] == [good]
        assert [one.key for one in found.broken] == [path.relative_to(shop.folder / "backups").as_posix()]
        assert [one.ok for one in verify(workspace, None, 1, shop.told.append)] == [True, False]
    assert shop.restore(f"sqlite:///{tmp_path / 'there.db'}").chain == (good,)


def test_a_manifest_of_no_engine_keeps_nobody_from_the_others(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url)
    bad, good = shop.run(), shop.run()
    path = shop.manifest(bad)
    path.write_bytes(_reshaped(path.read_bytes(), "engine", "slide rule"))
    place = Elsewhere((shop.folder / "backups").as_uri())
    assert [one.manifest.id for one in listing(place)[0].backups] == [bad.id, good.id]
    restore(place, RestoreWish(f"sqlite:///{tmp_path / 'there.db'}", good.id), shop.told.append)
    shutil.rmtree(shop.manifest(good).parent)
    with pytest.raises(BackupError, match="no engine is called 'slide rule'"):
        listing(place)
    assert [one.ok for one in verify(place, None, 1, shop.told.append)] == [False]
    with pytest.raises(BackupError, match="no engine is called 'slide rule'"):
        BackupFolder(shop.folder / "backups").verify(bad.id, None, restores=False)


@pytest.mark.parametrize(
    "facts",
    [
        {"at": "2026-01-01T00:00:00"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"level": "3"},
        {"ok": 1},
        {"seconds": "1"},
        {"number": "1"},
    ],
    ids=str,
)
def test_evidence_and_failures_of_another_shape_count_for_nothing(
    tmp_path: Path, file: SqliteDatabase, facts: dict[str, object]
) -> None:
    """Whoever may write into the storage can seal these too."""
    shop = Shop(tmp_path / "env", file.url)
    made = shop.run()
    assert shop.verify(3).ok
    with shop.keeper() as keeper:
        (_, evidence), *_ = keeper.repository.notes(f"verify/{made.id}")
        keeper.repository.note(f"verify/{made.id}/other.json", {**evidence, **facts})
        keeper.repository.note(f"{made.timeline}/failures/{made.id}.json", {"kind": "full", "at": 1, "error": "", **facts})
        assert [one.ok for one in keeper.standing().evidence] == [True]
        assert keeper.due() == []
    with shop.workspace() as workspace:
        assert [one.state for one in listing(workspace)[0].backups] == ["verified"]
    assert shop.verify(3).number == 2


def test_the_last_verification_is_what_is_told_whatever_clocks_said(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url)
    made = shop.run()
    part = shop.parts(made)[0]
    content = part.read_bytes()
    with shop.keeper() as keeper:
        part.write_bytes(content[:-1])
        replace(keeper, clock=lambda: runtime.moment() + timedelta(days=9)).verify(made, 1)
        part.unlink()
        last = keeper.verify(made, 1)
    with shop.workspace() as workspace:
        told = [one.message for one in plan(workspace).observations if one.code == "BACKUP_UNRESTORABLE"]
    assert told == [f"{made.id}: {last.problems[0]}"]
    part.write_bytes(content)
    assert shop.verify(1).ok
    latest = BackupFolder(shop.folder / "backups").find(made.id).latest
    assert latest is not None
    assert latest.ok


def test_one_whose_facts_are_of_another_shape_keeps_nobody_from_a_moment_before_it(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    shop = Shop(tmp_path / "env", file.url)
    good, bad = shop.run(), shop.run()
    path = shop.manifest(bad)
    path.write_bytes(_reshaped(path.read_bytes(), "details", {"page_size": "4096"}))
    to = f"sqlite:///{tmp_path / 'there.db'}"
    with pytest.raises(BackupError, match=f"the manifest of {bad.id} cannot be used"):
        shop.restore(to, point=point_of(bad.ended_at))
    assert shop.restore(to, point=point_of(good.ended_at + (bad.ended_at - good.ended_at) / 2)).chain == (good,)


def test_a_key_that_changed_begins_a_new_chain(tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = keyed(tmp_path, file)
    shop.run()
    monkeypatch.setenv("SHOP_KEY", "cd" * 32)
    with pytest.raises(BackupError, match="another key"):
        shop.run("incremental")
    with pytest.raises(WrongKeyError, match="another key"):
        shop.restore(f"sqlite:///{tmp_path / 'never.db'}")
    with shop.keeper() as keeper:
        (due, *_) = keeper.due()
    assert (due.kind, due.reason) == ("full", "there is no full backup that the key of the policy opens")
    shop.run()
    with shop.workspace() as workspace:
        assert [one.opens for one in listing(workspace)[0].backups] == [False, True]
    assert all(one.opens for one in listing(Elsewhere((shop.folder / "backups").as_uri()))[0].backups)
    assert shop.run("incremental").parent_id is not None
    assert len(shop.backups()) == 3


def test_a_list_needs_no_key(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = keyed(tmp_path, file)
    made = shop.run()
    shop.verify(3)
    (found,) = listing(Elsewhere((shop.folder / "backups").as_uri()))
    assert [one.manifest for one in found.backups] == [made]
    assert found.restore_s is not None


@pytest.mark.parametrize(
    ("keys", "methods"),
    [
        (Keys(), set()),
        (Keys(secret=b"correct horse"), {"aes-256-gcm"}),
        (Keys(("age1x",)), {"age"}),
        (Keys(secret=b"AGE-SECRET-KEY-1X"), {"age"}),
        (Keys(secret=b"-----BEGIN OPENSSH PRIVATE KEY-----"), {"age", "aes-256-gcm"}),
    ],
)
def test_keys_say_what_they_are_for(keys: Keys, methods: set[str]) -> None:
    assert keys.methods == methods
    assert (keys.objection({"method": "none"}) is None) is not methods


# --- clocks ---------------------------------------------------------------------------------------------------------------


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(runtime, "moment", lambda: moment)


def test_what_was_made_last_is_the_latest_whatever_the_clock_said(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "env", file.url, "  retention: {last: 1}\n  objectives: {rpo: 2h}\n")
    now = datetime.now(UTC)
    at(monkeypatch, now + timedelta(days=400))
    early = shop.run()
    at(monkeypatch, now)
    with shop.keeper() as keeper:
        assert "a clock was wrong" in keeper.due()[0].reason
    file.rows("INSERT INTO orders VALUES (2, 'b')")
    last = shop.run("incremental")
    third = shop.run("incremental")
    assert [one.id for one in shop.backups()] == [early.id, last.id, third.id]
    assert third.parent_id == last.id
    assert shop.restore(f"sqlite:///{tmp_path / 'latest.db'}").chain[-1].id == third.id
    full = shop.run()
    with shop.keeper() as keeper:
        keeper.prune()
    assert shop.backups() == (full,)


def test_the_order_outlives_the_leases(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url)
    first = shop.run()
    for path in (shop.folder / "backups/shop/locks").iterdir():
        path.unlink()
    assert shop.run().fence > first.fence


# --- committed or not -----------------------------------------------------------------------------------------------------


def test_an_interrupt_behind_the_commit_takes_no_part_away(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "env", file.url)
    put = Index.put

    def interrupted(self: Index, storage: str, key: str, text: bytes) -> None:
        if key.endswith("manifest.json"):
            raise KeyboardInterrupt
        put(self, storage, key, text)

    with monkeypatch.context() as patched:
        patched.setattr(Index, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shop.run()
    assert len(shop.backups()) == 1
    assert shop.verify(3).ok
    with shop.keeper() as keeper:
        assert standing_of(keeper.repository, None).failures == ()


def test_a_run_that_fails_keeps_nothing_in_the_cache(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbops.engines.sqlite.backup import making

    shop = Shop(tmp_path / "env", file.url)

    def fail(*_: object) -> None:
        raise BackupError("the disk is full")

    monkeypatch.setattr(making, "_inventory", fail)
    with pytest.raises(BackupError, match="full"):
        shop.run()
    assert not list((tmp_path / "cache").rglob("kept/*"))


def test_who_lost_the_lease_deletes_no_more(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url, "  retention: {last: 1}\n")
    made: list[Manifest] = [shop.run(), shop.run(), shop.run()]
    with shop.keeper() as keeper:
        told = []

        def taken_over(text: str) -> None:
            told.append(text)
            if text.startswith("deleting"):
                lock = max((shop.folder / "backups/shop/locks").iterdir())
                lock.write_text(json.dumps({**json.loads(lock.read_text()), "released": True}))
                with leased(keeper.repository.storage, "shop", keeper.clock):
                    pass

        with pytest.raises(BackupError, match="another writer took over"):
            replace(keeper, told=taken_over).prune()
    assert len([text for text in told if text.startswith("deleting")]) == 1
    assert shop.backups() == tuple(made)


def test_folders_of_a_repository_are_for_us_alone(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url)
    shop.run()
    modes = {path.stat().st_mode & 0o077 for path in [shop.folder / "backups", *(shop.folder / "backups").rglob("*")]}
    assert modes == {0}


def test_what_is_held_while_others_are_pruned_stays_with_all_that_it_needs(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url, "  retention: {last: 1}\n")
    full, one = shop.run(), shop.run("incremental")
    old, last = shop.run(), shop.run()
    with shop.workspace() as workspace, shop.keeper() as keeper:

        def held(text: str) -> None:
            if text == f"deleting {old.id}":
                hold(workspace, one.id, "case 4711", None)

        pruned = replace(keeper, told=held).prune()
    assert pruned.deleted == (old,)
    assert shop.backups() == (full, one, last)


def test_what_another_run_has_made_meanwhile_is_not_made_again(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url)
    with shop.keeper() as keeper:
        assert keeper.due()[0].kind == "full"
        made = shop.run()
        assert keeper.back_up_if_due("full") is None
    assert shop.backups() == (made,)
    assert "another run has made the full backup meanwhile" in shop.told


def test_a_file_that_is_being_restored_is_for_us_alone(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbops.engines.sqlite.backup import restoring

    shop = Shop(tmp_path / "env", file.url)
    shop.run()
    modes, integrity = [], restoring.integrity

    def looked_at(path: Path) -> restoring.Checked:
        modes.append(path.stat().st_mode & 0o777)
        return integrity(path)

    monkeypatch.setattr(restoring, "integrity", looked_at)
    shop.restore(f"sqlite:///{tmp_path / 'new.db'}")
    usual = tmp_path / "usual"
    usual.touch()
    assert modes == [0o600]
    assert (tmp_path / "new.db").stat().st_mode == usual.stat().st_mode
    assert not list(tmp_path.glob(".new.db*"))


def test_a_cache_that_cannot_be_written_fails_no_backup(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in the way").touch()
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "in the way"))
    shop = Shop(tmp_path / "env", file.url)
    made = shop.run()
    file.rows("INSERT INTO orders VALUES (2, 'b')")
    assert shop.run("incremental").parent_id == made.id
    assert shop.verify(3).ok


def test_a_copy_that_is_cut_off_is_not_kept_and_goes_after_a_day(tmp_path: Path) -> None:
    index = Index(tmp_path)
    with index.keeping("shop/t/backups/x", "hashes") as copy:
        copy.write(b"one")
        copy.file = Path("/dev/full").open("wb", buffering=0)  # type: ignore[attr-defined]  # noqa: SIM115
        copy.write(b"two")
    left = tmp_path / "kept" / ".left"
    left.touch()
    os.utime(left, (1e9, 1e9))
    with index.keeping("shop/t/backups/y", "hashes") as copy:
        copy.write(b"three")
    assert [path.read_bytes() for path in (tmp_path / "kept").iterdir()] == [b"three"]


def test_a_backup_of_one_of_several_policies_is_verified_by_its_id(tmp_path: Path, file: SqliteDatabase) -> None:
    shop = Shop(tmp_path / "env", file.url)
    text = (shop.folder / "env.yaml").read_text()
    policy = text.partition("---\n")[2]
    (shop.folder / "second.yaml").write_text(policy.replace("{name: shop}", "{name: second}"))
    with shop.workspace() as workspace:
        made = [keeper.back_up("full") for keeper in policies_of(workspace)]
        for one in made:
            assert [found.backup_id for found in verify(workspace, one.id, 1, shop.told.append)] == [one.id]


def test_what_is_left_of_a_lost_backup_is_told_everywhere_and_deleted_by_its_whole_id(
    tmp_path: Path, file: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "env", file.url)
    shop.run()
    middle, last = shop.run("incremental"), shop.run("incremental")
    shop.manifest(middle).unlink()
    for cache in ("cache", "cache of another machine"):
        monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / cache))
        with shop.workspace() as workspace:
            (broken,) = listing(workspace)[0].broken
            assert middle.id in broken.key
            assert "the manifest is gone" in broken.reason
            assert sum(middle.id in one.backup_id for one in verify(workspace, None, 1, shop.told.append)) == 1

    def remove(backup_id: str) -> Pruned:
        with shop.workspace() as workspace:
            return delete(workspace, backup_id, None, shop.told.append, cascades=False)

    with pytest.raises(BackupError, match=f"needed by {last.id}"):
        remove(middle.id)
    remove(last.id)
    with pytest.raises(BackupError, match=r"cannot be used|no backup"):
        remove(middle.id[:-1])
    with shop.keeper() as keeper:
        keeper.repository.note(f"holds/{middle.id}.json", {"reason": "the court"})
    with pytest.raises(BackupError, match="is held"):
        remove(middle.id)
    with shop.workspace() as workspace:
        assert release(workspace, middle.id, None) == middle.id
    assert remove(middle.id).lost == (middle.id,)
    assert not shop.manifest(middle).parent.exists()
    with shop.workspace() as workspace:
        assert listing(workspace)[0].broken == ()


def test_what_another_key_is_for_is_not_deleted_as_lost(tmp_path: Path, file: SqliteDatabase) -> None:
    made = Shop(tmp_path / "env", file.url).run()
    shop = keyed(tmp_path, file)
    with shop.workspace() as workspace, pytest.raises(BackupError, match="cannot be used"):
        delete(workspace, made.id, None, shop.told.append, cascades=True)
    assert shop.manifest(made).exists()
