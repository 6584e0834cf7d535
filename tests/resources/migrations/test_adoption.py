"""Histories of other runners taken over: the rows of `cases/adoption.yaml`, and what holds of every adoption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.errors import DbopsError, HazardError, MigrationError
from dbops.usecases.apply import Consent
from dbops.usecases.migrate.adopt import Adoption, Source, adopt
from dbops.usecases.migrate.extent import Extent
from dbops.usecases.migrate.running import up
from dbops.usecases.runtime import open_workspace
from tests import commands
from tests.databases import Database, SqliteDatabase
from tests.resources.migrations.sets import YES, Migrations

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "adoption.yaml").read_text())
ROWS = [
    pytest.param(engine, case, id=f"{engine}: {case['name']}") for case in CASES for engine in case.get("engines", ["sqlite"])
]


ANY = Source()


def adopted(migrations: Migrations, source: Source = ANY, *, dry_run: bool = False) -> list[Adoption]:
    with open_workspace(migrations.folder) as workspace:
        return adopt(workspace, YES, source, dry_run=dry_run)


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The database of the engine that a row names."""
    names = {"sqlite": "sqlite_database", "postgresql": "pg_database", "mysql": "my_database"}
    with ExitStack():
        yield request.getfixturevalue(names[request.node.callspec.params["engine"]])


@pytest.mark.parametrize(("engine", "case"), ROWS)
def test_history_is_taken_over_as_its_row_says(engine: str, case: dict[str, Any], fresh: Database, tmp_path: Path) -> None:
    fresh.load(case["history"])
    migrations = Migrations.make(fresh, tmp_path)
    for name, text in case["files"].items():
        (tmp_path / "migrations" / name).write_text(text, encoding="utf-8", newline="")
    before = fresh.dump()
    source = Source(**case.get("source", {}))
    if "refused" in case:
        with pytest.raises(DbopsError) as refusal:
            adopted(migrations, source)
        told = refusal.value.explain()
        assert [words for words in case["refused"] if words not in told] == [], told
        assert not [one for one in migrations.status().standings if one.record]
    else:
        adopted(migrations, source)
        found = {one.id: one for one in migrations.status().standings}
        assert {name: one.state for name, one in found.items()} == case["expect"]
        records = {name: one.record for name, one in found.items() if one.record is not None}
        assert {name: records[name].who for name in case.get("who", {})} == case.get("who", {})
        assert {name: records[name].finished_at for name in case.get("at", {})} == case.get("at", {})
        if "places" in case:
            assert [one.version for one in sorted(records.values(), key=lambda one: one.position)] == case["places"]
    assert fresh.dump() == before


DBMATE = "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY); INSERT INTO schema_migrations VALUES ('1'), ('2');"


@pytest.fixture
def two_applied(database: Database, tmp_path: Path) -> Migrations:
    """Two migrations that dbmate applied, and one that it did not."""
    database.load(DBMATE + "CREATE TABLE a (x integer); CREATE TABLE b (x integer);")
    migrations = Migrations.make(database, tmp_path)
    for number, name in ((1, "a"), (2, "b"), (3, "c")):
        migrations.write(
            f"{number}_{name}.sql", f"-- migrate:up\nCREATE TABLE {name} (x integer);\n-- migrate:down\nDROP TABLE {name};\n"
        )
    return migrations


def test_what_was_taken_over_is_not_run_and_what_is_left_is(two_applied: Migrations) -> None:
    adopted(two_applied)
    assert [str(entry.change.address) for entry in two_applied.plan().entries] == ["migrationset/shop/3_c"]
    two_applied.up()
    assert set(two_applied.states().values()) == {"applied"}
    assert two_applied.plan().entries == ()


def test_what_was_taken_over_can_be_taken_back(two_applied: Migrations) -> None:
    adopted(two_applied)
    two_applied.down()
    assert two_applied.states() == {"1_a": "applied", "2_b": "pending", "3_c": "pending"}


def test_an_edit_of_what_was_taken_over_is_told_as_any_other(two_applied: Migrations) -> None:
    adopted(two_applied)
    two_applied.write("1_a.sql", "-- migrate:up\ncreate table a (x integer); -- as it was\n")
    two_applied.write("2_b.sql", "-- migrate:up\nCREATE TABLE b (x bigint);\n")
    assert two_applied.states() == {"1_a": "cosmetic", "2_b": "changed", "3_c": "pending"}


def test_a_dry_run_writes_nothing(two_applied: Migrations) -> None:
    assert len(adopted(two_applied, dry_run=True)[0].taken) == 2
    assert set(two_applied.states().values()) == {"pending"}


def test_a_history_is_taken_over_once(two_applied: Migrations) -> None:
    adopted(two_applied)
    with pytest.raises(MigrationError, match="knows 1 and 1 more already"):
        adopted(two_applied)


