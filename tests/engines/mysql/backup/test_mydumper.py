"""Dumps whose rows several sessions read at a time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pymysql
import pytest

from dbops.engines.base.processes import find_tool
from dbops.engines.mysql.backup import mechanisms, mydumper, tools
from dbops.errors import BackupError
from tests.databases import MysqlDatabase
from tests.engines.mysql.backup.shops import MARIADB, NASTY, assert_equal, contents
from tests.engines.mysql.backup.test_logs import clock
from tests.engines.mysql.backup.test_mechanisms import account, all_offered
from tests.usecases.policies import Shop

SCHEDULE = """[{type: full, cron: "0 3 * * 0", tool: mydumper, options: {jobs: 3}}, {type: log, cron: "* * * * *"}]"""

pytestmark = pytest.mark.skipif(shutil.which("mydumper") is None, reason="mydumper is not installed: apt install mydumper")


@pytest.fixture
def shop(tmp_path: Path, logged: MysqlDatabase) -> Shop:
    if not logged.server.has("sequences"):
        pytest.skip("mydumper is driven for MariaDB alone")
    logged.load(NASTY.replace("we``ird", "weird").replace("a ``b", "a b"))
    plain = MARIADB.replace(" WITH SYSTEM VERSIONING", "").replace(" INVISIBLE", "")
    logged.load(plain.replace("uuid,", "char(36),").replace("inet6", "text"))
    return Shop(tmp_path / "env", logged.url, schedule=SCHEDULE)


def test_everything_comes_back_and_a_log_follows(
    shop: Shop, logged: MysqlDatabase, logged_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = logged.server
    passing = tmp_path / "passing"
    passing.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(passing))
    full = shop.run()
    assert (full.tool, full.family) == ("mydumper", "dump")
    assert {"rows.tar", "rows.json", "tables.sql", "views.sql"} <= {one.name for one in full.streams}
    shop.restore(server.url(logged_name))
    assert_equal(server, logged.name, logged_name)
    for level in (2, 3):
        evidence = shop.verify(level, full.id)
        assert evidence.ok, evidence.problems
    assert evidence.details["tables_counted"] >= 8
    server.drop_database(logged_name)
    shop.restore(server.url(logged_name), tables=("parts",))
    assert server.rows(logged_name, "SELECT COUNT(*) FROM parts") == [(2,)]
    assert [name for (name,) in server.rows(logged_name, "SHOW TABLES")] == ["parts"]
    assert not list(passing.iterdir())


def test_a_restore_to_a_moment_behind_it(shop: Shop, logged: MysqlDatabase, logged_name: str) -> None:
    server = logged.server
    shop.run()
    logged.load("INSERT INTO zero VALUES (100)")
    before = contents(server, logged.name)
    shop.run("log")
    logged.load("DROP TABLE zero")
    assert clock(server)
    shop.restore(server.url(logged_name))
    assert contents(server, logged_name) == before


def test_what_stands_there_is_replaced(shop: Shop, logged: MysqlDatabase, logged_name: str) -> None:
    server = logged.server
    made = shop.run()
    shop.restore(server.url(logged_name))
    logged.load("DELETE FROM everything; DROP TABLE parts; CREATE TABLE other (a int)")
    shop.restore(logged.url, word=made.id, replaces=True)
    assert_equal(server, logged_name, logged.name)


def _without_mydumper(*names: str) -> Path:
    if "mydumper" in names:
        return find_tool("mydumper")
    return FIND(*names)


FIND = tools.find_program


def test_what_it_cannot_do_is_refused_with_what_helps(
    logged: MysqlDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def reason(url: str = logged.url) -> tuple[str, str]:
        found = [one for one in all_offered(url) if one.tool == "mydumper"]
        return found[0].refusal, found[0].fix

    if not logged.server.has("sequences"):
        assert "for MariaDB alone" in reason()[0]
        return
    assert reason() == ("", "")
    rights = "SELECT, SHOW VIEW, TRIGGER, EVENT ON $.*"
    with account(logged.server, logged.name, rights, "SELECT ON mysql.*") as url:
        assert "lacks RELOAD, REPLICATION CLIENT" in reason(url)[0]
    logged.load("CREATE TABLE past (a int) WITH SYSTEM VERSIONING")
    assert "old rows of versioned tables" in reason()[0]
    logged.load("DROP TABLE past; CREATE TABLE ids (a uuid)")
    assert reason()[0] == "mydumper writes uuid as bytes, as in ids"
    logged.load("DROP TABLE ids")
    logged.load("CREATE TABLE `a/b` (a int)")
    assert reason()[0] == "mydumper cannot name the table a/b, or a column of it"
    logged.load("DROP TABLE `a/b`; CREATE TABLE odd (`a``b` int)")
    assert reason()[0] == "mydumper cannot name the table odd, or a column of it"
    logged.load("DROP TABLE odd; CREATE TABLE t (a int, b int INVISIBLE DEFAULT 3)")
    assert reason()[0] == "mydumper leaves out the invisible columns of t"
    logged.load("DROP TABLE t")
    monkeypatch.setattr(mechanisms, "find_program", _without_mydumper)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "mydumper is not installed" in reason()[0]
    assert "apt install mydumper" in reason()[1]
    with pytest.raises(BackupError, match=r"options\.jobs"):
        mydumper._jobs({"jobs": "all"})


@pytest.mark.parametrize("tool", ["mydumper", "mariadb-dump"])
def test_rows_that_are_elsewhere_are_not_written_there_again(
    tool: str, logged: MysqlDatabase, logged_name: str, tmp_path: Path
) -> None:
    """A table of another server's is restored as that, and both the backup and the restore say so."""
    server = logged.server
    try:
        server.rows("mysql", "INSTALL SONAME 'ha_federatedx'")
    except pymysql.Error:
        pytest.skip("the server has no FEDERATED")
    other = server.new_database("remote")
    try:
        server.client(other, "CREATE TABLE stock (a int); INSERT INTO stock VALUES (1), (2);")
        server.client(
            "mysql",
            f"CREATE SERVER {other} FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1', DATABASE '{other}', USER "
            f"'{server.tcp_user}', PASSWORD '{server.password}', PORT {server.port});",
        )
        logged.load(
            f"CREATE TABLE stock (a int) ENGINE = FEDERATED CONNECTION = '{other}';"
            "CREATE TABLE one (a int) ENGINE = MyISAM; INSERT INTO one VALUES (1);"
            "CREATE TABLE all_of (a int) ENGINE = MERGE UNION = (one) INSERT_METHOD = LAST;"
        )
        mechanism = "" if tool == "mariadb-dump" else f", tool: {tool}"
        shop = Shop(tmp_path / "shop", logged.url, schedule=f'[{{type: full, cron: "0 3 * * 0"{mechanism}}}]')
        made = shop.run()
        assert made.tool == tool
        assert "defined without their rows, which are elsewhere: stock (FEDERATED)" in made.warnings
        assert shop.verify(3).problems == ()
        warnings = shop.restore(server.url(logged_name)).restored.warnings
        assert [one for one in warnings if "not backed up" in one and "stock (FEDERATED)" in one and "all_of" not in one]
        assert server.rows(other, "SELECT COUNT(*) FROM stock") == [(2,)]
        assert server.rows(logged_name, "SELECT (SELECT COUNT(*) FROM stock), (SELECT COUNT(*) FROM all_of)") == [(2, 1)]
    finally:
        server.drop_database(logged_name)
        logged.load("DROP TABLE IF EXISTS stock")
        server.rows("mysql", f"DROP SERVER IF EXISTS {other}")
        server.drop_database(other)
        server.rows("mysql", "UNINSTALL SONAME 'ha_federatedx'")
