"""Each rule finds what is planted, says nothing of what is well, and its SQL mends what it found: advice/<engine>.yaml."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.engines.base.advice import Verdict
from dbops.engines.base.connect import Connection, Target, Timeouts
from dbops.engines.base.engine import Engine
from dbops.engines.base.url import parse_url
from dbops.usecases.runtime import ENGINES, engine_for, engine_named
from tests.databases import Database, SqliteDatabase
from tests.servers import PostgresServer

CASES = Path(__file__).parent / "advice"


@lru_cache
def cases(engine: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CASES / f"{engine}.yaml").read_text(encoding="utf-8"))
    return found


@contextmanager
def session(url: str, *, readonly: bool = True) -> Iterator[tuple[Engine, Connection]]:
    target = Target("shop", parse_url(url), timeouts=Timeouts(lock_s=20))
    engine = engine_for(target.url)
    with closing(engine.connect(target, readonly=readonly)) as conn:
        yield engine, conn


def ask(url: str, *ids: str, thresholds: dict[str, dict[str, float]] | None = None) -> dict[str, Verdict]:
    with session(url) as (engine, conn):
        rules = [rule for rule in engine.advice.rules if not ids or rule.id in ids]
        return {verdict.rule.id: verdict for verdict in engine.advice.ask(conn, rules, thresholds or {})}


def test_each_rule_finds_what_is_planted_and_can_be_asked_in_one_go(database: Database) -> None:
    case = cases(database.engine)
    database.load(case["bad"])
    for one in case["finds"].values():
        if "setup" in one:
            database.load(one["setup"] + ";")
    thresholds = {id_: one["thresholds"] for id_, one in case["finds"].items() if "thresholds" in one}
    if database.engine == "mysql":
        while database.rows("SHOW GLOBAL STATUS LIKE 'Uptime'") == [("Uptime", "0")]:  # nothing is a rate in the first second
            time.sleep(0.1)
    found = ask(database.url, *case["finds"], thresholds=thresholds)
    name = getattr(database, "name", "")
    missing = []
    for id_, one in case["finds"].items():
        wanted = one["object"].replace("{database}", name)
        evidence = {finding.object: finding.evidence for finding in found[id_].findings}
        seen = [text for thing, text in evidence.items() if thing == wanted and str(one.get("evidence", "")) in text]
        if not seen or one.get("not") in evidence:
            missing.append((id_, found[id_].state, evidence, found[id_].why))
    assert missing == []


def test_nothing_is_said_of_what_is_well(database: Database) -> None:
    case = cases(database.engine)
    database.load(case["good"])
    found = ask(database.url)
    said = {id_: verdict.findings for id_, verdict in found.items() if verdict.state == "fail" and verdict.rule.scope == "object"}
    assert said == {}
    if database.engine == "sqlite":
        assert {id_ for id_, verdict in found.items() if verdict.state != "pass"} == set()


def test_every_rule_can_be_asked(database: Database) -> None:
    """No rule's SQL is refused: an unknown has its reason in a probe, which says what helps."""
    database.load(cases(database.engine)["good"])
    refused = {id_: verdict.why for id_, verdict in ask(database.url).items() if verdict.state == "unknown" and not verdict.fix}
    assert refused == {}


def test_the_sql_of_a_rule_mends_what_it_found(database: Database) -> None:
    case = cases(database.engine)
    database.load(case["bad"])
    thresholds = {id_: one["thresholds"] for id_, one in case["finds"].items() if "thresholds" in one}
    with session(database.url, readonly=False) as (engine, conn):
        rules = [rule for rule in engine.advice.rules if rule.scope == "object" and rule.id in case["finds"]]
        for rule in rules:
            if rule.id in thresholds or rule.id == "PG-IDX-003":  # what was only called wrong stays so; an index is dropped once
                continue
            (verdict,) = engine.advice.ask(conn, [rule], thresholds)
            mended = [finding for finding in verdict.findings if finding.sql]
            for finding in mended:
                conn.execute(str(finding.sql))
            if mended:
                (after,) = engine.advice.ask(conn, [rule], thresholds)
                assert {f.object for f in after.findings}.isdisjoint({f.object for f in mended}), rule.id


def test_sessions_that_wait_idle_or_take_long_are_named(database: Database) -> None:
    if database.engine == "sqlite":
        return
    database.load("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, 0);")
    change = "UPDATE t SET n = n + 1 WHERE id = 1"
    ids = ("PG-TXN-001", "PG-TXN-002", "PG-TXN-003", "MY-TXN-001", "MY-TXN-002")
    thresholds = {id_: {"seconds": 0} for id_ in ids}
    with session(database.url, readonly=False) as (_, holder), session(database.url, readonly=False) as (_, waiter):
        waiting = threading.Thread(target=waiter.execute, args=(change,))
        with holder.transaction():
            holder.execute(change)
            waiting.start()
            for _ in range(100):
                found = ask(database.url, *ids, thresholds=thresholds)
                if all(verdict.findings for verdict in found.values()):
                    break
                threading.Event().wait(0.1)
        waiting.join(30)
    assert {id_: verdict.state for id_, verdict in found.items()} == dict.fromkeys(found, "fail")
    assert len(found) == (3 if database.engine == "postgresql" else 2)


