"""An apply killed at any of its writes: the journal tells the truth, and the next apply goes on from there."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.databases import Database
from tests.failures.trial import AFTER, ROWS, Trial, assert_truthful, end_by, in_child, struck


@pytest.fixture
def trial(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    return Trial.make(database, tmp_path / "env")


def survives(trial: Trial, place: int, moment: str, number: int) -> bool:
    """Strike once, check everything; False when the apply has fewer writes than `place`."""
    rows = trial.kept_rows()
    known = {one.record.id for one in trial.history()}

    def work() -> None:
        with struck(trial.database, place, moment, end_by(number)):
            trial.apply()

    code = in_child(work)
    if code == 0:
        return False
    assert code == (-number if number == signal.SIGKILL else 130)
    assert trial.kept_rows() == rows
    later = trial.plan()
    dead = [one.record.id for one in trial.history() if one.record.id not in known]
    assert trial.apply() == ("nothing" if later.is_empty else "done")
    assert trial.kept_rows() == rows
    assert trial.plan().is_empty
    assert all(one.record.state in ("done", "interrupted") for one in trial.history())
    for apply_id in dead:
        journal = trial.show(apply_id)
        assert_truthful(journal, later)
        states = {step.state for step in journal.steps}
        assert "running" not in states
        assert journal.record.state == "interrupted" or states == {"done"}
        assert journal.record.finished_at
    return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.campaign)])
def test_an_apply_struck_anywhere_goes_on_the_next_time(trial: Trial, number: int, stride: int) -> None:
    """Every further apply is struck a little later, so that one database dies many deaths."""
    trial.apply()
    trial.database.load(ROWS)
    trial.wants(AFTER)
    place = 1
    while survives(trial, place, "before" if place % 2 else "after", number):
        trial.wants(AFTER if place % 2 == 0 else AFTER.replace("stars", f"stars{place}"))
        place += stride
    assert place > 10
