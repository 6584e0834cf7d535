"""Pools lend a connection to one user at a time, find dead ones, and give everything back."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dbops import ConnectionFactory, ConnectionPool, HealthChecker, PoolConfig
from dbops.errors import ConnectError
from tests.databases import Database, PostgresDatabase

TABLE = "CREATE TABLE counts (n INTEGER)"


@pytest.fixture
def pool(database: Database) -> Iterator[ConnectionPool]:
    """A pool of two to four connections."""
    with ConnectionPool(ConnectionFactory(database.url), PoolConfig(2, 4, acquire_timeout_s=5)) as made:
        yield made


def test_connections_are_lent_and_given_back(pool: ConnectionPool) -> None:
    assert (pool.stats().total_connections, pool.stats().idle_connections) == (2, 2)
    first, second, third = pool.acquire(), pool.acquire(), pool.acquire()
    assert len({id(one._session) for one in (first, second, third)}) == 3
    assert first.execute("SELECT ? + 1", (1,)).row_count == 1
    stats = pool.stats()
    assert (stats.total_connections, stats.active_connections, stats.idle_connections) == (3, 3, 0)
    for one in (first, second, third):
        pool.release(one)
    with pytest.raises(ConnectError, match="not lent by the pool"):
        pool.release(first)
    stats = pool.stats()
    assert (stats.acquired, stats.released, stats.connections_created, stats.active_connections) == (3, 3, 3, 0)


def test_what_is_not_committed_is_undone(database: Database, pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        assert connection.execute(TABLE).success
        connection.execute("BEGIN")
        connection.execute("INSERT INTO counts VALUES (1)")
    assert database.rows("SELECT n FROM counts") == [(1,)]
    with pytest.raises(ZeroDivisionError), pool.connection() as connection, connection.transaction():
        connection.execute("INSERT INTO counts VALUES (2)")
        raise ZeroDivisionError
    left = pool.acquire()
    left.execute("BEGIN")
    left.execute("INSERT INTO counts VALUES (3)")
    pool.release(left)
    with pool.connection() as connection:
        assert connection.execute_query("SELECT n FROM counts") == [{"n": 1}]


def test_no_connection_is_in_two_hands(database: Database, pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute(TABLE)
        connection.execute("INSERT INTO counts VALUES (0)")
    held: set[int] = set()
    shared: list[int] = []
    guard = threading.Lock()

    def work(_: int) -> None:
        with pool.connection() as connection:
            key = id(connection._session)
            with guard:
                shared.extend([key] if key in held else [])
                held.add(key)
            assert connection.execute("UPDATE counts SET n = n + 1").success
            with guard:
                held.discard(key)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(64)))
    assert shared == [] and database.rows("SELECT n FROM counts") == [(64,)]
    stats = pool.stats()
    assert stats.active_connections == 0 and stats.total_connections <= 4 and stats.connections_created <= 4


def test_waiting_ends(database: Database) -> None:
    with ConnectionPool(database.url, PoolConfig(1, 1, acquire_timeout_s=0.1)) as pool:
        held = pool.acquire()
        with pytest.raises(ConnectError, match="all 1 connections of the pool stayed in use"):
            pool.acquire()
        pool.release(held)
        assert pool.stats().timeouts == 1
    with pytest.raises(ConnectError, match="the pool is closed"):
        pool.acquire()


def test_dead_connections_are_replaced(pg_database: PostgresDatabase) -> None:
    with ConnectionPool(pg_database.url, PoolConfig(2, 4, validation_interval_s=0)) as pool:
        query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        assert len(pg_database.server.rows("postgres", query, (pg_database.name,))) == 2
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").rows == [(1,)]
        assert pool.stats().failed_validations >= 1


def test_old_and_idle_connections_are_replaced(tmp_path: Path) -> None:
    with ConnectionPool(f"sqlite:///{tmp_path}/x.db", PoolConfig(1, 4, idle_timeout_s=0.05)) as pool:
        for one in [pool.acquire() for _ in range(3)]:
            pool.release(one)
        assert pool.stats().idle_connections == 3
        time.sleep(0.1)
        checker = HealthChecker(pool, interval_s=60)
        checker.start()
        deadline = time.monotonic() + 5
        while pool.stats().idle_connections != 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        checker.stop()
        assert pool.stats().idle_connections == 1


def test_connections_of_any_driver_are_lent(tmp_path: Path) -> None:
    def make() -> Any:
        return sqlite3.connect(tmp_path / "x.db", check_same_thread=False)

    with ConnectionPool(make, PoolConfig(0, 2, validation_interval_s=0)) as pool:
        with pool.connection() as connection:
            connection.execute(TABLE)
            connection.execute("INSERT INTO counts VALUES (1)")
        with pytest.raises(ZeroDivisionError), pool.connection() as connection:
            connection.execute("INSERT INTO counts VALUES (2)")
            raise ZeroDivisionError
        with pool.connection() as connection:
            assert connection.execute("SELECT n FROM counts").fetchall() == [(1,)]


def test_health_is_asked_of_the_database(database: Database, pool: ConnectionPool) -> None:
    checker = HealthChecker(pool)
    found = checker.check_health()
    assert found["status"] == "healthy" and found["response_time"] > 0 and found["idle_connections"] == 2
    assert checker.last == found and not checker.is_running()
    checker.start()
    checker.start()
    assert checker.is_running()
    checker.stop()
    assert not checker.is_running()
    pool.close()
    assert checker.check_health()["error"] == "the pool is closed"


def test_settings_that_make_no_pool_are_refused() -> None:
    for wrong in ({"min_connections": 5, "max_connections": 4}, {"max_connections": 0}, {"acquire_timeout_s": -1}):
        with pytest.raises(ValueError):
            PoolConfig(**wrong)  # type: ignore[arg-type]


def test_a_password_is_not_shown() -> None:
    assert "s3cret" not in repr(ConnectionFactory("postgresql://u:s3cret@host/db"))