def test_a_damaged_file_is_told(sqlite_database: SqliteDatabase) -> None:
    sqlite_database.load("CREATE TABLE t (a PRIMARY KEY); INSERT INTO t SELECT randomblob(500) FROM pragma_function_list;")
    assert ask(sqlite_database.url, "LT-INT-001")["LT-INT-001"].state == "pass"
    with sqlite_database.path.open("r+b") as file:
        file.seek(2 * 4096 + 100)
        file.write(b"x" * 3000)
    assert ask(sqlite_database.url, "LT-INT-001")["LT-INT-001"].state == "fail"


def test_files_that_everybody_may_touch_are_told() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        file = Path(folder) / "open.db"
        database = SqliteDatabase(file)
        database.load("CREATE TABLE t (a);")
        file.chmod(0o646)
        assert ask(database.url, "LT-SEC-001")["LT-SEC-001"].state == "pass"  # nobody else gets into the folder
        Path(folder).chmod(0o711)
        (found,) = ask(database.url, "LT-SEC-001")["LT-SEC-001"].findings
        assert (found.object, found.evidence) == ("open.db", "may be read and written by everybody (0646)")
        file.chmod(0o640)
        assert ask(database.url, "LT-SEC-001")["LT-SEC-001"].state == "pass"


def test_a_journal_that_stays_and_a_log_that_grows_are_told(sqlite_database: SqliteDatabase) -> None:
    sqlite_database.load("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    with closing(sqlite3.connect(sqlite_database.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (2)")
        (found,) = ask(sqlite_database.url, "LT-SEC-002", thresholds={"LT-SEC-002": {"seconds": -1}})["LT-SEC-002"].findings
        assert found.object == "test.db-journal"
        assert ask(sqlite_database.url, "LT-SEC-002")["LT-SEC-002"].state == "pass"
        writer.execute("ROLLBACK")
        writer.execute("PRAGMA journal_mode = wal")
        writer.execute("INSERT INTO t VALUES (3)")
        (found,) = ask(sqlite_database.url, "LT-MET-001", thresholds={"LT-MET-001": {"bytes": 1000}})["LT-MET-001"].findings
        assert found.object == "test.db-wal"
        assert ask(sqlite_database.url, "LT-MET-001")["LT-MET-001"].state == "pass"


@pytest.mark.parametrize(
    ("share", "state"), [(0.05, "fail"), (0.3, "pass"), (0.9, "fail")], ids=["too little", "enough", "too much"]
)
def test_what_a_server_takes_for_its_cache_is_held_against_the_memory_that_somebody_told(
    database: Database, share: float, state: str
) -> None:
    if database.engine == "sqlite":
        pytest.skip("a cache of each session's own")
    setting, unit = {"postgresql": ("shared_buffers", 8192), "mysql": ("innodb_buffer_pool_size", 1)}[database.engine]
    asked = {
        "postgresql": f"SELECT setting::bigint FROM pg_settings WHERE name = '{setting}'",
        "mysql": f"SELECT @@{setting}",
    }
    size = int(database.rows(asked[database.engine])[0][0]) * unit
    id_ = f"{'PG' if database.engine == 'postgresql' else 'MY'}-SET-{setting}"
    verdict = ask(database.url, id_, thresholds={id_: {"memory": size // share}})[id_]
    assert verdict.state == state, verdict
    assert all(f"{share:.0%} of " in finding.evidence for finding in verdict.findings)


@pytest.mark.majors
def test_a_version_that_gets_no_more_fixes_is_told(postgres_server: PostgresServer) -> None:
    major = int(postgres_server.rows("postgres", "SHOW server_version_num")[0][0]) // 10000
    if 14 <= major < 18:
        pytest.skip("its support ends while this test lives")
    state = ask(postgres_server.admin_url, "PG-VER-001")["PG-VER-001"].state
    assert state == ("fail" if major < 14 else "pass")


@pytest.mark.parametrize("engine", ENGINES)
def test_rules_have_names_of_their_own_and_say_what_to_do(engine: str) -> None:
    rules = engine_named(engine).advice.rules
    spans = [(rule.id, rule.versions) for rule in rules]
    assert len(set(spans)) == len(spans)
    assert all(rule.title and rule.remedy for rule in rules)
    assert cases(engine)["finds"].keys() <= {rule.id for rule in rules}
