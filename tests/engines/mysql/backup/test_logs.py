"""The binary log copied behind dumps, and restores to a moment."""

from __future__ import annotations

import resource
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dbops.engines.base import passing
from dbops.engines.base.backup import Link, Mechanism, Order, Point, Produced
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.backup import logs
from dbops.engines.mysql.backup.spool import SpoolSink, SpoolSource
from dbops.engines.mysql.connect import connect
from dbops.errors import BackupError
from dbops.usecases.backup.restore import point_of
from dbops.usecases.backup.verify import verify
from tests.databases import MysqlDatabase, fresh_mysql
from tests.engines.mysql.backup.shops import OF_FILES, WITH_LOGS, contents, fill
from tests.engines.mysql.backup.test_mechanisms import account
from tests.servers import Lease, MysqlServer
from tests.servers.alone import alone
from tests.servers.programs import run
from tests.usecases.policies import Shop


@pytest.fixture
def shop(tmp_path: Path, logged: MysqlDatabase) -> Shop:
    return Shop(tmp_path / "env", logged.url, schedule=WITH_LOGS)


def clock(server: MysqlServer) -> datetime:
    [(now,)] = server.rows("mysql", "SELECT CAST(UTC_TIMESTAMP() AS CHAR)")
    return datetime.fromisoformat(str(now)).replace(tzinfo=UTC)


