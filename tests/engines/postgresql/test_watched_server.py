"""What is seen of a server that counts statements, fails to archive, keeps slots and transactions, and checks its pages."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from dbops import DatabaseMonitor
from dbops.engines.base.advice import Verdict
from dbops.engines.base.connect import Target
from dbops.engines.base.metrics import Look
from dbops.engines.base.url import parse_url
from dbops.engines.base.workload import NOT_PLANNED
from dbops.usecases.advise import advise
from dbops.usecases.monitor import metrics_store
from dbops.usecases.runtime import engine_for, open_workspace
from dbops.usecases.workload import Wish, costliest
from tests.engines.three_states import sees_what_is_true_and_all_once_granted, verdicts
from tests.servers import PostgresServer
from tests.servers.alone import alone
from tests.servers.programs import ServerError, free_port, run, server_account
from tests.servers.releases import programs

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "archive_mode": "on",
    "archive_command": "false",
    "max_prepared_transactions": "5",
    "wal_level": "logical",
    "shared_buffers": "160MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}

#: What is wrong with a setting, and what is right.
ALTERED = {
    "zero_damaged_pages": ("on", "off"),
    "ignore_checksum_failure": ("on", "off"),
    "allow_system_table_mods": ("on", "off"),
    "autovacuum": ("off", "on"),
    "track_counts": ("off", "on"),
    "idle_in_transaction_session_timeout": ("0", "1min"),
    "track_io_timing": ("off", "on"),
    "statement_timeout": ("0", "1min"),
    "lock_timeout": ("0", "5s"),
    "log_min_duration_statement": ("-1", "1s"),
    "log_lock_waits": ("off", "on"),
    "log_temp_files": ("-1", "10MB"),
    "log_autovacuum_min_duration": ("-1", "10min"),
    "random_page_cost": ("4", "1.1"),
    "max_wal_size": ("512MB", "4GB"),
    "work_mem": ("4MB", "16MB"),
    "maintenance_work_mem": ("64MB", "256MB"),
}
FIXED = ("fsync", "full_page_writes", "synchronous_commit", "shared_buffers", "data_checksums")
"""Settings of the command line; what is wrong with them is so on the server that the other tests share."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with alone(PostgresServer, SETTINGS, _with_checksums) as made:
        made.psql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE t (id int PRIMARY KEY, n int);")
        yield made


def _with_checksums(made: PostgresServer) -> None:
    command = [str(programs(None).server / "pg_checksums"), "--enable", "--no-sync", "-D", str(made.home / "data")]
    run(command, cwd=made.home, **server_account(made.account))


def look_at(server: PostgresServer) -> Look:
    target = Target("watched", parse_url(server.admin_url))
    with closing(engine_for(target.url).connect(target, readonly=True)) as conn:
        return engine_for(target.url).metrics.look(conn, objects=5)


def of(look: Look, metric: str) -> dict[tuple[str, ...], float]:
    return {value.labels: value.number for value in look.values if value.metric == metric}


def ask(server: PostgresServer, id_: str, **thresholds: float) -> Verdict:
    target = Target("watched", parse_url(server.admin_url))
    engine = engine_for(target.url)
    with closing(engine.connect(target, readonly=True)) as conn:
        rules = [rule for rule in engine.advice.rules if rule.id == id_]
        (verdict,) = engine.advice.ask(conn, rules, {id_: thresholds})
    return verdict


def test_statements_are_counted_and_their_time(server: PostgresServer) -> None:
    before = look_at(server)
    assert not {item.metric for item in before.unseen} & {
        "statements_total",
        "statement_seconds_total",
        "checksum_failures_total",
    }
    server.psql("postgres", "SELECT pg_sleep(0.2);")
    after = look_at(server)
    assert of(after, "statements_total")[()] > of(before, "statements_total")[()]
    assert of(after, "statement_seconds_total")[()] - of(before, "statement_seconds_total")[()] >= 0.2


