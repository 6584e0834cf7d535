"""Two databases whose policies have one name and one storage, which nobody meant: neither takes all that the other has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from dbops.engines.sqlite.backup import port
from dbops.resources.backups.sources import others_newest, taking_turns
from dbops.usecases.plan import plan
from dbops.usecases.runtime import moment
from tests.archive.made import backup
from tests.databases import SqliteDatabase
from tests.usecases.policies import Shop


@dataclass(frozen=True, slots=True)
class Two:
    one: Shop
    other: Shop


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    more = f"  storage: {{url: '{(tmp_path / 'store').as_uri()}'}}\n  retention: {{last: 1, verified: 0}}\n"
    shops = []
    for name in ("one", "other"):
        database = SqliteDatabase(tmp_path / f"{name}.db")
        database.load(f"CREATE TABLE t (name text); INSERT INTO t VALUES ('{name}');")
        shops.append(Shop(tmp_path / name, database.url, more))
    return Two(*shops)


def test_pruning_keeps_the_newest_of_each_for_some_weeks(two: Two) -> None:
    first, second = two.one.run(), two.one.run()
    its = two.other.run()
    assert f"the last backup here, {second.id}, is of another database" in "".join(two.other.told)
    with two.other.keeper() as keeper:
        assert keeper.prune().deleted == (first,)
        late = replace(keeper, clock=lambda: moment() + timedelta(days=36))
        assert late.prune(is_dry=True).deleted == (second,)
    assert {one.id for one in two.one.backups()} == {second.id, its.id}


def test_what_is_shared_is_told(two: Two, tmp_path: Path) -> None:
    two.one.run()
    with two.one.workspace() as workspace:
        assert "BACKUP_SHARED" not in {one.code for one in plan(workspace).observations}
    two.other.run()
    two.one.run()
    with two.one.workspace() as workspace:
        told = {one.code: one.message for one in plan(workspace).observations}
    assert "one.db" in told["BACKUP_SHARED"]
    assert "other.db" in told["BACKUP_SHARED"]
    its = two.other.run()
    restored = two.one.restore(f"sqlite:///{tmp_path / 'new.db'}").restored
    assert any("it is a backup of " in text and "other.db" in text for text in restored.warnings)
    named = two.one.restore(f"sqlite:///{tmp_path / 'named.db'}", word=its.id).restored
    assert not any("it is a backup of " in text for text in named.warnings)


def test_files_of_one_name_on_two_machines_are_two_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_database: SqliteDatabase
) -> None:
    """As where many machines get the same environment, and all have their file in the same place."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(port, "MACHINE", machine)
    shop = Shop(tmp_path / "env", sqlite_database.url, "  retention: {last: 1, verified: 0}\n")
    made = {}
    for turn, name in enumerate("abab"):
        machine.write_text(32 * name + "\n")
        sqlite_database.path.unlink(missing_ok=True)  # the file of the other machine
        sqlite_database.load(f"CREATE TABLE t{turn} (name text)")
        made[turn] = shop.run()
        with shop.keeper() as keeper:
            keeper.prune()
    assert shop.backups() == (made[2], made[3])
    assert 32 * "b" not in made[3].identity["machine"]
    shop.run()
    with shop.workspace() as workspace:
        assert "BACKUP_SHARED" not in {one.code for one in plan(workspace).observations}, "the same machine again"
    machine.write_text("uninitialized\n")
    assert "machine" not in shop.run().identity


def test_what_a_restore_saved_is_of_no_other(two: Two, tmp_path: Path) -> None:
    """What stood there may be any database, and is no backup of the policy's."""
    made = two.one.run()
    two.one.restore(f"sqlite:///{tmp_path / 'other.db'}", word=made.id, replaces=True)
    two.one.run()
    with two.one.workspace() as workspace:
        assert "BACKUP_SHARED" not in {one.code for one in plan(workspace).observations}
    with closing(sqlite3.connect(tmp_path / "other.db")) as conn:
        assert conn.execute("SELECT name FROM t").fetchone() == ("one",)


def test_turns_are_those_that_come_again() -> None:
    a, b = {"file": "a"}, {"file": "b"}
    moved = [backup("a1", identity=a), backup("a2", identity=a), backup("b1", identity=b)]
    assert taking_turns(moved) == []
    assert [one.id for one in others_newest(moved)] == ["a2"]
    back = [*moved, backup("a3", identity=a)]
    assert sorted(one.id for one in taking_turns(back)) == ["a3", "b1"]
    assert [one.id for one in others_newest(back)] == ["b1"]
    history = [backup("t1", identity={"system": "1", "timeline": "1"}), backup("t2", identity={"system": "1", "timeline": "2"})]
    assert others_newest(history) == []
