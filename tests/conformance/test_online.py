"""Changes of a table in use: writers feel no error, on each engine that serves many at once."""

from __future__ import annotations

import pytest

from bench.online import CHANGES, Server, run


@pytest.mark.parametrize("name", ["postgres_server", "mysql_server"])
def test_writers_feel_no_error(name: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(name)
    outcomes = run(server, rows=5_000, rate=100, by_dbops=True, idle_s=0.5)
    assert [outcome.change for outcome in outcomes] == ["nothing", *(change.name for change in CHANGES)]
    assert [outcome.errors for outcome in outcomes] == [()] * len(outcomes)
    assert all(outcome.transactions for outcome in outcomes)
