"""Several applies of one environment at once: one works, the others wait, plan anew, and find nothing to do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.errors import ApplyError, PlanError
from dbops.usecases.apply import Consent, apply
from dbops.usecases.plan import plan
from dbops.usecases.runtime import engine_for, open_workspace
from tests.databases import Database
from tests.failures.trial import AFTER, BEFORE, ROWS, Trial, wait_until


@pytest.fixture
def trial(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    return Trial.make(database, tmp_path / "env")


def outcomes(processes: list[subprocess.Popen[str]]) -> list[str]:
    found = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found.append(json.loads(out)["state"])
    return sorted(found)


def at_once(trial: Trial, count: int) -> list[subprocess.Popen[str]]:
    return [trial.command("apply", "--auto-approve", "--allow", "all", "--output", "json") for _ in range(count)]


@pytest.mark.parametrize("count", [3, pytest.param(8, marks=pytest.mark.campaign)])
def test_one_of_many_works_and_the_others_find_nothing(trial: Trial, count: int) -> None:
    trial.apply()
    trial.database.load(ROWS)
    rows = trial.kept_rows()
    trial.wants(AFTER)
    assert outcomes(at_once(trial, count)) == ["done", *["nothing"] * (count - 1)]
    assert [one.record.state for one in trial.history()] == ["done", "done"]
    assert trial.plan().is_empty and trial.kept_rows() == rows


@pytest.mark.parametrize("count", [3, pytest.param(8, marks=pytest.mark.campaign)])
def test_a_missing_database_is_made_and_filled_once(trial: Trial, database: Database, tmp_path: Path, count: int) -> None:
    url = parse_url(database.url)
    absent = url.with_database(f"{url.database}_absent")
    many = Trial.make(database, tmp_path / "absent", BEFORE, url=absent.reveal())
    try:
        assert outcomes(at_once(many, count)) == ["done", *["nothing"] * (count - 1)]
        assert many.plan().is_empty
        assert [one.record.state for one in many.history()].count("done") == 1
    finally:
        if database.engine != "sqlite":
            database.rows(f"DROP DATABASE IF EXISTS {absent.database}")


def test_who_waits_too_long_is_told_who_works(trial: Trial) -> None:
    url = parse_url(trial.database.url)
    engine = engine_for(url)
    trial.apply()
    trial.wants(AFTER)
    with closing(engine.connect(Target("holder", url))) as conn, engine.lock(conn, "dbops-apply", 1):
        process = trial.command("apply", "--auto-approve", "--allow", "all", "--lock-timeout", "1s")
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "waiting up to " in err and "--lock-timeout" in err
    assert {"sqlite": "process ", "postgresql": "postgres (dbops, process ", "mysql": "of root@localhost"}[url.engine] in err


_HOLDER = """
import sys, time
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.usecases.apply import Consent, apply
from dbops.usecases.plan import plan
from dbops.usecases.runtime import engine_for, open_workspace
url = parse_url(sys.argv[1])
engine = engine_for(url)
conn = engine.connect(Target("holder", url))
with engine.lock(conn, "dbops-apply", 1):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_lets_the_others_go_on(trial: Trial) -> None:
    trial.apply()
    trial.wants(AFTER)
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, trial.database.url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiting = at_once(trial, 2)
    wait_until(lambda: all(process.poll() is None for process in waiting))
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert outcomes(waiting) == ["done", "nothing"]


def test_two_connections_to_one_database_are_refused_at_once(database: Database, tmp_path: Path) -> None:
    one = "apiVersion: dbops/v1\nkind: {}\nmetadata: {{name: {}}}\nspec: {}\n---\n"
    spec = json.dumps({"url": database.url})
    text = "".join(one.format("Connection", name, spec) for name in ("left", "right"))
    for name in ("left", "right"):
        schema = {"connection": name, "source": {"sql": [f"{name}.sql"]}, "policy": {"unmanaged": "ignore"}}
        text += one.format("Schema", name, json.dumps(schema))
        (tmp_path / f"{name}.sql").write_text(f"CREATE TABLE of_{name} (id int);\n")
    (tmp_path / "env.yaml").write_text(text)
    with open_workspace(tmp_path) as workspace, pytest.raises(ApplyError, match="left and right lead to the same database"):
        apply(workspace, Consent(lambda _: True))
    with open_workspace(tmp_path) as workspace, pytest.raises(PlanError, match="left and right lead to the same database"):
        plan(workspace)
