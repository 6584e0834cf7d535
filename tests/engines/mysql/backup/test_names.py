"""Bodies that name their own database, restored to another name: whose rows they read and write then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pymysql
import pytest

from dbops.engines.mysql.backup import loading
from dbops.engines.mysql.backup.rewriting import definer_of, renamed, statements_of, without_definer
from dbops.engines.mysql.qualifiers import Naming
from tests.databases import MysqlDatabase
from tests.engines.mysql.backup.shops import SCHEDULE, contents
from tests.servers import MysqlServer
from tests.servers.alone import alone
from tests.servers.mysql_makes import chosen_make
from tests.usecases.policies import Shop

#: A table called as its database, which has a column called as another table; `{n}` is the name.
TABLES = (
    "CREATE TABLE items (a int); CREATE TABLE more (a int); CREATE TABLE seen (what varchar(40), a int);"
    "CREATE TABLE {n} (a int, items int);"
    "CREATE FUNCTION hex(x int) RETURNS int DETERMINISTIC RETURN x + 1000;"
    "CREATE PROCEDURE note(x int) INSERT INTO {n}.seen VALUES ('note', x);"
)

ROWS = (
    "DELETE FROM items; DELETE FROM more; DELETE FROM seen; DELETE FROM {n};"
    "INSERT INTO items VALUES (1), (2); INSERT INTO more VALUES (2), (3); INSERT INTO {n} VALUES (2, 20), (3, 30);"
)

#: Bodies of procedures by the sql_mode that they are made under.
BODIES = {
    "": [
        "INSERT IGNORE {n}.items SELECT {n}.a + 1 FROM {n}",
        "REPLACE {n}.items SELECT {n}.items FROM {n}; REPLACE INTO {n}.more VALUES (REPLACE('{n}.a', '{n}.a', 1))",
        "INSERT INTO seen SELECT 'comma', {n}.items + m.a FROM {n}, {n}.more AS m WHERE {n}.a = m.a",
        "INSERT INTO seen SELECT 'paren', {n}.a FROM ({n}.items AS i JOIN {n} ON i.a = {n}.a), ({n}.more)",
        "UPDATE IGNORE {n}.items, {n} SET items.a = {n}.items WHERE items.a = {n}.a",
        "UPDATE {n}.{n}, {n}.more AS m SET {n}.items = m.a WHERE {n}.a = m.a",
        "DELETE {n}.more FROM {n}.more JOIN {n} ON {n}.a = more.a AND {n}.items > 20",
        "DELETE FROM {n}.items USING {n}.items JOIN {n} WHERE {n}.a = items.a AND EXISTS (SELECT 1 FROM {n}.more)",
        "DELETE {n}.* FROM {n} JOIN {n}.items AS i ON {n}.a = i.a",
        "DROP TABLE IF EXISTS {n}.made; CREATE TABLE {n}.made LIKE {n}.items; INSERT {n}.made SELECT {n}.a FROM {n}",
        "CREATE OR REPLACE TABLE {n}.kept AS SELECT {n}.items FROM {n}; ALTER TABLE {n}.kept RENAME TO {n}.left_over",
        "INSERT INTO {n}.more VALUES (9); TRUNCATE {n}.items; INSERT INTO {n}.items SELECT MAX({n}.a) FROM {n}",
        "INSERT INTO seen SELECT STRAIGHT_JOIN 'straight', {n}.a FROM {n} STRAIGHT_JOIN {n}.more AS m ON {n}.a = m.a",
        "DECLARE {n} int; SET {n} = 5; CALL {n}.note({n}); CALL note({n}.hex({n}))",
        "INSERT INTO seen VALUES ('own', {n}.hex(10)), ('built in', hex(10)), ('spaced', `{n}` . hex (10))",
        "FOR {N} IN (SELECT a AS items FROM more) DO INSERT INTO {n}.items VALUES ({n}.items); END FOR",
        "DECLARE {N} ROW (a int, items int); SET {n}.a = 7; SELECT 8 INTO {n}.items;"
        " INSERT INTO {n}.items SELECT {n}.a + {n}.items + m.a FROM {n}.more AS m",
        "DECLARE c TYPE OF {n}.a; SELECT MAX({n}.{n}.a) INTO c FROM {n}.{n}; INSERT INTO {n}.seen VALUES ('type', c)",
        "WITH {n} AS (SELECT a + 100 AS a FROM {n}.items) SELECT MAX({n}.a) INTO @top FROM {n};"
        " INSERT INTO {n}.seen VALUES ('with', @top)",
        "INSERT INTO {n}.seen SELECT 'extract', EXTRACT(YEAR FROM MAKEDATE(2000 + {n}.a, 1)) FROM {n}",
        "INSERT INTO {n}.seen SELECT '{n}.items', {n}.a FROM {n} -- {n}.items\n ORDER BY {n}.a DESC, {n}.items LIMIT 1",
        "SELECT NEXT VALUE FOR {n}.numbers, NEXTVAL({n}.numbers) INTO @a, @b;"
        " INSERT INTO seen SELECT 'next', {n}.a + @b FROM {n}",
        "RENAME TABLE {n}.items TO {n}.other, {n}.other TO {n}.items; INSERT INTO {n}.items SELECT {n}.a FROM {n}",
        "CREATE TEMPORARY TABLE IF NOT EXISTS {n}.t (a int); INSERT INTO {n}.t SELECT {n}.a FROM {n};"
        " INSERT INTO {n}.items SELECT a FROM {n}.t; DROP TEMPORARY TABLE {n}.t",
        "INSERT INTO {n}.{n} ({n}.a) VALUES (50) ON DUPLICATE KEY UPDATE {n}.items = 1",
        "IF (SELECT MAX({n}.a) FROM {n}) > 1 THEN REPLACE {n}.more SELECT 70; ELSE DELETE FROM {n}.more; END IF",
        "ANALYZE TABLE {n}.items, {n}.more;"
        " INSERT INTO {n}.more SELECT {n}.a FROM {n} WHERE {n}.a IN (SELECT b.a FROM {n}.more AS b)",
        "INSERT INTO {n}.items SELECT m.a FROM {n}.more AS m, {n} ON DUPLICATE KEY UPDATE items.a = 1, items.a = {n}.items",
        "INSERT INTO {n} SELECT m.a, i.a FROM {n}.more AS m, {n}.items AS i ON DUPLICATE KEY UPDATE {n}.a = 1, {n}.items = i.a",
        "SET STATEMENT max_statement_time = 9 FOR INSERT INTO {n}.items SELECT {n}.a FROM {n} LOCK IN SHARE MODE",
        "SET STATEMENT max_statement_time = 9 FOR UPDATE {n}.items, {n} SET items.a = {n}.a",
        "INSERT INTO seen(what, a) VALUES ('x', (SELECT {n}.a FROM {n} LIMIT 1)), ('y', (SELECT MAX(a) FROM {n}.more))",
        "UPDATE {n}.more AS i JOIN {n} USING (a), {n}.items AS {n}s SET i.a = {n}.items, {n}s.a = {n}.a",
        "INSERT INTO seen SELECT 'alias', {n}.a FROM {n}.items AS {n} WHERE {n}.a IN (SELECT {n}.a FROM {n}.{n})",
        "INSERT INTO {n}.items VALUES (1) RETURNING a; DELETE FROM {n}.more WHERE a = 3 RETURNING more.a",
        "INSERT INTO seen SELECT GROUP_CONCAT({n}.a ORDER BY {n}.items, {n}.a), 1 FROM {n}, {n}.more AS m",
        "INSERT INTO seen SELECT ROW_NUMBER() OVER (PARTITION BY {n}.a, {n}.items), 2 FROM {n} CROSS JOIN {n}.more AS m",
        "INSERT INTO seen SELECT INSERT('abc', {n}.a, 1, 'x'), REPLACE('1', '1', {n}.a) FROM {n}, {n}.items AS i",
        "CASE (SELECT MIN({n}.a) FROM {n}) WHEN 2 THEN INSERT INTO {n}.items SELECT {n}.a FROM {n};"
        " ELSE DELETE FROM {n}.more; END CASE",
        "DECLARE i int DEFAULT 0; {n}: LOOP SET i = i + 1; INSERT {n}.items SELECT i + {n}.a FROM {n}; IF i > 2 THEN LEAVE {n};"
        " END IF; END LOOP {n}",
        "DECLARE x int; DECLARE {n} CURSOR FOR SELECT a FROM {n}.items; OPEN {n}; FETCH {n} INTO x; CLOSE {n};"
        " INSERT INTO {n}.seen VALUES ('cursor', x); FOR r IN {n} DO INSERT INTO {n}.more VALUES (r.a); END FOR",
        "DECLARE {n} ROW (a int, items int); DECLARE c CURSOR FOR SELECT a, 7 FROM {n}.more; OPEN c; FETCH NEXT FROM c INTO {n};"
        " CLOSE c; INSERT INTO {n}.items VALUES ({n}.a), ({n}.items)",
        "DECLARE CONTINUE HANDLER FOR SQLEXCEPTION INSERT INTO {n}.seen SELECT 'failed', {n}.a FROM {n};"
        " SELECT nothing FROM {n}.items",
        "INSERT INTO seen SELECT 'values', {n}.a FROM (VALUES (1), (2)) AS v, {n}.items AS {n}",
        "INSERT INTO seen (SELECT 'union', {n}.a FROM {n}) UNION (SELECT 'u', {n}.a FROM {n}.more AS {n}) ORDER BY a",
        "INSERT INTO {n}.items SET a = (SELECT DEFAULT({n}.a) FROM {n} LIMIT 1) + {n}.hex(1)",
        "DROP VIEW IF EXISTS {n}.w; CREATE VIEW {n}.w AS SELECT {n}.a FROM {n}.{n}, {n}.items AS i;"
        " INSERT INTO {n}.items SELECT a FROM w",
        "CREATE OR REPLACE TABLE {n}.x (a int PRIMARY KEY, b int REFERENCES {n}.x (a), CHECK (b > 0));"
        " INSERT {n}.x (a) SELECT {n}.a FROM {n}",
        "INSERT INTO {n}.seen SELECT 'json', j.a"
        " FROM {n}, JSON_TABLE(CONCAT('[', {n}.a, ']'), '$[*]' COLUMNS (a int PATH '$')) AS j, {n}.more",
        "DELETE FROM {n}.items WHERE CONVERT(items.a USING latin1) IN (SELECT {n}.a FROM {n})",
        "SELECT MAX({n}.a), MIN({n}.items) INTO @a, @b FROM {n}, {n}.more AS m;"
        " CALL {n}.note((SELECT {n}.a + @a FROM {n} LIMIT 1))",
        "INSERT INTO seen SELECT CASE WHEN {n}.a THEN 'a' ELSE {n}.items END, 3 FROM {n} LEFT JOIN {n}.more AS m"
        " ON CASE {n}.a WHEN 2 THEN 1 ELSE 0 END, {n}.items AS i",
        "IF EXISTS (SELECT 1 FROM {n}.more AS m, {n} WHERE {n}.a = m.a) THEN UPDATE {n}.items SET a = 9; END IF",
        "DECLARE {n} ROW (a text, b int); SET {n}.a = 'SET @x = ?', {n}.b = 6; PREPARE s FROM {n}.a; EXECUTE s USING {n}.b;"
        " INSERT INTO {n}.items VALUES (@x)",
        "WITH RECURSIVE {n} AS (SELECT 1 AS a UNION SELECT {n}.a + 1 FROM {n}, {n}.more AS m WHERE {n}.a < 3)"
        " SELECT SUM({n}.a) INTO @s FROM {n}; INSERT INTO {n}.items VALUES (@s)",
        "INSERT INTO seen SELECT TRIM(BOTH 'x' FROM {n}.a), SUBSTRING({n}.items FROM 1 FOR 1) FROM {n} NATURAL JOIN {n}.more",
        "SET @text = 'say \\'{n}.items'; INSERT INTO {n}.seen SELECT @text, {n}.a FROM {n}",
    ],
    "ANSI_QUOTES": [
        'INSERT INTO "{n}"."items" SELECT "{n}"."a" FROM "{n}"."{n}"',
        'REPLACE "{n}"."more" SELECT {n}.a FROM "{n}", "{n}"."items" AS "i" WHERE "{n}"."a" = "i"."a"',
        'CALL "{n}"."note"("{n}"."hex"(1))',
    ],
    "ORACLE": [
        "FOR {N} IN (SELECT a AS items FROM {n}.more) LOOP INSERT INTO {n}.items VALUES ({n}.items); END LOOP",
        "<<here>> {n}.note(4); IF 1 = 1 THEN {n}.note(5); ELSE {n}.note; END IF; INSERT INTO {n}.items SELECT {n}.a FROM {n}",
        "DECLARE r {n}.items%ROWTYPE; {n} int := 3; BEGIN r.a := {n}; {n}.note(r.a); {n} := {n}.hex({n}); note({n}); END",
        'INSERT INTO "{n}"."items" SELECT {n}.a FROM "{n}", {n}.more AS m; {n}.note({n}.numbers.NEXTVAL)',
    ],
    "NO_BACKSLASH_ESCAPES": [
        "INSERT INTO seen VALUES ('a\\', 1); INSERT INTO {n}.items VALUES (LENGTH('\\')); INSERT INTO seen VALUES ('\\{n}.b', 2)",
    ],
    "ANSI_QUOTES,NO_BACKSLASH_ESCAPES": [
        'INSERT INTO seen VALUES (\'\\\', 1); INSERT INTO "{n}"."items" SELECT "{n}".a FROM {n}'
    ],
}


def _must_be_mariadb(server: MysqlServer) -> None:
    if not server.has("sequences"):
        pytest.skip("written in the language of MariaDB")


def _made(server: MysqlServer, database: str, bodies: Iterable[tuple[str, str]]) -> Iterator[tuple[int, str]]:
    """Make procedures of the bodies, all but those in MariaDB's language where that is not known."""
    with closing(server.connect(database)) as conn, conn.cursor() as cursor:
        for number, (mode, body) in enumerate(bodies):
            try:
                cursor.execute(f"SET sql_mode = '{mode}'")
                cursor.execute(f"CREATE PROCEDURE p{number}() {'AS ' if mode == 'ORACLE' else ''}BEGIN {body}; END")
            except pymysql.Error:
                if server.has("sequences"):
                    raise
            else:
                yield number, body


