"""What is seen of a busy server, of its replica, and of settings that are right and wrong: two servers, so in the campaign."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing

import pymysql
import pytest

from dbops.engines.base.advice import Finding
from dbops.usecases.runtime import engine_named
from tests.engines.three_states import verdicts
from tests.servers import MysqlServer
from tests.servers.alone import alone
from tests.servers.mysql_makes import chosen_make

pytestmark = pytest.mark.campaign

SOURCE = {
    "performance_schema": "ON",
    "log_bin": "binlog",
    "server_id": "1",
    "log_slave_updates": "ON",
    "innodb_doublewrite": "ON",
}
CARELESS = {
    "server_id": "2",
    "replicate_ignore_db": "mysql",
    "innodb_doublewrite": "OFF",
    "innodb_flush_log_at_trx_commit": "0",
    "sync_binlog": "0",
    "innodb_file_per_table": "OFF",
    "binlog_format": "MIXED",
    "sql_mode": "",
    "character_set_server": "latin1",
    "slow_query_log": "OFF",
    "long_query_time": "10",
    "max_connections": "1001",
    "innodb_lock_wait_timeout": "200",
    "innodb_io_capacity": "100",
    "performance_schema": "OFF",
    "log_slave_updates": "OFF",
}
ON_MARIADB = {"query_cache_type": "ON", "innodb_force_recovery": "1"}
"""What MySQL has not, or under which it writes nothing."""
MYSQL_SOURCE = ("REPLICATION SOURCE", "SOURCE", "GET_SOURCE_PUBLIC_KEY = 1")
RIGHT = {
    "innodb_flush_log_at_trx_commit": "1",
    "sync_binlog": "1",
    "innodb_file_per_table": "ON",
    "innodb_buffer_pool_size": "201326592",
    "binlog_format": "'ROW'",
    "sql_mode": "'STRICT_TRANS_TABLES'",
    "character_set_server": "'utf8mb4'",
    "slow_query_log": "ON",
    "long_query_time": "1",
    "max_connections": "200",
    "innodb_lock_wait_timeout": "50",
    "innodb_io_capacity": "1000",
}
"""Settings that a running server takes."""


@pytest.fixture(scope="module")
def server() -> Iterator[MysqlServer]:
    with alone(MysqlServer, SOURCE) as made:
        made.rows("mysql", "CREATE DATABASE shop")
        for name, value in RIGHT.items():
            made.rows("mysql", f"SET GLOBAL {name} = {value}")
        yield made


@pytest.fixture(scope="module")
def replica(server: MysqlServer) -> Iterator[MysqlServer]:
    """A server that receives what `server` writes, and that is set up without care."""
    is_mariadb = chosen_make().name == "mariadb"
    with alone(MysqlServer, CARELESS | (ON_MARIADB if is_mariadb else {})) as made:
        statement, word, last = ("MASTER", "MASTER", "MASTER_USE_GTID = no") if is_mariadb else MYSQL_SOURCE
        made.rows(
            "mysql",
            f"CHANGE {statement} TO {word}_HOST = '127.0.0.1', {word}_PORT = {server.port}, {word}_USER = '{server.tcp_user}',"
            f" {word}_PASSWORD = '{server.password}', {last}",
        )
        yield made


def states(server: MysqlServer, ids: Iterable[str]) -> dict[str, str]:
    seen = verdicts(server.admin_url, {})
    return {id_: seen[id_].state for id_ in ids}


def test_settings_that_are_wrong_are_told_and_those_that_are_right_are_not(server: MysqlServer, replica: MysqlServer) -> None:
    ids = [rule.id for rule in engine_named("mysql").advice.rules if rule.id.startswith("MY-SET-")]
    seen = verdicts(server.url("shop"), {})
    assert {id_ for id_, one in seen.items() if one.state != "pass"} <= {"MY-MET-019"}  # it started just now
    missing = {} if replica.make.name == "mariadb" else {f"MY-SET-{name}": "pass" for name in ON_MARIADB}
    assert states(replica, ids) == dict.fromkeys(ids, "fail") | missing


def test_a_replica_that_stopped_or_is_behind_is_told(server: MysqlServer, replica: MysqlServer) -> None:
    (stopped,) = verdicts(replica.admin_url, {})["MY-REP-001"].findings
    start = "START SLAVE" if replica.make.name == "mariadb" else "START REPLICA"
    assert (stopped.object, stopped.sql) == ("default", f"{start};") and "receiver and applier stopped" in stopped.evidence
    assert states(server, ["MY-REP-001"]) == {"MY-REP-001": "pass"}
    replica.rows("mysql", start)
    until(lambda: states(replica, ["MY-REP-001"]) == {"MY-REP-001": "pass"})
    with closing(replica.connect("mysql")) as conn, conn.cursor() as cursor:
        cursor.execute("FLUSH TABLES WITH READ LOCK")
        server.rows("shop", "CREATE TABLE waits_to_be_made (n int PRIMARY KEY) ENGINE = InnoDB")
        until(lambda: any("s behind" in one.evidence for one in findings(replica, seconds=-1)))


def findings(server: MysqlServer, **thresholds: float) -> Sequence[Finding]:
    return verdicts(server.admin_url, {"MY-REP-001": thresholds})["MY-REP-001"].findings


BUSY = """
SET GLOBAL long_query_time = 0; SET long_query_time = 0; SET sort_buffer_size = 32768;
SET max_heap_table_size = 16384; SET tmp_table_size = 16384;
CREATE TABLE few (n int, t text, KEY (n)) ENGINE = MyISAM;
INSERT INTO few WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 100) SELECT n, 'x' FROM r;
DELIMITER //
CREATE PROCEDURE work() BEGIN
  DECLARE i INT DEFAULT 0;
  WHILE i < 1001 DO
    SELECT COUNT(*) INTO @x FROM (SELECT DISTINCT t FROM few LIMIT 5) AS q;
    SELECT MAX(n) INTO @x FROM (SELECT n FROM few ORDER BY RPAD(n, 900, 'x') LIMIT 90) AS q;
    SELECT COUNT(*) INTO @x FROM few AS a JOIN few AS b ON a.t = b.t WHERE a.n < 2;
    FLUSH TABLES few;
    SET i = i + 1;
  END WHILE;
