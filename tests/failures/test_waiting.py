"""Statements that do not get their locks give way, are tried again, name who stands in the way, and never lie to the journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from dbops.errors import ApplyError, LockTimeoutError, QueryError
from dbops.reconcile.patience import Patience, patiently
from dbops.reconcile.step import Step
from tests.databases import Database
from tests.failures.test_refused import in_use
from tests.failures.trial import AFTER, ALL, ROWS, Trial, assert_truthful, end_by, in_child, wait_until


@pytest.fixture(params=["postgresql", "mysql"])
def trial(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database = request.getfixturevalue({"postgresql": "pg_database", "mysql": "my_database"}[request.param])
    made = Trial.make(database, tmp_path / "env", lock="1s", tries=5)
    made.apply()
    database.load(ROWS)
    made.wants(AFTER)
    return made


@contextmanager
def in_use_until(database: Database, table: str) -> Iterator[Callable[[], None]]:
    """Read a table in a transaction; yields what ends it."""
    holder = in_use(database, table)
    holder.__enter__()
    over = threading.Event()

    def end() -> None:
        if not over.is_set():
            over.set()
            holder.__exit__(None, None, None)

    try:
        yield end
    finally:
        end()


def test_a_table_in_use_for_a_while_is_waited_for_with_pauses(trial: Trial) -> None:
    rows, told = trial.kept_rows(), []
    with in_use_until(trial.database, "orders") as end:

        def heard(step: Step, state: str) -> None:
            told.append(state)
            if "attempt 3 of 5" in state:
                end()

        trial.apply(replace(ALL, progress=heard))
    waits = [text for text in told if text not in ("running", "done")]
    assert any("attempt 2 of 5" in text and "in the way: " in text for text in waits), waits
    assert any(text.startswith("waits for ") for text in waits)
    [last] = trial.history()[:1]
    assert last.record.state == "done" and {step.state for step in trial.show(last.record.id).steps} == {"done"}
    assert trial.plan().is_empty and trial.kept_rows() == rows


def test_who_stands_in_the_way_is_named_when_patience_ends(trial: Trial, tmp_path: Path) -> None:
    Trial.make(trial.database, trial.folder, AFTER, lock="1s", tries=2)
    before = trial.database.dump()
    with in_use(trial.database, "orders"), pytest.raises(ApplyError) as caught:
        trial.apply()
    assert "2 times; in the way: " in caught.value.message
    name = {"postgresql": "process ", "mysql": "connection "}[trial.database.engine]
    assert name in caught.value.message and "its transaction is" in caught.value.message
    assert caught.value.context["blockers"] and caught.value.context["attempts"] == 2
    if trial.database.engine == "postgresql":
        assert trial.database.dump() == before
    assert_truthful(trial.show(trial.history()[0].record.id), trial.plan())
    assert trial.apply() == "done"


def test_a_program_killed_between_two_attempts_leaves_a_true_journal(trial: Trial) -> None:
    rows = trial.kept_rows()
    die = end_by(9)

    def heard(step: Step, state: str) -> None:
        if "trying again" in state:
            die()

    with in_use(trial.database, "orders"):
        assert in_child(lambda: trial.apply(replace(ALL, progress=heard))) == -9
    later = trial.plan()
    assert_truthful(trial.show(trial.history()[0].record.id), later)
    assert trial.apply() == "done" and trial.plan().is_empty and trial.kept_rows() == rows
    assert trial.history()[1].record.state == "interrupted"


def test_a_deadlock_is_tried_again(pg_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    trial = Trial.make(pg_database, tmp_path / "env", "CREATE TABLE a (x int); CREATE TABLE b (x int);", lock="30s")
    trial.apply()
    trial.wants("CREATE TABLE a (x int, y int); CREATE TABLE b (x int, y int);")
    other = pg_database.server.connect(pg_database.name)  # type: ignore[attr-defined]
    with closing(other), other.cursor() as cursor:
        other.autocommit = False
        cursor.execute("SET deadlock_timeout = '60s'")
        cursor.execute("SELECT * FROM b")
        second = threading.Thread(target=lambda: cursor.execute("SELECT * FROM a"))
        told = []

        def heard(step: Step, state: str) -> None:
            told.append(state)
            if state == "running" and "public.b" in step.title and second.ident is None:
                second.start()
                wait_until(lambda: bool(pg_database.rows("SELECT 1 FROM pg_locks WHERE NOT granted")))
            elif "deadlock" in state:
                second.join()
                other.rollback()

        assert trial.apply(replace(ALL, progress=heard)) == "done"
    assert any("deadlock" in text for text in told)
    assert trial.plan().is_empty


def test_the_lock_timeout_of_a_statement_holds_for_it_alone(database: Database) -> None:
    from dbops.engines.base.connect import Target, Timeouts
    from dbops.engines.base.url import parse_url
    from dbops.usecases.runtime import engine_for

    url = parse_url(database.url)
    shown = {
        "sqlite": ("PRAGMA busy_timeout", 7000, 1000),
        "postgresql": ("SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout'", 7000, 1000),
        "mysql": ("SELECT @@SESSION.lock_wait_timeout", 7, 1),
    }
    sql, inside, outside = shown[url.engine]
    database.load("CREATE TABLE t (x integer);")
    with closing(engine_for(url).connect(Target("t", url, timeouts=Timeouts(lock_s=1)))) as conn:
        for block in (conn.transaction, nullcontext):
            with block():
                with conn.giving_up_locks_after(7):
                    assert conn.query(sql) == [(inside,)]
                assert conn.query(sql) == [(outside,)]
            with pytest.raises(QueryError), block(), conn.giving_up_locks_after(7):
                conn.execute("SELECT * FROM nowhere")
            assert conn.query(sql) == [(outside,)]


def test_pauses_grow_up_to_a_limit_and_differ() -> None:
    slept: list[float] = []
    patience = Patience(6, first_s=1, longest_s=4, sleep=slept.append, chance=lambda: 1.0)

    def fails() -> None:
        raise LockTimeoutError("locked")

    with pytest.raises(LockTimeoutError) as caught:
        patiently(fails, patience)
    assert slept == [1, 2, 4, 4, 4] and caught.value.context["attempts"] == 6
    slept.clear()
    with pytest.raises(LockTimeoutError):
        patiently(fails, replace(patience, chance=lambda: 0.0))
    assert slept == [0.5, 1, 2, 2, 2]


def test_errors_of_another_kind_are_not_tried_again() -> None:
    tried: list[int] = []

    def fails() -> None:
        tried.append(1)
        raise QueryError("wrong")

    with pytest.raises(QueryError):
        patiently(fails, Patience(5, sleep=lambda s: None))
    assert len(tried) == 1


def test_a_locked_sqlite_file_is_waited_for_and_its_holder_named(sqlite_database: Database, tmp_path: Path) -> None:
    import sqlite3

    trial = Trial.make(sqlite_database, tmp_path / "env", lock="300ms", tries=10)
    trial.apply()
    trial.wants(AFTER)
    with closing(sqlite3.connect(sqlite_database.path, isolation_level=None, check_same_thread=False)) as other:  # type: ignore[attr-defined]
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(1.0, other.rollback).start()
        assert trial.apply() == "done"
    assert trial.plan().is_empty