def test_slow_frequent_and_spilling_statements_are_found(server: PostgresServer) -> None:
    server.psql("postgres", "SELECT pg_stat_statements_reset();")
    server.psql("postgres", "SELECT pg_sleep(0.06); SELECT pg_sleep(0.06);")
    (slow,) = ask(server, "PG-STM-001", min_calls=2, milliseconds=50).findings
    assert "2 calls: SELECT pg_sleep($1)" in slow.evidence
    (most,) = ask(server, "PG-STM-002", min_calls=2, share=0.5).findings
    assert most.object == slow.object
    assert ask(server, "PG-STM-001").state == "pass"
    server.psql(
        "postgres",
        "SET work_mem = '64kB'; SELECT count(*) FROM (SELECT i FROM generate_series(1, 300000) AS i ORDER BY -i) AS q;",
    )
    (spills,) = ask(server, "PG-STM-003").findings
    assert "generate_series" in spills.evidence
    server.psql("postgres", "".join(f"SELECT n FROM t WHERE id = {n};" for n in range(50)))
    (many,) = ask(server, "PG-STM-004", min_calls=50).findings
    assert "SELECT n FROM t WHERE id = $1" in many.evidence
    assert ask(server, "PG-EXT-002").state == "pass"


def test_slow_statements_are_told_to_a_program(server: PostgresServer, tmp_path: Path) -> None:
    server.psql("postgres", "SELECT pg_stat_statements_reset();")
    server.psql("postgres", "SELECT pg_sleep(0.06);")
    (slow,) = (
        one for one in DatabaseMonitor(tmp_path, server.admin_url).analyze_slow_queries(0.05) if "pg_sleep" in one.query_text
    )
    assert (slow.source, slow.calls, slow.query_type, slow.query_text) == ("server", 1, "SELECT", "SELECT pg_sleep($1)")
    assert 60 <= slow.execution_time_ms == slow.max_time_ms == slow.total_time_ms


def test_an_archive_that_fails_is_seen(server: PostgresServer) -> None:
    server.psql("postgres", "INSERT INTO t VALUES (1000, 1) ON CONFLICT DO NOTHING; SELECT pg_switch_wal();")
    for _ in range(100):
        look = look_at(server)
        if of(look, "archive_failing") == {(): 1}:
            break
        time.sleep(0.1)
    assert of(look, "archive_failures_total")[()] >= 1
    assert ask(server, "PG-MET-006").state == "fail"


def test_slots_that_nobody_reads_are_seen(server: PostgresServer) -> None:
    server.psql("postgres", "SELECT pg_create_physical_replication_slot('left', true);")
    try:
        look = look_at(server)
        assert of(look, "slot_active") == {("left",): 0}
        assert of(look, "slot_retained_bytes")[("left",)] >= 0
        (found,) = ask(server, "PG-REP-002", bytes=-1).findings
        assert found.object == "left" and found.sql == "SELECT pg_drop_replication_slot('left');"
        assert ask(server, "PG-REP-002").state == "pass"
    finally:
        server.psql("postgres", "SELECT pg_drop_replication_slot('left');")


def test_prepared_transactions_that_nobody_ends_are_seen(server: PostgresServer) -> None:
    server.psql("postgres", "BEGIN; INSERT INTO t VALUES (1, 1); PREPARE TRANSACTION 'forgotten';")
    try:
        assert of(look_at(server), "prepared_transactions") == {(): 1}
        (found,) = ask(server, "PG-TXN-005", seconds=0).findings
        assert found.sql == "ROLLBACK PREPARED 'forgotten';"
        assert "prepared transaction forgotten" in {one.object for one in ask(server, "PG-TXN-004", max_age=-1).findings}
    finally:
        server.psql("postgres", "ROLLBACK PREPARED 'forgotten';")
    assert ask(server, "PG-TXN-005", seconds=0).state == "pass"


def test_pages_with_checksums_and_files_that_are_right_are_well(server: PostgresServer) -> None:
    assert ask(server, "PG-MET-007").state == "pass"
    assert ask(server, "PG-SET-data_checksums").state == "pass"
    assert ask(server, "PG-SET-fileerr").state == "pass"
    config = server.home / "data" / "postgresql.conf"
    text = config.read_text()
    try:
        config.write_text(text + "no_such_setting = 1\n")
        (found,) = ask(server, "PG-SET-fileerr").findings
        assert "no_such_setting" in found.object
    finally:
        config.write_text(text)