def test_a_restore_leads_to_the_moment_before_a_table_was_dropped(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, logged_name: str
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
        other.load(
            f"INSERT INTO t VALUES (2); ALTER TABLE `{logged.name}`.later ADD b blob;"
            f"UPDATE `{logged.name}`.later SET b = x'00ff';"
        )
        logged.load(f"UPDATE later, `{other.name}`.t SET later.b = REPEAT(x'0027ff', 1000), t.a = 7 WHERE later.a = 1;")
        logged.load(f"UPDATE `{other.name}`.t, later SET later.a = 8, t.a = 9 WHERE later.a = 2;")
        server.client("mysql", f"INSERT INTO `{logged.name}`.later VALUES (3, NULL);")
        before = server.dump(logged.name), contents(server, logged.name)
        moment = clock(server)
        time.sleep(1.1)  # a log knows seconds
        logged.load("DROP TABLE later; DELETE FROM everything;")
        shop.run("log")
    result = shop.restore(server.url(logged_name), word=None, point=point_of(moment))
    assert (server.dump(logged_name).replace(logged_name, logged.name), contents(server, logged_name)) == before
    assert not any("left out" in one for one in result.restored.warnings)
    with shop.workspace() as workspace:
        assert [one.problems for one in verify(workspace, "latest", 2, shop.told.append)] == [()]


def test_views_over_other_databases_come_through_the_log_and_broken_ones_are_told_of(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, logged_name: str
) -> None:
    """The private server that replays has one database alone."""
    server = logging_mysql_server
    with fresh_mysql(server, "other") as other:
        there = other.name
        other.load(
            "CREATE TABLE t (a int, `B c` text, p point, w int); INSERT INTO t VALUES (1, 'x', ST_GeomFromText('POINT(1 2)'), 3);"
            "CREATE FUNCTION `f.g`(x int, y text) RETURNS int DETERMINISTIC RETURN x + 1;"
        )
        logged.load(
            "CREATE TABLE own (a int); INSERT INTO own VALUES (1);"
            "CREATE TABLE gone (a int); CREATE VIEW broken AS SELECT a FROM gone;"
            f"CREATE VIEW zjoin AS SELECT own.a, x.`B c` FROM own JOIN {there}.t AS x ON own.a = x.a AND EXISTS"
            f" (SELECT 1 FROM {there}.t WHERE {there}.t.w > 2); CREATE VIEW bare AS SELECT 1 AS n FROM {there}.t;"
            f"CREATE VIEW called AS SELECT {there}.`f.g`(a + LEAST(0, 1), 'z') AS n, `B c` FROM zjoin;"
            "CREATE VIEW later AS SELECT * FROM bare;"
        )
        shop.run()
        logged.load("INSERT INTO own VALUES (2); DROP TABLE gone; DROP VIEW later; CREATE VIEW newer AS SELECT a FROM own;")
        shop.run("log")
        assert shop.verify(3).problems == ()
        warnings = shop.restore(server.url(logged_name)).restored.warnings
        assert [one for one in warnings if "view" in one.lower()] == [one for one in warnings if "view broken is left out" in one]
        assert len(warnings) == 1
        logged.load("DROP VIEW broken")
        assert server.dump(logged_name) == server.dump(logged.name)
        assert server.rows(logged_name, "SELECT * FROM called WHERE n = 2") == [(2, "x")]
        logged.load(f"INSERT INTO own VALUES (3); CREATE VIEW fresh AS SELECT * FROM {there}.t;")
        shop.run("log")
        server.drop_database(logged_name)
        with pytest.raises(BackupError, match=there):  # what its columns are is not known
            shop.restore(server.url(logged_name))


def test_what_draws_from_another_database_or_follows_its_rows_comes_through_the_log(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, logged_name: str
) -> None:
    """Rows that a foreign key took along are in no log, which is told; MySQL has no sequences."""
    server = logging_mysql_server
    with fresh_mysql(server, "other") as other:
        other.load("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);")
        logged.load(
            f"CREATE TABLE child (t int, CONSTRAINT along FOREIGN KEY (t) REFERENCES {other.name}.t (id) ON DELETE CASCADE);"
            f"CREATE TABLE stays (t int, CONSTRAINT alone FOREIGN KEY (t) REFERENCES {other.name}.t (id));"
            "CREATE TABLE drawn (b int); INSERT INTO child VALUES (1);"
        )
        if server.has("sequences"):
            other.load("CREATE SEQUENCE numbers START 5")
            logged.load(
                f"ALTER TABLE drawn ADD a int DEFAULT (NEXTVAL({other.name}.numbers)); INSERT INTO drawn (b) VALUES (1);"
                f"CREATE VIEW v AS SELECT LASTVAL({other.name}.numbers) AS n;"
            )
        shop.run()
        logged.load("INSERT INTO drawn (b) VALUES (2)")
        other.load("DELETE FROM t")
        shop.run("log")
        assert shop.verify(3).problems == ()
        [warning] = shop.restore(server.url(logged_name)).restored.warnings
        assert "along of child; the log" in warning
        assert server.dump(logged_name) == server.dump(logged.name)
        assert contents(server, logged_name)["drawn"] == contents(server, logged.name)["drawn"]
        server.drop_database(logged_name)  # before what its foreign keys refer to
        server.drop_database(logged.name)


def test_statements_come_through_the_log_however_they_are_worded(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, logged_name: str
) -> None:
    """Tables called as accounts are, settings before a statement, and names in double quotes."""
    server, own = logging_mysql_server, logged.name
    logged.load("CREATE TABLE user (a int); CREATE TABLE role (a int); INSERT INTO user VALUES (1);")
    shop.run()
    logged.load("ALTER TABLE user ADD b int; INSERT INTO user VALUES (2, 3); CREATE INDEX role ON role (a);")
    with fresh_mysql(server, "other") as other:
        other.load(f'SET sql_mode = \'ANSI_QUOTES\'; ALTER TABLE "{own}"."user" ADD d int; UPDATE {own}.user SET d = 5;')
    if server.has("sequences"):  # MariaDB
        logged.load("SET STATEMENT lock_wait_timeout = 5 FOR ALTER TABLE user ADD c int; UPDATE user SET c = 4;")
    shop.run("log")
    shop.restore(server.url(logged_name))
    assert (server.dump(logged_name), contents(server, logged_name)) == (server.dump(own), contents(server, own))


def test_tables_keep_their_engine_and_options_or_are_refused(tmp_path: Path, mysql_server: MysqlServer) -> None:
    """A server without an engine takes another one where its sql_mode lets it; the one that replays has none but its own."""
    if not mysql_server.has("sequences"):
        pytest.skip("MySQL has all its engines built in")
    settings = {"plugin-load-add": "ha_archive", "innodb-strict-mode": "0"}
    with alone(MysqlServer, MysqlServer.log_settings | settings) as server:
        server.client(
            "mysql", "CREATE DATABASE shop; CREATE TABLE shop.kept (a int) ENGINE = ARCHIVE; INSERT shop.kept VALUES (1);"
        )
        shop = Shop(tmp_path / "env", server.url("shop"), schedule=WITH_LOGS)
        shop.run()
        wanted = mysql_server.new_database("restored")
        with pytest.raises(BackupError, match="ARCHIVE") as caught:
            shop.restore(mysql_server.url(wanted))
        assert "INSTALL SONAME" in str(caught.value.fix)
        assert mysql_server.dump(wanted) == ""
        mysql_server.drop_database(wanted)
        server.client("shop", "CREATE TABLE odd (a int) ROW_FORMAT = DYNAMIC KEY_BLOCK_SIZE = 8; INSERT INTO kept VALUES (2);")
        shop.run("log")
        assert shop.verify(3).problems == ()
        shop.restore(server.url("restored"))
        assert (server.dump("restored"), contents(server, "restored")) == (server.dump("shop"), contents(server, "shop"))


@pytest.mark.parametrize("schedule", [WITH_LOGS, OF_FILES], ids=["dumps", "files"])
def test_tables_with_folders_of_their_own_are_restored_beside_those_that_live(
    tmp_path: Path, mysql_server: MysqlServer, schedule: str
) -> None:
    """DATA DIRECTORY: what a private server made there stood in the way of the table itself."""
    if not mysql_server.has("sequences"):
        pytest.skip("MySQL has such folders only where its configuration says so")
    with alone(MysqlServer, MysqlServer.log_settings | {"symbolic-links": "1"}) as server:
        far = server.home / "far"
        server.rows("mysql", "CREATE DATABASE shop")
        shop = Shop(tmp_path / "env", server.url("shop"), schedule=schedule)
        said = " DATA DIRECTORY=''x''"
        server.client(
            "shop",
            f"CREATE TABLE t (a int) COMMENT '{said}' DATA DIRECTORY = '{far}'; INSERT INTO t VALUES (1);"
            f"CREATE TABLE p (a int) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN MAXVALUE DATA DIRECTORY = '{far}');",
        )
        shop.run()
        assert shop.verify(3).problems == ()
        server.client("shop", "INSERT INTO t VALUES (2); INSERT INTO p VALUES (3);")
        shop.run("log")
        there = {path: path.stat().st_mtime_ns for path in far.rglob("*.ibd")}
        for name in ("beside", "shop"):
            [warning] = shop.restore(server.url(name), word=shop.backups()[1].id, replaces=name == "shop").restored.warnings
            assert warning.startswith("tables that had folders of their own") and warning.endswith(": p, t")
            assert server.rows(name, "SELECT a FROM t UNION ALL SELECT a FROM p") == [(1,), (2,), (3,)]
            assert {path: path.stat().st_mtime_ns for path in far.rglob("*.ibd")} == ({} if name == "shop" else there)
        assert f"COMMENT='{said}'" in server.dump("shop")
        assert far.as_posix() not in server.dump("shop")


def test_statements_of_a_log_mean_what_they_meant_where_they_were_given(tmp_path: Path, mysql_server: MysqlServer) -> None:
    """The engine of tables that name none, what `utf8` is, and zones by name stand in no log."""
    if not mysql_server.has("sequences"):
        pytest.skip("settings of MariaDB")
    settings = {"old-mode": "", "default-storage-engine": "Aria", "binlog-format": "MIXED"}
    with alone(MysqlServer, MysqlServer.log_settings | settings) as server:
        server.client("mysql", run(["mariadb-tzinfo-to-sql", "/usr/share/zoneinfo"]))
        server.client("mysql", "CREATE DATABASE shop; CREATE TABLE shop.t (a int, at timestamp NULL);")
        shop = Shop(tmp_path / "env", server.url("shop"), schedule=WITH_LOGS)
        shop.run()
        server.client(
            "shop",
            "CREATE TABLE b (x varchar(9) CHARACTER SET utf8); INSERT INTO b VALUES ('😀'); SET time_zone = 'Asia/Tokyo';"
            "INSERT INTO t VALUES (1, '2030-01-01 00:00:00');"
            "ALTER TABLE t ADD c timestamp NOT NULL DEFAULT '2020-01-01 00:00:00';"
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO SELECT 1;",
        )
        shop.run("log")
        assert shop.verify(3).problems == ()
        shop.restore(server.url("restored"))
        assert (server.dump("restored"), contents(server, "restored")) == (server.dump("shop"), contents(server, "shop"))


def test_a_log_that_leads_to_another_schema_is_found(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer
) -> None:
    """Changes that a session keeps out of the log are in none, nor is what follows them."""
    logged.load("CREATE TABLE t (a int)")
    shop.run()
    logged.load("ALTER TABLE t ADD b int; ALTER DATABASE COLLATE latin1_bin; CREATE TABLE made (x varchar(9));")
    shop.run("log")
    assert shop.verify(3).problems == ()
    logged.load("SET sql_log_bin = 0; ALTER TABLE t ADD c int;")
    shop.run("log")
    assert shop.verify(3).problems == ("the restored schema is not the one that was backed up",)


def test_names_of_any_case_come_through_the_log_where_the_server_folds_them(tmp_path: Path, mysql_server: MysqlServer) -> None:
    if not mysql_server.has("sequences"):
        pytest.skip("MySQL takes that setting only when its data folder is made")
    with alone(MysqlServer, MysqlServer.log_settings | {"lower-case-table-names": "1"}) as server:
        server.client("mysql", "CREATE DATABASE Shop; CREATE DATABASE other; CREATE TABLE Shop.Items (a int);")
        shop = Shop(tmp_path / "env", server.url("shop"), schedule=WITH_LOGS)
        shop.run()
        server.client("other", "ALTER TABLE SHOP.items ADD b int; INSERT INTO Shop.ITEMS VALUES (1, 2);")
        shop.run("log")
        shop.restore(server.url("restored"))
        assert server.rows("restored", "SELECT * FROM items") == [(1, 2)]


@pytest.mark.campaign
def test_statements_replay_up_to_a_gtid(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, logged_name: str, tmp_path: Path
) -> None:
    server = logging_mysql_server
    (tmp_path / "rows.txt").write_text("one\ntwo\n")
    logged.load("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, a varchar(40)); CREATE TABLE gone (a int);")
    shop.run()
    with fresh_mysql(server, "other") as other:
        other.load(
            f"SET binlog_format = MIXED; CREATE TABLE o (a int); CREATE TRIGGER r AFTER INSERT ON o FOR EACH ROW"
            f" INSERT INTO `{logged.name}`.gone VALUES (NEW.a); INSERT INTO o VALUES (1);"
        )
        logged.load(
            "SET binlog_format = MIXED; INSERT INTO t (a) VALUES ('x'), (UUID()); SET @v = 'w'; INSERT INTO t (a) VALUES (@v);"
            " SET SESSION time_zone = '+05:00', timestamp = 1000000000; INSERT INTO t (a) VALUES (NOW());"
            " CREATE TEMPORARY TABLE k (a int); INSERT INTO k VALUES (1); INSERT INTO t (a) SELECT a FROM k;"
            f" DROP TABLE k; SET binlog_format = STATEMENT; LOAD DATA LOCAL INFILE '{tmp_path}/rows.txt' INTO TABLE t (a);"
        )
        [(gtid,)] = server.rows("mysql", "SELECT @@gtid_binlog_pos")
        assert server.rows(logged.name, "SELECT COUNT(*) FROM t WHERE a IN ('one', 'two')") == [(2,)]
        before = contents(server, logged.name)["t"]
        logged.load("UPDATE t SET a = 'later'; DROP TABLE t;")
        shop.run("log")
    result = shop.restore(server.url(logged_name), word=None, point=Point("lsn", None, gtid))
    assert contents(server, logged_name)["t"] == before
    assert any("1 statements given in other databases were left out" in one for one in result.restored.warnings)
    assert result.restored.reached["gtid"] == gtid


def made_from(server: MysqlServer, database: str, end: dict[str, object], sink: SpoolSink) -> Produced:
    """Copy the log behind a backup that ended somewhere."""
    target = Target("", parse_url(server.url(database)))
    conn = connect(target, readonly=True)
    nothing = SpoolSource(sink.folder, ())
    parent = Link("parent", "full", "logical", "mariadb-dump", "dump", end, end, datetime.now(UTC), {}, nothing)
    try:
        return logs.produce(Order(Mechanism("log", "logical", "t", "dump"), "new", (parent,)), conn, target, sink, str)
    finally:
        conn.close()


def place_of(server: MysqlServer) -> dict[str, object]:
    """Return where the binary log is."""
    name, size, *_ = server.rows("mysql", "SHOW BINARY LOGS")[-1]
    return {"file": name, "offset": int(size)}


@pytest.mark.parametrize("little", [passing._LITTLE, 1 << 60])
def test_a_private_server_that_cannot_be_made_says_nothing_of_the_backup(
    shop: Shop, logged: MysqlDatabase, monkeypatch: pytest.MonkeyPatch, little: int
) -> None:
    """No file grows beyond 1 MB, as where a disk is full; the other time the disk has room for more."""
    logged.load("CREATE TABLE t (a int)")
    shop.run()
    logged.load("INSERT INTO t VALUES (1)")
    shop.run("log")
    monkeypatch.setattr(passing, "_LITTLE", little)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, usual[1]))
    try:
        with pytest.raises(BackupError, match="a private server cannot be made") as caught:
            shop.verify(3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert caught.value.error_code == "NO_TRIAL" and ("is not enough" in caught.value.message) is (little == 1 << 60)
    with shop.keeper() as keeper:
        assert keeper.standing().evidence == ()


def test_of_all_those_without_a_log_behind_are_proven_to_their_end(shop: Shop, logged: MysqlDatabase) -> None:
    logged.load("CREATE TABLE t (a int)")
    shop.run()
    with shop.workspace() as workspace, pytest.raises(BackupError, match="no log goes on"):
        verify(workspace, None, 4, shop.told.append)
    logged.load("INSERT INTO t VALUES (1)")
    shop.run("log")
    with shop.workspace() as workspace:
        assert [(one.level, one.problems) for one in verify(workspace, None, 4, shop.told.append)] == [(4, ()), (3, ())]


def test_a_log_that_does_not_follow_is_refused(logged: MysqlDatabase, logging_mysql_server: MysqlServer, tmp_path: Path) -> None:
    (tmp_path / "binlog").mkdir()
    sink = SpoolSink(tmp_path)
    logged.load("CREATE TABLE t (a int);")
    logging_mysql_server.rows("mysql", "FLUSH BINARY LOGS")  # the first file of all knows of none before
    here = place_of(logging_mysql_server)
    logged.load("CREATE TABLE u (a int);")
    cases: list[tuple[dict[str, object], str]] = [
        ({"file": "binlog.000000", "offset": 4}, "binary log has a gap: binlog.000000"),
        ({**here, "offset": 1 << 40}, "begun anew"),
        ({**here, "offset": 5}, "begun anew"),
        ({}, "does not say where in the binary log"),
    ]
    if logging_mysql_server.make.name == "mariadb":  # where every event has a GTID
        cases += [({**here, "gtid": "0-7-999999"}, "begun anew"), ({**here, "offset": 4, "gtid": "0-7-99999"}, "begun anew")]
    for end, reason in cases:
        with pytest.raises(BackupError, match=reason) as caught:
            made_from(logging_mysql_server, logged.name, end, sink)
        assert "full" in (caught.value.fix or "")


def test_a_file_of_the_same_name_that_was_begun_at_another_time_is_another(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, tmp_path: Path
) -> None:
    logged.load("CREATE TABLE t (a int);")
    full, log = shop.run(), shop.run("log")
    for made in (full, log):
        head = (logging_mysql_server.home / "data" / made.end["file"]).read_bytes()[4:8]
        assert made.end["began"] == int.from_bytes(head, "little")
    (tmp_path / "binlog").mkdir()
    end = {**log.end}
    end.pop("gtid", None)  # as where the server has none
    with pytest.raises(BackupError, match="begun anew"):
        made_from(logging_mysql_server, logged.name, {**end, "began": end["began"] - 1}, SpoolSink(tmp_path))
    made_from(logging_mysql_server, logged.name, end, SpoolSink(tmp_path))


@pytest.mark.campaign
def test_a_log_that_the_server_begins_anew_ends_the_chain(tmp_path: Path) -> None:
    with Lease.take() as lease:
        server = lease.mysql(logs=True)
        reset = "RESET MASTER" if server.make.name == "mariadb" else "RESET BINARY LOGS AND GTIDS"
        with fresh_mysql(server) as fresh:
            fresh.load("CREATE TABLE t (a int);")
            shop = Shop(tmp_path / "env", fresh.url, schedule=WITH_LOGS)
            for kind in ("full", "log"):
                made = shop.run(kind)
                time.sleep(1.1)
                fresh.load(reset)
                while str(server.rows("mysql", "SHOW BINARY LOGS")[-1][0]) <= str(made.end["file"]):
                    fresh.load("INSERT INTO t VALUES (1); FLUSH BINARY LOGS")
                with pytest.raises(BackupError, match="begun anew"):
                    shop.run("log")
                shop.run()
                shop.run("log")


def test_every_moment_across_a_new_base_can_be_restored(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, logged_name: str
) -> None:
    server = logging_mysql_server
    logged.load("CREATE TABLE t (a int);")
    shop.run()
    logged.load("INSERT INTO t VALUES (1)")
    before = shop.run("log")
    time.sleep(1.1)
    logged.load("INSERT INTO t VALUES (2)")
    moment = clock(server)
    time.sleep(1.1)
    logged.load("INSERT INTO t VALUES (3)")
    base = shop.run()
    logged.load("INSERT INTO t VALUES (4)")
    behind = shop.run("log")
    assert (behind.parent_id, dict(behind.start)) == (base.id, dict(before.end))
    result = shop.restore(server.url(logged_name), word=None, point=point_of(moment))
    assert [one.id for one in result.chain[-2:]] == [before.id, behind.id]
    assert server.rows(logged_name, "SELECT a FROM t ORDER BY a") == [(1,), (2,)]
    server.drop_database(logged_name)
    assert [one.id for one in shop.restore(server.url(logged_name)).chain] == [base.id, behind.id]
    assert server.rows(logged_name, "SELECT a FROM t ORDER BY a") == [(1,), (2,), (3,), (4,)]
    assert shop.verify(2).problems == ()


def test_a_log_is_copied_as_the_server_has_it(logged: MysqlDatabase, logging_mysql_server: MysqlServer, tmp_path: Path) -> None:
    server = logging_mysql_server
    (tmp_path / "binlog").mkdir()
    begin = place_of(server)
    logged.load(
        "CREATE TABLE t (a longblob); INSERT INTO t VALUES (REPEAT('x', 3000000)); FLUSH BINARY LOGS; INSERT INTO t VALUES (2);"
    )
    made = made_from(server, logged.name, begin, sink := SpoolSink(tmp_path))
    names = [name for name, *_ in made.details["files"]]
    assert names[0] == begin["file"]
    assert len(names) >= 2
    for name in names:
        assert (tmp_path / "binlog" / name).read_bytes() == (server.home / "data" / name).read_bytes()
    assert made.end["offset"] == 4
    assert sink.names == [f"binlog/{name}" for name in names]


def test_a_log_that_may_not_be_flushed_is_copied_up_to_where_it_is(
    logged: MysqlDatabase, logging_mysql_server: MysqlServer, tmp_path: Path
) -> None:
    server = logging_mysql_server
    (tmp_path / "binlog").mkdir()
    logged.load("CREATE TABLE t (a int);")
    begin = place_of(server)
    logged.load("INSERT INTO t VALUES (1)")
    with account(server, logged.name, "REPLICATION SLAVE, REPLICATION CLIENT ON *.*", "SELECT ON $.*") as url:
        target = Target("", parse_url(url))
        conn = connect(target, readonly=True)
        parent = Link("p", "full", "logical", "t", "dump", begin, begin, datetime.now(UTC), {}, SpoolSource(tmp_path, ()))
        try:
            order = Order(Mechanism("log", "logical", "t", "dump"), "new", (parent,))
            made = logs.produce(order, conn, target, SpoolSink(tmp_path), str)
        finally:
            conn.close()
    assert (made.end["file"], made.end["offset"]) > (begin["file"], begin["offset"])
    copied = (tmp_path / "binlog" / str(made.end["file"])).read_bytes()
    assert len(copied) == made.end["offset"]
    there = bytearray((server.home / "data" / str(made.end["file"])).read_bytes()[: len(copied)])
    there[4 + 17] &= ~1  # the server marks a file that it writes to, on disk alone
    assert copied == there
