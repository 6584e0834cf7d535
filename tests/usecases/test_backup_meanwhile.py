"""Backups that are lost, damaged, committed or deleted while somebody looks at them or restores them: what is told of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest

from dbops.archive.codec import PLAIN
from dbops.archive.manifest import Manifest
from dbops.archive.repository import BEGUN, Draft, folder_of
from dbops.archive.storage.base import StorageError
from dbops.archive.storage.local import LocalStorage, _File
from dbops.errors import BackupError
from dbops.usecases.backup.elsewhere import Elsewhere
from dbops.usecases.backup.look import listing
from dbops.usecases.backup.prune import delete, hold, meant
from dbops.usecases.backup.restore import RestoreWish, point_of, restore
from dbops.usecases.backup.side import catalog_of
from dbops.usecases.backup.verify import verify
from dbops.usecases.runtime import moment
from tests.databases import SqliteDatabase
from tests.failures.trial import wait_until
from tests.usecases.policies import Shop


@pytest.fixture
def shop(tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")  # what this machine remembers would hide what is damaged
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a');")
    return Shop(tmp_path / "env", sqlite_database.url)


def _lose(path: Path) -> None:
    path.unlink()


def _damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


HARMS = [pytest.param(_lose, id="lost"), pytest.param(_damage, id="damaged")]


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_newer_than_the_latest_and_cannot_be_used_is_told(
    shop: Shop, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    first, last = shop.run(), shop.run()
    to = iter(f"sqlite:///{tmp_path / name}.db" for name in "abcd")
    assert shop.restore(next(to)).restored.warnings == ()
    harm(shop.manifest(last))
    restored = shop.restore(next(to))
    assert restored.chain == (first,)
    assert [last.id in text for text in restored.restored.warnings] == [True]
    assert any(last.id in text for text in shop.restore(next(to), point=point_of(moment())).restored.warnings)
    assert not any(last.id in text for text in shop.restore(next(to), point=point_of(first.ended_at)).restored.warnings)
    with shop.workspace() as workspace:
        found = verify(workspace, "latest", 1, shop.told.append)
        assert [(one.ok, last.id in one.backup_id) for one in found] == [(True, False), (False, True)]
        (one,) = verify(workspace, last.id, 1, shop.told.append)
        assert (one.ok, one.backup_id) == (False, last.id)
        (one,) = verify(workspace, first.id, 1, shop.told.append)
        assert one.ok


@pytest.mark.parametrize("harm", HARMS)
def test_the_latest_is_not_deleted_nor_held_for_a_later_one_that_cannot_be_used(shop: Shop, harm: Callable[[Path], None]) -> None:
    first, last = shop.run(), shop.run()
    with shop.workspace() as workspace:
        assert meant(workspace, "latest", None) == last.id
    harm(shop.manifest(last))
    with shop.workspace() as workspace:
        for act in (
            lambda: delete(workspace, "latest", None, shop.told.append, cascades=False),
            lambda: hold(workspace, "latest", "the court", None),
            lambda: meant(workspace, "latest", None),
        ):
            with pytest.raises(BackupError, match=f"a later backup, {last.id}, cannot be used") as caught:
                act()
            assert first.id in str(caught.value.fix)
        assert (meant(workspace, first.id, None), meant(workspace, last.id, None)) == (first.id, last.id)
        assert hold(workspace, first.id, "the court", None) == first.id
    assert shop.backups() == (first,)


@pytest.mark.parametrize("harm", HARMS)
def test_a_target_of_which_nothing_can_be_read_is_damage_beside_one_that_is_sound(
    shop: Shop, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    made = shop.run()
    text = (shop.folder / "env.yaml").read_text()
    (shop.folder / "env.yaml").write_text(
        text.replace("kind: BackupPolicy\nmetadata: {name: shop}", "kind: BackupPolicy\nmetadata: {name: old}")
    )
    old = shop.run()
    place = Elsewhere((shop.folder / "backups").as_uri())
    assert [one.ok for one in verify(place, None, 1, shop.told.append)] == [True, True]
    harm(shop.manifest(old))
    assert [(old.id in one.backup_id, one.ok) for one in verify(place, None, 1, shop.told.append)] == [
        (False, True),
        (True, False),
    ]
    assert [one.ok for one in verify(place, None, 1, shop.told.append, "old")] == [False]
    assert [one.backup_id for one in verify(place, None, 1, shop.told.append, "shop")] == [made.id]
    with pytest.raises(BackupError, match="none of the backups of old can be read"):
        listing(place, "old")
    assert [one.policy for one in listing(place)] == ["shop"]
    harm(shop.manifest(made))
    assert [one.ok for one in verify(place, None, 1, shop.told.append)] == [False, False]


def test_what_is_found_again_meanwhile_is_not_deleted_as_lost(shop: Shop) -> None:
    """A deletion of a lost backup that waits for somebody's run looks again behind it."""
    told, errors = list[str](), list[str]()
    made = shop.run()
    text = shop.manifest(made).read_bytes()
    shop.manifest(made).unlink()

    def remove() -> None:
        try:
            with shop.workspace() as workspace:
                delete(workspace, made.id, None, told.append, cascades=False)
        except BackupError as error:
            errors.append(error.message)

    helper = threading.Thread(target=remove)
    with shop.keeper() as keeper, keeper.leased():
        helper.start()
        wait_until(lambda: any("waiting" in text for text in told) or bool(errors))
        shop.manifest(made).write_bytes(text)
    helper.join()
    assert [f"the manifest of {made.id} is there now" in text for text in errors] == [True]
    assert shop.backups() == (made,)