def test_settings_that_wait_for_a_restart_are_named(server: PostgresServer) -> None:
    server.psql("postgres", "ALTER SYSTEM SET max_locks_per_transaction = 128;")
    server.psql("postgres", "SELECT pg_reload_conf();")
    try:
        for _ in range(50):
            if ask(server, "PG-SET-pending").findings:
                break
            time.sleep(0.1)
        assert ask(server, "PG-SET-pending").findings[0].object == "max_locks_per_transaction"
        assert ask(server, "PG-SET-fileerr").state == "pass"
    finally:
        server.psql("postgres", "ALTER SYSTEM RESET max_locks_per_transaction;")
        server.psql("postgres", "SELECT pg_reload_conf();")


def test_the_statements_that_cost_most_are_told_with_their_texts(server: PostgresServer) -> None:
    server.psql("postgres", "SELECT pg_stat_statements_reset();")
    server.psql("postgres", "SELECT pg_sleep(0.1); SELECT n FROM t WHERE id = 1; SELECT n FROM t WHERE id = 2;")
    target = Target("watched", parse_url(server.admin_url))
    engine = engine_for(target.url)
    with closing(engine.connect(target, readonly=True)) as conn:
        slowest = engine.workloads.costliest(conn, by="total", limit=1).statements[0]
        assert slowest.text == "SELECT pg_sleep($1)" and slowest.calls == 1
        assert slowest.total_s >= 0.1 and slowest.mean_s == slowest.total_s == slowest.most_s and slowest.share > 0.5
        (rows,) = engine.workloads.costliest(conn, by="reads", limit=1).statements
        assert rows.reads > 0
        assert 2 in {one.calls for one in engine.workloads.costliest(conn, by="calls", limit=10).statements}


def test_index_advice_hears_of_the_statements_that_are_counted(server: PostgresServer, tmp_path: Path) -> None:
    if not server.rows("postgres", "SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'"):
        pytest.skip("HypoPG is not installed: apt install postgresql-15-hypopg")
    server.psql(
        "postgres",
        """
        CREATE EXTENSION hypopg; CREATE TABLE visits (id int PRIMARY KEY, person int, at int);
        INSERT INTO visits SELECT i, i % 3000, i FROM generate_series(1, 30000) AS i; ANALYZE visits;
        SELECT pg_stat_statements_reset();""",
    )
    slow = "SELECT at FROM visits WHERE person = {} AND at BETWEEN {} AND {} LIMIT 5;"
    server.psql("postgres", "".join(slow.format(n, n, n + 10000) for n in range(20)))
    (tmp_path / "c.yaml").write_text(
        f"apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: w}}\nspec: {{url: '{server.admin_url}'}}\n"
    )
    with open_workspace(tmp_path) as workspace:
        ((verdict,),) = [one.verdicts for one in advise(workspace, rules=["PG-IDX-008"])]
    (found,) = verdict.findings
    assert found.object == "public.visits (person)" or found.object == "public.visits (person, at)"
    (statement,) = found.details["statements"]
    assert statement["calls"] == 20 and statement["total_s"] > 0 and "person = $1" in statement["text"]

    def took() -> float:
        server.psql("postgres", "SELECT pg_stat_statements_reset();")
        server.psql("postgres", "".join(slow.format(n, n, n + 10000) for n in range(20)))
        query = "SELECT sum(total_exec_time) FROM pg_stat_statements WHERE query LIKE '%person = %'"
        return float(server.rows("postgres", query)[0][0])

    before = took()
    server.psql("postgres", str(found.sql))
    assert took() < before / 10


