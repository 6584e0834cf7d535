"""Sources as people and dump programs write them, loaded into a scratch; each error at its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Event, ForeignKey, Routine, Table, View
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.engine import MysqlEngine
from dbops.errors import Problems
from dbops.sql.splitter import split
from tests.databases import MysqlDatabase

ENGINE = MysqlEngine()


@pytest.fixture
def scratch(my_database: MysqlDatabase) -> Iterator[Connection]:
    with ENGINE.scratch(Target("test", parse_url(my_database.url))) as conn:
        yield conn


def _load(conn: Connection, sql: str, *more: str) -> Catalog:
    statements = [s for i, text in enumerate((sql, *more)) for s in split(text, ENGINE.dialect, f"{i}.sql")]
    ENGINE.load(conn, statements)
    return ENGINE.inspect(conn, declared=True)


def _problems(conn: Connection, sql: str) -> list[str]:
    with pytest.raises(Problems) as caught:
        _load(conn, sql)
    return [problem.explain().splitlines()[0] for problem in caught.value.problems]


def test_statements_may_stand_in_any_order(scratch: Connection) -> None:
    catalog = _load(
        scratch,
        "CREATE VIEW w AS SELECT a FROM v; CREATE VIEW v AS SELECT f(id) AS a FROM c; CREATE INDEX i ON c (x);"
        "ALTER TABLE c ADD COLUMN x int; CREATE TRIGGER t BEFORE INSERT ON c FOR EACH ROW SET NEW.id = 1;",
        "CREATE TABLE c (id int, CONSTRAINT k FOREIGN KEY (id) REFERENCES p (id)); CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE FUNCTION f(a int) RETURNS int RETURN a;",
    )
    assert {item.name for item in catalog if not item.parent} == {"c", "p", "v", "w", "f"}
    assert {item.name for item in catalog if item.parent == "c"} == {"k", "i", "t"} | {"k"}


def test_rings_of_foreign_keys_need_no_setting(scratch: Connection) -> None:
    catalog = _load(
        scratch,
        "CREATE TABLE a (id int PRIMARY KEY, b int, CONSTRAINT ab FOREIGN KEY (b) REFERENCES b (id));"
        "CREATE TABLE b (id int PRIMARY KEY, a int, CONSTRAINT ba FOREIGN KEY (a) REFERENCES a (id));",
    )
    assert {key.name for key in catalog.all(ForeignKey)} == {"ab", "ba"}


def test_rows_transactions_accounts_and_what_dumps_do_around_are_skipped(scratch: Connection) -> None:
    catalog = _load(
        scratch,
        """
        /*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
        /*!40101 SET NAMES latin1 */;
        DROP TABLE IF EXISTS `t`;
        CREATE TABLE `t` (`id` int, `name` varchar(10) COMMENT 'é');
        LOCK TABLES `t` WRITE;
        INSERT INTO `t` VALUES (1, 'x');
        UNLOCK TABLES;
        START TRANSACTION; UPDATE t SET id = 2; COMMIT;
        CREATE USER nobody@localhost; GRANT SELECT ON *.* TO nobody@localhost; SET PASSWORD FOR nobody@localhost = '';
        /*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
        """,
    )
    assert scratch.query("SELECT count(*) FROM t") == [(0,)]
    assert [column.comment for column in catalog.all(Table)[0].columns] == [None, "é"]


def test_the_database_a_source_uses_stands_for_the_target(scratch: Connection) -> None:
    catalog = _load(
        scratch,
        "DROP DATABASE IF EXISTS shop; CREATE DATABASE shop DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; USE shop;"
        "CREATE TABLE shop.t (id int, name varchar(5)); CREATE VIEW shop.v AS SELECT shop.t.id FROM shop.t;"
        "CREATE PROCEDURE p() SELECT * FROM shop.t;",
    )
    assert dict(catalog.all(Table)[0].options)["collation"] == "utf8mb4_bin"
    assert catalog.all(View)[0].definition == "select `t`.`id` AS `id` from `t`"
    assert catalog.all(Routine)[0].definition.endswith("SELECT * FROM t")


def test_the_targets_own_name_as_qualifier_means_the_target(my_database: MysqlDatabase) -> None:
    name = my_database.name
    with ENGINE.scratch(Target("test", parse_url(my_database.url))) as conn:
        catalog = _load(conn, f"CREATE TABLE {name}.t (id int); CREATE VIEW v AS SELECT id FROM `{name}`.t;")
    assert catalog.all(View)[0].definition == "select `t`.`id` AS `id` from `t`"
    assert my_database.rows("SHOW TABLES") == []


def test_the_targets_own_name_is_told_from_what_else_is_called_so(my_database: MysqlDatabase) -> None:
    """Read from the target, the bodies are what the source made of them, and lose no name of a table, alias or variable."""
    name = my_database.name
    source = (
        f"CREATE TABLE items (a int); CREATE TABLE {name} (a int);"
        f"CREATE PROCEDURE p() REPLACE {name}.items SELECT {name}.a FROM {name}, {name}.items AS i;"
        f"CREATE PROCEDURE q() BEGIN DECLARE {name.upper()} int; SET {name} = 1;"
        f" DELETE {name}.items FROM {name}.items JOIN {name}; END"
    )
    with ENGINE.scratch(Target("test", parse_url(my_database.url))) as conn:
        found = {item.name: item.definition for item in _load(conn, source).all(Routine)}
    assert found["p"].endswith(f"REPLACE items SELECT {name}.a FROM {name}, items AS i")
    assert found["q"].endswith(f"SET {name} = 1; DELETE items FROM items JOIN {name}; END")
    for sql in split(source, ENGINE.dialect, "source.sql"):
        my_database.rows(sql.text)
    with closing(ENGINE.connect(Target("test", parse_url(my_database.url)))) as conn:
        assert {item.name: item.definition for item in ENGINE.inspect(conn).all(Routine)} == found


def test_a_statement_that_writes_into_another_database_is_refused(scratch: Connection) -> None:
    assert _problems(scratch, "CREATE TABLE a (id int);\nCREATE TABLE mysql.t (id int);") == [
        "0.sql:2:14: the statement writes into another database, 'mysql'"
    ]


def test_a_second_used_database_is_refused(scratch: Connection) -> None:
    assert _problems(scratch, "USE a;\nUSE b;") == ["0.sql:2:1: the source uses a second database, 'b', after 'a'"]


def test_errors_stand_where_the_server_sees_them(scratch: Connection) -> None:
    [problem] = _problems(scratch, "CREATE TABLE a (id int);\n\nCREATE TABLE b (\n  id int int\n);")
    assert problem.startswith("0.sql:4:10: You have an error in your SQL syntax")
    [problem] = _problems(scratch, "CREATE TABLE b (\n  id intger\n);")
    assert problem.startswith("0.sql:2:6: ") and "'intger" in problem
    assert _problems(scratch, "CREATE TABLE b (\n  id int,\n  KEY i (idd)\n);")[0].startswith("0.sql:3:10: Key column 'idd'")


def test_every_statement_that_cannot_run_is_named_without_the_scratch(scratch: Connection) -> None:
    first, second = _problems(scratch, "CREATE VIEW v AS SELECT * FROM nowhere;\nCREATE VIEW w AS SELECT x FROM neither;")
    assert first == "0.sql:1:32: Table 'nowhere' doesn't exist"
    assert second == "0.sql:2:32: Table 'neither' doesn't exist"


def test_a_foreign_key_to_nowhere_is_an_error(scratch: Connection) -> None:
    [problem] = _problems(scratch, "CREATE TABLE c (p int, CONSTRAINT k FOREIGN KEY (p) REFERENCES nowhere (id));")
    assert "nowhere" in problem


def test_global_settings_are_refused(scratch: Connection) -> None:
    assert _problems(scratch, "SET GLOBAL max_connections = 1;") == [
        "0.sql:1:1: a schema source cannot change the server's global settings"
    ]


def test_settings_hold_for_their_file_alone(scratch: Connection) -> None:
    catalog = _load(
        scratch,
        'SET sql_mode = \'ANSI_QUOTES\'; CREATE TABLE "a" ("id" int);',
        'CREATE TABLE b (id varchar(5) DEFAULT "x");',
    )
    assert {table.name for table in catalog.all(Table)} == {"a", "b"}
    assert "ANSI_QUOTES" not in str(scratch.query("SELECT @@sql_mode"))


def test_events_do_not_run_in_a_scratch_and_keep_their_state(scratch: Connection) -> None:
    catalog = _load(
        scratch,
        "CREATE EVENT a ON SCHEDULE EVERY 1 SECOND DO SELECT 1; CREATE EVENT b ON SCHEDULE EVERY 1 SECOND DISABLE DO SELECT 1;"
        "CREATE EVENT c ON SCHEDULE EVERY 1 SECOND ENABLE COMMENT 'do' DO SELECT 1;",
    )
    assert {event.name: dict(event.options)["state"] for event in catalog.all(Event)} == {
        "a": "ENABLE",
        "b": "DISABLE",
        "c": "ENABLE",
    }
    states = scratch.query("SELECT DISTINCT status FROM information_schema.events WHERE event_schema = DATABASE()")
    assert states == [("DISABLED",)]


def test_comments_in_bodies_are_kept_and_are_no_difference(scratch: Connection) -> None:
    with_comment = "CREATE PROCEDURE p()\nBEGIN\n  -- why\n  SELECT 1; /* because */\nEND"
    [routine] = _load(scratch, f"DELIMITER //\n{with_comment}//").all(Routine)
    assert routine.spelling is not None and "-- why" in routine.spelling
    assert "why" not in routine.definition


