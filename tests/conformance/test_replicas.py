"""What is told of replicas moves when they fall behind and comes back: a primary and a replica of each engine that has any."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest

from dbops.engines.base.metrics import Look
from tests.conformance.test_metrics import look_at, of
from tests.servers import MysqlServer, PostgresServer
from tests.servers.alone import alone
from tests.servers.programs import run, server_account

pytestmark = pytest.mark.campaign


#: What these tests tell of each engine.
TOLD = {
    "postgresql": (
        *("replication_lag_bytes", "replication_lag_seconds", "replay_lag_seconds", "slot_active", "slot_retained_bytes"),
        "conflicts_total",
    ),
    "mysql": ("replication_running", "replication_lag_seconds"),
}


def until(url: str, is_so: Callable[[Look], bool]) -> Look:
    for _ in range(150):
        look = look_at(url)
        if is_so(look):
            return look
        time.sleep(0.2)
    raise AssertionError([(value.metric, value.labels, value.number) for value in look.values if "repl" in value.metric])


def test_a_standby_of_postgresql_that_falls_behind() -> None:
    def copied(standby: PostgresServer) -> None:
        shutil.rmtree(standby.home / "data")
        command = [
            *primary.client_command("pg_basebackup"),
            "-D",
            str(standby.home / "data"),
            "-R",
            "-c",
            "fast",
            "-C",
            "-S",
            "kept",
        ]
        run(command, cwd=standby.home, **server_account(standby.account))

    with alone(PostgresServer, {"wal_level": "replica"}) as primary:
        assert of(look_at(primary.admin_url), "replication_lag_bytes") == {}
        assert of(look_at(primary.admin_url), "replay_lag_seconds") == {}
        with alone(PostgresServer, {"hot_standby": "on"}, copied) as standby:
            primary.psql("postgres", "CREATE TABLE t (a int); DROP TABLE t; CREATE TABLE t (a int);")
            look = until(primary.admin_url, lambda seen: list(of(seen, "replication_lag_bytes").values()) == [0])
            assert of(look, "slot_active") == {"kept": 1}
            until(standby.admin_url, lambda seen: of(seen, "replay_lag_seconds") == {"": 0})
            standby.psql("postgres", "SELECT pg_wal_replay_pause();")
            primary.psql("postgres", "INSERT INTO t SELECT generate_series(1, 20000);")
            until(primary.admin_url, lambda seen: max(of(seen, "replication_lag_bytes").values(), default=0) > 100_000)
            until(standby.admin_url, lambda seen: of(seen, "replay_lag_seconds").get("", 0) > 0)
            time.sleep(0.5)
            standby.psql("postgres", "SELECT pg_wal_replay_resume();")
            until(primary.admin_url, lambda seen: max(of(seen, "replication_lag_seconds").values(), default=0) > 0.4)
            until(primary.admin_url, lambda seen: max(of(seen, "replication_lag_bytes").values(), default=1) == 0)
            until(standby.admin_url, lambda seen: of(seen, "replay_lag_seconds") == {"": 0})
            _stands_in_the_way(primary, standby)
            until(standby.admin_url, lambda seen: of(seen, "replay_lag_seconds") == {"": 0})
            standby.psql(
                "postgres", "ALTER SYSTEM SET primary_conninfo = ''; SELECT pg_reload_conf();"
            )  # it hears of nothing more
            until(standby.admin_url, lambda seen: of(seen, "replay_lag_seconds")[""] > 0)
        gone = until(primary.admin_url, lambda seen: of(seen, "slot_active") == {"kept": 0})
        assert of(gone, "replication_lag_bytes") == {}
        primary.psql("postgres", "INSERT INTO t SELECT generate_series(1, 20000);")
        assert of(look_at(primary.admin_url), "slot_retained_bytes")["kept"] > of(gone, "slot_retained_bytes")["kept"]


def _stands_in_the_way(primary: PostgresServer, standby: PostgresServer) -> None:
    """A query of a standby that wants to see rows which the primary cleans up has to end (manual, 27.4.2)."""
    assert of(look_at(standby.admin_url), "conflicts_total") == {"": 0}
    standby.psql("postgres", "ALTER SYSTEM SET max_standby_streaming_delay = 0; SELECT pg_reload_conf();")
    with suppress(psycopg.Error), standby.connect("postgres") as reader:
        reader.autocommit = False
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM t")
        primary.psql("postgres", "DELETE FROM t; VACUUM t;")
        until(standby.admin_url, lambda seen: of(seen, "conflicts_total")[""] > 0)


def test_a_replica_that_falls_behind_and_stops() -> None:
    with (
        alone(MysqlServer, {"log_bin": "binlog", "server_id": "1"}) as primary,
        alone(MysqlServer, {"server_id": "2"}) as replica,
    ):
        if primary.make.name != "mariadb":
            pytest.skip("told of MariaDB alone: MySQL wants a source that it trusts, by TLS or a key")
        assert of(look_at(replica.url("mysql")), "replication_running") == {}
        account = f"MASTER_USER = '{primary.tcp_user}', MASTER_PASSWORD = '{primary.password}'"
        replica.client(
            "mysql", f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {primary.port}, {account}; START SLAVE;"
        )
        primary.client("mysql", "CREATE DATABASE shop; CREATE TABLE shop.t (a int);")
        until(replica.url("mysql"), lambda seen: of(seen, "replication_running") == {"default": 1})
        until(replica.url("mysql"), lambda seen: of(seen, "replication_lag_seconds") == {"default": 0})
        replica.client("mysql", "STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 3; START SLAVE;")
        primary.client("shop", "INSERT INTO t VALUES (1);")
        until(replica.url("mysql"), lambda seen: of(seen, "replication_lag_seconds").get("default", 0) > 0)
        until(replica.url("mysql"), lambda seen: of(seen, "replication_lag_seconds") == {"default": 0})
        replica.client("mysql", "STOP SLAVE;")
        stopped = look_at(replica.url("mysql"))
        assert of(stopped, "replication_running") == {"default": 0} and of(stopped, "replication_lag_seconds") == {}
