"""Databases with nasty content, and what makes two of them equal."""

from __future__ import annotations

import hashlib
from contextlib import closing

from tests.servers import MysqlServer

SCHEDULE = """[{type: full, cron: "0 3 * * 0"}]"""
WITH_LOGS = """[{type: full, cron: "0 3 * * 0"}, {type: log, cron: "* * * * *"}]"""
OF_FILES = (
    """[{type: full, cron: "0 3 * * 0", method: physical}, {type: incremental, cron: "0 * * * *", method: physical},"""
    """ {type: differential, cron: "0 3 * * *", method: physical},"""
    """ {type: log, cron: "* * * * *", method: physical}]"""
)

#: What both makes take. Comments look like the headings of a dump.
NASTY = r"""
CREATE TABLE everything (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, t tinyint, s smallint, m mediumint, d decimal(30,10),
  f float, dd double, b bit(13), c char(10), v varchar(300) COMMENT 'a; comment `x`\n--\n-- Table structure for table `y`\n--\n',
  txt longtext,
  bin binary(6), vb varbinary(300), bl longblob, e enum('a','b''c'), st set('x','y'), dt date, tm time(3), dtm datetime(6),
  ts timestamp(6) NULL, y year, j json, p point, g geometry,
  gs bigint GENERATED ALWAYS AS (t + 1) STORED, gv varchar(20) GENERATED ALWAYS AS (concat('n', t)) VIRTUAL,
  KEY v (v), KEY gv (gv), CHECK (t < 100)
);
INSERT INTO everything (t, s, m, d, f, dd, b, c, v, txt, bin, vb, bl, e, st, dt, tm, dtm, ts, y, j, p, g) VALUES
  (1, -5, 70000, 12345678901234567890.0123456789, 1.5, 1e300, b'1010101010101', 'pad', 'emoji 😀 and \0 NUL \\ \' " \Z',
   'line\n--\n-- Table structure for table `everything`\n--\n(1),\n(2)', x'00ff00', x'000a0d275c00', x'ff0027',
   'b''c', 'x,y', '2024-02-29', '-800:01:02.123', '9999-12-31 23:59:59.999999', '2030-01-01 00:00:00.5', 2155,
   '{"a": ["😀"]}', ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('LINESTRING(0 0,1 1)')),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '', '', '', '', NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO everything (t, bl) VALUES (3, REPEAT(UNHEX('00ff270a5c1a'), 400000));
SET sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO');
CREATE TABLE zero (id int NOT NULL AUTO_INCREMENT PRIMARY KEY); INSERT INTO zero VALUES (0), (7);
CREATE TABLE `we``ird; name` (`a ``b` int, `select` int); INSERT INTO `we``ird; name` VALUES (1, 2);
CREATE TABLE parts (id int, y int) PARTITION BY RANGE (y)
  (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1, 1), (2, 20);
CREATE TABLE zparent (id int PRIMARY KEY); CREATE TABLE achild (id int, CONSTRAINT fk FOREIGN KEY (id) REFERENCES zparent (id));
INSERT INTO zparent VALUES (1); INSERT INTO achild VALUES (1);
CREATE TABLE empty_one (a int);
CREATE TABLE log (x text);
DELIMITER ;;
CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC RETURN x * 2;;
CREATE TRIGGER first_one AFTER INSERT ON parts FOR EACH ROW BEGIN
  -- Dumping events for database
  INSERT INTO log VALUES ('a;b'); END;;
CREATE TRIGGER another AFTER INSERT ON parts FOR EACH ROW INSERT INTO log VALUES ('two');;
CREATE PROCEDURE fill() BEGIN /* kept */ INSERT INTO parts VALUES (9, 9); END;;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01' ENABLE DO INSERT INTO log VALUES ('event');;
DELIMITER ;
CREATE VIEW zv AS SELECT twice(id) AS x, y FROM parts; CREATE VIEW av AS SELECT * FROM zv;
"""

#: What MariaDB alone takes.
MARIADB = """
CREATE SEQUENCE numbers START 5 INCREMENT 3; CREATE SEQUENCE others;
CREATE TABLE drawn (
  id int PRIMARY KEY DEFAULT (nextval(numbers)), a text, hidden int INVISIBLE DEFAULT 3, again int DEFAULT (nextval(others))
);
INSERT INTO drawn (a) VALUES ('x'), ('y');
CREATE TABLE past (a int, b int) WITH SYSTEM VERSIONING; INSERT INTO past VALUES (1, 1); UPDATE past SET b = 2;
CREATE TABLE plain (a int) ENGINE=MyISAM; INSERT INTO plain VALUES (1);
CREATE TABLE odd (u uuid, i inet6); INSERT INTO odd VALUES (uuid(), '::1');
SET sql_mode = 'ORACLE';
DELIMITER ;;
CREATE PACKAGE parcel AS PROCEDURE send; END;;
CREATE PACKAGE BODY parcel AS PROCEDURE send AS BEGIN INSERT INTO log VALUES ('sent'); END; END;;
"""


def fill(server: MysqlServer, name: str) -> None:
    """Load all that the server takes."""
    script = "CREATE TABLE IF NOT EXISTS seed (a int);" + NASTY
    server.client(name, script)
    if server.has("sequences"):
        server.client(name, MARIADB)


def contents(server: MysqlServer, name: str) -> dict[str, str]:
    """Return a hash of all rows of each table, old rows of versioned ones too."""
    tables = server.rows(
        name,
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()"
        " AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')",
    )
    result = {}
    with closing(server.connect(name)) as conn, conn.cursor() as cursor:
        for table, kind in tables:
            quoted = "`{}`".format(table.replace("`", "``"))
            columns = "*" if kind == "BASE TABLE" else "*, row_start, row_end"
            cursor.execute(f"SELECT {columns} FROM {quoted}{'' if kind == 'BASE TABLE' else ' FOR SYSTEM_TIME ALL'}")
            rows = sorted(repr(row) for row in cursor.fetchall())
            result[table] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return result


def assert_equal(server: MysqlServer, one: str, other: str, on: MysqlServer | None = None) -> None:
    """Compare two databases by the server's own account of their schema, and by the hash of each table."""
    there = on or server
    assert there.dump(other).replace(f"`{other}`", "`db`") == server.dump(one).replace(f"`{one}`", "`db`")
    assert contents(there, other) == contents(server, one)
