"""Metrics are what the server says itself, move with what they count, and stay where nothing happens: metrics/<engine>.yaml."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops import DatabaseManager
from dbops.engines.base.metrics import METRICS, Look
from dbops.usecases.monitor import metrics_store, read
from dbops.usecases.runtime import engine_named, open_workspace
from tests.conformance.test_metrics import SHOP, look_at, session
from tests.databases import Database, SqliteDatabase
from tests.engines.provoked import quiet_of, stays

CASES = Path(__file__).parent / "metrics"


@pytest.fixture
def case(database: Database) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CASES / f"{database.engine}.yaml").read_text(encoding="utf-8"))
    database.load(SHOP + "INSERT INTO orders VALUES (1, 1, 1), (2, 1, 1);" if database.engine != "sqlite" else SHOP)
    database.load(found["setup"])
    return found


def numbers(look: Look) -> dict[str, float]:
    return {" ".join((value.metric, *value.labels)): value.number for value in look.values}


def own(database: Database, metric: str, asked: dict[str, Any]) -> dict[str, float]:
    """Return what the server says itself, by metric and labels."""
    if "status" in asked:
        ((_, number),) = database.rows(f"SHOW GLOBAL STATUS LIKE '{asked['status']}'")
        return {metric: float(number)}
    return {" ".join((metric, *map(str, row[:-1]))): float(row[-1]) for row in database.rows(asked["sql"])}


def test_numbers_are_what_the_server_says_itself(database: Database, case: dict[str, Any]) -> None:
    """A look stands between two answers of the server; what others do meanwhile may come in between."""
    assert case["own"].keys() <= METRICS.keys()
    apart: dict[str, Any] = {}
    for _ in range(20):
        before = {name: own(database, name, asked) for name, asked in case["own"].items()}
        seen = numbers(look_at(database.url, 50))
        after = {name: own(database, name, asked) for name, asked in case["own"].items()}
        apart = {}
        for name, asked in case["own"].items():
            slack = asked.get("slack", 0) + 1e-5
            for key in before[name].keys() & after[name].keys():
                low, high = sorted((before[name][key], after[name][key]))
                if key not in seen or not low - slack <= seen[key] <= high + slack:
                    apart[key] = (low, seen.get(key), high)
        if not apart:
            return
        threading.Event().wait(0.2)  # statistics come a little later
    assert apart == {}


def test_numbers_move_with_what_they_count_and_stay_where_nothing_happens(database: Database, case: dict[str, Any]) -> None:
    before = numbers(look_at(database.url, 50))
    database.load(case["acts"])
    left: dict[str, Any] = {}
    for _ in range(50):  # statistics come a little later, before PostgreSQL 15 through a process of its own
        after = numbers(look_at(database.url, 50))
        left = {key: (before.get(key), after.get(key)) for key in case["grows"] if not after.get(key, 0) > before.get(key, 0)}
        if not left:
            break
        threading.Event().wait(0.1)
    assert left == {}
    stayed = {key: (before.get(key), after.get(key)) for key in case["stays"] if before.get(key) != after.get(key)}
    assert stayed == {}


NOTHING = ("statements_total", "statement_seconds_total")
"""What nobody counts of a file unless that was switched on."""


def test_numbers_of_a_file_stay_where_nothing_happens(sqlite_database: SqliteDatabase) -> None:
    sqlite_database.load(SHOP + yaml.safe_load((CASES / "sqlite.yaml").read_text(encoding="utf-8"))["setup"])
    stays(sqlite_database.url, quiet_of("sqlite"), NOTHING, engine_named("sqlite").metrics.names)


#: What the test below tells of a file.
TOLD = ("up", "latency_seconds", "log_size_bytes", "statements_total", "statement_seconds_total")


def test_a_file_that_somebody_has_for_himself_a_log_and_no_file_at_all(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load("CREATE TABLE t (a)")
    quick = numbers(look_at(sqlite_database.url))
    with (
        session(sqlite_database.url) as (engine, conn),
        closing(sqlite3.connect(sqlite_database.path, isolation_level=None, check_same_thread=False)) as writer,
    ):
        writer.execute("BEGIN EXCLUSIVE")
        ends = threading.Timer(0.5, writer.execute, ("COMMIT",))
        ends.start()
        slow = numbers(engine.metrics.look(conn, objects=1))
        ends.join()
        writer.execute("PRAGMA journal_mode = wal")
        writer.execute("INSERT INTO t VALUES (1)")
        logging = numbers(look_at(sqlite_database.url))
    assert quick["latency_seconds"] < 0.1 < slow["latency_seconds"]
    assert quick["log_size_bytes"] == 0 < logging["log_size_bytes"]
    sqlite_database.path.with_name("test.db-statements").touch()
    counted = []
    for number in range(3):
        with DatabaseManager(sqlite_database.url) as manager:
            manager.execute_query("SELECT ?", (number,))
        counted.append(numbers(look_at(sqlite_database.url)))
    assert [one["statements_total"] for one in counted] == [1, 2, 3]
    assert 0 < counted[0]["statement_seconds_total"] < counted[1]["statement_seconds_total"]
    for name, url in (("lives", sqlite_database.url), ("dead", "sqlite:////nowhere/at/all.db")):
        (tmp_path / f"{name}.yaml").write_text(
            f"apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: {name}}}\nspec: {{url: '{url}'}}\n"
        )
    with open_workspace(tmp_path) as workspace, metrics_store(workspace, None) as store:
        readings = {one.connection: one.of("up") for one in read(workspace, store)}
    assert readings == {"lives": {(): 1.0}, "dead": {(): 0.0}}
