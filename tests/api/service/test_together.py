"""Two hundred tasks on one service: no update lost, no connection shared, nothing left open."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from dbops.api.service import CRUDService, DatabaseService
from tests.api.service.filtering import THINGS
from tests.api.service.made import module_of, url_of, write_module
from tests.databases import Database

TASKS, COUNTERS = 200, 8


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.campaign)])
def test_two_hundred_tasks_share_a_service(tmp_path: Path, database: Database, seconds: int) -> None:
    write_module(tmp_path, THINGS)
    model = module_of(tmp_path).Thing
    asyncio.run(once(tmp_path, database, model))  # libraries open what they keep, such as random numbers
    files, sessions = open_files(), server_sessions(database)
    done, shared = asyncio.run(many(tmp_path, database, model, seconds))
    assert not shared
    assert sum(done.values()) >= TASKS
    assert open_files() == files and server_sessions(database) == sessions


async def once(root: Path, database: Database, model: Any) -> None:
    service = DatabaseService(root, database_url=url_of(database), environ={})
    await service.initialize()
    rows = [{"id": 100 + n, "number": 0} for n in range(COUNTERS)]
    assert (await CRUDService(service, model).bulk_create(rows)).success
    await service.close()


async def many(root: Path, database: Database, model: Any, seconds: int) -> tuple[Counter[int], list[Any]]:
    service = DatabaseService(root, database_url=url_of(database), environ={}, max_retries=50, connection_timeout=300)
    await service.initialize()
    crud = CRUDService(service, model)
    shared = watch(service.get_database("my_module").engine)
    done: Counter[int] = Counter()
    until = time.monotonic() + seconds

    async def work(task: int) -> None:
        while True:
            counter = 100 + task % COUNTERS

            async def increment(counter: int = counter) -> None:
                async with crud.transaction():
                    found = await crud.read(counter, for_update=True)
                    if found.success:  # else the transaction raises why
                        await crud.update(counter, {"number": found.data.number + 1})

            await service.execute_with_retry(increment)
            done[counter] += 1
            if task % 4 and not seconds:
                return
            assert (await crud.create_record("things", {"id": 1000 + task, "name": str(task)})).success
            assert (await crud.read_record("things", 1000 + task)).data["name"] == str(task)
            assert (await crud.delete_record("things", 1000 + task)).success
            if time.monotonic() >= until:
                return

    await asyncio.gather(*(work(task) for task in range(TASKS)))
    rows = (await crud.read_records("things")).data
    assert {row["id"]: row["number"] for row in rows} == dict(done), "an update was lost"
    pool: Any = service.get_database("my_module").engine.pool
    assert pool.checkedout() == 0
    await service.close()
    return done, shared


def watch(engine: Any) -> list[Any]:
    """Return a list of connections that somebody got while another one had them."""
    out: set[int] = set()
    shared: list[Any] = []

    @event.listens_for(engine.sync_engine, "checkout")
    def given(conn: Any, *_: Any) -> None:
        if id(conn) in out:
            shared.append(conn)
        out.add(id(conn))

    @event.listens_for(engine.sync_engine, "checkin")
    def returned(conn: Any, *_: Any) -> None:
        out.discard(id(conn))

    return shared


def open_files() -> int:
    """Return how many file descriptors the program has open, once those that are being closed are."""
    return _settled(lambda: len(os.listdir("/proc/self/fd")))  # noqa: PTH208  # the list is of a moment


def server_sessions(database: Database) -> int:
    """Return how many sessions there are on the database's server, besides the one that asks."""
    asked = {
        "sqlite": "SELECT 0",
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
        "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = database()",
    }[database.engine]
    return _settled(lambda: int(database.rows(asked)[0][0]))


def _settled(count: Any) -> int:
    lowest = count()
    for _ in range(20):
        time.sleep(0.05)
        lowest, before = min(lowest, count()), lowest
        if lowest == before:
            break
    return int(lowest)


def test_cancelled_tasks_leave_nothing_behind(tmp_path: Path, database: Database) -> None:
    """No half transaction, no connection that somebody keeps or that answers the question of another, no turn not given back."""
    write_module(tmp_path, THINGS)
    model = module_of(tmp_path).Thing

    async def story() -> None:
        service = DatabaseService(tmp_path, database_url=url_of(database), environ={}, max_retries=2)
        await service.initialize()
        crud = CRUDService(service, model)
        await crud.create({"id": 1, "number": 0})

        async def pair(n: int) -> None:
            async with crud.transaction():
                await crud.create({"id": 1000 + n, "number": n})
                await crud.create({"id": 2000 + n, "number": n})

        tasks = [asyncio.create_task(pair(n)) for n in range(40)]
        for n, task in enumerate(tasks):
            await asyncio.sleep(0.002 * (n % 4))
            if n % 3:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        ids = {thing.id for thing in (await crud.read_many({"id": {"gte": 1000}}, limit=None)).data}
        assert {n + 1000 for n in ids if n < 2000} == {n for n in ids if n >= 2000}, "pairs are written whole"
        for n in range(25):
            changed = await crud.update(1, {"number": n})
            assert changed.success and changed.data.number == n, changed.error
        pool: Any = service.get_database("my_module").engine.pool
        assert pool.checkedout() == 0
        await service.close()

    asyncio.run(story())
