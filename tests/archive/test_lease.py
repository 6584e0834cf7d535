"""One writer at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbops.archive.lease import LeaseHeldError, leased
from dbops.archive.storage.local import LocalStorage
from dbops.errors import BackupError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_a_second_writer_is_refused_and_told_who(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with leased(storage, "shop", Clock()), pytest.raises(LeaseHeldError, match="process"), leased(storage, "shop", Clock()):
        pass


def test_numbers_grow_and_old_leases_go(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    numbers = []
    for _ in range(3):
        with leased(storage, "shop", Clock()) as lease:
            numbers.append(lease.number)
    assert numbers == [1, 2, 3]
    assert [path.name for path in (tmp_path / "shop/locks").iterdir()] == ["00000003.json"]


def test_who_comes_back_late_may_not_commit(tmp_path: Path) -> None:
    storage, clock = LocalStorage(tmp_path), Clock()
    with leased(storage, "shop", clock) as first:
        first.check()
        clock.now += timedelta(minutes=11)
        with leased(storage, "shop", clock) as second:
            second.check()
            with pytest.raises(BackupError, match="another writer took over"):
                first.check()


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with leased(storage, "shop", Clock()) as lease:
        path = tmp_path / "shop/locks/00000001.json"
        facts = json.loads(path.read_text())
        path.write_text(json.dumps({**facts, "pid": dead.pid}))
        with leased(storage, "shop", Clock()) as other:
            assert other.number == lease.number + 1


def test_of_many_one_wins(tmp_path: Path) -> None:
    storage, won, barrier = LocalStorage(tmp_path), [], threading.Barrier(8)
    done = threading.Event()

    def work() -> None:
        barrier.wait()
        try:
            with leased(storage, "shop", Clock()) as lease:
                won.append(lease.number)
                done.wait(300)
        except LeaseHeldError:
            pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while sum(thread.is_alive() for thread in threads) > 1:
        threads[0].join(0.01)
    done.set()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_another_writer_is_waited_for(tmp_path: Path) -> None:
    storage, entered = LocalStorage(tmp_path), threading.Event()
    told: list[str] = []

    def work() -> None:
        with leased(storage, "shop", Clock()):
            entered.set()
            while not told:
                entered.wait(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    with leased(storage, "shop", Clock(), wait_s=60, told=told.append) as lease:
        assert lease.number == 2
    thread.join()
    assert "another writer is at work" in told[0]


def test_a_process_of_another_container_is_not_taken_for_dead(tmp_path: Path) -> None:
    storage, dead = LocalStorage(tmp_path), subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with leased(storage, "shop", Clock()) as lease:
        facts = {**lease._facts(is_released=False), "pid": dead.pid}
        path = tmp_path / "shop/locks/00000001.json"
        path.write_text(json.dumps(facts | {"space": "another"}))
        with pytest.raises(LeaseHeldError), leased(storage, "shop", Clock()):
            pass


def test_numbers_go_on_where_all_leases_were_removed(tmp_path: Path) -> None:
    with leased(LocalStorage(tmp_path), "shop", Clock(), floor=lambda: 7) as lease:
        assert lease.number == 8