@pytest.mark.parametrize("author", ["utf8mb4", "utf8", "latin1"])
def test_literals_of_another_character_set_keep_their_bytes_in_views(author: str, my_database: MysqlDatabase) -> None:
    """The server shows them byte by byte in a text of another character set (MariaDB 10.11)."""
    if not my_database.server.has("sequences"):
        pytest.skip("tried on MariaDB alone")
    value, target = "FC3F27C3BC", Target("test", parse_url(my_database.url))
    my_database.load(f"SET NAMES {author}; CREATE VIEW v AS SELECT _latin1 x'{value}' AS a, _latin1'?' AS q;")
    with closing(ENGINE.connect(target)) as conn:
        live = ENGINE.inspect(conn)
        [view] = [item for item in live if isinstance(item, View)]
        assert view.definition == f"select _latin1 X'{value}' AS `a`,_latin1'?' AS `q`"
        with ENGINE.scratch(target) as other:
            again = _load(other, f"CREATE VIEW v AS {view.definition};")
            assert other.query("SELECT hex(a), hex(q) FROM v") == [(value, "3F")]
        assert [item.definition for item in again if isinstance(item, View)] == [view.definition]
        assert conn.query("SELECT @@character_set_results") == [("utf8mb4",)]


def test_temporary_tables_that_stay_are_refused(scratch: Connection) -> None:
    assert _problems(scratch, "CREATE TABLE t (a int);\nCREATE TEMPORARY TABLE IF NOT EXISTS u (a int);") == [
        "0.sql:2:1: the temporary table u is no part of a database"
    ]
    sql = "CREATE TEMPORARY TABLE u (a int); CREATE TABLE w AS SELECT * FROM u; DROP TEMPORARY TABLE IF EXISTS x, u;"
    assert [table.name for table in _load(scratch, sql).all(Table)] == ["w"]
