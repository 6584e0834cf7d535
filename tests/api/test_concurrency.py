"""Sixteen threads on one manager: no lost update, no shared session, nothing left open; for a minute in the campaign.

DBOPS_SOAK_S says how long that is, in seconds.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from dbops import DatabaseConnection, DatabaseManager
from dbops.errors import QueryError
from tests.databases import Database, MysqlDatabase, PostgresDatabase

THREADS, ACCOUNTS, MONEY = 16, 20, 1000
SECONDS = float(os.environ.get("DBOPS_SOAK_S", "60"))
SESSION = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def sessions_of(database: Database) -> int:
    """How many sessions the server has on the database, but for the one that asks."""
    if isinstance(database, PostgresDatabase):
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    elif isinstance(database, MysqlDatabase):
        query = "SELECT count(*) FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()"
    else:
        return 0
    [(count,)] = database.rows(query, (database.name,))
    return int(count)


@pytest.mark.parametrize("seconds", [0.3, pytest.param(SECONDS, marks=pytest.mark.campaign, id="campaign")])
def test_many_threads_on_one_manager_lose_nothing(database: Database, seconds: float) -> None:
    manager = DatabaseManager()
    connection = DatabaseConnection.from_url(database.url, "bank")
    connection.connection_pool_size = 8
    manager.add_connection(connection)
    manager.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, money INTEGER NOT NULL)")
    manager.execute("CREATE TABLE entries (worker INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (worker, number))")
    manager.execute_many("INSERT INTO accounts VALUES (?, ?)", [(n, MONEY) for n in range(ACCOUNTS)])
    manager.disconnect()
    files, done, shared, failed = open_files(), Counter[int](), list[object](), list[BaseException]()
    in_use: set[object] = set()
    guard = threading.Lock()
    end = time.monotonic() + seconds

    def one_turn(worker: int, choice: random.Random) -> None:
        source, target = sorted(choice.sample(range(ACCOUNTS), 2))
        kind = choice.choice(("move", "move", "undo", "fail", "plain", "many"))
        key: object = None
        if kind == "plain":
            assert manager.execute("SELECT sum(money) FROM accounts").rows == [(ACCOUNTS * MONEY,)]
            return
        if kind == "many":
            rows = [(worker, done[worker] * 10 + n) for n in range(5)]
            assert manager.execute_many("INSERT INTO entries VALUES (?, ?)", rows).row_count == 5
            done[worker] += 1
            return
        with suppress(ZeroDivisionError, QueryError), manager.transaction():
            if database.engine in SESSION:
                key = manager.execute(SESSION[database.engine]).rows[0][0]
                with guard:
                    shared.extend([key] if key in in_use else [])
                    in_use.add(key)
            try:
                for account, change in ((source, -1), (target, 1)):
                    update = manager.execute(
                        "UPDATE accounts SET money = money + :by WHERE id = :id", {"by": change, "id": account}
                    )
                    assert update.row_count == 1, update.error_message
                if kind == "undo":
                    raise ZeroDivisionError
                if kind == "fail":
                    assert not manager.execute("INSERT INTO accounts VALUES (?, 0)", (source,)).success
            finally:
                with guard:
                    in_use.discard(key)

    def work(worker: int) -> None:
        choice = random.Random(worker)
        try:
            while time.monotonic() < end and not failed:
                one_turn(worker, choice)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and shared == []
    assert manager.execute("SELECT sum(money), count(*) FROM accounts").rows == [(ACCOUNTS * MONEY, ACCOUNTS)]
    assert manager.execute("SELECT count(*) FROM entries").rows == [(5 * sum(done.values()),)]
    pool = connection.get_database_info()["pool"]
    assert pool["in_use"] == 0 and pool["open"] <= 8
    manager.disconnect_all()
    deadline = time.monotonic() + 10
    while (left := sessions_of(database)) and time.monotonic() < deadline:
        time.sleep(0.05)  # a server takes a moment to see that a session is gone, the one that asked before too
    assert left == 0 and open_files() <= files