def test_the_command_says_what_it_took_over(sqlite_database: Database, tmp_path: Path) -> None:
    sqlite_database.load(DBMATE)
    migrations = Migrations.make(sqlite_database, tmp_path)
    for name in ("1_a.sql", "2_b.sql", "3_c.sql"):
        migrations.write(name, "SELECT 1;\n")

    def run(*options: str) -> str:
        return commands.run("migrate", "adopt", str(tmp_path), *options).stdout

    assert "shop on shop would take over 2 migrations from dbmate's schema_migrations:" in run("--dry-run")
    found = json.loads(run("-o", "json"))[0]
    assert [one["id"] for one in found["adopted"]] == ["1_a", "2_b"]
    assert found["pending"] == ["3_c"]


def test_the_history_that_sqitch_keeps_in_a_file_of_its_own(sqlite_database: Database, tmp_path: Path) -> None:
    registry = SqliteDatabase(tmp_path / "sqitch.db")
    registry.load(
        "CREATE TABLE changes (change_id TEXT PRIMARY KEY, script_hash TEXT NULL, change TEXT NOT NULL, project TEXT NOT NULL,"
        " committed_at DATETIME NOT NULL, committer_name TEXT NOT NULL);"
        "INSERT INTO changes VALUES"
        " ('1', '8beb3672fce1500e02c8b440c778a24b4013c94c', 'appschema', 'shop', '2026-01-31 12:00:00', 'Ann')"
    )
    sqlite_database.load("CREATE TABLE a (x integer);")
    migrations = Migrations.make(sqlite_database, tmp_path)
    migrations.write("0001_appschema.sql", "CREATE TABLE a (x integer);\n")
    migrations.write("0002_next.sql", "CREATE TABLE b (x integer);\n")
    with pytest.raises(MigrationError, match="yoyo keeps its history in the database"):
        adopted(migrations, Source(tool="yoyo", registry=registry.path))
    with pytest.raises(MigrationError, match="no history of sqitch"):
        adopted(migrations, Source(registry=registry.path, table="other"))
    adopted(migrations, Source(registry=registry.path))
    first = migrations.status().standings[0]
    assert first.record is not None and (first.record.who, first.record.finished_at) == ("Ann", "2026-01-31T12:00:00Z")
    assert migrations.states() == {"0001_appschema": "applied", "0002_next": "pending"}


def test_what_golang_migrate_has_had_is_held_up_with_all_before_it(database: Database, tmp_path: Path) -> None:
    database.load("CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);")
    database.load("INSERT INTO schema_migrations VALUES (2, false);")
    migrations = Migrations.make(database, tmp_path)
    for n in (1, 2, 3):
        migrations.write(f"{n}_a.up.sql", f"CREATE TABLE IF NOT EXISTS t{n} (id integer);")
    with open_workspace(migrations.folder) as workspace, pytest.raises(HazardError, match="RUNS_AGAIN"):
        up(workspace, Consent(lambda _: True), Extent(to="1"))
    assert set(migrations.states().values()) == {"pending"}
    assert migrations.up().state == "done", "who allows it lets it run"


def test_a_plan_says_that_another_runner_has_had_the_database(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load("CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);")
    sqlite_database.load("INSERT INTO schema_migrations VALUES ('20260101000000'), ('20250101000000');")
    migrations = Migrations.make(sqlite_database, tmp_path)
    migrations.write("20260101000000_a.sql", "CREATE TABLE IF NOT EXISTS a (id integer);")
    migrations.write("20260102000000_b.sql", "CREATE TABLE IF NOT EXISTS b (id integer);")
    [said] = [one for one in migrations.up(steps=0).plan.observations if one.code == "MIGRATION_ELSEWHERE"]
    assert "dbmate has had this database: its schema_migrations speaks of 20260101000000_a, which" in said.message
    assert "dbops migrate adopt" in said.message
    assert "MIGRATION_ELSEWHERE" in [one.code for one in migrations.plan().observations]
    told = "RUNS_AGAIN: dbmate has applied it: its schema_migrations says so"
    with open_workspace(migrations.folder) as workspace, pytest.raises(HazardError, match=told) as caught:
        up(workspace, Consent(lambda _: True))
    assert "--allow RUNS_AGAIN" in (caught.value.fix or "") and "dbops:allow" not in (caught.value.fix or "")
    assert migrations.states() == {"20260101000000_a": "pending", "20260102000000_b": "pending"}
    sqlite_database.load("DELETE FROM schema_migrations WHERE version < '2026';")
    adopted(migrations)
    assert "MIGRATION_ELSEWHERE" not in [one.code for one in migrations.plan().observations]
