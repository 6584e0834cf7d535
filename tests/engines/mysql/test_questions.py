"""What is asked of texts before they become something else, beside what the server itself refuses."""

from __future__ import annotations

from contextlib import closing

import pymysql
import pytest

from dbops.catalog.changes import ChangeSet, diff
from dbops.engines.base.connect import Target
from dbops.engines.base.render import RenderContext
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.engine import MysqlEngine
from tests.databases import MysqlDatabase, fresh_mysql

ENGINE = MysqlEngine()

NUMBERS = ["1", " 12 ", "-3", "+4", "1.5", ".5", "1e2", "0x10", "", " ", "x", "12abc", "1 2", "300", "-129", "127.6",
           "4294967296", "99999999999999999999", "1,5", "--1", "1e400"]  # fmt: skip
MOMENTS = ["2020-01-31", "20200131", "2020-02-30", "2020-01-31 10:11:12", "2020-01-31T10:11:12", "10:11:12", "25:00:00", "x", "",
           "2020-01-31x", "2020/1/3", "31.01.2020", "2020-01-31 10:11:12+02:00", "2020-01-31 10:11:12 5", "838:59:59",
           "839:00:00", "-838:59:59", "34 22:59:59"]  # fmt: skip


_ROUNDED = {"1.5", ".5", "1e2", "127.6"}
"""What one server refuses as an integer and another takes, rounded."""


@pytest.mark.parametrize("kind", ["tinyint", "int unsigned", "bigint", "decimal(5,2)", "decimal(4,0) unsigned", "double"])
def test_texts_that_become_numbers_are_told_as_the_server_tells_them(kind: str, my_database: MysqlDatabase) -> None:
    asked, refused = _found(kind, NUMBERS, my_database)
    assert asked - _ROUNDED == refused - _ROUNDED
    assert refused <= asked


@pytest.mark.parametrize("kind", ["date", "datetime", "timestamp NULL", "time", "year", "json"])
def test_texts_that_become_moments_and_documents_are_told_as_the_server_tells_them(kind: str, my_database: MysqlDatabase) -> None:
    values = MOMENTS if kind != "json" else ["{}", "[1]", "x", '"x"', ""]
    asked, refused = _found(kind, [*values, "2020", "70"] if kind != "json" else values, my_database)
    doubtful = {"", "2020-01-31T10:11:12"} if kind == "time" else set()  # one server takes the one, another the other
    assert asked - doubtful == refused - doubtful
    assert refused <= asked


@pytest.mark.parametrize(("kind", "good"), [("uuid", "6ccd780c-baba-1026-9564-5b8c656024db"), ("inet6", "::1")])
def test_texts_that_become_addresses_are_told_as_the_server_tells_them(kind: str, good: str, my_database: MysqlDatabase) -> None:
    if not my_database.server.has("uuid type"):
        pytest.skip("the server has no such types")
    asked, refused = _found(kind, [good, "x", ""], my_database)
    assert asked == refused == {"x", ""}


MEMBERS = [
    "a",
    "B",
    "a,b",
    "b,a",
    "a,a",
    "A,b",
    "a,,b",
    ",a",
    "a,",
    "",
    "c",
    "a,c",
    "0",
    "1",
    "2",
    "3",
    "4",
    " 3",
    "01",
    "1.0",
    "1x",
]
PLACES = ["0", "0.4", "1", "2", "2.4", "3", "7", "7.6", "8", "-1", "255"]
DIGITS = ["0", "5", "-5", "70", "1900", "2000", "2156", "20200131", "20200230", "200131", "20200131101112", "20200131251112",
          "19500131101112", "235959", "236060", "8385959", "8390000"]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "kind", "values"),
    [
        ("varchar(60)", "enum('a','b')", MEMBERS),
        ("varchar(60)", "set('a','b')", MEMBERS),
        ("varchar(60)", "enum('2','1')", MEMBERS),
        ("varchar(60)", "bit(3)", ["0", "7", "8", "-1", " 7 ", "+3", "07", "1.5", "x", ""]),
        ("varbinary(60)", "int", ["1", "x", ""]),
        ("decimal(6,1)", "enum('a','b')", PLACES),
        ("decimal(6,1)", "set('a','b')", PLACES),
        ("decimal(6,1)", "bit(3)", PLACES),
        ("int", "bit(3)", [value for value in PLACES if "." not in value]),
        ("decimal(20,0)", "year", DIGITS),
        ("bigint", "date", DIGITS),
        ("bigint", "datetime", DIGITS),
        ("bigint", "timestamp NULL", DIGITS),
        ("bigint", "time", DIGITS),
        ("enum('a','b','c')", "set('a','b')", ["a", "c"]),
        ("set('a','b')", "enum('a','b')", ["a", "a,b"]),
    ],
)
def test_members_bits_and_digits_are_told_as_the_server_tells_them(
    old: str, kind: str, values: list[str], my_database: MysqlDatabase
) -> None:
    if not my_database.server.has("uuid type"):
        pytest.skip("measured on MariaDB")
    asked, refused = _found(kind, values, my_database, old)
    assert asked == refused


def _found(kind: str, values: list[str], database: MysqlDatabase, old: str = "varchar(60)") -> tuple[set[str], set[str]]:
    """Return the values that are asked for before they become of this kind, and those that the server then refuses."""
    before, after = f"CREATE TABLE t (v {old})", f"CREATE TABLE t (v {kind})"
    with fresh_mysql(database.server) as other:
        other.load(after)
        wanted = ENGINE.inspect(ENGINE.connect(Target("test", parse_url(other.url))))
    database.load(before)
    with closing(ENGINE.connect(Target("test", parse_url(database.url)))) as conn:
        live = ENGINE.inspect(conn)
        changes = diff(live, wanted)
        questions = list(ENGINE.questions(changes, live))
        [act] = ENGINE.render(ChangeSet(live, wanted, changes), RenderContext(conn.server))
    refused, asked = set(), set()
    with closing(database.server.connect(database.name)) as native, native.cursor() as cursor:
        for value in values:
            cursor.execute("DROP TABLE t")
            cursor.execute(before)
            cursor.execute("INSERT INTO t VALUES (%s)", (value,))
            if any(cursor.execute(f"SELECT 1 FROM t WHERE {question.condition}") for question in questions):
                asked.add(value)
            try:
                for statement in act.do:
                    cursor.execute(statement.sql)
            except pymysql.Error:
                refused.add(value)
    return asked, refused