def test_a_plan_is_shown_of_a_statement_without_its_values_and_nothing_stays_of_it(server: PostgresServer) -> None:
    server.psql("postgres", "SELECT pg_stat_statements_reset();")
    server.psql(
        "postgres", "SELECT n FROM t WHERE id = 1; UPDATE t SET n = 5 WHERE id = -1; CREATE TABLE u (a int); DROP TABLE u;"
    )
    target = Target("watched", parse_url(server.admin_url))
    engine = engine_for(target.url)
    with closing(engine.connect(target, readonly=True)) as conn:
        found = {one.text: one for one in engine.workloads.costliest(conn, by="total", limit=50).statements}
        read = engine.workloads.plan(conn, found["SELECT n FROM t WHERE id = $1"])
        assert "Index" in read.lines[0] or "Bitmap" in read.lines[0]
        change = engine.workloads.plan(conn, found["UPDATE t SET n = $1 WHERE id = $2"])
        assert change.lines[0].startswith("Update on t")
        assert engine.workloads.plan(conn, found["CREATE TABLE u (a int)"]).why == NOT_PLANNED.why
        several = engine.workloads.plan(
            conn, replace(found["CREATE TABLE u (a int)"], text="SELECT 1; COMMIT; CREATE TABLE v (a int)")
        )
        assert "multiple commands" in several.why
        assert conn.query("SELECT count(*) FROM pg_prepared_statements WHERE name = 'dbops_sample'") == [(0,)]
    assert server.rows("postgres", "SELECT to_regclass('v')") == [(None,)]


def test_what_statements_cost_between_looks_is_kept_also_across_a_reset(server: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        f"apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{server.admin_url}'}}\n"
    )
    slow, text = "SELECT pg_sleep(0.01);", "SELECT pg_sleep($1)"

    def calls(now: float) -> int:
        with open_workspace(tmp_path) as workspace, metrics_store(workspace, None) as store:
            (asked,) = costliest(workspace, store, Wish(since_s=3600, limit=1000), now=now)
        return {one.text: one.calls for one in asked.workload.statements}.get(text, 0)

    server.psql("postgres", slow * 5)
    assert calls(1000.0) == 0
    server.psql("postgres", slow * 2)
    assert calls(1060.0) == 2
    server.psql("postgres", slow + "SELECT pg_stat_statements_reset();" + slow * 3)
    assert calls(1120.0) == 2 + 3
    assert calls(1120.5) == 2 + 3
    server.psql("postgres", slow)
    assert calls(1180.0) == 2 + 3 + 1


@pytest.mark.parametrize("role", ["pg_monitor", None])
def test_no_account_is_told_that_all_is_well_where_it_cannot_see(
    server: PostgresServer, tmp_path: Path, role: str | None
) -> None:
    case = yaml.safe_load((Path(__file__).parents[2] / "conformance" / "advice" / "postgresql.yaml").read_text())
    thresholds = {id_: one["thresholds"] for id_, one in case["finds"].items() if "thresholds" in one}
    name, database = f"sees_{role}".lower(), server.new_database("seen")
    server.psql(database, "CREATE EXTENSION pg_stat_statements;" + case["bad"])
    server.psql(database, f"CREATE ROLE {name} LOGIN PASSWORD 'pw';" + (f"GRANT {role} TO {name};" if role else ""))
    server.psql(database, "SELECT count(*) FROM twins WHERE b = 1;")
    hidden = sees_what_is_true_and_all_once_granted(
        tmp_path, server.tcp_url(database, name, "pw"), server.url(database), lambda sql: server.psql(database, sql), thresholds
    )
    assert set(hidden) <= {"PG-IDX-008"}  # HypoPG is missing, which no grant helps


@pytest.mark.parametrize("place", [0, 1], ids=["wrong", "right"])
def test_settings_that_are_wrong_are_told_and_those_that_are_right_are_not(server: PostgresServer, place: int) -> None:
    try:
        for name, values in ALTERED.items():
            server.psql("postgres", f"ALTER SYSTEM SET {name} = '{values[place]}';")
        server.psql("postgres", "SELECT pg_reload_conf();")
        expected = dict.fromkeys((f"PG-SET-{name}" for name in ALTERED), "pass" if place else "fail")
        for _ in range(50):
            seen = verdicts(server.admin_url, {})
            if {id_: seen[id_].state for id_ in expected} == expected:
                break
            time.sleep(0.1)
        assert {id_: seen[id_].state for id_ in expected} == expected
        if place:  # nothing else is said of a server that is set up well, but for what other tests do to it
            said = {id_ for id_, one in seen.items() if one.state != "pass" and one.rule.scope == "server"}
            assert said <= {"PG-MET-006", "PG-MET-007", "PG-SET-pending"}
    finally:
        server.psql("postgres", "ALTER SYSTEM RESET ALL;")
        server.psql("postgres", "SELECT pg_reload_conf();")


