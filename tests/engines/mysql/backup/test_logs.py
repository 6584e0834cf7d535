"""The binary log copied behind dumps, and restores to a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dbops.usecases.backup.restore import point_of
from dbops.usecases.backup.verify import verify
from tests.databases import MysqlDatabase, fresh_mysql
from tests.engines.mysql.backup.shops import WITH_LOGS, assert_equal, fill
from tests.servers import MysqlServer
from tests.usecases.policies import Shop


@pytest.fixture
def logged(logging_mysql_server: MysqlServer) -> Iterator[MysqlDatabase]:
    with fresh_mysql(logging_mysql_server, "logged") as fresh:
        yield fresh


@pytest.fixture
def shop(tmp_path: Path, logged: MysqlDatabase, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    return Shop(tmp_path / "env", logged.url, schedule=WITH_LOGS)


@pytest.fixture
def new_name(logging_mysql_server: MysqlServer) -> Iterator[str]:
    name = logging_mysql_server.new_database("restored")
    logging_mysql_server.drop_database(name)
    yield name
    logging_mysql_server.drop_database(name)


def clock(server: MysqlServer) -> datetime:
    [(now,)] = server.rows("mysql", "SELECT CAST(UTC_TIMESTAMP() AS CHAR)")
    return datetime.fromisoformat(str(now)).replace(tzinfo=UTC)


def test_a_restore_leads_to_the_moment_before_a_table_was_dropped(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, new_name: str
) -> None:
    server = logging_mysql_server
    fill(server, logged.name)
    shop.run()
    with fresh_mysql(server, "other") as other:
        other.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
        logged.load(
            "INSERT INTO zero VALUES (100); CREATE TABLE later (a int); INSERT INTO later VALUES (1), (2);"
            "INSERT INTO parts VALUES (5, 5); CREATE PROCEDURE late() SELECT 1; ALTER TABLE zero ADD c text;"
        )
        shop.run("log")
        other.load(f"INSERT INTO t VALUES (2); ALTER TABLE `{logged.name}`.later ADD b blob DEFAULT x'00ff';")
        logged.load(f"UPDATE later, `{other.name}`.t SET later.b = REPEAT(x'0027ff', 1000), t.a = 7 WHERE later.a = 1;")
        logged.load(f"UPDATE `{other.name}`.t, later SET later.a = 8, t.a = 9 WHERE later.a = 2;")
        server.client("mysql", f"INSERT INTO `{logged.name}`.later VALUES (3, NULL);")
        before = server.rows(logged.name, "SELECT * FROM later ORDER BY a")
        moment = clock(server)
        time.sleep(1.1)  # a log knows seconds
        logged.load("DROP TABLE later; DELETE FROM everything;")
        shop.run("log")
        shop.restore(server.url(new_name), word=None, point=point_of(moment))
        assert server.rows(new_name, "SELECT * FROM later ORDER BY a") == before
        assert server.rows(new_name, "SELECT count(*) FROM everything") == [(3,)]
        server.drop_database(new_name)
        shop.restore(server.url(new_name))
        assert_equal(server, logged.name, new_name)
    with shop.workspace() as workspace:
        assert [one.problems for one in verify(workspace, "latest", 2, shop.told.append)] == [()]
