"""A set on many databases: what cannot be reached fails by itself, several are worked on at a time and told in their order."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from dbops.reconcile.fleet import FleetError
from dbops.reconcile.step import Step
from dbops.usecases.apply import apply
from dbops.usecases.drift import drift
from dbops.usecases.migrate.running import up
from dbops.usecases.migrate.status import status
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, SqliteDatabase, fresh_mysql, fresh_postgres
from tests.failures.trial import wait_until
from tests.resources.migrations.fleets import apply_states, run, write
from tests.resources.migrations.sets import YES
from tests.servers import MysqlServer, PostgresServer


def files(tmp_path: Path, *names: str) -> dict[str, Database]:
    found: dict[str, Database] = {}
    for name in names:
        found[name] = one = SqliteDatabase(tmp_path / f"{name}.db")
        one.load("CREATE TABLE here (id integer);")
    return found


@pytest.mark.parametrize("verb", ["up", "apply"])
def test_one_that_cannot_be_reached_keeps_no_other_waiting(tmp_path: Path, verb: str) -> None:
    databases = files(tmp_path, "a", "b", "c")
    (tmp_path / "b.db").write_bytes(b"this is no database at all" * 100)
    folder = tmp_path / "env"
    write(folder, databases, max_failures=1)

    def go() -> str:
        with open_workspace(folder) as workspace:
            return up(workspace, YES).state if verb == "up" else apply(workspace, YES).state

    with open_workspace(folder) as workspace:
        made = plan(workspace)
        assert {step.on for step in made.steps} == {"a", "c"}
        told = [one.message for one in made.observations if one.code == "DATABASE_UNREACHABLE"]
        assert len(told) == 1 and told[0].startswith("b is left out: ")
        assert [one.code for one in made.observations].count("MIGRATIONS_UNLOCKED") == 1, "it is the folder's, not a database's"
        assert "DATABASE_UNREACHABLE" in [one.code for one in drift(workspace).observations]
    with pytest.raises(FleetError, match="1 of 3 databases failed, the others went on; 2 are done") as caught:
        go()
    assert "\n  b: " in caught.value.message and caught.value.done == {"a", "c"}
    assert databases["c"].rows("SELECT id FROM a") == [(1,)]
    with pytest.raises(FleetError, match="1 of 3 databases failed, the others lack nothing; 2 are done"):
        go()
    with open_workspace(folder) as workspace:
        found = {one.connection: one for one in status(workspace)}
    assert found["a"].is_clean and not found["b"].is_clean and "is not a SQLite database" in str(found["b"].error)
    (tmp_path / "b.db").unlink()
    databases["b"].load("CREATE TABLE here (id integer);")
    assert go() == "done"
    assert databases["b"].rows("SELECT id FROM a") == [(1,)]


def test_more_that_cannot_be_reached_than_may_fail_stop_all_before_anything_is_begun(tmp_path: Path) -> None:
    databases = files(tmp_path, "a", "b", "c")
    (tmp_path / "c.db").write_bytes(b"this is no database at all" * 100)
    write(tmp_path / "env", databases)
    with pytest.raises(FleetError, match="more than maxFailures, 0; 0 are done, 2 wait for the next run: a, b"):
        run(tmp_path / "env")
    with open_workspace(tmp_path / "env") as workspace, pytest.raises(FleetError, match="1 of 3"):
        plan(workspace)
    assert databases["a"].rows("SELECT name FROM sqlite_schema") == [("here",)]


def test_one_that_somebody_else_works_on_keeps_no_other_waiting(tmp_path: Path) -> None:
    databases = files(tmp_path, "a", "b")
    folder = tmp_path / "env"
    write(folder, databases, max_failures=1)
    with open_workspace(folder) as other, other.targets.engine("a").lock(other.targets.writer("a"), "dbops-apply", 0.0):
        with open_workspace(folder) as workspace, pytest.raises(FleetError, match="works on this database") as caught:
            up(workspace, replace(YES, lock_timeout_s=0.1))
        assert caught.value.done == {"b"}
    assert run(folder) == "done"


MEET = '''\
import pathlib, time

def up_fn(step):
    """Wait until as many databases are here as run side by side."""
    place = pathlib.Path(PLACE)
    [(mine,)] = step.query("SELECT max(id) FROM me")
    (place / str(mine)).write_text("")
    deadline = time.monotonic() + 20
    while len(list(place.iterdir())) < 3:
        assert time.monotonic() < deadline, "alone"
        time.sleep(0.02)
'''


def test_several_are_worked_on_at_a_time_and_told_in_their_order(
    postgres_server: PostgresServer, mysql_server: MysqlServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        databases = files(tmp_path, "a", "d")
        databases["b"] = stack.enter_context(fresh_postgres(postgres_server))
        databases["c"] = stack.enter_context(fresh_mysql(mysql_server))
        for place, one in enumerate(databases.values()):
            one.load(f"CREATE TABLE me (id integer); INSERT INTO me VALUES ({place});")
        folder = tmp_path / "env"
        write(folder, dict(sorted(databases.items())), parallel=3)
        (tmp_path / "here").mkdir()
        (folder / "migrations" / "0003_meet.py").write_text(MEET.replace("PLACE", repr(str(tmp_path / "here"))))
        told: list[str] = []

        def tell(step: Step, state: str) -> None:
            if state == "done":
                told.append(f"{step.on} {step.title}")

        with open_workspace(folder) as workspace:
            assert up(workspace, replace(YES, progress=tell)).state == "done"
        assert told == [f"{name} migrate {one}" for name in "abcd" for one in ("0001_a", "0002_b", "0003_meet")]
        assert set(apply_states(folder).values()) == {"done"}
        for one in databases.values():
            assert one.rows("SELECT id FROM a") == [(1,)]
        assert run(folder) == "nothing"


def test_side_by_side_too_many_failures_leave_the_rest_for_the_next_run(tmp_path: Path) -> None:
    databases = files(tmp_path, "a", "b", "c", "d", "e")
    folder = tmp_path / "env"
    write(folder, databases, max_failures=1)
    for name in ("a", "b"):
        databases[name].load("CREATE TABLE a (id integer);")
    with open_workspace(folder) as workspace, pytest.raises(FleetError, match="2 of 5 databases failed, more than") as caught:
        up(workspace, replace(YES, parallel=2))
    assert list(caught.value.failures) == ["a", "b"] and "e" not in caught.value.done
    assert apply_states(folder)["a"] == apply_states(folder)["b"] == "failed"
    for name in ("a", "b"):
        databases[name].load("DROP TABLE a;")
    assert run(folder) == "done"


def test_ctrl_c_stops_all_that_run(postgres_server: PostgresServer, mysql_server: MysqlServer, tmp_path: Path) -> None:
    with ExitStack() as stack:
        databases = files(tmp_path, "a")
        databases["b"] = stack.enter_context(fresh_postgres(postgres_server))
        databases["c"] = stack.enter_context(fresh_mysql(mysql_server))
        for name in "bc":
            databases[name].load("CREATE TABLE here (id integer);")
        folder = tmp_path / "env"
        write(folder, databases)
        slow = {
            "a": "CREATE TABLE t AS WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
            "b": "SELECT pg_sleep(100)",
            "c": "INSERT INTO a SELECT 1 FROM (SELECT 1) AS one WHERE SLEEP(100)",  # alone, it ends well on MySQL when stopped
        }
        step = "".join(f"    {name!r}: {sql!r},\n" for name, sql in slow.items())
        (folder / "migrations" / "0003_slow.py").write_text(
            "SLOW = {\n" + step + "}\n\ndef up_fn(step):\n"
            '    step.execute("UPDATE here SET id = 1")  # which is on no scratch\n'
            '    kind = {"SqliteConnection": "a", "PostgresConnection": "b"}.get(type(step.conn).__name__, "c")\n'
            f'    open({str(tmp_path)!r} + "/" + kind, "w").close()\n    step.execute(SLOW[kind])\n'
        )
        command = [sys.executable, "-m", "dbops", "migrate", "up", "--auto-approve", "--parallel", "3", str(folder)]
        runner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        stack.callback(runner.kill)
        wait_until(lambda: all((tmp_path / name).exists() for name in slow))
        runner.send_signal(signal.SIGINT)
        _, err = runner.communicate(timeout=30)
        assert runner.returncode == 130, err
        assert set(apply_states(folder).values()) == {"interrupted"}
        (folder / "migrations" / "0003_slow.py").write_text("def up_fn(step):\n    pass\n")
        assert run(folder) == "done"
