"""Migrations that wait: for tables that others read, for the file that others write, and never for a lock of their own."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dbops.errors import ApplyError, LockTimeoutError
from dbops.usecases.apply import Consent
from dbops.usecases.drift import drift
from dbops.usecases.migrate.running import up
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, PostgresDatabase, SqliteDatabase
from tests.failures.trial import wait_until
from tests.resources.migrations.sets import Migrations


@contextmanager
def reading(database: Any) -> Iterator[Callable[[], None]]:
    """Hold the lock of a long SELECT on `a`; yields what ends it."""
    conn = database.server.connect(database.name)
    if database.engine == "postgresql":
        conn.autocommit = False
        conn.execute("SELECT count(*) FROM a")
    else:
        cursor = conn.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT count(*) FROM a")
    try:
        yield conn.rollback
    finally:
        conn.close()


@pytest.fixture(params=["postgresql", "mysql"])
def read_database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue({"postgresql": "pg_database", "mysql": "my_database"}[request.param])
    found.load("CREATE TABLE a (id integer);")
    return found


def test_an_alter_behind_a_long_select_gives_up_after_its_tries_and_says_why(read_database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(read_database, tmp_path / "env", lock="1s", tries=2)
    shop.write("0001_a.sql", "CREATE TABLE b (id integer);\nALTER TABLE a ADD COLUMN n integer;\n")
    with reading(read_database) as end:
        began = time.monotonic()
        with pytest.raises(ApplyError, match="2 times") as caught:
            shop.up()
        assert 2 <= time.monotonic() - began < 20
        end()
    assert "0001_a, statement 2" in caught.value.message and "GRANT" not in (caught.value.fix or "")
    assert shop.states() == {"0001_a": "failed"}
    assert shop.up().state == "done"
    assert read_database.rows("SELECT n FROM a") == [] and read_database.rows("SELECT id FROM b") == []


def test_what_fails_once_the_lock_is_given_is_what_is_told(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    """The second attempt fails by another statement: asking the ledger in between would take that error for an answer."""
    pg_database.load("CREATE TABLE a (id integer);")
    shop = Migrations.make(pg_database, tmp_path / "env", lock="1s", tries=3)
    shop.write("0001_a.sql", "ALTER TABLE a ADD COLUMN n integer;\nINSERT INTO nowhere VALUES (1);\n")
    with reading(pg_database) as end, open_workspace(shop.folder) as workspace:

        def tell(step: object, text: str) -> None:
            if "attempt 2 of 3" in text:
                end()

        with pytest.raises(ApplyError, match=r"statement 2: .*nowhere"):
            up(workspace, Consent(lambda _: True, progress=tell))
    assert shop.states() == {"0001_a": "failed"}


def test_an_alter_behind_a_select_is_tried_again_and_tells_who_is_in_the_way(read_database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(read_database, tmp_path / "env", lock="1s", tries=5)
    shop.write("0001_a.sql", "ALTER TABLE a ADD COLUMN n integer;\n")
    told: list[str] = []
    with reading(read_database) as end, open_workspace(shop.folder) as workspace:

        def tell(step: object, text: str) -> None:
            told.append(text)
            if "attempt 2 of 5" in text:
                end()

        assert up(workspace, Consent(lambda _: True, progress=tell)).state == "done"
    assert any("trying again in" in text and "attempt 2 of 5" in text for text in told), told
    assert any("waits for" in text or "in the way" in text for text in told), told
    assert any(text.startswith("running: statement 1: ALTER TABLE a") for text in told), told
    assert shop.states() == {"0001_a": "applied"}


@pytest.mark.parametrize(
    ("mode", "held_s"), [("wal", 1.0), ("delete", 3.0), pytest.param("wal", 3.0, marks=pytest.mark.campaign)]
)
def test_a_writer_is_waited_for_within_the_limit_and_named_beyond_it(
    sqlite_database: SqliteDatabase, tmp_path: Path, mode: str, held_s: float
) -> None:
    sqlite_database.load(f"PRAGMA journal_mode = {mode}; CREATE TABLE a (id integer);")
    with closing(sqlite3.connect(sqlite_database.path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO a VALUES (1)")
        impatient = Migrations.make(sqlite_database, tmp_path / "env", lock="300ms", tries=1)
        impatient.write("0001_b.sql", "CREATE TABLE b (id integer);\n")
        with pytest.raises(LockTimeoutError, match=r"locked by another connection, and was for all of 0\.3 s"):
            impatient.up()
        patient = Migrations.make(sqlite_database, tmp_path / "env", lock="10s", tries=1)
        threading.Timer(held_s, lambda: writer.execute("COMMIT")).start()
        assert patient.up().state == "done"
    assert patient.states() == {"0001_b": "applied"}
    assert sqlite_database.rows("SELECT id FROM a") == [(1,)]


def test_a_reader_that_holds_the_commit_up_costs_neither_the_migration_nor_its_record(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    """With a rollback journal it is the COMMIT that waits for readers: what the transaction wrote is rolled back by then."""
    sqlite_database.load("CREATE TABLE a (id integer); INSERT INTO a VALUES (1), (2);")
    shop = Migrations.make(sqlite_database, tmp_path / "env", lock="300ms", tries=6)
    shop.write("0001_none.sql", "")
    shop.up()
    shop.write("0002_b.sql", "CREATE TABLE b (id integer);\nINSERT INTO b VALUES (1);\n")
    with closing(sqlite3.connect(sqlite_database.path, isolation_level=None, check_same_thread=False)) as reader:
        told: list[str] = []

        def hold(step: object, text: str) -> None:
            told.append(text)
            if text.startswith("running: statement"):
                if len([one for one in told if one.startswith("running: statement")]) == 1:
                    reader.execute("BEGIN")
                    reader.execute("SELECT * FROM a").fetchone()
                elif reader.in_transaction:
                    reader.execute("COMMIT")

        with open_workspace(shop.folder) as workspace:
            assert up(workspace, Consent(lambda _: True, progress=hold)).state == "done"
    assert any("trying again" in text for text in told)
    assert shop.states() == {"0001_none": "applied", "0002_b": "applied"}
    assert sqlite_database.rows("SELECT id FROM b") == [(1,)]


def test_runners_that_wait_do_not_hold_up_a_concurrent_build(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    """A build waits for every older snapshot: neither the lock that is held nor those who wait for it keep one."""
    pg_database.load("CREATE TABLE a (id integer); INSERT INTO a SELECT generate_series(1, 1000);")
    shop = Migrations.make(pg_database, tmp_path / "env")
    builds = "".join(f"CREATE INDEX CONCURRENTLY i{n} ON a (id);\n" for n in range(3))
    shop.write("0001_i.sql", f"SELECT pg_sleep(1);\n{builds}")
    runners = [shop.start("up", "--auto-approve", "--lock-timeout", "60s") for _ in range(2)]
    began = time.monotonic()
    for runner in runners:
        _, err = runner.communicate(timeout=120)
        assert runner.returncode == 0, err
    assert time.monotonic() - began < 60
    assert pg_database.rows("SELECT count(*) FROM pg_index WHERE indrelid = 'a'::regclass AND indisvalid") == [(3,)]


_SLOW = {
    "sqlite": "INSERT INTO a WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT max(i) FROM n",
    "postgresql": "INSERT INTO a SELECT 1 FROM pg_sleep(3)",
    "mysql": "INSERT INTO a SELECT SLEEP(3)",
}


def test_a_runner_killed_while_it_holds_the_lock_leaves_none_behind(database: Database, tmp_path: Path) -> None:
    database.load("CREATE TABLE a (id integer);")
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", _SLOW[database.engine] + ";\n")
    shop.write("0002_b.sql", "CREATE TABLE b (id integer);\nINSERT INTO b VALUES (2);\n")
    holder = shop.start("up", "--auto-approve")
    wait_until(lambda: is_running(database, holder.pid))
    waiting = shop.start("up", "--auto-approve", "--lock-timeout", "60s")
    found = shop.status()
    assert found.runner is not None, "status says who is at work"
    if database.engine == "mysql":  # elsewhere what is not committed shows nowhere
        assert found.standings[0].state == "running" and "since 20" in found.standings[0].detail
    time.sleep(0.3)
    holder.kill()
    holder.communicate()
    _, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, err
    assert database.rows("SELECT count(*) FROM a") == [(1,)] and database.rows("SELECT id FROM b") == [(2,)]
    assert set(shop.states().values()) == {"applied"}
    assert not list(tmp_path.glob("*lock*"))


def is_running(database: Database, pid: int) -> bool:
    """Tell whether the slow statement runs."""
    if database.engine == "sqlite":
        held = [
            path for path in Path(database.url.removeprefix("sqlite:///")).parent.glob("*-lock") if path.read_text() == str(pid)
        ]
        return bool(held)
    if database.engine == "postgresql":
        slow = "state = 'active' AND query LIKE '%pg_sl' || 'eep%'"
        sql = f"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND {slow}"
    else:
        sql = "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE CONCAT('%SLE', 'EP(3)%')"
    return bool(database.rows(sql))


def test_plan_and_drift_say_who_runs_what_looks_interrupted(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    shop.write("0002_b.sql", "CREATE TABLE b (id integer);\n")
    shop.up(to="0001")
    table = "dbops.migrations" if database.engine == "postgresql" else "dbops_migrations"
    database.load(f"UPDATE {table} SET state = 'running', finished_at = NULL, who = 'ann@desk';")
    assert shop.plan().entries[0].change.reason == "goes on: it was interrupted; 1 of its statements stand"
    with (
        open_workspace(shop.folder) as other,
        other.targets.engine("shop").lock(other.targets.writer("shop"), "dbops-apply", 0.0),
        open_workspace(shop.folder) as workspace,
    ):
        plan = shop.plan()
        told = [one.message for one in plan.observations if one.code == "MIGRATION_RUNNING"]
        found = drift(workspace)
    assert plan.entries[0].change.reason.startswith("running by ann@desk since 20"), "and not: interrupted"
    assert len(told) == 1 and "1 of its statements stand; an apply waits until that is over" in told[0]
    assert [item.detail[:7] for item in found.items] == ["running", "not app"]
