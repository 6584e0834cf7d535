"""Sessions in each other's way, as people see them."""

from __future__ import annotations

from dbops.cli.views.blocked import blocked_text
from dbops.usecases.monitor import Session


def session(id_: str, *blocked_by: str, waits_for: str = "row lock") -> Session:
    lock = waits_for if blocked_by else ""
    return Session(id_, "app", "", "", "active", lock, 2.0 if lock else None, 3.0, f"UPDATE t SET n = {id_}", blocked_by)


def test_who_waits_stands_below_whom_it_waits_for() -> None:
    shown = blocked_text([session("1"), session("2", "1"), session("3", "2"), session("4", "1", "2")])
    assert shown.splitlines()[1:] == [
        "1 (app, active, its transaction is 3 s old)",
        "    UPDATE t SET n = 1",
        "├─ 2 (app, active, its transaction is 3 s old, waits 2 s for row lock)",
        "│      UPDATE t SET n = 2",
        "│  └─ 3 (app, active, its transaction is 3 s old, waits 2 s for row lock)",
        "│         UPDATE t SET n = 3",
        "└─ 4 (app, active, its transaction is 3 s old, waits 2 s for row lock, kept by 1, 2)",
        "       UPDATE t SET n = 4",
    ]
    assert blocked_text([]) == ""


def test_those_that_wait_for_each_other_or_for_somebody_unknown_are_shown_once() -> None:
    shown = blocked_text([session("1", "2"), session("2", "1"), session("3", "9"), session("4")])
    assert [line for line in shown.splitlines() if line.endswith(")") and " (app" in line] == [
        "4 (app, active, its transaction is 3 s old)",
        "1 (app, active, its transaction is 3 s old, waits 2 s for row lock)",
        "└─ 2 (app, active, its transaction is 3 s old, waits 2 s for row lock)",
        "3 (app, active, its transaction is 3 s old, waits 2 s for row lock)",
    ]
