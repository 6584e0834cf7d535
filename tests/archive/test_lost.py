"""What is lost from a storage, at random: nothing that may have belonged to it goes, and what runs left that died does."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.archive.chains import before_lost, chain_of, dependents, may_need_lost
from dbops.archive.cipher import Keys
from dbops.archive.codec import PLAIN
from dbops.archive.index import Index
from dbops.archive.lease import leased
from dbops.archive.manifest import Manifest
from dbops.archive.naming import new_id
from dbops.archive.repository import BEGUN, Draft, Repository, folder_of, targets_in
from dbops.archive.retention import Guards, Rules, judge
from dbops.archive.storage.base import StorageError
from dbops.archive.storage.local import LocalStorage
from dbops.resources.backups.due import guards_of
from dbops.resources.backups.model import Standing
from dbops.resources.backups.pruning import prune
from tests.archive.made import START, backup

LATER = datetime.now(UTC) + timedelta(days=3)


def _silent(text: str) -> None:
    return


@st.composite
def chains(draw: st.DrawFn) -> list[Manifest]:
    """Backups by age, of several chains with branches; the clock goes back now and then."""
    made: list[Manifest] = []
    for number in range(draw(st.integers(2, 14))):
        parent = draw(st.sampled_from([None, *made[-5:], *made[-1:], *made[-1:]]))
        kind = draw(st.sampled_from(["incremental", "differential", "log"])) if parent else "full"
        made.append(backup(f"b{number:02}", draw(st.integers(0, 500)), parent, kind, fence=number + 1))
    return made


@given(chains(), st.randoms(use_true_random=False))
def test_what_a_held_backup_may_need_is_kept_however_many_manifests_are_lost(
    history: list[Manifest], chance: random.Random
) -> None:
    left = [one for one in history if chance.random() < 0.6] or history[:1]
    held = chance.choice(left)
    verdict = judge(left, Rules(last=1, verified=0), START + timedelta(days=90), Guards(held={held.id}))
    needed = {one.id for one in chain_of(held, history)} & {one.id for one in left}
    assert needed <= set(verdict.kept)
    for one in left:
        after = {other.id for other in left if other is not one and one in chain_of(other, history)}
        assert after <= {other.id for other in dependents(one.id, left)}


@given(chains(), st.randoms(use_true_random=False))
def test_what_goes_while_one_is_held_takes_nothing_that_it_may_need(history: list[Manifest], chance: random.Random) -> None:
    """The hold comes when all was decided, and manifests were lost before."""
    with TemporaryDirectory() as folder:
        repository = Repository(LocalStorage(Path(folder)), "shop", Keys(), Index(None))
        left = [one for one in history if chance.random() < 0.6] or history[:1]
        held = chance.choice(left)
        repository.note(f"holds/{held.id}.json", {"reason": "the court"})
        going = list(reversed(left))
        gone = prune(repository, going, lambda: LATER, _silent).deleted
        assert not {one.id for one in gone} & {one.id for one in chain_of(held, history)}


@given(
    st.lists(st.sampled_from(["backup", "backup", "dead", "failed"]), min_size=1, max_size=6), st.randoms(use_true_random=False)
)
def test_of_parts_only_those_of_runs_that_died_are_orphans(runs: list[str], chance: random.Random) -> None:
    with TemporaryDirectory() as folder:
        storage = LocalStorage(Path(folder))
        repository = Repository(storage, "shop", Keys(), Index(None))  # a machine that has never seen any of it
        dead, parent = set[str](), None
        for number, run in enumerate(runs):
            backup_id = new_id("full" if parent is None else "incremental", START - timedelta(hours=chance.randrange(9)))
            draft = begun_in(repository, backup_id)
            made = backup(backup_id, number, parent, fence=number + 1)
            match run:
                case "backup":
                    parent = draft.commit(replace(made, seal=""))
                case "dead":
                    dead.add(folder_of(made))
                case _:
                    draft.discard({"kind": "full"})
                    assert not [head.key for head in storage.list(f"{folder_of(made)}/")]
        before = {head.key for head in storage.list()}
        assert sum(key.endswith(f"/{BEGUN}") for key in before) == len(dead)
        for key in chance.sample(sorted(before), chance.randrange(len(before) + 1)):
            storage.delete(key)
        heads = {head.key for head in storage.list("shop/")}
        gone = set(repository.orphans(LATER))
        expected = {key for key in heads for one in dead if key.startswith(f"{one}/") and f"{one}/{BEGUN}" in heads}
        assert gone == expected
        assert set(repository.orphans(START)) == set()


def test_a_word_of_a_run_that_was_damaged_or_is_another_ones_counts_for_nothing(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    folders = []
    for hours in range(2):
        draft = begun_in(repository, new_id("full", START + timedelta(hours=hours)))
        folders.append(tmp_path / "shop/t1/backups" / draft.id)
    text = (folders[0] / BEGUN).read_bytes()
    (folders[1] / BEGUN).write_bytes(text)
    (folders[0] / BEGUN).write_bytes(text[:-3])
    assert list(repository.orphans(LATER)) == []


def test_what_was_lost_at_the_end_of_a_chain_keeps_what_it_may_need() -> None:
    def named(kind: str, hours: float, parent: Manifest | None = None, family: str = "pages") -> Manifest:
        return backup(new_id(kind, START + timedelta(hours=hours)), hours, parent, kind, family=family)

    early = named("full", 0)
    other = named("full", 1, family="dump")
    full = named("full", 2)
    one = named("incremental", 3, full)
    lost = named("incremental", 4, one)
    late = named("full", 5)
    left = [early, other, full, one, late]
    assert before_lost(lost.id, "t1", left) == [full, one, other]
    assert before_lost(lost.id, "t2", left) == []
    assert before_lost(late.id, "t1", left) == []
    back = [replace(early, fence=9)]  # made last, by a clock that was set back
    assert before_lost(lost.id, "t1", [*left[1:], *back]) == [*left[1:], *back]
    kept = judge(left, Rules(last=1, verified=0), START + timedelta(days=9), Guards(wanted={full.id, one.id})).kept
    assert sorted(kept) == sorted([full.id, one.id, late.id])


def test_who_may_need_a_lost_one_is_who_names_it_or_stands_behind_a_gap_that_it_may_fill() -> None:
    def named(kind: str, hours: float, parent: Manifest | None = None) -> Manifest:
        return backup(new_id(kind, START + timedelta(hours=hours)), hours, parent, kind)

    full = named("full", 0)
    one = named("incremental", 1, full)
    two = named("incremental", 2, one)
    three = named("incremental", 3, two)
    four = named("incremental", 4, three)
    late = named("full", 5)
    behind = named("incremental", 6, late)
    assert may_need_lost(two.id, "t1", [full, one, three, four, late, behind]) == [three, four]
    left = [full, three, four, late, behind]
    assert may_need_lost(one.id, "t1", left) == [three, four], "nobody knows what the lost one before it follows"
    assert may_need_lost(one.id, "t2", left) == []
    assert may_need_lost(one.id, "t1", [full, late, behind]) == []
    assert may_need_lost(late.id, "t1", [full, behind]) == [behind]
    assert may_need_lost(behind.id, "t1", left[:-1]) == [three, four], "its clock may have been ahead"
    assert may_need_lost(late.id, "t1", left[:-2]) == [], "a full is named by all that need it"


@given(
    st.lists(st.tuples(st.sampled_from(["full", "incremental", "differential"]), st.integers(-3, 5)), min_size=3), st.randoms()
)
def test_who_needs_a_lost_one_is_never_left_out(runs: list[tuple[str, int]], chance: random.Random) -> None:
    """The clock goes back now and then, and those that would tell are lost too."""
    made, hours = list[Manifest](), 0
    for number, (kind, later) in enumerate(runs):
        hours += later
        parent = {"full": None, "incremental": made[-1]}.get(kind, made[0]) if made else None
        backup_id = new_id(kind if parent else "full", START + timedelta(hours=hours))
        made.append(backup(backup_id, hours, parent, kind if parent else "full", fence=number + 1))
    left = [one for one in made if chance.random() < 0.6]
    for lost in made:
        if lost not in left:
            needing = {one.id for one in left if lost in chain_of(one, made)}
            assert needing <= {one.id for one in may_need_lost(lost.id, "t1", left)}


def test_an_id_of_no_time_is_none(tmp_path: Path) -> None:
    """Whoever may write into the storage can make a folder of any name."""
    repository = Repository(LocalStorage(tmp_path), "shop", Keys(), Index(None))
    made = made_in(repository, "full")
    for last in ("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "76EZ91ZPZZZZZZZZZZZZZZZZZZ"):
        stray = tmp_path / f"shop/t1/backups/20260101T000000Z-incremental-{last}/parts/00000.pack"
        stray.parent.mkdir(parents=True)
        stray.write_bytes(b"x")
    contents = repository.contents()
    standing = Standing(contents.backups, contents.broken, lost=contents.lost)
    assert contents.backups == (made,)
    assert list(repository.orphans(LATER)) == []
    assert guards_of(standing).wanted <= {made.id}


def test_what_others_keep_in_a_storage_is_passed_over(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(tmp_path / "cache"))
    made = made_in(repository, "full")
    repository.note(f"holds/{made.id}.json", {"reason": "the court"})
    for name in (b"web/static/manifest.json", b"shop/holds/\xff.json", b"shop/t\xff/backups/x/manifest.json"):
        path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118  # paths of pathlib are text
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b'{"name": "web"}')
    assert targets_in(storage) == ["shop"]
    assert repository.contents().broken == ()
    assert repository.held() == {made.id: "the court"}
    assert list(repository.damaged_notes()) == []


def test_what_others_leave_in_the_folder_of_a_backup_is_no_part(tmp_path: Path) -> None:
    """As servers of shares do, of files and in folders of their own."""
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    made = made_in(repository, "full")
    repository.delete(made, START)
    for name in (".nfs0000000001", "@eaDir/00000.pack"):
        path = tmp_path / folder_of(made) / "parts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert repository.contents().broken == ()
    assert targets_in(storage) == []


def test_a_target_whose_manifests_are_all_lost_is_still_there(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    made = made_in(repository, "full")
    storage.delete(f"{folder_of(made)}/manifest.json")
    assert targets_in(storage) == ["shop"]


class Holding(LocalStorage):
    """A storage where somebody takes hold of a backup as soon as its deletion has said that it begins."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.held: str | None = None

    @contextmanager
    def put(self, key: str) -> Iterator[Any]:
        with super().put(key) as file:
            yield file
        if self.held is not None and key.endswith(f"{self.held}/{BEGUN}"):
            Repository(self, "shop", Keys(), Index(None)).note(f"holds/{self.held}.json", {"reason": "the court"})