def test_settings_of_the_command_line_too(server: PostgresServer, postgres_server: PostgresServer) -> None:
    right, wrong = verdicts(server.admin_url, {}), verdicts(postgres_server.admin_url, {})
    assert {name: (wrong[f"PG-SET-{name}"].state, right[f"PG-SET-{name}"].state) for name in FIXED} == dict.fromkeys(
        FIXED, ("fail", "pass")
    )


def test_old_extensions_and_other_rules_of_sorting_are_told(server: PostgresServer) -> None:
    ids = {"PG-EXT-001", "PG-COLL-001"}
    server.psql("postgres", "CREATE DATABASE sorts TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C';")
    server.psql("sorts", "CREATE EXTENSION pg_stat_statements;")
    seen = verdicts(server.url("sorts"), {})
    assert {id_: seen[id_].state for id_ in ids} == dict.fromkeys(ids, "pass")
    server.psql("sorts", "DROP EXTENSION pg_stat_statements; CREATE EXTENSION pg_stat_statements VERSION '1.9';")
    server.psql("postgres", "UPDATE pg_database SET datcollversion = '1' WHERE datname = 'sorts';")
    seen = verdicts(server.url("sorts"), {})
    assert {id_: [one.object for one in seen[id_].findings] for id_ in ids} == {
        "PG-EXT-001": ["pg_stat_statements"],
        "PG-COLL-001": ["sorts"],
    }


def test_damaged_pages_are_told(server: PostgresServer) -> None:
    server.psql("postgres", "CREATE TABLE hurt AS SELECT i FROM generate_series(1, 1000) AS i;")
    server.psql("postgres", "VACUUM FULL hurt;")  # writes the pages past the cache
    server.psql("postgres", "CHECKPOINT;")
    ((path,),) = server.rows("postgres", "SELECT pg_relation_filepath('hurt')")
    with (server.home / "data" / path).open("r+b") as file:
        file.seek(4000)
        file.write(b"damage")
    with pytest.raises(ServerError, match="invalid page"):
        server.psql("postgres", "SELECT count(*) FROM hurt;")
    server.psql("postgres", "DROP TABLE hurt;")
    for _ in range(50):
        if found := ask(server, "PG-MET-007").findings:
            break
        time.sleep(0.1)
    assert found[0].object == "postgres" and "1 checksum failures" in found[0].evidence


@pytest.mark.campaign
def test_a_log_without_what_copies_need_is_told() -> None:
    with alone(PostgresServer, {"wal_level": "minimal", "max_wal_senders": "0"}) as careless:
        assert verdicts(careless.admin_url, {})["PG-SET-wal_level"].state == "fail"


@pytest.mark.campaign
def test_a_replica_that_is_behind_is_told(server: PostgresServer) -> None:
    home = server.home / "standby"
    account = server_account(server.account)
    copy = [str(programs(None).clients / "pg_basebackup"), "-h", str(server.home), "-p", str(server.port), "-U", server.user]
    run([*copy, "-D", str(home / "data"), "-R", "--checkpoint=fast", "--no-sync"], cwd=server.home, **account)
    standby = PostgresServer(home, free_port())
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
    with subprocess.Popen([*standby.command(), *options], cwd=home, stderr=subprocess.DEVNULL, **account) as process:
        try:
            until(standby.is_ready)
            until(lambda: server.rows("postgres", "SELECT 1 FROM pg_stat_replication WHERE replay_lsn IS NOT NULL") != [])
            assert ask(server, "PG-REP-001").state == "pass"
            standby.psql("postgres", "SELECT pg_wal_replay_pause();")
            server.psql("postgres", "INSERT INTO t SELECT i, i FROM generate_series(5000, 9000) AS i;")
            until(lambda: ask(server, "PG-REP-001", bytes=1000, seconds=1000).state == "fail")
        finally:
            process.terminate()
            process.wait(30)


def until(holds: Callable[[], bool]) -> None:
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come about within ten seconds")
