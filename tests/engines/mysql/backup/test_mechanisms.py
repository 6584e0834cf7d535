"""What is refused, with the reason and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from dbops.engines.base.backup import Mechanism
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.backup import tools
from dbops.engines.mysql.backup.mechanisms import LogState, log_reason
from dbops.engines.mysql.backup.port import MysqlBackups
from dbops.engines.mysql.backup.privileges import privileges_of
from dbops.engines.mysql.connect import connect
from tests.databases import MysqlDatabase, fresh_mysql
from tests.servers import MysqlServer


def all_offered(url: str) -> Sequence[Mechanism]:
    target = Target("", parse_url(url))
    conn = connect(target, readonly=True)
    try:
        return list(chain.from_iterable(MysqlBackups().mechanisms(conn, target)))
    finally:
        conn.close()


@pytest.mark.parametrize("name", ["sh op", "a.b`c"])
def test_rights_on_a_database_of_any_name_are_seen(mysql_server: MysqlServer, name: str) -> None:
    quoted = "`{}`".format(name.replace("`", "``"))
    mysql_server.client("mysql", f"CREATE DATABASE {quoted}")
    try:
        with (
            account(mysql_server, "of_any_name", f"SELECT, SHOW VIEW, TRIGGER, EVENT ON {quoted}.*") as url,
            closing(connect(Target("", replace(parse_url(url), database=name)))) as conn,
        ):
            assert privileges_of(conn).lacks("SELECT", "SHOW VIEW", "TRIGGER", "EVENT") == []
    finally:
        mysql_server.client("mysql", f"DROP DATABASE {quoted}")


def offered(url: str) -> dict[tuple[str, str], Mechanism]:
    """Return what the server's own programs make."""
    return {(one.kind, one.family): one for one in all_offered(url) if one.tool != "mydumper"}


@contextmanager
def account(server: MysqlServer, name: str, *grants: str) -> Iterator[str]:
    """Give the URL of a database for an account with some rights; its password has what an option file would misread."""
    user, password = f"u{name[-12:]}", "p#w \"\\ ';%= n"
    literal = password.replace("\\", "\\\\").replace("'", "''")
    server.client("mysql", f"CREATE USER {user}@'%' IDENTIFIED BY '{literal}'")
    try:
        for grant in grants:
            server.client("mysql", f"GRANT {grant.replace('$', f'`{name}`')} TO {user}@'%'")
        yield server.tcp_url(name, user, password)
    finally:
        server.client("mysql", f"DROP USER {user}@'%'")


def test_every_kind_has_a_mechanism_or_a_reason_and_a_fix(my_database: MysqlDatabase, logging_mysql_server: MysqlServer) -> None:
    with fresh_mysql(logging_mysql_server) as logged:
        for found in (offered(my_database.url), offered(logged.url)):
            assert {kind for kind, _ in found} == {"full", "incremental", "differential", "log"}
            assert all(one.works or (one.refusal and one.fix) for one in found.values())
        assert offered(logged.url)["log", "dump"].works
    refused = offered(my_database.url)
    assert "log_bin is OFF" in refused["log", "dump"].refusal
    assert "a dump holds everything" in refused["incremental", "dump"].refusal
    assert refused["full", "dump"].works


def test_what_an_account_lacks_is_named_with_the_statement_that_gives_it(logging_mysql_server: MysqlServer) -> None:
    server = logging_mysql_server
    with fresh_mysql(server) as logged, account(server, logged.name, "SELECT ON $.*") as url:
        found = offered(url)
        assert "lacks SHOW VIEW, TRIGGER, EVENT" in found["full", "dump"].refusal
        assert f"GRANT SHOW VIEW, TRIGGER, EVENT ON `{logged.name}`.*" in found["full", "dump"].fix
        assert "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.*" in found["log", "dump"].fix
    with fresh_mysql(server) as logged, account(server, logged.name, "SELECT, SHOW VIEW, TRIGGER, EVENT ON $.*") as url:
        assert "does not see the routines of others" in offered(url)["full", "dump"].refusal


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (LogState(False, "ROW", False), "log_bin is OFF"),
        (LogState(True, "STATEMENT", False), "is STATEMENT"),
        (LogState(True, "ROW", True), "is encrypted"),
        (LogState(True, "ROW", False, 0), "server_id is 0"),
    ],
)
def test_logs_that_do_not_tell_what_was_done_are_refused(my_database: MysqlDatabase, state: LogState, reason: str) -> None:
    conn = connect(Target("", parse_url(my_database.url)))
    try:
        found, _ = log_reason(conn, privileges_of(conn), state)
    finally:
        conn.close()
    assert reason in found.text
    assert found.fix


def test_a_missing_tool_is_named_with_its_package(
    my_database: MysqlDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tools, "_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    found = offered(my_database.url)
    assert "is not installed" in found["full", "dump"].refusal
    assert "apt install" in found["full", "dump"].fix


@pytest.mark.parametrize(
    ("text", "is_mariadb", "version"),
    [
        ("mariadb-dump  Ver 10.19 Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)", True, (10, 11, 6)),
        ("mariadb-dump from 11.4.2-MariaDB, client 10.19 for debian-linux-gnu (x86_64)", True, (11, 4, 2)),
        ("mysqldump  Ver 8.4.2 for Linux on x86_64 (MySQL Community Server - GPL)", False, (8, 4, 2)),
        ("mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)", True, (10, 11, 19)),
        ("mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)", False, (8, 0, 36)),
    ],
)
def test_versions_of_tools_are_read(text: str, is_mariadb: bool, version: tuple[int, ...]) -> None:
    tool = tools.read_version(Path("tool"), text)
    assert (tool.is_mariadb, tool.version) == (is_mariadb, version)
