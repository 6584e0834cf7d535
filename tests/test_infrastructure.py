"""The private servers and fresh databases that the other tests stand on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pymysql
import pytest

from tests.databases import Database, SqliteDatabase
from tests.servers import Lease, MysqlServer, PostgresServer, ServerError

PROJECT = Path(__file__).resolve().parents[1]
HOLDER = """
import sys, time
from tests.servers import Lease
lease = Lease.take()
print(lease.folder, lease.postgres().port, lease.mysql().port, flush=True)
time.sleep(600)
"""


def test_every_engine_says_its_version(database: Database) -> None:
    function = "sqlite_version" if database.engine == "sqlite" else "version"
    [(version,)] = database.rows(f"SELECT {function}()")
    assert any(digit in version for digit in "0123456789")


def test_scripts_and_rows_reach_the_database(database: Database) -> None:
    database.load(
        "CREATE TABLE customer (id integer PRIMARY KEY); INSERT INTO customer VALUES (1); INSERT INTO customer SELECT 2"
    )
    assert database.rows("SELECT id FROM customer ORDER BY id") == [(1,), (2,)]
    assert database.rows("DELETE FROM customer WHERE id = 1") == []
    placeholder = "?" if database.engine == "sqlite" else "%s"
    assert database.rows(f"SELECT id FROM customer WHERE id = {placeholder}", [2]) == [(2,)]
    assert database.rows("SELECT '100%'") == [("100%",)]


def test_a_dump_names_what_was_created_but_not_what_dbops_keeps(database: Database) -> None:
    database.load("CREATE TABLE customer (id integer PRIMARY KEY)")
    before = database.dump()
    if database.engine == "postgresql":
        database.load("CREATE SCHEMA dbops CREATE TABLE journal (id integer PRIMARY KEY)")
    else:
        database.load("CREATE TABLE dbops_journal (id integer PRIMARY KEY)")
    assert "customer" in before
    assert database.dump() == before


def test_a_statement_that_fails_fails_the_script(postgres_server: PostgresServer, mysql_server: MysqlServer) -> None:
    with pytest.raises(ServerError, match='syntax error at or near "nonsense"'):
        postgres_server.psql("postgres", "SELECT 1; nonsense; SELECT 2")
    with pytest.raises(ServerError, match="near 'nonsense'"):
        mysql_server.client("mysql", "SELECT 1; nonsense; SELECT 2")


def test_mysql_dump_holds_every_kind_of_object(mysql_server: MysqlServer) -> None:
    name = mysql_server.new_database("dump")
    sequence = "CREATE SEQUENCE s;" if mysql_server.has("sequences") else ""
    try:
        mysql_server.client(
            name,
            f"""
            {sequence}
            CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, note varchar(20) COMMENT '100%');
            INSERT INTO t (note) VALUES ('a');
            CREATE VIEW v AS SELECT id FROM t;
            DELIMITER //
            CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN SET NEW.note = 'b'; END //
            CREATE PROCEDURE p() BEGIN SELECT 1; END //
            CREATE FUNCTION f() RETURNS int RETURN 1 //
            CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1 //
            """,
        )
        dump = mysql_server.dump(name)
    finally:
        mysql_server.drop_database(name)
    begun = [statement.split(":")[0] for statement in dump.split(";\n\n")]
    sequences = ["SEQUENCE s"] if sequence else []
    assert begun == ["EVENT e", "FUNCTION f", "PROCEDURE p", *sequences, "TABLE t", "TRIGGER g", "VIEW v"]
    assert "AUTO_INCREMENT=" not in dump
    assert name not in dump


def test_sqlite_url_is_absolute(sqlite_database: SqliteDatabase) -> None:
    assert sqlite_database.url == f"sqlite:////{str(sqlite_database.path).removeprefix('/')}"


def test_postgresql_wants_a_password_over_tcp(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.tcp_url("postgres")) as conn:
        assert conn.execute("SELECT inet_server_port()").fetchall() == [(postgres_server.port,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres_server.tcp_url("postgres", password="wrong"))
    with psycopg.connect(postgres_server.admin_url) as conn:
        assert conn.execute("SELECT current_database()").fetchall() == [("postgres",)]


def test_mysql_wants_a_password_over_tcp(mysql_server: MysqlServer) -> None:
    def connect(user: str, password: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
        return pymysql.connect(host="127.0.0.1", port=mysql_server.port, user=user, password=password)

    connect(mysql_server.tcp_user, mysql_server.password).close()
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        connect(mysql_server.tcp_user, "wrong")
    with pytest.raises(pymysql.err.OperationalError):
        connect("root", "")


def test_a_dropped_database_is_gone_and_dropping_it_again_is_no_error(postgres_server: PostgresServer) -> None:
    name = postgres_server.new_database("gone")
    with postgres_server.connect(name):
        postgres_server.drop_database(name)
    postgres_server.drop_database(name)
    assert postgres_server.rows("postgres", "SELECT FROM pg_database WHERE datname = %s", [name]) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_servers_end_with_their_holder(name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdout is not None
        folder, *ports = holder.stdout.readline().split()
        assert [_listens(int(port)) for port in ports] == [True, True]
        holder.send_signal(signal.Signals[name])
    deadline = time.monotonic() + 20
    while os.path.exists(folder) and time.monotonic() < deadline:  # noqa: PTH110
        time.sleep(0.05)
    assert not Path(folder).exists()
    assert [_listens(int(port)) for port in ports] == [False, False]


def test_a_server_that_cannot_start_says_why_and_leaves_the_others_alone() -> None:
    with Lease.take() as lease:
        mysql = lease.mysql()
        (lease.folder / "postgresql").write_text("in the way")
        with pytest.raises(ServerError, match="File exists"):
            lease.postgres()
        assert mysql.rows("mysql", "SELECT 1") == [(1,)]
    assert not lease.folder.exists()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
