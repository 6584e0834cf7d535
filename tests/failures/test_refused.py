"""Statements the server refuses in the middle of a plan: tables locked by others, objects that went or came since the plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbops.errors import DbopsError
from tests.databases import Database
from tests.failures.trial import AFTER, ROWS, Trial, assert_truthful, struck


@pytest.fixture(params=["postgresql", "mysql"])
def trial(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    database = request.getfixturevalue({"postgresql": "pg_database", "mysql": "my_database"}[request.param])
    made = Trial.make(database, tmp_path / "env", lock="1s")
    made.apply()
    database.load(ROWS)
    made.wants(AFTER)
    return made


@contextmanager
def in_use(database: Database, table: str) -> Iterator[None]:
    """Read a table in a transaction that stays open."""
    other = database.server.connect(database.name)  # type: ignore[attr-defined]
    if database.engine == "postgresql":
        other.autocommit = False
    else:
        other.autocommit(False)
    with other.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        yield
    other.rollback()
    other.close()


def check_refusal(trial: Trial, caught: DbopsError, before: str, rows: object, words: str) -> None:
    """The message says what, what stands and how to go on; the journal agrees; the next apply goes on."""
    text = caught.explain()
    assert words in text and ("nothing of it stands" in text or "earlier steps stand" in text), text
    journal = trial.show(trial.history()[0].record.id)
    assert journal.record.state == "failed" and (journal.record.error or "") in text
    states = [step.state for step in journal.steps]
    assert states.count("failed") >= 1 and "running" not in states
    if trial.database.engine == "postgresql":
        assert trial.database.dump() == before
    else:
        place = states.index("failed")
        assert set(states[:place]) <= {"done"} and set(states[place + 1 :]) <= {"pending"}, states
    assert_truthful(journal, trial.plan())
    assert trial.kept_rows() == rows
    assert trial.apply() == "done" and trial.plan().is_empty and trial.kept_rows() == rows


@pytest.mark.parametrize(
    "table", ["notes", *(pytest.param(name, marks=pytest.mark.campaign) for name in ("customers", "doomed"))]
)
def test_a_table_in_use_is_waited_for_and_named(trial: Trial, table: str) -> None:
    before, rows = trial.database.dump(), trial.kept_rows()
    with in_use(trial.database, table), pytest.raises(DbopsError) as caught:
        trial.apply()
    check_refusal(trial, caught.value, before, rows, "timeouts.lock")


def test_an_object_that_came_since_the_plan_is_told(trial: Trial) -> None:
    rows = trial.kept_rows()
    came = lambda: trial.database.load("CREATE TABLE later (id integer NOT NULL PRIMARY KEY);")  # noqa: E731
    with struck(trial.database, 6, "before", came), pytest.raises(DbopsError) as caught:
        trial.apply()
    assert "later" in caught.value.message and "already exists" in caught.value.message
    journal = trial.show(trial.history()[0].record.id)
    assert_truthful(journal, trial.plan())
    assert trial.apply() == "done" and trial.plan().is_empty and trial.kept_rows() == rows


def test_an_object_that_went_since_the_plan_is_told(trial: Trial) -> None:
    rows = trial.kept_rows()
    went = lambda: trial.database.load("DROP TABLE doomed;")  # noqa: E731
    with struck(trial.database, 6, "before", went), pytest.raises(DbopsError) as caught:
        trial.apply()
    assert "doomed" in caught.value.message
    assert trial.apply() == "done" and trial.plan().is_empty and trial.kept_rows() == rows


def test_a_statement_that_takes_too_long_is_ended(trial: Trial) -> None:
    text = (trial.folder / "env.yaml").read_text()
    (trial.folder / "env.yaml").write_text(text.replace("lock: 1s", "lock: 30s, statement: 1s"))
    before, rows = trial.database.dump(), trial.kept_rows()
    with in_use(trial.database, "notes"), pytest.raises(DbopsError) as caught:
        trial.apply()
    check_refusal(trial, caught.value, before, rows, "timeouts.statement")
