"""What moves each metric of a MySQL or MariaDB server that is used for nothing else, and that one kept well is silent."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pymysql
import pytest

from dbops.engines.base.advice import Verdict
from dbops.usecases.monitor import metrics_store, read
from dbops.usecases.runtime import engine_named, open_workspace
from tests.conformance.test_advice import cases
from tests.engines.provoked import moves, numbers, quiet_of, slow_road, stays
from tests.engines.three_states import verdicts
from tests.servers import MysqlServer
from tests.servers.alone import alone
from tests.servers.mysql_makes import chosen_make
from tests.servers.programs import server_account

SETTINGS = {
    "performance_schema": "ON",
    "performance_schema_instrument": "wait/synch/%=ON",
    "log_bin": "binlog",
    "server_id": "1",
    "log_slave_updates": "ON",
    "innodb_doublewrite": "ON",
    "max_connections": "201",
    "innodb_flush_log_at_trx_commit": "1",
    "sync_binlog": "1",
    "innodb_file_per_table": "ON",
    "innodb_buffer_pool_size": "192M",
    "innodb_log_buffer_size": "2M",
    "innodb_log_file_size": "96M",
    "binlog_format": "ROW",
    "sql_mode": "STRICT_TRANS_TABLES",
    "character_set_server": "utf8mb4",
    "slow_query_log": "ON",
    "long_query_time": "1",
    "innodb_lock_wait_timeout": "50",
    "innodb_io_capacity": "1000",
}
LOG = "innodb_log_group_home_dir"
NOTHING = ("replication_running", "replication_lag_seconds")
"""What there is none of on a server alone."""


@pytest.fixture(scope="module")
def server_and_first_look(mysql_server: MysqlServer) -> Iterator[tuple[MysqlServer, dict[str, Verdict]]]:
    """A server, and what the rules say of its database before any test has been at work there.

    That it started just now is wrong until it has run for a minute: that rule alone is asked for a second.
    """
    with tempfile.TemporaryDirectory(dir="/var/tmp") as log, _alone(log) as made:
        made.client("mysql", "CREATE DATABASE kept; SET GLOBAL innodb_monitor_enable = 'lock_deadlocks';")
        made.client("kept", cases("mysql")["good"])
        rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT CONCAT('n', i) FROM n"
        made.client(
            "kept",
            f"INSERT INTO people (name) {rows}; INSERT INTO visits (person) VALUES (1);"
            "CREATE TABLE versions (id int PRIMARY KEY, n int) ENGINE = InnoDB; INSERT INTO versions VALUES (1, 1);"
            "SELECT n FROM versions; SELECT id FROM people WHERE name = 'n7'; ANALYZE TABLE people, visits;",
        )
        made.client("kept", "SELECT COUNT(*) FROM people; SELECT id FROM people WHERE name = 'n7';" * 3)
        until = time.monotonic() + 10
        while int(made.rows("kept", "SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1]) < 1 and time.monotonic() < until:
            time.sleep(0.1)
        yield made, verdicts(made.url("kept"), {"MY-MET-019": {"threshold": 1}})


@pytest.fixture(scope="module")
def server(server_and_first_look: tuple[MysqlServer, dict[str, Verdict]]) -> MysqlServer:
    return server_and_first_look[0]


def _alone(log: str) -> AbstractContextManager[MysqlServer]:
    if chosen_make().name == "mariadb":
        return alone(MysqlServer, SETTINGS | {LOG: log}, _with_log(Path(log)))
    others = {name: value for name, value in SETTINGS.items() if name not in ("innodb_log_file_size", "log_slave_updates")}
    return alone(MysqlServer, others | {"innodb_redo_log_capacity": "100M", "innodb_purge_rseg_truncate_frequency": "1"})


def _with_log(folder: Path) -> Callable[[MysqlServer], None]:
    """Return what moves the log to a disk: in memory MariaDB maps it, and nothing waits for a buffer."""

    def moved(made: MysqlServer) -> None:
        account = server_account(made.account)
        owner = (account.get("user") or -1, account.get("group") or -1)
        shutil.chown(folder, *owner)
        for file in (made.home / "data").glob("ib_logfile*"):
            shutil.move(file, folder / file.name)
            shutil.chown(folder / file.name, *owner)

    return moved


def test_every_rule_passes_on_a_database_that_is_kept_well(
    server_and_first_look: tuple[MysqlServer, dict[str, Verdict]],
) -> None:
    _, seen = server_and_first_look
    expected = {rule.id: ("pass", []) for rule in engine_named("mysql").advice.rules}
    assert {id_: (one.state, one.findings) for id_, one in seen.items()} == expected


def test_numbers_stay_where_nothing_happens(server: MysqlServer) -> None:
    names = engine_named("mysql").metrics.names
    stays(server.url("kept"), quiet_of("mysql"), [*NOTHING, "sessions_waiting"], names)


@contextmanager
def _works(server: MysqlServer) -> Iterator[None]:
    """Work that counters count: transactions, statements slow and quick, refused sessions, temporary tables, scans, log."""
    numbers_to = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT"
    for _ in range(3):
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            pymysql.connect(unix_socket=str(server.socket), user="stranger")
    server.client(
        "kept",
        "CREATE TABLE filled (id int PRIMARY KEY AUTO_INCREMENT, n int, t varchar(200), KEY by_n (n)) ENGINE = InnoDB;"
        f"INSERT INTO filled (n, t) {numbers_to} i, REPEAT('x', 200) FROM n;"
        + "INSERT INTO filled (n, t) SELECT n, t FROM filled;"
        * 6
        + "ANALYZE TABLE filled; FLUSH TABLES filled FOR EXPORT; UNLOCK TABLES;"
        "SET long_query_time = 0.1; SELECT SLEEP(0.6); SELECT COUNT(*) FROM filled;"
        "SELECT COUNT(*) FROM filled FORCE INDEX (by_n) WHERE n < 100;"
        "SET tmp_table_size = 1024, max_heap_table_size = 16384;"
        + "SELECT COUNT(*) FROM (SELECT DISTINCT t, id FROM filled LIMIT 3000) AS q;" * 60
        + "START TRANSACTION; COMMIT;" * 20
        + "START TRANSACTION; DELETE FROM visits; ROLLBACK;" * 20,
    )
    yield
    server.client("kept", "DROP TABLE filled;")


@contextmanager
def _reads_anew(server: MysqlServer) -> Iterator[None]:
    """A table whose file was taken away and brought back is not in memory any more (manual, 15.6.1.3)."""
    data = server.home / "data" / "kept"
    with closing(server.connect("kept")) as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE moved (id int PRIMARY KEY, t varchar(200)) ENGINE = InnoDB")
        cursor.execute("INSERT INTO moved SELECT id, REPEAT('x', 200) FROM people")
        for _ in range(5):
            cursor.execute("INSERT INTO moved SELECT id + (SELECT MAX(id) FROM moved), t FROM moved")
        cursor.execute("FLUSH TABLES moved FOR EXPORT")
        for ending in ("ibd", "cfg"):
            shutil.copy2(data / f"moved.{ending}", server.home / f"moved.{ending}")
        cursor.execute("UNLOCK TABLES")
        cursor.execute("ALTER TABLE moved DISCARD TABLESPACE")
        for ending in ("ibd", "cfg"):
            (data / f"moved.{ending}").write_bytes((server.home / f"moved.{ending}").read_bytes())
            (data / f"moved.{ending}").chmod(0o666)
        cursor.execute("ALTER TABLE moved IMPORT TABLESPACE")
        cursor.execute("SELECT MAX(t) FROM moved")
        yield
        cursor.execute("DROP TABLE moved")


@contextmanager
def _leaves_room(server: MysqlServer) -> Iterator[None]:
    server.client("kept", "CREATE TABLE emptied (id int PRIMARY KEY, t longtext) ENGINE = InnoDB;")
    server.client("kept", "INSERT INTO emptied SELECT id, REPEAT('x', 20000) FROM people; DELETE FROM emptied; DO SLEEP(0.5);")
    yield
    server.client("kept", "DROP TABLE emptied;")


@contextmanager
def _waits_for_the_log(server: MysqlServer) -> Iterator[None]:
    """A value that is larger than the buffer of the log."""
    server.client("kept", "CREATE TABLE wide (id int PRIMARY KEY, t longtext) ENGINE = InnoDB;")
    server.client("kept", "INSERT INTO wide VALUES (1, REPEAT('x', 9000000)), (2, REPEAT('y', 9000000));")
    yield
    server.client("kept", "DROP TABLE wide;")


@contextmanager
def _sessions(server: MysqlServer) -> Iterator[None]:
    """Idle ones, one at work, one idle in a transaction that holds a lock and sees old rows, and one that waits for it."""
    with ExitStack() as stack:
        connect: Callable[[], pymysql.Connection] = lambda: stack.enter_context(closing(server.connect("kept")))  # noqa: E731
        connect()
        holder, waiter, worker, old = connect(), connect(), connect(), connect()
        _run(old, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
        _run(holder, "START TRANSACTION")
        _run(holder, "UPDATE people SET name = 'm' WHERE id = 1")
        sessions = [(waiter, "UPDATE people SET name = 'k' WHERE id = 1"), (worker, "SELECT SLEEP(30)")]
        threads = [threading.Thread(target=_run, args=one) for one in sessions]
        for thread in threads:
            thread.start()
        server.client("kept", "UPDATE versions SET n = n + 1;" * 200)
        try:
            yield
        finally:
            for conn, _ in sessions:
                server.client("mysql", f"KILL {conn.thread_id()};")
            for thread in threads:
                thread.join(20)
            _run(holder, "ROLLBACK")


def _run(conn: pymysql.Connection, sql: str) -> None:
    with suppress(pymysql.err.Error), conn.cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def _deadlock(server: MysqlServer) -> Iterator[None]:
    with closing(server.connect("kept")) as one, closing(server.connect("kept")) as other:
        for conn, row in ((one, 1), (other, 2)):
            _run(conn, "START TRANSACTION")
            _run(conn, f"UPDATE people SET name = 'd{row}' WHERE id = {row}")
        crossing = threading.Thread(target=_run, args=(one, "UPDATE people SET name = 'd3' WHERE id = 2"))
        crossing.start()
        time.sleep(0.1)
        _run(other, "UPDATE people SET name = 'd4' WHERE id = 1")
        crossing.join(20)
        _run(one, "ROLLBACK")
        _run(other, "ROLLBACK")
    yield


Act = Callable[[MysqlServer], AbstractContextManager[None]]

#: What is done, and the metrics that it moves; what comes back when it is over is said by its place among GAUGES.
PROVOKED: dict[Act, tuple[str, ...]] = {
    _works: (
        *("transactions_committed_total", "transactions_rolled_back_total", "statements_total", "statement_seconds_total"),
        *("statements_slow_total", "connections_aborted_total", "temp_files_total", "cache_hits_total", "log_bytes_total"),
        *("written_bytes_total", "table_full_scans_total filled", "table_index_scans_total filled"),
        *("index_scans_total filled by_n", "table_size_bytes filled", "table_rows filled", "index_size_bytes filled by_n"),
        *("database_size_bytes", "sequence_used_ratio filled.id"),
    ),
    _reads_anew: ("cache_misses_total", "read_bytes_total"),
    _leaves_room: ("free_bytes",),
    _waits_for_the_log: ("log_waits_total",),
    _sessions: (
        *("connections_used", "connections_active", "connections_idle", "connections_idle_in_transaction"),
        *("longest_query_seconds", "longest_transaction_seconds", "longest_idle_in_transaction_seconds"),
        *("sessions_blocked", "longest_block_seconds", "sessions_waiting row lock", "sessions_waiting User sleep", "purge_lag"),
    ),
    _deadlock: ("deadlocks_total",),
}
GAUGES = {_sessions: PROVOKED[_sessions]}


SLOW = {_reads_anew, _leaves_room, _waits_for_the_log}
ACTS = [pytest.param(act, marks=[pytest.mark.campaign] * (act in SLOW), id=act.__name__.strip("_")) for act in PROVOKED]


@pytest.mark.parametrize("act", ACTS)
def test_numbers_move_with_what_they_count(server: MysqlServer, act: Act) -> None:
    url, quiet = server.url("kept"), quiet_of("mysql")
    before = numbers(url)
    moves(url, quiet, PROVOKED[act], act(server))
    for _ in range(100):
        after = numbers(url)
        left = [key for key in GAUGES.get(act, ()) if after.get(key, 0) > before.get(key, 0) + quiet[key.split()[0]]]
        if not left:
            break
        threading.Event().wait(0.1)
    assert left == []


#: What is told by test_a_slow_road_a_dead_server_and_another_setting_are_seen.
TOLD = ("latency_seconds", "up", "connections_max", "uptime_seconds", "wait_seconds_total")


@pytest.mark.campaign
def test_a_slow_road_a_dead_server_and_another_setting_are_seen(
    server: MysqlServer, mysql_server: MysqlServer, tmp_path: Path
) -> None:
    quick = numbers(server.admin_url)
    with slow_road(server.port, 0.05) as port:
        slow = numbers(server.tcp_url("kept").replace(f":{server.port}/", f":{port}/"))
    assert quick["latency_seconds"] < 0.05 <= slow["latency_seconds"]
    time.sleep(1)
    assert numbers(server.admin_url)["uptime_seconds"] > quick["uptime_seconds"]
    assert sum(number for key, number in slow.items() if key.startswith("wait_seconds_total")) > sum(
        number for key, number in quick.items() if key.startswith("wait_seconds_total")
    )
    assert quick["connections_max"] == 201 != numbers(mysql_server.admin_url)["connections_max"]
    dead = server.tcp_url("kept").replace(f":{server.port}/", ":1/")
    manifest = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: {}}}\nspec: {{url: '{}', retries: {{attempts: 1}}}}\n"
    for name, url in (("lives", server.admin_url), ("dead", dead)):
        (tmp_path / f"{name}.yaml").write_text(manifest.format(name, url))
    with open_workspace(tmp_path) as workspace, metrics_store(workspace, None) as store:
        readings = {one.connection: one.of("up") for one in read(workspace, store)}
    assert readings == {"lives": {(): 1.0}, "dead": {(): 0.0}}
