"""Ctrl-C and SIGTERM while a statement waits or works: exit code 130, a true journal, a session that let go, and a next time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.databases import Database
from tests.failures.trial import AFTER, ROWS, Trial, assert_truthful, wait_until


@pytest.fixture
def trial(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    made = Trial.make(database, tmp_path / "env", lock="60s")
    made.apply()
    database.load(ROWS)
    made.wants(AFTER)
    return made


@contextmanager
def in_the_way(database: Database) -> Iterator[None]:
    """Hold a lock on `orders` that the changes have to wait for."""
    if database.engine == "sqlite":
        import sqlite3

        conn = sqlite3.connect(database.url.removeprefix("sqlite:///"), isolation_level=None)
        conn.execute("BEGIN IMMEDIATE")
        yield
        conn.close()
        return
    other = database.server.connect(database.name)  # type: ignore[attr-defined]
    other.autocommit = False if database.engine == "postgresql" else other.autocommit(False)
    cursor = other.cursor()
    cursor.execute("SELECT * FROM orders")
    yield
    other.close()


def is_waiting(database: Database) -> bool:
    match database.engine:
        case "postgresql":
            waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            return bool(database.rows(waiting))
        case "mysql":
            waiting = "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND state LIKE 'Waiting for table%'"
            return bool(database.rows(waiting))
    return True


_OTHERS = [pytest.param(number, marks=pytest.mark.campaign, id=number.name) for number in (signal.SIGTERM, signal.SIGHUP)]


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, id="SIGINT"), *_OTHERS])
def test_a_signal_stops_a_statement_that_waits(trial: Trial, number: signal.Signals) -> None:
    if trial.database.engine == "sqlite":
        pytest.skip("waiting for a file is in the C library; the next test has a statement that works")
    rows = trial.kept_rows()
    with in_the_way(trial.database):
        process = trial.command("apply", "--auto-approve", "--allow", "all")
        wait_until(lambda: is_waiting(trial.database))
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 130, err
        assert "interrupted" in err and "Traceback" not in err
        wait_until(lambda: not is_waiting(trial.database))
    (latest, *_) = trial.history()
    journal = trial.show(latest.record.id)
    assert journal.record.state == "interrupted" and journal.record.finished_at
    assert "interrupted" in {step.state for step in journal.steps}
    assert "running" not in {step.state for step in journal.steps}
    later = trial.plan()
    assert_truthful(journal, later)
    assert trial.apply() == "done" and trial.plan().is_empty and trial.kept_rows() == rows


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, id="SIGTERM")])
def test_a_signal_stops_a_statement_that_works(trial: Trial, number: signal.Signals) -> None:
    """An index on many rows."""
    database = trial.database
    if database.engine != "sqlite":
        pytest.skip("waiting is interrupted in the same way as working")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
    database.load(f"INSERT INTO notes (id, body) {numbers} SELECT i + 10, hex(randomblob(30)) FROM n;")
    rows = database.rows("SELECT count(*), sum(id) FROM notes")
    process = trial.command("apply", "--auto-approve", "--allow", "all", "--no-rehearse")
    wait_until(lambda: bool(database.rows("SELECT 1 FROM dbops_steps WHERE state = 'running'")))
    time.sleep(0.1)
    process.send_signal(number)
    asked = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert time.monotonic() - asked < 5
    journal = trial.show(trial.history()[0].record.id)
    assert journal.record.state == "interrupted"
    assert {step.state for step in journal.steps} == {"interrupted"}
    assert trial.apply() == "done" and trial.plan().is_empty
    assert database.rows("SELECT count(*), sum(id) FROM notes") == rows


def test_a_signal_while_waiting_for_another_apply(trial: Trial) -> None:
    from contextlib import closing

    from dbops.engines.base.connect import Target
    from dbops.engines.base.url import parse_url
    from dbops.usecases.runtime import engine_for

    url = parse_url(trial.database.url)
    engine = engine_for(url)
    with closing(engine.connect(Target("holder", url))) as conn, engine.lock(conn, "dbops-apply", 1):
        process = trial.command("apply", "--auto-approve", "--allow", "all")
        seen: list[str] = []
        assert process.stderr is not None
        reader = threading.Thread(target=lambda: seen.append(process.stderr.readline()))
        reader.start()
        reader.join(20)
        assert "waiting" in "".join(seen)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
    process.communicate()
    assert trial.apply() == "done"
