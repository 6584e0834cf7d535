"""What moves each metric of a PostgreSQL server that is used for nothing else, and that one kept well is silent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from dbops.engines.base.advice import Verdict
from dbops.usecases.monitor import metrics_store, read
from dbops.usecases.runtime import engine_named, open_workspace
from tests.conformance.test_advice import cases
from tests.engines.provoked import moves, numbers, quiet_of, slow_road, stays
from tests.engines.three_states import verdicts
from tests.servers import PostgresServer
from tests.servers.alone import alone
from tests.servers.programs import ServerError, run, server_account
from tests.servers.releases import programs

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "archive_mode": "on",
    "archive_command": "test ! -e refuse",
    "max_prepared_transactions": "5",
    "max_connections": "47",
    "deadlock_timeout": "10ms",
    "wal_level": "replica",
    "shared_buffers": "160MB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "1min",
    "track_io_timing": "on",
    "statement_timeout": "1min",
    "lock_timeout": "5s",
    "log_min_duration_statement": "1s",
    "log_lock_waits": "on",
    "log_temp_files": "10MB",
    "log_autovacuum_min_duration": "10min",
    "random_page_cost": "1.1",
    "max_wal_size": "4GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
}

NOTHING = ("replication_lag_bytes", "replication_lag_seconds", "replay_lag_seconds", "slot_retained_bytes", "slot_active")
"""What there is none of on a server alone."""


@pytest.fixture(scope="module")
def server_and_first_look() -> Iterator[tuple[PostgresServer, dict[str, Verdict]]]:
    """A server, and what the rules say of its database before any test has been at work there."""
    with alone(PostgresServer, SETTINGS, _with_checksums) as made:
        made.psql("postgres", "CREATE DATABASE kept")
        made.psql("kept", "CREATE EXTENSION pg_stat_statements;" + cases("postgresql")["good"])
        made.psql("kept", "INSERT INTO people (name) SELECT 'n' || i FROM generate_series(1, 20000) AS i;")
        made.psql("kept", "VACUUM ANALYZE; CHECKPOINT; SELECT pg_switch_wal();")
        made.psql("kept", "SELECT count(*) FROM visits; SELECT id FROM people WHERE name = 'n7';" * 3)
        yield made, verdicts(made.url("kept"), {})


@pytest.fixture(scope="module")
def server(server_and_first_look: tuple[PostgresServer, dict[str, Verdict]]) -> PostgresServer:
    return server_and_first_look[0]


def _with_checksums(made: PostgresServer) -> None:
    command = [str(programs(None).server / "pg_checksums"), "--enable", "--no-sync", "-D", str(made.home / "data")]
    run(command, cwd=made.home, **server_account(made.account))


def test_every_rule_passes_on_a_database_that_is_kept_well(
    server_and_first_look: tuple[PostgresServer, dict[str, Verdict]],
) -> None:
    server, seen = server_and_first_look
    version = server.rows("kept", "SELECT current_setting('server_version_num')::int / 10000")[0][0]
    rules = [rule for rule in engine_named("postgresql").advice.rules if rule.versions[0] <= version < rule.versions[1]]
    assert {id_: (one.state, one.findings) for id_, one in seen.items()} == {rule.id: ("pass", []) for rule in rules}


def test_numbers_stay_where_nothing_happens(server: PostgresServer) -> None:
    names = engine_named("postgresql").metrics.names
    stays(server.url("kept"), quiet_of("postgresql"), [*NOTHING, "sessions_waiting"], names)


@contextmanager
def _works(server: PostgresServer) -> Iterator[None]:
    """Work that counters count: transactions, statements, pages from the system and to it, and log."""
    server.psql("kept", "CREATE TABLE read_anew AS SELECT i, repeat('x', 100) FROM generate_series(1, 30000) AS i;")
    server.psql("kept", "VACUUM FULL read_anew;")  # writes its pages past the cache
    server.psql("kept", "CHECKPOINT; SELECT count(*) FROM read_anew; SELECT pg_sleep(0.6); SELECT pg_switch_wal();")
    server.psql("kept", "SET work_mem = '64kB'; SELECT i FROM generate_series(1, 60000) AS i ORDER BY -i OFFSET 59999;")
    server.psql("kept", "BEGIN; SELECT txid_current(); ROLLBACK;" * 300 + "SELECT count(*) FROM people WHERE id < 9;" * 300)
    server.psql("kept", "SELECT max(at) FROM people;" * 100)
    yield
    server.psql("kept", "DROP TABLE read_anew; CHECKPOINT;")


@contextmanager
def _fails_to_archive(server: PostgresServer) -> Iterator[None]:
    refuse = server.home / "data" / "refuse"
    refuse.touch()
    try:
        server.psql("kept", "SELECT txid_current(); SELECT pg_switch_wal();")
        yield
    finally:
        refuse.unlink()
        server.psql("kept", "SELECT txid_current(); SELECT pg_switch_wal();")


@contextmanager
def _sessions(server: PostgresServer) -> Iterator[None]:
    """One idle, one at work, one idle in a transaction that holds a lock, one that waits for that, and a prepared transaction."""
    with ExitStack() as stack:
        connect: Callable[[], psycopg.Connection] = lambda: stack.enter_context(server.connect("kept"))  # noqa: E731
        for _ in range(3):
            connect()
        holder, waiter, worker = connect(), connect(), connect()
        stack.enter_context(holder.transaction())
        holder.execute("UPDATE people SET at = now() WHERE id = 1")
        holder.execute("SELECT count(*) FROM people")
        waiting = threading.Thread(target=_ends, args=(waiter, "UPDATE people SET at = now() WHERE id = 1"))
        working = threading.Thread(target=_ends, args=(worker, "SELECT pg_sleep(20)"))
        waiting.start()
        working.start()
        server.psql("kept", "BEGIN; DELETE FROM visits; PREPARE TRANSACTION 'left';")
        server.psql("kept", "BEGIN; SELECT txid_current(); COMMIT;" * 60)
        try:
            yield
        finally:
            server.psql("kept", "ROLLBACK PREPARED 'left';")
            for one in (waiter, worker):
                one.cancel()
            waiting.join(20)
            working.join(20)


def _ends(conn: psycopg.Connection, sql: str) -> None:
    with suppress(psycopg.Error):
        conn.execute(sql)


@contextmanager
def _deadlock(server: PostgresServer) -> Iterator[None]:
    with server.connect("kept") as one, server.connect("kept") as other, suppress(psycopg.Error):
        one.autocommit = other.autocommit = False
        one.execute("UPDATE people SET at = now() WHERE id = 1")
        other.execute("UPDATE people SET at = now() WHERE id = 2")
        crossing = threading.Thread(target=_ends, args=(one, "UPDATE people SET at = now() WHERE id = 2"))
        crossing.start()
        _ends(other, "UPDATE people SET at = now() WHERE id = 1")
        other.rollback()
        crossing.join(20)
        one.rollback()
    yield


@contextmanager
def _shared_locks(server: PostgresServer) -> Iterator[None]:
    for row in range(10, 13):
        with server.connect("kept") as one, server.connect("kept") as other:
            one.autocommit = other.autocommit = False
            one.execute(f"SELECT 1 FROM people WHERE id = {row} FOR SHARE")
            other.execute(f"SELECT 1 FROM people WHERE id = {row} FOR SHARE")
    yield


@contextmanager
def _slot(server: PostgresServer) -> Iterator[None]:
    server.psql("kept", "SELECT pg_create_physical_replication_slot('left', true); CREATE TABLE logged (a int);")
    server.psql("kept", "INSERT INTO logged SELECT generate_series(1, 10000); DROP TABLE logged;")
    yield
    server.psql("kept", "SELECT pg_drop_replication_slot('left');")


@contextmanager
def _damage(server: PostgresServer) -> Iterator[None]:
    server.psql("kept", "CREATE TABLE hurt AS SELECT i FROM generate_series(1, 1000) AS i;")
    server.psql("kept", "VACUUM FULL hurt;")
    server.psql("kept", "CHECKPOINT;")
    ((path,),) = server.rows("kept", "SELECT pg_relation_filepath('hurt')")
    with (server.home / "data" / path).open("r+b") as file:
        file.seek(4000)
        file.write(b"damage")
    with pytest.raises(ServerError, match="invalid page"):
        server.psql("kept", "SELECT count(*) FROM hurt;")
    server.psql("kept", "DROP TABLE hurt;")
    yield


Act = Callable[[PostgresServer], AbstractContextManager[None]]

#: What is done, and the metrics that it moves; what comes back when it is over is said by its place among GAUGES.
PROVOKED: dict[Act, tuple[str, ...]] = {
    _works: (
        *("transactions_committed_total", "transactions_rolled_back_total", "statements_total", "statement_seconds_total"),
        *("cache_hits_total", "cache_misses_total", "read_bytes_total", "written_bytes_total", "log_bytes_total"),
        *("temp_files_total", "temp_bytes_total", "checkpoints_requested_total", "archived_total", "transaction_id_age"),
        "database_size_bytes",
    ),
    _fails_to_archive: ("archive_failing", "archive_failures_total"),
    _sessions: (
        *("connections_used", "connections_active", "connections_idle", "connections_idle_in_transaction"),
        *("longest_query_seconds", "longest_transaction_seconds", "longest_idle_in_transaction_seconds"),
        *("sessions_blocked", "longest_block_seconds", "prepared_transactions", "oldest_xmin_age"),
        *("sessions_waiting Timeout: PgSleep", "sessions_waiting Lock: transactionid"),
    ),
    _deadlock: ("deadlocks_total",),
    _shared_locks: ("multixact_id_age",),
    _slot: ("slot_retained_bytes left",),
    _damage: ("checksum_failures_total",),
}
GAUGES = {_fails_to_archive: ("archive_failing",), _sessions: PROVOKED[_sessions]}


ACTS = [
    pytest.param(act, marks=[pytest.mark.campaign] * (act is _fails_to_archive), id=act.__name__.strip("_")) for act in PROVOKED
]


@pytest.mark.parametrize("act", ACTS)
def test_numbers_move_with_what_they_count(server: PostgresServer, act: Act) -> None:
    url, quiet = server.url("kept"), quiet_of("postgresql")
    before = numbers(url)
    moves(url, quiet, PROVOKED[act], act(server))
    for _ in range(100):
        after = numbers(url)
        left = [key for key in GAUGES.get(act, ()) if after.get(key, 0) > before.get(key, 0) + quiet[key.split()[0]]]
        if not left:
            break
        threading.Event().wait(0.1)
    assert left == []


#: What is told by test_checkpoints_that_are_due_are_counted, and by test_a_slow_road_a_dead_server_and_another_setting_are_seen.
TOLD = ("checkpoints_timed_total", "latency_seconds", "up", "connections_max", "table_vacuum_age_seconds")


def test_a_slow_road_a_dead_server_and_another_setting_are_seen(
    server: PostgresServer, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    quick = numbers(server.admin_url)
    with slow_road(server.port, 0.05) as port:
        slow = numbers(server.tcp_url("kept").replace(f":{server.port}/", f":{port}/"))
    assert quick["latency_seconds"] < 0.05 <= slow["latency_seconds"]
    assert quick["connections_max"] == 44 != numbers(postgres_server.admin_url)["connections_max"]
    age = "table_vacuum_age_seconds public.people"
    server.psql("kept", "VACUUM people;")
    first, later = numbers(server.url("kept"))[age], numbers(server.url("kept"))[age]
    server.psql("kept", "VACUUM people;")
    assert first < later > numbers(server.url("kept"))[age]
    dead = server.tcp_url("kept").replace(f":{server.port}/", ":1/")
    manifest = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: {}}}\nspec: {{url: '{}', retries: {{attempts: 1}}}}\n"
    for name, url in (("lives", server.admin_url), ("dead", dead)):
        (tmp_path / f"{name}.yaml").write_text(manifest.format(name, url))
    with open_workspace(tmp_path) as workspace, metrics_store(workspace, None) as store:
        readings = {one.connection: one.of("up") for one in read(workspace, store)}
    assert readings == {"lives": {(): 1.0}, "dead": {(): 0.0}}


@pytest.mark.campaign
def test_checkpoints_that_are_due_are_counted() -> None:
    """`checkpoint_timeout` is 30 s at least (manual, 20.5.2)."""
    with alone(PostgresServer, {"checkpoint_timeout": "30s"}) as made:
        made.psql("postgres", "CREATE TABLE t AS SELECT 1;")
        before = numbers(made.admin_url)["checkpoints_timed_total"]
        for _ in range(70):
            if numbers(made.admin_url)["checkpoints_timed_total"] > before:
                return
            threading.Event().wait(1)
        raise AssertionError("no checkpoint was due within 70 seconds")
