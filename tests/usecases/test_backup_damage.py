"""Whatever happens to what is stored: verification finds it, and a restore refuses and touches nothing.

Each trial does one harm at random to one object of a chain, looks, tries, and puts things right again.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dbops.errors import BackupError
from dbops.usecases.backup.policies import one_policy
from dbops.usecases.backup.verify import verify
from tests.databases import SqliteDatabase
from tests.usecases.policies import Shop

Harm = Callable[[random.Random, Path, list[Path]], None]


def flip(pick: random.Random, path: Path, others: list[Path]) -> None:
    data = bytearray(path.read_bytes())
    data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
    path.write_bytes(data)


def truncate(pick: random.Random, path: Path, others: list[Path]) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: pick.randrange(len(data))])


def lengthen(pick: random.Random, path: Path, others: list[Path]) -> None:
    path.write_bytes(path.read_bytes() + pick.randbytes(pick.randrange(1, 50)))


def drop(pick: random.Random, path: Path, others: list[Path]) -> None:
    path.unlink()


def swap(pick: random.Random, path: Path, others: list[Path]) -> None:
    other = pick.choice([one for one in others if one != path and one.read_bytes() != path.read_bytes()])
    mine = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(mine)


def replay(pick: random.Random, path: Path, others: list[Path]) -> None:
    alike = [one for one in others if one.name == path.name and one.read_bytes() != path.read_bytes()]
    path.write_bytes(pick.choice(alike or [one for one in others if one.read_bytes() != path.read_bytes()]).read_bytes())


HARMS: list[Harm] = [flip, truncate, lengthen, drop, swap, replay]


def tried(shop: Shop, tmp_path: Path, trials: int, seed: int) -> None:
    pick = random.Random(seed)
    store, sound = shop.folder / "backups", tmp_path / "sound"
    shutil.copytree(store, sound)
    target = tmp_path / "restored.db"
    for trial in range(trials):
        objects = sorted(
            path for path in store.rglob("*") if path.is_file() and (path.suffix == ".pack" or "manifest" in path.name)
        )
        harm, path = pick.choice(HARMS), pick.choice(objects)
        harm(pick, path, objects)
        told = f"trial {trial} of seed {seed}: {harm.__name__} {path.relative_to(store)}"
        with shop.workspace() as workspace:
            assert not all(one.ok for one in verify(workspace, None, 1, shop.told.append)), told
            newest = one_policy(workspace).repository.contents().backups
        with pytest.raises(BackupError):
            for one in CHAIN:
                if one in [known.id for known in newest]:
                    shop.restore(f"sqlite:///{target}", word=one)
                    target.unlink()
                else:
                    raise BackupError(f"{one} is gone")
        assert not target.exists(), told
        shutil.rmtree(store)
        shutil.copytree(sound, store)
    shop.restore(f"sqlite:///{target}")


CHAIN: list[str] = []


@pytest.fixture(params=["", "  encryption: {key: {env: SHOP_KEY}}\n"], ids=["open", "encrypted"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> Shop:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SHOP_KEY", "ab" * 32)
    sqlite_database.load("CREATE TABLE orders (id integer PRIMARY KEY, note text);")
    shop = Shop(tmp_path / "env", sqlite_database.url, request.param)
    CHAIN.clear()
    for kind in ("full", "incremental", "differential", "full"):
        sqlite_database.rows("INSERT INTO orders (note) SELECT hex(randomblob(500)) FROM (VALUES (1), (2), (3), (4))")
        CHAIN.append(shop.run(kind).id)
    return shop


def test_every_harm_is_found(shop: Shop, tmp_path: Path) -> None:
    tried(shop, tmp_path, 10, seed=1)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 12))
def test_every_harm_is_found_a_thousand_times(shop: Shop, tmp_path: Path, seed: int) -> None:
    tried(shop, tmp_path, 100, seed)
