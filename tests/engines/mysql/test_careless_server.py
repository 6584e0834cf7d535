"""What is seen of a busy server, of its replica, and of settings that are right and wrong: two servers, so in the campaign."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import pymysql
import pytest

from dbops.usecases.runtime import engine_named
from tests.engines.three_states import verdicts
from tests.servers import MysqlServer
from tests.servers.alone import alone

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
    "innodb_doublewrite": "OFF",
    "innodb_force_recovery": "1",
    "query_cache_type": "ON",
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
    with alone(MysqlServer, CARELESS) as made:
        made.rows(
            "mysql",
            f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {server.port}, MASTER_USER = '{server.tcp_user}',"
            f" MASTER_PASSWORD = '{server.password}', MASTER_USE_GTID = no",
        )
        yield made


def states(server: MysqlServer, ids: Iterable[str]) -> dict[str, str]:
    seen = verdicts(server.admin_url, {})
    return {id_: seen[id_].state for id_ in ids}


def test_settings_that_are_wrong_are_told_and_those_that_are_right_are_not(server: MysqlServer, replica: MysqlServer) -> None:
    ids = [rule.id for rule in engine_named("mysql").advice.rules if rule.id.startswith("MY-SET-")]
    seen = verdicts(server.url("shop"), {})
    assert {id_ for id_, one in seen.items() if one.state != "pass"} <= {"MY-MET-019"}  # it started just now
    assert states(replica, ids) == dict.fromkeys(ids, "fail")


def test_a_replica_that_stopped_or_is_behind_is_told(server: MysqlServer, replica: MysqlServer) -> None:
    (stopped,) = verdicts(replica.admin_url, {})["MY-REP-001"].findings
    assert (stopped.object, stopped.sql) == ("default", "START SLAVE;") and "receiver and applier stopped" in stopped.evidence
    assert states(server, ["MY-REP-001"]) == {"MY-REP-001": "pass"}
    replica.rows("mysql", "START SLAVE")
    until(lambda: states(replica, ["MY-REP-001"]) == {"MY-REP-001": "pass"})
    (behind,) = verdicts(replica.admin_url, {"MY-REP-001": {"seconds": -1}})["MY-REP-001"].findings
    assert "s behind" in behind.evidence


BUSY = """
SET GLOBAL long_query_time = 0; SET long_query_time = 0; SET sort_buffer_size = 1024;
SET max_heap_table_size = 16384; SET tmp_table_size = 16384;
CREATE TABLE few (n int, t text, KEY (n)) ENGINE = MyISAM;
INSERT INTO few WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 100) SELECT n, 'x' FROM r;
DELIMITER //
BEGIN NOT ATOMIC
  DECLARE i INT DEFAULT 0;
  WHILE i < 1001 DO
    SELECT COUNT(*) INTO @x FROM (SELECT DISTINCT t FROM few LIMIT 5) AS q;
    SELECT MAX(n) INTO @x FROM (SELECT n FROM few ORDER BY -n LIMIT 90) AS q;
    SELECT COUNT(*) INTO @x FROM few AS a JOIN few AS b ON a.t = b.t WHERE a.n < 2;
    FLUSH TABLES few;
    SET i = i + 1;
  END WHILE;
END //
DELIMITER ;
SET GLOBAL binlog_cache_size = 4096;
CREATE TABLE many (n int PRIMARY KEY) ENGINE = InnoDB;
INSERT INTO many SELECT seq FROM seq_1_to_60000;
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