END //
DELIMITER ;
CALL work();
SET GLOBAL binlog_cache_size = 4096;
CREATE TABLE thousand (n int PRIMARY KEY) ENGINE = InnoDB;
INSERT INTO thousand WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 1000) SELECT n FROM r;
CREATE TABLE many (n int PRIMARY KEY) ENGINE = InnoDB;
INSERT INTO many SELECT 1000 * a.n + b.n - 1000 FROM thousand AS a JOIN thousand AS b ON a.n <= 60;
"""


def test_what_the_counters_of_a_busy_server_tell_is_found(server: MysqlServer) -> None:
    ids = ("MY-MET-002", "MY-MET-003", "MY-MET-004", "MY-MET-005", "MY-MET-006", "MY-MET-008", "MY-MET-016")
    before = states(server, ids)
    assert before == dict.fromkeys(ids, "pass")
    for _ in range(1000):
        with pytest.raises(Exception, match="denied"):
            pymysql.connect(unix_socket=str(server.socket), user="stranger")
    server.client("shop", BUSY + "SELECT 1;" * 1000)
    with closing(server.connect("shop")) as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE large (t longtext)")
        for _ in range(100):
            cursor.execute("INSERT INTO large VALUES (REPEAT('y', 40000))")
    assert states(server, ids) == dict.fromkeys(ids, "fail")
    # what would take a large server is called wrong where it is well
    called = {"MY-MET-007": {"threshold": 101}, "MY-MET-010": {"threshold": 101}, "MY-MET-011": {"threshold": 101}}
    seen = verdicts(server.admin_url, called)
    assert {id_: seen[id_].state for id_ in called} == dict.fromkeys(called, "fail")
    assert states(server, called) == dict.fromkeys(called, "pass")


def until(holds: Callable[[], bool]) -> None:
    for _ in range(100):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come about within ten seconds")
