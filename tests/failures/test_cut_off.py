"""The session of an apply ended by the server in the middle: a clear error, a true journal, and a next time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dbops.errors import DbopsError
from tests.databases import Database
from tests.failures.trial import AFTER, ROWS, Trial, assert_truthful, struck


@pytest.fixture(params=["postgresql", "mysql"])
def trial(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database = request.getfixturevalue({"postgresql": "pg_database", "mysql": "my_database"}[request.param])
    made = Trial.make(database, tmp_path / "env")
    made.apply()
    database.load(ROWS)
    made.wants(AFTER)
    return made


def cut(database: Database) -> None:
    """End every other session on the database."""
    if database.engine == "postgresql":
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        database.rows(f"SELECT pg_terminate_backend(pid) {others}")
    else:
        others = "FROM information_schema.processlist WHERE db = DATABASE() AND id <> connection_id()"
        for (number,) in database.rows(f"SELECT id {others}"):
            database.rows(f"KILL {number}")
    time.sleep(0.05)


def survives(trial: Trial, place: int, moment: str) -> bool:
    rows, known = trial.kept_rows(), {one.record.id for one in trial.history()}
    error: DbopsError | None = None
    with struck(trial.database, place, moment, lambda: cut(trial.database)) as writes:
        try:
            trial.apply()
        except DbopsError as raised:
            error = raised
    if len(writes) < place:
        assert error is None
        return False
    text = error.explain() if error else ""
    assert trial.kept_rows() == rows, text
    later = trial.plan()
    for apply_id in {one.record.id for one in trial.history()} - known:
        journal = trial.show(apply_id)
        assert journal.record.state == ("failed" if error else "done"), (journal.record, text)
        assert "running" not in {step.state for step in journal.steps}, text
        assert_truthful(journal, later)
    if error:
        assert "connection" in text and "could not be brought up to date" not in text, text
    assert trial.apply() == ("nothing" if later.is_empty else "done")
    assert trial.plan().is_empty and trial.kept_rows() == rows
    return True


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_session_cut_anywhere_is_told_and_goes_on_the_next_time(trial: Trial, stride: int) -> None:
    place = 1
    while survives(trial, place, "before" if place % 2 else "after"):
        trial.wants(AFTER if place % 2 == 0 else AFTER.replace("stars", f"stars{place}"))
        place += stride
    assert place > 10
