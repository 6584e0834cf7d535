"""One set bound to many databases by their labels, one of which has gone wrong: all others get what they lack, each once."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from dbops.cli.main import run as command
from dbops.errors import ApplyError, MigrationError
from dbops.reconcile.change import Change
from dbops.reconcile.fleet import Fleet, FleetError, Rollout
from dbops.reconcile.plan import Entry, Plan
from dbops.reconcile.step import Step
from dbops.usecases.migrate import records
from dbops.usecases.migrate.status import status
from dbops.usecases.migrate.verify import verify
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, PostgresDatabase, SqliteDatabase, fresh_postgres
from tests.resources.migrations.fleets import apply_states, run, write
from tests.resources.migrations.sets import YES
from tests.servers import PostgresServer


def survives(folder: Path, databases: dict[str, Database], poisoned: str) -> None:
    """Run on all, one of which has a table in the way; then clear that and run again."""
    from dbops.usecases.migrate.running import up

    databases[poisoned].load("CREATE TABLE b (id integer);")
    with open_workspace(folder) as workspace, pytest.raises(ApplyError, match="already exists") as caught:
        up(workspace, YES)
    assert caught.value.context["connection"] == poisoned
    with open_workspace(folder) as workspace:
        found = {one.connection: one for one in status(workspace)}
    before = [name for name in sorted(databases) if name < poisoned]
    after = [name for name in sorted(databases) if name > poisoned]
    assert [name for name in databases if found[name].is_clean] == before
    assert [one.state for one in found[poisoned].standings] == ["applied", "failed"]
    assert all(found[name].count("pending") == 2 for name in after), "what comes behind the failure was not begun"
    databases[poisoned].load("DROP TABLE b;")
    with open_workspace(folder) as workspace:
        assert up(workspace, YES).state == "done"
    for name, database in databases.items():
        assert database.rows("SELECT id FROM a") == [(1,)], name
    with open_workspace(folder) as workspace:
        assert up(workspace, YES).state == "nothing"


@pytest.mark.parametrize("count", [12, pytest.param(50, marks=pytest.mark.campaign)])
def test_a_fleet_of_files_with_one_gone_wrong(tmp_path: Path, count: int) -> None:
    databases: dict[str, Database] = {}
    for number in range(count):
        databases[f"shop{number:02}"] = one = SqliteDatabase(tmp_path / f"shop{number:02}.db")
        one.load("CREATE TABLE here (id integer);")
    write(tmp_path / "env", databases)
    with open_workspace(tmp_path / "env") as workspace:
        assert [one.subject for one in verify(workspace)] == ["0001_a", "0002_b"], "once for all files"
    survives(tmp_path / "env", databases, f"shop{count // 2:02}")


def test_a_fleet_of_databases_on_a_server_with_one_gone_wrong(
    postgres_server: PostgresServer, pg_database: PostgresDatabase, tmp_path: Path
) -> None:
    with fresh_postgres(postgres_server) as second, fresh_postgres(postgres_server) as third:
        databases: dict[str, Database] = {"shop0": pg_database, "shop1": second, "shop2": third}
        write(tmp_path / "env", databases)
        survives(tmp_path / "env", databases, "shop1")


@pytest.mark.parametrize(("files", "servers"), [(5, 2), pytest.param(50, 10, marks=pytest.mark.campaign)])
def test_so_many_may_fail_while_the_others_go_on(
    postgres_server: PostgresServer, tmp_path: Path, files: int, servers: int
) -> None:
    """Row 25: files and databases of a server, one poisoned, then two more."""
    with ExitStack() as stack:
        databases: dict[str, Database] = {f"f{n:02}": SqliteDatabase(tmp_path / f"{n}.db") for n in range(files)}
        databases |= {f"p{n:02}": stack.enter_context(fresh_postgres(postgres_server)) for n in range(servers)}
        for one in databases.values():
            one.load("CREATE TABLE here (id integer);")
        folder = tmp_path / "env"
        write(folder, databases, max_failures=1)
        databases["f01"].load("CREATE TABLE b (id integer);")
        with pytest.raises(FleetError, match=f"1 of {files + servers} databases failed, the others went on") as caught:
            run(folder)
        assert caught.value.failures.keys() == {"f01"}
        assert caught.value.done == databases.keys() - {"f01"}
        assert apply_states(folder) == {name: "failed" if name == "f01" else "done" for name in databases}

        (folder / "migrations" / "0003_c.sql").write_text("CREATE TABLE c (id integer);\n")
        databases["f02"].load("CREATE TABLE c (id integer);")
        with pytest.raises(FleetError, match=f"2 of {files + servers} databases failed, more than maxFailures, 1") as caught:
            run(folder)
        assert caught.value.failures.keys() == {"f01", "f02"}
        assert caught.value.done == {"f00"} and len(caught.value.context["left"]) == files + servers - 3
        assert "p00" in caught.value.message or files > 5
        assert "statements stand" in caught.value.message or "nothing of the migration stands" in caught.value.message

        databases["f01"].load("DROP TABLE b;")
        databases["f02"].load("DROP TABLE c;")
        assert run(folder) == "done"
        for name, database in databases.items():
            assert database.rows("SELECT id FROM a") == [(1,)], name
            assert database.rows("SELECT id FROM c") == [], name
        assert run(folder) == "nothing"


def test_a_failure_beside_the_fleet_stops_all_and_hides_none() -> None:
    steps = tuple(Step(on=name, title="t", do=(), order=place) for place, name in enumerate(("a", "b", "c")))
    entry = Entry(Change(address="schema/x", action="update"), steps)
    fleet = Fleet(Plan(dbops_version="", environment="", created_at="", fingerprints={}, entries=(entry,)))
    fleet.note("a", ApplyError("first"), Rollout("fleet", 3))
    with pytest.raises(FleetError, match="2 of 3 databases failed, and what failed on b stops the others") as caught:
        fleet.note("b", ApplyError("second"), None)
    assert caught.value.failures.keys() == {"a", "b"} and caught.value.context["left"] == ["c"]
    with pytest.raises(ApplyError, match="alone"):
        Fleet(fleet.plan).note("a", ApplyError("alone"), None)


def test_what_is_said_by_hand_of_many_databases_is_told_with_the_name_of_each(tmp_path: Path) -> None:
    databases: dict[str, Database] = {name: SqliteDatabase(tmp_path / f"{name}.db") for name in ("a", "b")}
    write(tmp_path / "env", databases)
    with open_workspace(tmp_path / "env") as workspace:
        for name in databases:
            workspace.targets.engine(name).create_database(workspace.targets.target(name))
        assert records.baseline(workspace, "1", YES) == {"a": ["0001_a"], "b": ["0001_a"]}
        assert records.resolve(workspace, "2", "applied", YES) == ["0002_b on a", "0002_b on b"]


def test_what_is_true_of_one_database_is_not_said_of_all(tmp_path: Path) -> None:
    databases: dict[str, Database] = {name: SqliteDatabase(tmp_path / f"{name}.db") for name in ("a", "b", "c")}
    for one in databases.values():
        one.load("CREATE TABLE here (id integer);")
    databases["b"].load("CREATE TABLE b (id integer);")
    write(tmp_path / "env", databases)
    assert command(["migrate", "baseline", "1", str(tmp_path / "env"), "--set", "fleet@c"]) == 0
    assert command(["migrate", "up", str(tmp_path / "env"), "--auto-approve"]) == 1
    with open_workspace(tmp_path / "env") as workspace:
        with pytest.raises(MigrationError, match=r"0002 does not stand alike.*applied on a; failed on b; pending on c") as caught:
            records.resolve(workspace, "0002", "applied", YES)
        assert caught.value.fix == "say it of each by itself: --set fleet@b"
        with pytest.raises(MigrationError, match="a has had migrations already"):
            records.baseline(workspace, "2", YES)
        assert records.resolve(workspace, "0002", "applied", YES, "fleet@b") == ["0002_b"]
        found = {one.connection: [standing.state for standing in one.standings] for one in status(workspace)}
    assert found == {"a": ["applied", "applied"], "b": ["applied", "applied"], "c": ["baselined", "pending"]}
