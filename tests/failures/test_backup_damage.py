"""Damaged backups: verify finds every blow, restore refuses and changes nothing, and what is sound beside it restores."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from pyrage import x25519

from dbops.archive.chains import chain_of
from dbops.archive.manifest import Manifest
from dbops.archive.repository import folder_of
from dbops.errors import BackupError
from dbops.usecases.backup.look import listing
from dbops.usecases.backup.prune import hold, prune_all
from dbops.usecases.backup.restore import RestoreWish, restore
from dbops.usecases.backup.verify import verify
from dbops.usecases.runtime import Workspace
from tests.databases import SqliteDatabase
from tests.failures.backup_damage import Store
from tests.usecases.policies import Shop

Trials = pytest.mark.parametrize(
    ("seed", "trials"), [(1, 12), pytest.param(2, 360, marks=pytest.mark.campaign)], ids=["few", "many"]
)
_CHAIN = ("full", "incremental", "differential", "incremental", "full", "incremental")


class Damaged:
    """A repository with two chains, and a database with other content that a restore would replace."""

    def __init__(self, shop: Shop, folder: Path, change: Callable[[int], None]) -> None:
        self.shop, self.target = shop, folder / "target.db"
        self.backups: list[Manifest] = []
        for turn, kind in enumerate(_CHAIN):
            change(turn)
            self.backups.append(shop.run(kind))
        for one in self.backups[:2]:
            shop.verify(1, one.id)
        with shop.workspace() as workspace:
            hold(workspace, self.backups[0].id, "the court", None)
        with closing(sqlite3.connect(self.target)) as conn:
            conn.execute("CREATE TABLE own (id)")
            conn.commit()
        self.store = Store.of(shop.folder / "backups")

    def affected(self, keys: tuple[str, ...]) -> list[Manifest]:
        """Return the backups that cannot be restored without these objects."""
        known = {one.id: one for one in self.backups}
        return [
            one
            for one in self.backups
            if any(key.startswith(f"{folder_of(link)}/") for link in chain_of(one, known.values()) for key in keys)
        ]

    def found(self, workspace: Workspace) -> list[str]:
        """Return what verification of everything finds."""
        return [problem for one in verify(workspace, None, 1, _silent) if not one.ok for problem in one.problems]

    def refuses(self, workspace: Workspace, one: Manifest, *, replaces: bool = True) -> bool:
        """Restore in the place of the target, or beside it; tell whether it was refused, with everything as it was."""
        path = self.target if replaces else self.target.with_name("new.db")
        before, objects, files = self.target.read_bytes(), self._objects(), self._beside()
        try:
            restore(workspace, RestoreWish(f"sqlite:///{path}", one.id, replaces=replaces), _silent)
        except BackupError:
            assert self.target.read_bytes() == before
            assert self._objects() == objects, "a refused restore wrote into the storage"
            assert self._beside() == files
            return True
        return False

    def _beside(self) -> list[str]:
        return sorted(path.name for path in self.target.parent.iterdir() if path.is_file())

    def _objects(self) -> set[Path]:
        return {path for path in self.store.root.rglob("*") if path.is_file() and "/locks/" not in str(path)}


def _silent(text: str) -> None:
    return


@pytest.fixture(params=["none", "aes", "age"])
def damaged(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> Damaged:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    secrets = {"aes": "5e" * 32, "age": str(x25519.Identity.generate())}
    monkeypatch.setenv("SHOP_KEY", secrets.get(request.param, ""))
    sqlite_database.load(
        "CREATE TABLE orders (id integer PRIMARY KEY, note text); CREATE INDEX notes ON orders (note);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
        " INSERT INTO orders SELECT i, hex(randomblob(40)) FROM n;"
    )

    def change(turn: int) -> None:
        sqlite_database.load(f"UPDATE orders SET note = hex(randomblob(40)) WHERE id % 97 = {turn};")

    encryption = "" if request.param == "none" else "  encryption: {key: {env: SHOP_KEY}}\n"
    return Damaged(Shop(tmp_path / "env", sqlite_database.url, encryption), tmp_path, change)


@Trials
def test_verify_finds_every_blow_at_an_artifact_and_restore_refuses(
    damaged: Damaged, tmp_path: Path, seed: int, trials: int
) -> None:
    chance = random.Random(seed)
    with damaged.shop.workspace() as workspace:
        assert damaged.found(workspace) == []
        damaged.store.restore()
        for trial in range(trials):
            if trial % 5 == 0:  # another machine, which knows nothing yet
                shutil.rmtree(tmp_path / "cache", ignore_errors=True)
            with damaged.store.struck(chance, damaged.store.artifacts()) as blow:
                if trial % 2:
                    listing(workspace)
                affected = damaged.affected(blow.keys)
                assert damaged.found(workspace), f"trial {trial}: {blow.told}"
                victim = chance.choice(affected)
                told = f"trial {trial}: {blow.told}; {victim.id} was restored"
                assert damaged.refuses(workspace, victim, replaces=trial % 3 > 0), told
    with damaged.shop.workspace() as workspace:
        assert damaged.found(workspace) == []
        assert not damaged.refuses(workspace, damaged.backups[-1])
        assert not damaged.refuses(workspace, damaged.backups[2], replaces=False)


@Trials
def test_verify_finds_every_blow_at_evidence_and_holds(damaged: Damaged, seed: int, trials: int) -> None:
    chance = random.Random(seed)
    with damaged.shop.workspace() as workspace:
        [before] = listing(workspace)
        for trial in range(trials // 3):
            with damaged.store.struck(chance, damaged.store.notes(), drops=False) as blow:
                assert damaged.found(workspace), f"trial {trial}: {blow.told}"
                [pruned] = prune_all(workspace, None, _silent, is_dry=False)
                assert pruned.pruned.deleted == ()
                [now] = listing(workspace)
                assert now.backups[0].held is not None, blow.told
                assert [one.state for one in before.backups] == ["unverified"] * len(_CHAIN)


@Trials
def test_the_local_index_is_believed_in_nothing(damaged: Damaged, tmp_path: Path, seed: int, trials: int) -> None:
    """Whatever happens to it, lists, checks and chains are those of the storage."""
    chance = random.Random(seed)
    path = tmp_path / "cache" / "backups" / "index.db"
    with damaged.shop.workspace() as workspace:
        [before] = listing(workspace)
    for trial in range(trials // 3):
        told = _damage_index(chance, path)
        with damaged.shop.workspace() as workspace:
            [now] = listing(workspace)
            assert now.backups == before.backups, f"trial {trial}: {told}"
            assert damaged.found(workspace) == [], f"trial {trial}: {told}"
        damaged.store.restore()


@Trials
def test_a_damaged_lease_neither_stops_writers_for_good_nor_lets_two_commit(damaged: Damaged, seed: int, trials: int) -> None:
    chance = random.Random(seed)
    locks = [path for path in damaged.store.objects if "/locks/" in damaged.store.key(path)]
    for trial in range(trials // 6):
        with damaged.store.struck(chance, locks) as blow:
            fence = damaged.shop.run("incremental").fence
            assert fence > 0, f"trial {trial}: {blow.told}"


def _damage_index(chance: random.Random, path: Path) -> str:
    """Flip, swap, drop or replay rows of the index; or damage its file."""
    act = chance.choice(("flip", "swap", "drop", "replay", "file", "kept"))
    if act == "file" or not path.exists():
        data = bytearray(path.read_bytes()) if path.exists() else bytearray(b"x" * 200)
        data[chance.randrange(min(200, len(data)))] ^= 1 << chance.randrange(8)
        path.write_bytes(data[: chance.randrange(1, len(data))] if chance.random() < 0.3 else data)
        return "the file"
    if act == "kept":
        for kept in (path.parent / "kept").glob("*"):
            kept.write_bytes(bytes([byte ^ 1 if place == 3 else byte for place, byte in enumerate(kept.read_bytes())]))
        return act
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as conn, conn:  # an earlier blow at the file
        rows = conn.execute("SELECT storage, key, size, text FROM documents").fetchall()
        if len(rows) < 2:
            return "nothing"
        one, other = chance.sample(rows, 2)
        text = bytearray(one[3])
        text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
        match act:
            case "flip":
                conn.execute("UPDATE documents SET text = ? WHERE key = ?", (bytes(text), one[1]))
            case "swap":
                conn.execute("UPDATE documents SET text = ?, size = ? WHERE key = ?", (other[3], one[2], one[1]))
                conn.execute("UPDATE documents SET text = ?, size = ? WHERE key = ?", (one[3], other[2], other[1]))
            case "drop":
                conn.execute("DELETE FROM documents WHERE key = ?", (one[1],))
            case _:
                conn.execute("UPDATE documents SET text = ? WHERE key = ?", (other[3], one[1]))
    return act