def test_bodies_read_and_write_the_database_they_are_restored_to(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    """The same is done there as in the database that was backed up, and nothing in that one."""
    own = my_database.name
    names = {"n": own, "N": own.upper()}
    my_database.load(("CREATE SEQUENCE numbers;" if mysql_server.has("sequences") else "") + TABLES.format(**names))
    bodies = list(_made(mysql_server, own, [(mode, one.format(**names)) for mode, several in BODIES.items() for one in several]))
    shop.run()
    assert shop.verify(3).problems == ()
    result = shop.restore(mysql_server.url(new_name))
    [warning] = [one for one in result.restored.warnings if own in one]
    assert "strings that name" in warning and "still" not in warning
    for number, body in bodies:
        for name in (own, new_name):
            mysql_server.client(name, ROWS.format(**names))
        before = contents(mysql_server, own)
        mysql_server.rows(new_name, f"CALL p{number}()")
        assert contents(mysql_server, own) == before, body
        mysql_server.rows(own, f"CALL p{number}()")
        assert contents(mysql_server, new_name) == contents(mysql_server, own) != before, body


def test_what_runs_by_itself_writes_the_database_it_is_restored_to(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    _must_be_mariadb(mysql_server)
    own = my_database.name
    my_database.load(
        TABLES.format(n=own) + ROWS.format(n=own) + f"CREATE SEQUENCE numbers;\nDELIMITER ;;\n"
        f"CREATE VIEW v AS SELECT {own}.a, {own}.hex({own}.a) AS h FROM {own}.{own}, {own}.more WHERE {own}.a = more.a;;\n"
        f"SET sql_mode = 'ANSI_QUOTES';;\n"
        f'CREATE TRIGGER "{own}"."tr" AFTER INSERT ON "{own}"."items" FOR EACH ROW\n'
        f'INSERT INTO "{own}"."seen" SELECT \'trigger\', NEW.a + "{own}"."a" FROM "{own}" -- the end;;\n;;\n'
        f'CREATE FUNCTION "top"() RETURNS int RETURN (SELECT MAX("{own}"."hex"("{own}".a)) FROM "items", "{own}"."{own}");;\n'
        f'CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO INSERT INTO "{own}".items SELECT {own}.a FROM {own};;\n'
        f"SET sql_mode = 'ORACLE';;\n"
        f"CREATE PROCEDURE plain AS x int; BEGIN {own}.note(3); SELECT {own}.numbers.NEXTVAL INTO x; {own}.note(x); END;;\n"
    )
    shop.run()
    assert shop.verify(3).problems == ()
    warnings = shop.restore(mysql_server.url(new_name)).restored.warnings
    assert not [one for one in warnings if own in one]
    before = contents(mysql_server, own)
    mysql_server.rows(new_name, "INSERT INTO items VALUES (40)")
    mysql_server.rows(new_name, "CALL plain()")
    assert mysql_server.rows(new_name, "SELECT a FROM seen ORDER BY a") == [(1,), (3,), (42,), (43,)]
    assert mysql_server.rows(new_name, "SELECT a, h, top() FROM v ORDER BY a") == [(2, 1002, 1003), (3, 1003, 1003)]
    event = "SELECT event_definition FROM information_schema.events WHERE event_schema = DATABASE()"
    assert mysql_server.rows(new_name, event) == [(f'INSERT INTO "{new_name}".items SELECT {own}.a FROM {own}',)]
    assert contents(mysql_server, own) == before
    mysql_server.drop_database(new_name)
    shop.restore(mysql_server.url(new_name), tables=("items",))
    triggers = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    assert mysql_server.rows(new_name, triggers) == [("tr",)]


def test_a_package_called_as_its_database_is_called_first(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    _must_be_mariadb(mysql_server)
    own = my_database.name
    my_database.load(
        f"CREATE TABLE seen (what varchar(9)); SET sql_mode = 'ORACLE';\nDELIMITER ;;\n"
        f"CREATE PACKAGE {own} AS PROCEDURE p; END;;\n"
        f"CREATE PACKAGE BODY {own} AS PROCEDURE p AS BEGIN INSERT INTO {own}.seen VALUES ('package'); END; END;;\n"
        f"CREATE PROCEDURE p AS BEGIN INSERT INTO {own}.seen VALUES ('procedure'); END;;\n"
        f"CREATE PROCEDURE q AS BEGIN {own}.p; CALL {own}.p(); END;;\n"
    )
    shop.run()
    shop.restore(mysql_server.url(new_name))
    mysql_server.rows(new_name, "CALL q()")
    assert mysql_server.rows(new_name, "SELECT * FROM seen") == [("package",), ("package",)]
    assert my_database.rows("SELECT * FROM seen") == []


def test_strings_that_may_be_run_are_told_of(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    own = my_database.name
    my_database.load(
        "CREATE TABLE t (a int); CREATE TABLE u (a int);\nDELIMITER ;;\n"
        f"CREATE PROCEDURE says() COMMENT 'as {own}.t' SELECT 'my {own} is fine', '{own}x.t', 'not.{own}.t', 'the {own}. So';;\n"
        f"CREATE PROCEDURE runs() BEGIN\n PREPARE s FROM 'DELETE FROM {own}.t'; EXECUTE s;\nEND;;\n"
        f"CREATE PROCEDURE asks() SELECT 1 FROM information_schema.tables WHERE table_schema = '{own}';;\n"
        f"CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = '`{own}`.t';;\n"
        f"CREATE TRIGGER ur BEFORE INSERT ON u FOR EACH ROW SET @a = '{own}.t';;\n"
    )
    shop.run()
    assert shop.verify(3).problems == ()
    [warning] = [one for one in shop.restore(mysql_server.url(new_name)).restored.warnings if own in one]
    for place in ("`runs`, line 3: 'DELETE FROM ", "procedure `asks`", "trigger `tr`", "trigger `ur`", "SHOW CREATE"):
        assert place in warning
    assert "`says`" not in warning
    mysql_server.drop_database(new_name)
    [warning] = [one for one in shop.restore(mysql_server.url(new_name), tables=("t",)).restored.warnings if own in one]
    assert "trigger `tr`" in warning and "`ur`" not in warning and "`runs`" not in warning
    assert not [one for one in shop.restore(my_database.url, replaces=True).restored.warnings if own in one]


def test_verification_sees_a_body_that_goes_on_meaning_the_first_database(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were one left by mistake, it would be found by the names of what is there."""
    own = my_database.name
    my_database.load(
        f"CREATE TABLE items (a int); CREATE TABLE {own} (a int); CREATE PROCEDURE fine() SELECT {own}.a FROM {own};"
        f"CREATE PROCEDURE left_over() INSERT INTO {own}.items SELECT {own}.a FROM {own};"
    )
    shop.run()
    assert shop.verify(3).problems == ()
    monkeypatch.setattr(loading, "rewrites", lambda *_, **__: [])
    [problem] = shop.verify(3).problems
    assert f"procedure `left_over`, line 2: {own}.items still means the database `{own}`" in problem
    warnings = shop.restore(mysql_server.url(new_name)).restored.warnings
    [warning] = [one for one in warnings if own in one]
    assert "still reading or writing" in warning and "`fine`" not in warning


def test_a_column_of_another_database_is_no_name_of_the_first_one(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    """A table there is called as this database, and has a column that is called as a table here."""
    own, there = my_database.name, mysql_server.new_database("elsewhere")
    try:
        mysql_server.client(there, f"CREATE TABLE {own} (items int); INSERT INTO {own} VALUES (5);")
        my_database.load(
            f"CREATE TABLE items (a int);CREATE PROCEDURE p() INSERT INTO {own}.items SELECT {own}.items FROM {there}.{own};"
        )
        shop.run()
        assert shop.verify(3).problems == ()
        assert not [one for one in shop.restore(mysql_server.url(new_name)).restored.warnings if own in one]
        mysql_server.rows(new_name, "CALL p()")
        assert mysql_server.rows(new_name, "SELECT * FROM items") == [(5,)]
        assert my_database.rows("SELECT * FROM items") == []
    finally:
        mysql_server.drop_database(there)


@pytest.mark.parametrize(
    ("text", "expected", "definer"),
    [
        ("CREATE SQL SECURITY DEFINER VIEW v AS SELECT 1", "CREATE SQL SECURITY DEFINER VIEW v AS SELECT 1", ""),
        ("CREATE DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW v", "CREATE  SQL SECURITY DEFINER VIEW v", "a@%"),
    ],
)
def test_a_security_clause_is_no_definer(text: str, expected: str, definer: str) -> None:
    assert (without_definer(text), definer_of(text)) == (expected, definer)


@pytest.mark.parametrize(("folds_case", "expected"), [(True, "`new`.a, `new`.b, 'SHOP.c'"), (False, "Shop.a, `new`.b, 'SHOP.c'")])
def test_names_of_databases_are_alike_in_any_case_where_the_server_folds_them(folds_case: bool, expected: str) -> None:
    assert renamed("DROP TABLE Shop.a, shop.b, 'SHOP.c'", Naming("shop", folds_case), "new") == f"DROP TABLE {expected}"


def test_a_statement_ends_outside_strings_and_comments() -> None:
    dump = (
        b"DELIMITER ;;\nCREATE PROCEDURE p() BEGIN -- one;;\nSELECT 'two;;\n'; /* three;;\n*/ END ;;\nSELECT 1 ;;\nDELIMITER ;\n"
    )
    found: list[str] = []

    def note(sql: str, _: str) -> str:
        found.append(sql)
        return sql

    assert b"".join(statements_of(iter((dump,)), note)) == dump
    assert [sql[:6] for sql in found] == ["CREATE", "SELECT"]


@pytest.mark.campaign
def test_a_server_that_folds_names_means_them_in_any_case(tmp_path: Path) -> None:
    if chosen_make().name != "mariadb":
        pytest.skip("MySQL takes this setting only when its data directory is made")
    with alone(MysqlServer, {"lower_case_table_names": "1"}) as server:
        own = server.new_database("folded")
        server.client(
            own,
            f"CREATE TABLE items (a int); CREATE TABLE {own} (a int); INSERT INTO {own} VALUES (1);"
            f"CREATE PROCEDURE p() INSERT IGNORE {own.upper()}.Items SELECT {own.capitalize()}.a FROM {own.capitalize()}.{own};"
            f"CREATE PROCEDURE q() REPLACE {own}.items SELECT {own.upper()}.a FROM {own.upper()};",
        )
        shop = Shop(tmp_path / "env", server.url(own), schedule=SCHEDULE)
        shop.run()
        assert shop.verify(3).problems == ()
        warnings = shop.restore(server.url("restored")).restored.warnings
        assert not [one for one in warnings if own in one.lower()]
        server.client("restored", "CALL p(); CALL q();")
        assert server.rows("restored", "SELECT a FROM items") == [(1,), (1,)]
        assert server.rows(own, "SELECT a FROM items") == []


@pytest.mark.parametrize(
    ("sql_mode", "text"),
    [
        ("", "SHOW TABLES FROM <n>; SHOW COLUMNS FROM n FROM <n>; SHOW COLUMNS IN <n>.n; SHOW INDEX FROM <n>.x; SELECT n.a"),
        ("", "DROP DATABASE IF EXISTS <n>; ALTER SCHEMA <n> CHARACTER SET utf8; SELECT DATABASE() = 'n', n.a FROM n"),
        (
            "",
            "GRANT SELECT, UPDATE ON <n>.* TO u; REVOKE EXECUTE ON FUNCTION <n>.f FROM u; SELECT n.*, n.a * 2 FROM n FOR UPDATE",
        ),
        (
            "",
            "EXPLAIN <n>.x; DESCRIBE <n>.x; SELECT n.a FROM n ORDER BY n.b DESC, n.c; CHECK TABLE <n>.x, <n>.y",
        ),
        ("", "CREATE TRIGGER <n>.tr BEFORE UPDATE ON <n>.n FOR EACH ROW SET NEW.a = (SELECT n.a FROM n), NEW.b = <n>.f(OLD.a)"),
        (
            "",
            "CREATE DEFINER = `n`@`n` EVENT <n>.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM <n>.n WHERE n.a = @n.x /* n.x */ -- n.x",
        ),
        ("", "CREATE VIEW <n>.v AS SELECT n.a, <n>.n.b FROM (<n>.n JOIN <n>.x ON (n.a = x.a)) WHERE SUBSTRING(n.c FROM 2) > 1"),
        ("", "SELECT * FROM {OJ <n>.x LEFT JOIN n ON n.a = 1}, <n>.y FOR SYSTEM_TIME FROM n.a TO n.b, <n>.z, event, <n>.w"),
        ("", "FOR i IN n.low..n.high DO INSERT INTO <n>.x VALUES (i); END FOR; DECLARE n ROW (low int, high int)"),
        (
            "",
            "ALTER TABLE <n>.t ADD FOREIGN KEY (a) REFERENCES <n>.u (b), RENAME <n>.w; DROP INDEX i ON <n>.x; SELECT n.a FROM n",
        ),
        ("", "CREATE TABLE <n>.m (a int) UNION = (<n>.a, <n>.b); DECLARE r ROW TYPE OF <n>.t; DECLARE n TYPE OF <n>.t.c"),
        ("", "INSERT INTO history (n.a) SELECT n.a FROM n; DELETE HISTORY FROM <n>.x BEFORE SYSTEM_TIME n.a; CACHE INDEX x IN n"),
        ("", "CACHE INDEX <n>.x IN c; whatever <n> . `y`, `<n>`.z"),
        ("ORACLE", "BEGIN <n>.p; <n>.q(1); n.a := 2; x := n.NEXTVAL; y n.c%TYPE; z <n>.t%ROWTYPE; END; DECLARE n int"),
    ],
)
def test_where_a_text_means_its_database(sql_mode: str, text: str) -> None:
    """In `<>`, and nowhere else."""
    sql = text.replace("<n>", "n").replace("`<n>`", "`n`")
    expected = text.replace("`<n>`", "`new`").replace("<n>", "`new`")
    assert renamed(sql, Naming("n"), "new", sql_mode) == expected


def test_bodies_in_encodings_with_backslashes_in_characters_come_back(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    """In GBK, Big5 and Shift-JIS the second byte of a character may be a backslash, which kept the client from a string's end."""
    own = my_database.name
    my_database.load("CREATE TABLE seen (what varchar(40)); CREATE TABLE items (a int);")
    for charset, character in (("gbk", "乗"), ("sjis", "表"), ("big5", "功"), ("cp932", "表")):
        with closing(mysql_server.connect(own, charset=charset)) as conn, conn.cursor() as cursor:
            cursor.execute(f"CREATE PROCEDURE p_{charset}() BEGIN INSERT INTO {own}.seen VALUES ('{character}'); SELECT 1; END")
            cursor.execute(
                f"CREATE TRIGGER t_{charset} AFTER INSERT ON items FOR EACH ROW INSERT INTO {own}.seen VALUES ('t{character}')"
            )
    my_database.load(
        f"CREATE PROCEDURE z() INSERT INTO {own}.seen VALUES ('ž漢');"
        f"CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01' DO INSERT INTO {own}.seen VALUES ('z');"
    )
    with closing(mysql_server.connect(own, charset="gbk")) as conn, conn.cursor() as cursor:
        cursor.execute("CREATE EVENT f ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01' DO INSERT INTO seen VALUES ('乗')")
    shop.run()
    assert shop.verify(3).problems == ()
    warnings = shop.restore(mysql_server.url(new_name), options={"definers": "skip"}).restored.warnings
    assert [one for one in warnings if not one.startswith("events that run from now on")] == []
    mysql_server.client(new_name, "CALL p_gbk; CALL p_sjis; CALL p_big5; CALL p_cp932; CALL z; INSERT INTO items VALUES (1);")
    found = [what for (what,) in mysql_server.rows(new_name, "SELECT what FROM seen")]
    assert sorted(found) == sorted(["乗", "表", "功", "表", "ž漢", "t乗", "t表", "t功", "t表"])
    assert mysql_server.rows(own, "SELECT * FROM seen") == []