def test_a_hold_that_comes_while_a_deletion_begins_is_seen(tmp_path: Path) -> None:
    storage = Holding(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    full, other = made_in(repository, "full"), made_in(repository, "full")
    child = made_in(repository, "incremental", parent=full)
    storage.held = child.id
    told, forgotten = list[str](), list[Manifest]()
    pruned = prune(repository, [child, full, other], lambda: START, told.append, forget=forgotten.append)
    assert pruned.deleted == tuple(forgotten) == (other,)
    assert repository.contents().backups == (full, child)
    assert pruned.staying == {child.id: "is held now", full.id: "is needed by what stays"}
    assert f"{child.id} stays: it is held now" in told
    assert not [head for head in storage.list() if head.key.endswith(BEGUN)]


def test_what_somebody_reads_is_not_deleted_until_that_ends_or_falls_silent(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    full, other = made_in(repository, "full"), made_in(repository, "full")
    child = made_in(repository, "incremental", parent=full)
    with repository.reading((full, child), lambda: START), repository.reading((full, child), lambda: START):
        pruned = prune(repository, [child, full, other], lambda: START, _silent)
        assert pruned.deleted == (other,)
        assert sorted(pruned.staying) == sorted((child.id, full.id))
        assert f"is being restored by process {os.getpid()}" in pruned.staying[child.id]
        assert repository.contents().backups == (full, child)
        assert list(repository.damaged_notes()) == []
        silent = prune(repository, [child], lambda: START + timedelta(minutes=11), _silent)
        assert silent.deleted == (child,), "nothing was heard of it for too long"
    assert prune(repository, [full], lambda: START, _silent).deleted == (full,)
    assert [head.key for head in storage.list()] == []


def test_what_a_killed_restore_left_is_removed_after_a_day(tmp_path: Path) -> None:
    repository = Repository(LocalStorage(tmp_path), "shop", Keys(), Index(None))
    made, other = made_in(repository, "full"), made_in(repository, "full")
    with repository.reading((made,), lambda: START):
        left = tmp_path / f"shop/readers/{other.id}/0123456789abcdef.json"
        left.parent.mkdir()
        left.write_text("{}")
        os.utime(left, (0, 0))
        pruned = prune(repository, [], lambda: datetime.now(UTC), _silent)
        assert pruned.orphans == (f"shop/readers/{other.id}/{left.name}",)
        assert [one.name for one in (tmp_path / "shop/readers").iterdir()] == [made.id]


def test_of_a_log_that_goes_on_over_a_base_both_ends_are_read(tmp_path: Path) -> None:
    repository = Repository(LocalStorage(tmp_path), "shop", Keys(), Index(None))
    full, base = made_in(repository, "full"), made_in(repository, "full")
    log = made_in(repository, "log", parent=base)
    with repository.reading((full, log), lambda: START):
        assert prune(repository, [log, base, full], lambda: START, _silent).deleted == ()
    assert prune(repository, [log, base, full], lambda: START, _silent).deleted == (log, base, full)


def test_what_was_deleted_is_told_from_what_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    lost, gone, going = (made_in(repository, "full", parts=2) for _ in range(3))
    listed = LocalStorage.list
    with leased(storage, "shop", lambda: START):
        storage.delete(f"{folder_of(lost)}/manifest.json")
        repository.delete(gone, START)
        with monkeypatch.context() as patched, pytest.raises(StorageError):
            patched.setattr(LocalStorage, "list", lambda self, prefix="": listed(self, unless_parts(prefix)))
            repository.delete(going, START)
    there = made_in(repository, "full")
    assert [repository.is_deleted(one) for one in (lost, gone, going, there)] == [False, True, True, False]
    storage.delete("shop/locks/00000001.json")
    assert not repository.is_deleted(gone), "the storage is another one than before"


def unless_parts(prefix: str) -> str:
    if prefix.endswith("/parts/"):
        raise StorageError("the storage does not answer")
    return prefix


def test_who_may_add_and_not_delete_leaves_no_word_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    draft = begun_in(repository, new_id("full", START))
    with monkeypatch.context() as patched:

        def refuse(self: LocalStorage, key: str) -> None:
            raise StorageError(f"{key}: access denied")

        patched.setattr(LocalStorage, "delete", refuse)
        made = draft.commit(replace(backup(draft.id), seal=""))
    late = f"{folder_of(made)}/{BEGUN}"
    assert storage.head(late) is not None
    assert list(repository.orphans(LATER)) == [late], "whoever may delete does"
    assert repository.contents().backups == (made,)
    storage.delete(f"{folder_of(made)}/manifest.json")
    assert list(repository.orphans(LATER)) == []
    assert ["it was lost" in one.reason for one in repository.contents().broken] == [True]
    assert list(repository.cut_off(LATER)) == []


def test_a_commit_whose_answer_never_came_is_a_run_that_died_unless_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    draft = begun_in(repository, new_id("full", START))
    put = LocalStorage.put_if_absent

    def cut_off(self: LocalStorage, key: str, data: bytes) -> bool:
        if key.endswith("/manifest.json"):
            raise StorageError("the storage does not answer")
        return put(self, key, data)

    monkeypatch.setattr(LocalStorage, "put_if_absent", cut_off)
    with pytest.raises(StorageError):
        draft.commit(replace(backup(draft.id), seal=""))
    draft.discard({"kind": "full"})
    assert len([key for key in repository.orphans(LATER) if "/parts/" in key]) == 1


@pytest.mark.parametrize("calls", range(6))
def test_a_deletion_that_is_cut_off_leaves_a_backup_or_what_is_pruned_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """The manifest, three parts, and the word that they go: five deletions. It is cut off by a kill, or by the storage."""
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    full = made_in(repository, "full")
    made = made_in(repository, "incremental", parent=full, parts=3)
    delete, left = LocalStorage.delete, [calls]

    def cut_off(self: LocalStorage, key: str) -> None:
        if left[0] == 0:
            raise StorageError("the storage does not answer")
        left[0] -= 1
        delete(self, key)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "delete", cut_off)
        if calls < 5:
            with pytest.raises(StorageError):
                repository.delete(made, START)
        else:
            repository.delete(made, START)
    contents = repository.contents()
    assert contents.backups == ((full, made) if calls == 0 else (full,))
    assert contents.lost == frozenset(), "nothing is kept for the sake of what was to go"
    for key in list(repository.orphans(LATER)):
        storage.delete(key)
    rest = {head.key for head in storage.list(f"{folder_of(made)}/")}
    assert rest == ({f"{folder_of(made)}/{part}" for part in ("manifest.json", *parts_of(made))} if calls == 0 else set())


@pytest.mark.parametrize("refused", ["/manifest.json", ""], ids=["what is locked", "everything"])
def test_a_deletion_that_is_refused_takes_back_that_it_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    made = made_in(repository, "full")
    delete = LocalStorage.delete

    def locked(self: LocalStorage, key: str) -> None:
        if key.endswith(refused):
            raise StorageError(f"{key} is locked")
        delete(self, key)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "delete", locked)
        with pytest.raises(StorageError):
            repository.delete(made, START)
    assert repository.contents().backups == (made,)
    storage.delete(f"{folder_of(made)}/manifest.json")
    assert list(repository.orphans(LATER)) == []
    assert repository.contents().lost == {("t1", made.id)}


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_what_a_run_could_not_remove_hides_no_lost_manifest(tmp_path: Path, damage: str) -> None:
    """Where a run may add and not delete, something that is no word of it stands beside each of its backups."""
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    made = made_in(repository, "full")
    (tmp_path / folder_of(made) / BEGUN).write_bytes(b"{}\n")
    manifest = tmp_path / folder_of(made) / "manifest.json"
    if damage == "lost":
        manifest.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes()[:-9])
    assert repository.contents().lost == {("t1", made.id)}


