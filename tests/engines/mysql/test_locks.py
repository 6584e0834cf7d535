"""How gently the server can do each kind of statement, measured, and what the plan says about it: the two must agree.

All rows of `measured/locks.yaml` are one pair of schemas. Each ALTER TABLE of the plan is first asked for by the gentlest
algorithm: the server refuses what it cannot do that way (MariaDB Knowledge Base, InnoDB Online DDL Overview).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.catalog.changes import ChangeSet
from dbops.engines.base.connect import Connection, TableSize, Target
from dbops.engines.base.render import RenderContext
from dbops.engines.base.url import parse_url
from dbops.errors import QueryError
from dbops.sql.statement import Statement
from tests.databases import MysqlDatabase, fresh_mysql
from tests.docs import hazards_page
from tests.engines.mysql.loop import ENGINE, canonical, changes_between
from tests.servers import MysqlServer
from tests.servers.mysql_makes import MYSQL_FOLDER

CASES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "measured" / "locks.yaml").read_text())

#: From the gentlest: what the server is asked for, and what it means.
WAYS = {
    "ALGORITHM=INSTANT": "instant",
    "ALGORITHM=NOCOPY, LOCK=NONE": "in place",
    "ALGORITHM=INPLACE, LOCK=NONE": "rebuilt in place",
    "ALGORITHM=INPLACE, LOCK=SHARED": "writers wait",
    "ALGORITHM=COPY, LOCK=SHARED": "copied, writers wait",
    "ALGORITHM=COPY, LOCK=EXCLUSIVE": "copied, all wait",
}
_WORDS = re.compile(r",\s*ALGORITHM=\w+(?:, LOCK=\w+)?")


def possible(server: MysqlServer) -> dict[str, dict[str, Any]]:
    """The cases that a server can run."""
    return {name: case for name, case in CASES.items() if "needs" not in case or server.has(case["needs"])}


def schema(cases: dict[str, dict[str, Any]], side: str) -> str:
    """Return one side of all cases as a script."""
    parts = ["CREATE TABLE parent (id int NOT NULL PRIMARY KEY)"]
    for name, case in cases.items():
        parts.append(f"CREATE TABLE {name} ({case[side]}) {case.get(f'{side}_options', '')}")
    return ";\n".join(parts) + ";"


_DIGITS = "(SELECT 0 AS n UNION ALL SELECT " + " UNION ALL SELECT ".join(map(str, range(1, 10))) + ")"
_SERIES = f"(SELECT 1 + a.n + 10 * b.n + 100 * c.n AS seq FROM {_DIGITS} AS a, {_DIGITS} AS b, {_DIGITS} AS c WHERE c.n < 5) AS s"


def rows(cases: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield f"INSERT INTO parent SELECT seq FROM {_SERIES}"
    for name, case in cases.items():
        values = case.get("rows", "SELECT seq, seq FROM seq_1_to_500").replace("seq_1_to_500", _SERIES)
        yield f"INSERT INTO {name} (a, b) {values}"


@dataclass(frozen=True)
class Asked:
    """A statement, and the gentlest way in which the server did it."""

    statement: Statement
    way: str | None


def gentlest(conn: Connection, statement: Statement) -> str | None:
    """Run a statement in the gentlest way that the server accepts; None for what knows no ways."""
    if not statement.sql.startswith("ALTER TABLE") or "PARTITION" in statement.sql:
        conn.execute(statement.sql)
        return None
    plain = _WORDS.sub("", statement.sql)
    if told := next((case["told"] for name, case in CASES.items() if "told" in case and f"`{name}`" in plain), None):
        conn.execute(statement.sql)  # the server takes any word, and copies all the same
        return str(told)
    before = number_of(conn, statement)
    for words, way in WAYS.items():
        try:
            conn.execute(f"{plain}, {words}")
        except QueryError as error:
            # no such algorithm (MySQL has no NOCOPY); this algorithm, or this lock, is not supported for it
            if error.context.get("errno") not in (1800, 1845, 1846):
                raise
        else:
            stays = way == "rebuilt in place" and before is not None and before == number_of(conn, statement)
            return "in place" if stays else way
    raise AssertionError(plain)


def number_of(conn: Connection, statement: Statement) -> int | None:
    """What InnoDB numbers a table by, anew when it is rebuilt; None where the server has a word for that (MariaDB's NOCOPY)."""
    if conn.server.flavour == "mariadb":
        return None
    name = statement.sql.split("`")[1]
    [(number,)] = conn.query(
        "SELECT table_id FROM information_schema.innodb_tables WHERE name = CONCAT(DATABASE(), '/', ?)", (name,)
    )
    return int(number)


@pytest.fixture(scope="module")
def asked(mysql_server: MysqlServer) -> list[Asked]:
    """Every statement of the plan, done in the gentlest way."""
    with fresh_mysql(mysql_server) as database:
        return measure(database)


def measure(database: MysqlDatabase) -> list[Asked]:
    cases = possible(database.server)
    database.load(schema(cases, "from"))
    for sql in rows(cases):
        database.rows(sql)
    target = Target("test", parse_url(database.url))
    conn = ENGINE.connect(target)
    live, wanted = ENGINE.inspect(conn), canonical(schema(cases, "to"), target)
    sizes = {ref: TableSize(1_000_000, 80_000_000) for ref in ENGINE.sizes(conn)}
    acts = ENGINE.render(ChangeSet(live, wanted, changes_between(live, wanted)), RenderContext(conn.server, sizes))
    found = [Asked(statement, gentlest(conn, statement)) for act in acts for statement in act.do]
    assert changes_between(ENGINE.inspect(conn), wanted) == ()
    conn.close()
    return found


_SAID = {
    "instant": set(),
    "in place": set(),
    "rebuilt in place": {"REWRITES_TABLE"},
    "writers wait": {"BLOCKS_WRITES"},
    "copied, writers wait": {"BLOCKS_WRITES", "REWRITES_TABLE"},
    "copied, all wait": {"BLOCKS_READS", "REWRITES_TABLE"},
}
_COSTS = {"REWRITES_TABLE", "BLOCKS_WRITES", "BLOCKS_READS"}


def lies(one: Asked) -> list[str]:
    if one.way is None:
        return []
    codes = {hazard.code for hazard in one.statement.hazards}
    found = []
    costs = codes & _COSTS
    if costs != _SAID[one.way]:
        found.append(f"{sorted(costs)} is said, the server did it {one.way}")
    words = _WORDS.search(one.statement.sql)
    if one.way in ("instant", "in place", "rebuilt in place"):
        wanted = "ALGORITHM=INSTANT" if one.way == "instant" else "ALGORITHM=INPLACE, LOCK=NONE"
        if words is None or words[0].lstrip(", \n") != wanted:
            found.append(f"the plan asks for {words and words[0]!r}, the server can {wanted}")
    elif words is not None:
        found.append(f"the plan asks for {words[0]!r}, and the server did it {one.way}")
    if "LOCK_QUEUE" not in codes:
        found.append("LOCK_QUEUE is not said")
    return found


def test_hazards_say_what_statements_do(asked: list[Asked]) -> None:
    wrong = {one.statement.sql: found for one in asked if (found := lies(one))}
    assert not wrong, "\n".join(f"{sql}\n    {text}" for sql, found in wrong.items() for text in found)


@pytest.mark.skipif(MYSQL_FOLDER in os.environ, reason="the page was written on MariaDB")
def test_the_page_of_hazards_says_what_was_measured(asked: list[Asked], mysql_server: MysqlServer) -> None:
    [(version,)] = mysql_server.rows("mysql", "SELECT VERSION()")
    head = ("statement", "done", "hazards")
    hazards_page.check_part(
        "mysql", hazards_page.table(head, sorted({row(one) for one in asked})), "MariaDB " + ".".join(str(version).split(".")[:2])
    )


def row(one: Asked) -> tuple[str, ...]:
    """Return what the page says of a statement; the case's table is called t."""
    name = next(name for name in sorted(CASES, key=len, reverse=True) if f"`{name}`" in one.statement.sql)
    if one.statement.sql.startswith("BEGIN NOT ATOMIC"):
        shown = "ALTER TABLE t ADD FOREIGN KEY, unchecked; then SELECT rows without a parent"
        return shown, "in place", ", ".join(sorted({hazard.code for hazard in one.statement.hazards}))
    sql = one.statement.sql.replace(f"`{name}`", "t").replace("`", "")
    return hazards_page.code(sql), one.way or "", ", ".join(sorted({hazard.code for hazard in one.statement.hazards}))


def test_rows_without_parents_take_a_new_foreign_key_back(my_database: MysqlDatabase) -> None:
    my_database.load("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int, KEY a (a)); INSERT INTO t VALUES (7);")
    wanted = (
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int, KEY a (a), CONSTRAINT fk FOREIGN KEY (a) REFERENCES p (id));"
    )
    target = Target("test", parse_url(my_database.url))
    if not my_database.server.has("nocopy"):
        pytest.skip("MySQL checks the rows while it copies the table")
    with closing(ENGINE.connect(target)) as conn:
        live, goal = ENGINE.inspect(conn), canonical(wanted, target)
        [act] = ENGINE.render(ChangeSet(live, goal, changes_between(live, goal)), RenderContext(conn.server, ENGINE.sizes(conn)))
        for _ in range(2):
            with pytest.raises(QueryError, match="rows refer to no row of p: fk"):
                conn.execute(act.do[0].sql)
        assert conn.query("SELECT @@SESSION.foreign_key_checks") == [(1,)]
        assert changes_between(ENGINE.inspect(conn), live) == ()
        my_database.rows("DELETE FROM t")
        conn.execute(act.do[0].sql)
        assert changes_between(ENGINE.inspect(conn), goal) == ()


def test_replicas_are_told_of_what_takes_long(my_database: MysqlDatabase) -> None:
    target = Target("test", parse_url(my_database.url))
    with closing(ENGINE.connect(target)) as conn:
        server = replace(conn.server, has_replicas=True)
        before, after = (canonical(f"CREATE TABLE t (a {kind})", target) for kind in ("int", "bigint"))
        sizes = {ref: TableSize(1_000_000, 80_000_000) for ref in before.objects}
        [act] = ENGINE.render(ChangeSet(before, after, changes_between(before, after)), RenderContext(server, sizes))
    assert any(hazard.code == "REPLICATION_IMPACT" and "about 1,000,000 rows" in hazard.message for hazard in act.hazards)
