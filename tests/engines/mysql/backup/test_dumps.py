"""Dumps made, restored, tried out, and refused."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import pytest

from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.backup import dumping, loading, restoring, switching
from dbops.engines.mysql.backup.sections import Cutter
from dbops.engines.mysql.connect import MysqlConnection
from dbops.errors import BackupError
from dbops.usecases.backup.verify import verify
from tests import commands
from tests.databases import MysqlDatabase
from tests.engines.mysql.backup.shops import SCHEDULE, assert_equal, contents, fill
from tests.engines.mysql.backup.test_mechanisms import account
from tests.servers import MysqlServer
from tests.servers.alone import alone
from tests.usecases.policies import Shop


def test_the_comment_of_a_database_comes_back(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    if not mysql_server.has("sequences"):
        pytest.skip("a database of MySQL has no comment")
    asked, comment = "SELECT schema_comment FROM information_schema.schemata WHERE schema_name = %s", "100% of 'it'?\n"
    own = my_database.name
    mysql_server.rows(own, f"ALTER DATABASE {own} COMMENT %s", (comment,))
    my_database.load("CREATE TABLE t (a int)")
    made = shop.run()
    shop.restore(mysql_server.url(new_name))
    assert mysql_server.rows(new_name, asked, (new_name,)) == [(comment,)]
    mysql_server.rows(own, f"ALTER DATABASE {own} COMMENT 'other'")
    shop.restore(mysql_server.url(own), word=made.id, replaces=True)
    assert mysql_server.rows(own, asked, (own,)) == [(comment,)]


def test_a_dump_restores_into_a_new_database(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    fill(mysql_server, my_database.name)
    made = shop.run()
    before = contents(mysql_server, my_database.name)
    shop.restore(mysql_server.url(new_name))
    assert_equal(mysql_server, my_database.name, new_name)
    assert contents(mysql_server, my_database.name) == before
    with shop.workspace() as workspace:
        assert [one.problems for one in verify(workspace, None, 3, shop.told.append)] == [()]
        assert [one.problems for one in verify(workspace, None, 2, shop.told.append)] == [()]
    assert made.schema_digest is not None
    assert leftovers(shop, mysql_server) == set()


def test_an_event_without_a_start_is_the_same_when_it_comes_back(shop: Shop, my_database: MysqlDatabase) -> None:
    my_database.load(
        "SET TIMESTAMP = 1700000000;"
        "CREATE EVENT begun ON SCHEDULE EVERY 1 DAY DO SET @a = 1;"
        "CREATE EVENT told ON SCHEDULE EVERY 1 DAY STARTS '2024-01-01' DO SET @a = 1;"
    )
    assert shop.run().details["begun_events"] == ["begun"]
    assert shop.verify(3).problems == ()


def test_an_account_that_may_not_make_others_definers_proves_its_dumps(
    tmp_path: Path, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    fill(mysql_server, my_database.name)
    rights = (
        "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW"
    )
    with account(mysql_server, my_database.name, f"{rights}, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER ON *.*") as url:
        shop = Shop(tmp_path / "env", url, schedule=SCHEDULE)
        shop.run()
        proof = shop.verify(3)
        assert proof.problems == () and proof.details["schema"]
        assert any("on a private server then" in text for text in shop.told)
        with pytest.raises(BackupError, match="1227") as caught:
            shop.restore(url.replace(my_database.name, new_name))
        assert "SET USER" in str(caught.value.fix)


def test_an_event_whose_time_has_passed_is_proven_and_named_when_it_is_restored(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    my_database.load(
        "SET TIMESTAMP = 1700000000; CREATE EVENT `on ce` ON SCHEDULE AT '2024-01-01' DO SET @a = 1;"
        "CREATE EVENT ended ON SCHEDULE EVERY 1 DAY STARTS '2024-01-01' ENDS '2024-02-01' DO SET @a = 1;"
        "CREATE EVENT to_come ON SCHEDULE AT '2037-01-01' DO SET @a = 1;"
    )
    (scheduler,) = my_database.rows("SELECT @@GLOBAL.event_scheduler")[0]
    shop.run()
    assert shop.verify(3).problems == ()
    warnings = shop.restore(mysql_server.url(new_name)).restored.warnings
    passed = "events whose time has passed, which the server dropped at once: ended, on ce" in warnings
    assert passed or scheduler == "ON"  # which drops them before they can be backed up
    found = mysql_server.rows(new_name, "SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE()")
    assert found == [("to_come",)]


def test_the_password_of_the_target_stands_in_a_variable(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    my_database.load("CREATE TABLE t (a int)")
    shop.run()
    full = mysql_server.tcp_url(new_name)
    to, password = re.sub(":[^:@]+@", "@", full), parse_url(full).password
    assert password is not None and password.reveal() not in to
    words = ("backup", "restore", "latest", str(shop.folder), "--to", to, "--password-env", "SHOP_PASSWORD")
    refused = commands.run(*words)
    assert refused.returncode == 1 and "the variable SHOP_PASSWORD is not set" in refused.stderr
    assert commands.run(*words, env={**os.environ, "SHOP_PASSWORD": password.reveal()}).returncode == 0
    assert mysql_server.rows(new_name, "SHOW TABLES") == [("t",)]


def test_a_dump_takes_the_place_of_what_is_there(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    fill(mysql_server, my_database.name)
    made = shop.run()
    shop.restore(mysql_server.url(new_name), word=made.id)
    my_database.load(
        "DROP TABLE zero; CREATE TABLE another (a int); DELETE FROM everything; DROP VIEW av; DROP PROCEDURE fill;"
        " CREATE TRIGGER t BEFORE INSERT ON log FOR EACH ROW SET NEW.x = 'z'; ALTER DATABASE CHARACTER SET latin1;"
    )
    with pytest.raises(BackupError, match="it was left as it is"):
        shop.restore(my_database.url, word=made.id)
    shop.restore(my_database.url, word=made.id, replaces=True)
    assert_equal(mysql_server, new_name, my_database.name)
    assert leftovers(shop, mysql_server) == set()


def leftovers(shop: Shop, server: MysqlServer) -> set[str]:
    """Return what is left of the databases that restores said they made."""
    made = set(re.findall(r"dbops_re\w+", " ".join(shop.told))) | {"dbops_restoring_killed"}
    return made & {name for (name,) in server.rows("mysql", "SHOW DATABASES")}


def test_a_server_that_wants_keys_takes_a_restore_and_one_that_limits_rows_is_not_dumped(tmp_path: Path) -> None:
    with alone(MysqlServer, {}) as server:
        own = server.new_database("limited")
        server.client(own, "CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1), (2);")
        shop = Shop(tmp_path / "env", server.url(own), schedule=SCHEDULE)
        wanted = "innodb_force_primary_key" if server.make.name == "mariadb" else "sql_require_primary_key"
        server.rows("mysql", f"SET GLOBAL {wanted} = 1")
        shop.run()
        assert shop.verify(3).problems == ()
        shop.restore(server.url("anew"))
        assert server.rows("anew", "SELECT * FROM t") == [(1,), (2,)]
        server.rows("mysql", "SET GLOBAL sql_select_limit = 1")
        with pytest.raises(BackupError, match="sql_select_limit is 1"):
            shop.run()


def test_an_account_with_a_password_dumps_over_tcp(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str, tmp_path: Path
) -> None:
    my_database.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE PROCEDURE p() SELECT 1;")
    grants = ("SELECT, SHOW VIEW, TRIGGER, EVENT ON $.*", "SELECT ON *.*")
    with account(mysql_server, my_database.name, *grants) as url:
        other = Shop(tmp_path / "other", url.replace("'", "%27"), schedule=SCHEDULE)
        made = other.run()
        other.restore(mysql_server.url(new_name))
    assert_equal(mysql_server, my_database.name, new_name)
    assert "p#w" not in str(made) + str(other.told)


def test_some_tables_come_back_with_their_triggers_and_sequences(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    fill(mysql_server, my_database.name)
    shop.run()
    wanted = ("parts", "drawn" if mysql_server.has("sequences") else "zero")
    shop.restore(mysql_server.url(new_name), tables=wanted)
    before, after = contents(mysql_server, my_database.name), contents(mysql_server, new_name)
    assert after == {name: before[name] for name in wanted}
    triggers = [
        name
        for (name,) in mysql_server.rows(
            new_name, "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        )
    ]
    assert triggers == ["first_one", "another"]
    if mysql_server.has("sequences"):
        mysql_server.rows(new_name, "INSERT INTO drawn (a) VALUES ('new')")
    with pytest.raises(BackupError, match="no table 'nothing'"):
        shop.restore(mysql_server.url(f"{new_name}x"), tables=("nothing",))


def test_one_table_is_replaced_and_the_others_stay(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    fill(mysql_server, my_database.name)
    shop.run()
    before = contents(mysql_server, my_database.name)
    my_database.load(
        "DELETE FROM parts; INSERT INTO log VALUES ('stays'); DROP TRIGGER another; INSERT INTO empty_one VALUES (1);"
    )
    changed = contents(mysql_server, my_database.name)
    with pytest.raises(BackupError, match="refers to zparent"):
        shop.restore(my_database.url, tables=("zparent",), replaces=True)
    assert contents(mysql_server, my_database.name) == changed
    assert len(shop.backups()) == 1
    shop.restore(my_database.url, tables=("parts",), replaces=True)
    assert contents(mysql_server, my_database.name) == {**changed, "parts": before["parts"]}
    assert "TRIGGER another" in my_database.dump()


def test_a_restore_that_fails_changes_nothing(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(mysql_server, my_database.name)
    made = shop.run()
    mysql_server.rows("mysql", "CREATE DATABASE dbops_restoring_killed")
    my_database.load("DELETE FROM parts; DROP VIEW av; CREATE VIEW other AS SELECT 1 AS a; ALTER TABLE zero ADD c int;")
    before = my_database.dump(), contents(mysql_server, my_database.name)
    rehearsed = switching.load_code

    def fail_in_place(made: object, target: Target, *rest: object, **more: object) -> object:
        if target.url.database == my_database.name and not failed:
            failed.append(True)
            raise BackupError("no")
        return rehearsed(made, target, *rest, **more)  # type: ignore[arg-type]

    failed: list[bool] = []
    monkeypatch.setattr(switching, "load_code", fail_in_place)
    with pytest.raises(BackupError, match="no"):
        shop.restore(my_database.url, word=made.id, replaces=True)
    assert (my_database.dump(), contents(mysql_server, my_database.name)) == before
    assert leftovers(shop, mysql_server) == set()


def test_a_new_database_is_gone_when_its_restore_fails(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    my_database.load("CREATE TABLE t (a longblob); INSERT INTO t VALUES (REPEAT('x', 3000000)); CREATE VIEW v AS SELECT 1 AS a;")
    made = shop.run()
    with monkeypatch.context() as patch:
        patch.setattr(loading, "_MARGIN", 1 << 40)
        with pytest.raises(BackupError, match="nothing was touched"):
            shop.restore(mysql_server.url(new_name), word=made.id)
    part = shop.parts(made)[0]
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(BackupError):
        shop.restore(mysql_server.url(new_name), word=made.id)
    assert (new_name,) not in mysql_server.rows("mysql", "SHOW DATABASES")


def test_a_restore_that_was_killed_is_known_and_taken_up_again(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    my_database.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
    made = shop.run()
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "end", lambda *_: None)  # all that is left of one that was killed in the last moment
        shop.restore(mysql_server.url(new_name), word=made.id)
    with pytest.raises(BackupError, match="did not end: restoring"):
        shop.restore(mysql_server.url(new_name), word=made.id)
    shop.restore(mysql_server.url(new_name), word=made.id, replaces=True)
    assert_equal(mysql_server, my_database.name, new_name)
    assert mysql_server.rows(new_name, "SHOW TABLES") == [("t",)]


def test_a_server_without_a_database_gets_it_under_its_name_and_loses_none(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer
) -> None:
    my_database.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
    shop.run()
    my_database.load("INSERT INTO t VALUES (2);")
    server = mysql_server.url("x").replace("/x?", "?")
    with pytest.raises(BackupError, match="it was left as it is"):
        shop.restore(server, replaces=True)
    assert my_database.rows("SELECT COUNT(*) FROM t") == [(2,)]
    mysql_server.drop_database(my_database.name)
    shop.restore(server)
    assert my_database.rows("SELECT COUNT(*) FROM t") == [(1,)]


def test_a_killed_dump_is_no_backup(shop: Shop, my_database: MysqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    my_database.load("CREATE TABLE t (a longblob); INSERT INTO t VALUES (REPEAT('x', 8000000)), (REPEAT('y', 8000000));")
    feed = Cutter.feed

    def kill(self: Cutter, data: bytes | memoryview) -> Iterator[tuple[object, bytes]]:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if b"dump" in (line := entry.read_bytes()) and my_database.name.encode() in line:
                    os.kill(int(entry.parent.name), signal.SIGKILL)
        yield from feed(self, data)

    monkeypatch.setattr(Cutter, "feed", kill)
    with pytest.raises(BackupError, match="SIGKILL"):
        shop.run()
    assert shop.backups() == ()


def test_writers_do_not_disturb_a_dump(shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str) -> None:
    my_database.load("CREATE TABLE a (n int); CREATE TABLE z (n int); INSERT INTO a VALUES (0); INSERT INTO z VALUES (0);")
    stop = threading.Event()

    def write() -> None:
        with closing(mysql_server.connect(my_database.name)) as conn, conn.cursor() as cursor:
            while not stop.is_set():
                conn.begin()
                cursor.execute("UPDATE a SET n = n + 1")
                cursor.execute("UPDATE z SET n = n + 1")
                conn.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        shop.run()
    finally:
        stop.set()
        writer.join()
    shop.restore(mysql_server.url(new_name))
    [(first, last)] = mysql_server.rows(new_name, "SELECT a.n, z.n FROM a, z")
    assert first == last


def test_definers_that_are_not_there_are_named(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    my_database.load("CREATE TABLE t (a int); CREATE DEFINER = gone@nowhere PROCEDURE p() SELECT 1;")
    shop.run()
    result = shop.restore(mysql_server.url(new_name))
    assert any("gone@nowhere" in one for one in result.restored.warnings)


def test_what_names_its_own_database_means_the_one_it_is_restored_to(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    own = my_database.name
    my_database.load(
        f"CREATE TABLE t (a int); CREATE TABLE log (a int); CREATE FUNCTION f(a int) RETURNS int DETERMINISTIC RETURN a + 1;"
        f"CREATE VIEW v AS SELECT {own}.f(a) AS b, '{own}.t' AS s FROM {own}.t;"
        f"CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO {own}.log VALUES (NEW.a);"
        f"CREATE PROCEDURE p() INSERT INTO `{own}`.t VALUES (7);"
        f"CREATE TABLE {own} (a int);"
        f"CREATE TRIGGER {own}.away BEFORE DELETE ON {own}.t FOR EACH ROW INSERT INTO {own} VALUES (1);"
    )
    shop.run()
    assert shop.verify(3).problems == ()
    shop.restore(mysql_server.url(new_name))
    mysql_server.rows(new_name, "CALL p()")
    assert mysql_server.rows(new_name, "SELECT b, s, (SELECT a FROM log) FROM v") == [(8, f"{own}.t", 7)]
    assert my_database.rows("SELECT (SELECT COUNT(*) FROM t), (SELECT COUNT(*) FROM log)") == [(0, 0)]
    mysql_server.rows(new_name, "DELETE FROM t")
    assert mysql_server.rows(new_name, f"SELECT COUNT(*) FROM {own}") == [(1,)]


def test_views_that_draw_from_a_sequence_are_read(
    tmp_path: Path, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    if not mysql_server.has("sequences"):
        pytest.skip("MySQL has no sequences")
    my_database.load("CREATE SEQUENCE numbers; CREATE VIEW v AS SELECT NEXTVAL(numbers) AS n;")
    shop = Shop(tmp_path, my_database.url, schedule=SCHEDULE)
    shop.run()
    assert shop.verify(3).problems == ()
    shop.restore(mysql_server.url(new_name))
    assert mysql_server.rows(new_name, "SELECT n FROM v") == [(1,)]
    assert my_database.rows("SELECT n FROM v") == [(1,)]


def test_definers_that_are_gone_can_be_left_out(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    gone = f"'{my_database.name[-9:]} x'@'no.where'"
    by = f"CREATE DEFINER = {gone}"
    my_database.load(
        f"CREATE USER {gone}; GRANT ALL ON *.* TO {gone}; CREATE TABLE t (a int); INSERT INTO t VALUES (1);"
        f"{by} VIEW v AS SELECT t.a FROM t; {by} VIEW w AS SELECT a FROM v;"
        f"{by} PROCEDURE p() SELECT a FROM w; {by} FUNCTION f() RETURNS int RETURN 1;"
        f"{by} TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 5; {by} EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO DO 0;"
        f"DROP USER {gone};"
    )
    made = shop.run()
    assert shop.verify(3).problems == ()
    for options in ({"definer": "skip"}, {"definers": "no"}):
        with pytest.raises(BackupError, match=r"means nothing|is not known"):
            shop.restore(mysql_server.url(new_name), options=options)
    shop.restore(mysql_server.url(new_name), options={"definers": "skip"})
    shop.restore(mysql_server.url(new_name), word=made.id, options={"definers": "skip"}, replaces=True)
    mysql_server.rows(new_name, "INSERT INTO t VALUES (2)")
    assert mysql_server.rows(new_name, "SELECT a, f() FROM w ORDER BY a") == [(1, 1), (5, 1)]
    definers = "SELECT definer FROM information_schema.events WHERE event_schema = DATABASE()"
    assert mysql_server.rows(new_name, definers) == [("root@localhost",)]


def test_a_dump_is_proven_where_no_server_answers(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, tmp_path: Path
) -> None:
    fill(mysql_server, my_database.name)
    shop.run()
    nowhere = Shop(tmp_path / "nowhere", f"mysql://nobody@127.0.0.1:1/{my_database.name}", schedule=SCHEDULE)
    (shop.folder / "backups").rename(nowhere.folder / "backups")
    proof = nowhere.verify(3)
    assert proof.problems == () and proof.details["schema"]


def test_a_table_over_others_is_proven_by_theirs(shop: Shop, my_database: MysqlDatabase) -> None:
    my_database.load(
        "CREATE TABLE one (a int) ENGINE = MyISAM; INSERT INTO one VALUES (1);"
        "CREATE TABLE all_of (a int) ENGINE = MERGE UNION = (one);"
    )
    shop.run()
    assert shop.verify(3).problems == ()


def test_a_broken_view_is_left_out_and_named(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    my_database.load("CREATE TABLE t (a int); CREATE TABLE u (a int); CREATE VIEW broken AS SELECT a FROM t; DROP TABLE t;")
    made = shop.run()
    assert any("broken" in one for one in made.warnings)
    shop.restore(mysql_server.url(new_name))
    assert mysql_server.rows(new_name, "SHOW TABLES") == [("u",)]
    with shop.workspace() as workspace:
        assert [one.problems for one in verify(workspace, None, 3, shop.told.append)] == [()]
    my_database.load("INSERT INTO u VALUES (1)")
    shop.restore(my_database.url, word=made.id, replaces=True)
    assert mysql_server.rows(my_database.name, "SELECT COUNT(*) FROM u") == [(0,)]


def test_a_schema_that_moves_during_its_dump_is_no_backup(
    shop: Shop, my_database: MysqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    my_database.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
    clock = dumping.database_clock

    def move(conn: MysqlConnection) -> datetime:
        my_database.load("CREATE TABLE another (a int)")
        return clock(conn)

    monkeypatch.setattr(dumping, "database_clock", move)
    with pytest.raises(BackupError, match="schema was changed"):
        shop.run()
    assert shop.backups() == ()


def test_options_that_mean_nothing_are_refused(my_database: MysqlDatabase, tmp_path: Path) -> None:
    my_database.load("CREATE TABLE t (a int)")
    shop = Shop(tmp_path / "env", my_database.url, schedule='[{type: full, cron: "0 3 * * 0", options: {parallel: 2}}]')
    with pytest.raises(BackupError, match=r"options\.parallel"):
        shop.run()


def test_a_restore_that_fails_removes_nothing_that_others_made_meanwhile(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    my_database.load("CREATE TABLE t (a int)")
    shop.run()
    name = mysql_server.new_database("there")
    made = ["own"]

    def fail(*_: object, **__: object) -> None:
        for table in made:
            mysql_server.rows(name, f"CREATE TABLE {table} (a int)")
        raise BackupError("the disk is full")

    monkeypatch.setattr(restoring, "load", fail)
    try:
        with pytest.raises(BackupError, match="own was made there meanwhile"):
            shop.restore(mysql_server.url(name))
        assert ("own",) in mysql_server.rows(name, "SHOW TABLES")
        mysql_server.rows(name, "DROP TABLE own, dbops_restoring")
        made[:] = ["t"]
        with pytest.raises(BackupError, match="the disk is full"):
            shop.restore(mysql_server.url(name))
        assert mysql_server.rows(name, "SHOW TABLES") == []
    finally:
        mysql_server.drop_database(name)