def test_of_what_is_held_nothing_is_an_orphan_whatever_lies_beside_it(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    repository = Repository(storage, "shop", Keys(), Index(None))
    made = made_in(repository, "full")
    repository.note(f"holds/{made.id}.json", {"reason": "the court"})
    storage.delete(f"{folder_of(made)}/manifest.json")
    repository.begin(made.id, "t1", PLAIN).announce(START)
    assert list(repository.orphans(LATER)) == []
    assert repository.contents().lost == {("t1", made.id)}
    storage.delete(f"shop/holds/{made.id}.json")
    assert sorted(repository.orphans(LATER)) == [f"{folder_of(made)}/{one}" for one in (BEGUN, *parts_of(made))]


def begun_in(repository: Repository, backup_id: str, parts: int = 1) -> Draft:
    """Return a run that has written all its parts and committed nothing."""
    draft = repository.begin(backup_id, "t1", PLAIN)
    draft.announce(START)
    for number in range(parts):
        with draft.sink.stream(f"part-{number}") as writer:
            writer.write(b"x")
    draft.sink.close()
    return draft


def made_in(repository: Repository, kind: str, parent: Manifest | None = None, parts: int = 1) -> Manifest:
    draft = begun_in(repository, new_id(kind, START), parts)
    return draft.commit(replace(backup(draft.id, 0, parent, kind, fence=2 if parent else 1), seal=""))


def parts_of(manifest: Manifest) -> list[str]:
    return [part.key for stream in manifest.streams for part in stream.parts]
