"""A plan killed while it has a scratch database: the next ones remove it, and never one that somebody uses."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.url import parse_url
from dbops.usecases.runtime import engine_for
from tests.databases import Database
from tests.failures.trial import Trial, end_by, in_child


@pytest.fixture(params=["postgresql", "mysql"])
def trial(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    database = request.getfixturevalue({"postgresql": "pg_database", "mysql": "my_database"}[request.param])
    return Trial.make(database, tmp_path / "env")


def scratches(database: Database) -> set[str]:
    sql = "SELECT datname FROM pg_database" if database.engine == "postgresql" else "SHOW DATABASES"
    return {name for (name,) in database.rows(sql) if name.startswith("dbops_scratch_")}


def test_a_killed_plan_leaves_nothing_for_long(trial: Trial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = "current_database()" if trial.database.engine == "postgresql" else "DATABASE()"
    engine = engine_for(parse_url(trial.database.url))
    load: Callable[..., None] = type(engine).load

    def killed(engine: Engine, conn: Connection, *arguments: Any) -> None:
        load(engine, conn, *arguments)
        [(scratch,)] = conn.query(f"SELECT {name}")
        (tmp_path / "scratch").write_text(str(scratch))
        end_by(9)()

    with monkeypatch.context() as patch:
        patch.setattr(type(engine), "load", killed)
        assert in_child(trial.plan) == -9
    left = (tmp_path / "scratch").read_text()
    trial.plan()
    assert left in scratches(trial.database), "it may be somebody's who is just about to use it"
    hour_later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: hour_later)
    trial.plan()
    assert left not in scratches(trial.database)


def test_a_scratch_in_use_stays_however_old_it_is(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    url = parse_url(trial.database.url)
    engine = engine_for(url)
    with engine.scratch(Target("long", url)) as conn:
        conn.execute("CREATE TABLE kept (id integer)")
        hour_later = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: hour_later)
        trial.plan()
        assert conn.query("SELECT * FROM kept") == []


def test_what_only_looks_like_a_scratch_stays(trial: Trial) -> None:
    name = f"dbops_scratch_of_mine_{secrets.token_hex(3)}"
    url = parse_url(trial.database.url).with_database(name)
    engine = engine_for(url)
    engine.create_database(Target("mine", url))
    try:
        trial.plan()
        with closing(engine.connect(Target("mine", url))):
            pass
    finally:
        trial.database.rows(f"DROP DATABASE {name}")