def test_a_run_that_is_cut_off_behind_its_commit_has_made_a_backup(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    class CutOffError(Exception):
        pass

    def cut_off(self: Draft) -> None:
        raise CutOffError

    with monkeypatch.context() as patched, pytest.raises(CutOffError):
        patched.setattr(Draft, "_ended", cut_off)
        shop.run()
    (made,) = shop.backups()
    begun = shop.manifest(made).with_name(BEGUN)
    assert begun.exists()
    with shop.keeper() as keeper:
        assert keeper.prune(is_dry=True).orphans == (f"{folder_of(made)}/{BEGUN}",)
    behind = shop.run()
    assert shop.backups() == (made, behind)
    assert not begun.exists(), "the next run takes back what that one could not"
    shop.manifest(made).unlink()
    with shop.keeper() as keeper:
        assert [(made.timeline, made.id)] == list(keeper.repository.contents().lost), "so that a lost manifest can be told"


class Deleting:
    """Hears what is told, and deletes a backup as soon as something is."""

    def __init__(self, shop: Shop, made: Manifest, when: str) -> None:
        self.shop, self.made, self.when, self.told = shop, made, when, list[str]()

    def __call__(self, text: str) -> None:
        self.told.append(text)
        if text == f"{self.when} {self.made.id}" and self.made in self.shop.backups():
            with self.shop.workspace() as workspace:
                delete(workspace, self.made.id, None, self.told.append, cascades=False)


@pytest.mark.parametrize("when", ["checking what is stored of", "restoring"])
def test_what_is_deleted_while_it_is_verified_is_no_damage(shop: Shop, when: str) -> None:
    last = shop.run()
    for word in (True, False):
        first = shop.run()
        deleting = Deleting(shop, first, when)
        with shop.workspace() as workspace:
            if not word:
                found = verify(workspace, None, 3, deleting)
                assert [(one.backup_id, one.ok) for one in found] == [(last.id, True)]
                assert f"{first.id} was deleted while it was verified, which says nothing of it" in deleting.told
                continue
            with pytest.raises(BackupError, match=f"{first.id} was deleted while it was verified"):
                verify(workspace, first.id, 3, deleting)
    with shop.keeper() as keeper:
        assert {one.backup_id for one in keeper.standing().evidence} == {last.id}


@pytest.mark.parametrize("when", ["checking what is stored of", "restoring"])
def test_what_is_restored_is_not_deleted_meanwhile(shop: Shop, tmp_path: Path, when: str) -> None:
    first, _ = shop.run(), shop.run()
    refused = list[str]()

    def hear(text: str) -> None:
        if text == f"{when} {first.id}":
            with shop.workspace() as workspace:
                try:
                    delete(workspace, first.id, None, shop.told.append, cascades=False)
                except BackupError as error:
                    refused.append(error.message)

    with shop.workspace() as workspace:
        restore(workspace, RestoreWish(f"sqlite:///{tmp_path / 'there.db'}", first.id), hear)
        assert ["stays: it is being restored by process" in text for text in refused] == [True]
        delete(workspace, first.id, None, shop.told.append, cascades=False)
    assert not (shop.folder / "backups/shop/readers").exists()


def test_what_is_compared_with_is_not_deleted_meanwhile(shop: Shop) -> None:
    first, _ = shop.run(), shop.run()
    deleting = Deleting(shop, first, "checking what is stored of")
    with shop.workspace() as workspace, pytest.raises(BackupError, match="stays: it is being restored by process"):
        catalog_of(workspace, first.id, deleting)
    assert first in shop.backups()


def test_what_is_restored_hours_after_a_prune_began_is_not_deleted(
    shop: Shop, tmp_path: Path, sqlite_database: SqliteDatabase
) -> None:
    """As where there is much to delete, on a slow storage."""
    shop = Shop(tmp_path / "env", sqlite_database.url, "  retention: {last: 1, verified: 0}\n")
    for _ in range(3):
        shop.run()
    with shop.keeper() as keeper, ExitStack() as readers:
        now = [keeper.clock()]

        def hear(text: str) -> None:
            if text.startswith("deleting ") and len(now) == 1:
                now.append(now[0] + timedelta(hours=1))
                left = [one for one in shop.backups()[:-1] if one.id not in text]
                readers.enter_context(keeper.repository.reading(left, lambda: now[-1]))

        pruned = replace(keeper, clock=lambda: now[-1], told=hear).prune()
        assert ["is being restored by" in text for text in pruned.staying.values()] == [True]
        assert len(pruned.deleted) == 1
    assert len(shop.backups()) == 2


@pytest.mark.parametrize("when", ["checking what is stored of", "restoring"])
def test_what_is_deleted_while_it_is_restored_is_told_and_what_stood_there_stays(shop: Shop, tmp_path: Path, when: str) -> None:
    """As where who restores may only read the storage, and cannot say that he does."""
    first, _ = shop.run(), shop.run()
    readers = shop.folder / "backups/shop/readers"
    readers.write_text("a file in the place of the folder")

    def hear(text: str) -> None:
        if text == f"{when} {first.id}":
            readers.unlink(missing_ok=True)
        deleting(text)

    deleting = Deleting(shop, first, when)
    with shop.workspace() as workspace, pytest.raises(BackupError, match=f"{first.id} was deleted while it was being") as caught:
        restore(workspace, RestoreWish(f"sqlite:///{tmp_path / 'there.db'}", first.id), hear)
    assert caught.value.error_code == "BACKUP_DELETED"
    assert not list(tmp_path.glob("*there.db*"))
    shop.restore(f"sqlite:///{tmp_path / 'there.db'}")


@pytest.mark.parametrize("when", ["checking what is stored of", "restoring"])
def test_what_is_lost_while_it_is_verified_is_damage(shop: Shop, when: str) -> None:
    made = shop.run()

    def lose(text: str) -> None:
        if text == f"{when} {made.id}":
            for part in shop.parts(made):
                part.unlink()

    with shop.workspace() as workspace:
        assert [one.ok for one in verify(workspace, made.id, 3, lose)] == [False]


def test_what_cannot_be_saved_before_it_is_replaced_stays(shop: Shop, sqlite_database: SqliteDatabase) -> None:
    """As where the storage may only be read."""
    shop.run()
    sqlite_database.load("INSERT INTO orders VALUES (2, 'b');")
    for path in (shop.folder / "backups/shop/locks").iterdir():
        path.unlink()
    (shop.folder / "backups/shop/locks").rmdir()
    (shop.folder / "backups/shop/locks").write_text("a file in the place of the folder")
    with pytest.raises(BackupError, match="cannot be saved first, and was left as it is") as caught:
        shop.restore(sqlite_database.url, replaces=True)
    assert "restore to another place" in str(caught.value.fix)
    assert sqlite_database.rows("SELECT count(*) FROM orders") == [(2,)]


def test_a_full_disk_is_told_with_how_little_is_enough(tmp_path: Path) -> None:
    """Linux has a file that is a full disk."""
    with pytest.raises(StorageError, match="No space left") as caught, Path("/dev/full").open("wb", buffering=0) as full:
        _File(full.fileno(), tmp_path / "lease").write(b"x")
    assert "few kilobytes are enough" in str(caught.value.fix)


def test_a_hold_that_comes_too_late_is_no_hold(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deletion has looked for holds, and the manifest is about to go."""
    made = shop.run()
    deletes, going, held = LocalStorage.delete, threading.Event(), shop.folder / f"backups/shop/holds/{made.id}.json"

    def slowly(self: LocalStorage, key: str) -> None:
        if key.endswith(f"{made.id}/manifest.json"):
            going.set()
            wait_until(held.exists, 20)
        deletes(self, key)

    def remove() -> None:
        with shop.workspace() as workspace:
            delete(workspace, made.id, None, shop.told.append, cascades=False)

    monkeypatch.setattr(LocalStorage, "delete", slowly)
    helper = threading.Thread(target=remove)
    helper.start()
    assert going.wait(20)
    with shop.workspace() as workspace, pytest.raises(BackupError, match="was deleted at this moment"):
        hold(workspace, made.id, "the court", None)
    helper.join()


def test_a_hold_that_may_come_too_late_for_a_long_deletion_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where pgBackRest removes its copy first, which takes minutes."""
    made = shop.run()
    monkeypatch.setattr("dbops.usecases.backup.prune._PASSING_S", 0.2)
    with shop.keeper() as keeper, shop.workspace() as workspace:

        def forget() -> None:
            with pytest.raises(BackupError, match=f"somebody seems to be about to delete {made.id}"):
                hold(workspace, made.id, "the court", None)

        with keeper.leased():
            assert keeper.repository.delete(made, keeper.clock(), forget) is None


def test_what_a_run_could_not_take_back_keeps_nobody_from_a_hold(shop: Shop) -> None:
    made = shop.run()
    with shop.keeper() as keeper:
        keeper.repository.begin(made.id, made.timeline, PLAIN).announce(moment())
    started = monotonic()
    with shop.workspace() as workspace:
        assert hold(workspace, made.id, "the court", None) == made.id
    assert monotonic() - started < 5


def test_of_a_lost_manifest_and_a_storage_that_was_seen_the_manifest_is_told(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    made, other = shop.run(), shop.run()
    shop.manifest(made).unlink()
    shop.manifest(other).unlink()
    with pytest.raises(BackupError, match="no backup can be used: the manifest is gone"):
        shop.restore(f"sqlite:///{tmp_path / 'there.db'}")
    shutil.rmtree(shop.manifest(made).parent)
    with pytest.raises(BackupError, match=r"\(2\), none is left"):
        shop.restore(f"sqlite:///{tmp_path / 'there.db'}")
