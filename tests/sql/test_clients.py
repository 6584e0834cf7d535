"""The scripts in `cases/` beside what psql, mariadb and sqlite3 make of them: we send the same, or the case says why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbops.errors import SchemaError
from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE, Dialect
from dbops.sql.splitter import SourceStatement, iterate
from tests.databases import fresh_mysql, fresh_postgres
from tests.servers import MysqlServer, PostgresServer
from tests.sql.clients import Reading, Sent, read_by_mysql, read_by_psql, read_by_sqlite3
from tests.sql.test_cases import read_cases

# COPY has rows for psql only where the server takes them.
TABLES = "CREATE TABLE t (a text, b text); CREATE TABLE u (a text);"
# What clients keep or drop around a statement: blanks, terminators, comments, those of PostgreSQL nested up to three deep.
_BLOCK = r"/\*(?:[^*]|\*(?!/))*\*/"
_INNER = r"(?:[^*/]|\*(?!/)|/(?!\*))"
_NESTED = rf"/\*(?:{_INNER}|/\*(?:{_INNER}|/\*{_INNER}*\*/)*\*/)*\*/"
_NOISE = {
    "postgresql": rf"(?:[\s;]|--[^\n\r]*|{_NESTED})*",
    "mysql": rf"(?:[\s;]|--[^\n]*|#[^\n]*|(?!/\*M?![^9]){_BLOCK})*",
    "sqlite": rf"(?:[\s;\ufeff]|--[^\n]*|{_BLOCK})*",
}


@pytest.fixture(scope="module")
def pg_name(postgres_server: PostgresServer) -> Iterator[str]:
    with fresh_postgres(postgres_server) as database:
        database.load(TABLES)
        yield database.name


@pytest.fixture(scope="module")
def my_name(mysql_server: MysqlServer) -> Iterator[str]:
    with fresh_mysql(mysql_server) as database:
        database.load(TABLES)
        yield database.name


def statements_found(script: str, dialect: Dialect) -> tuple[list[SourceStatement], bool]:
    """Return the statements we find, those before an error included, and whether there was one."""
    found: list[SourceStatement] = []
    try:
        found += iterate(script, dialect)
    except SchemaError:
        return found, True
    return found, False


def is_same(ours: list[Sent], theirs: list[Sent], noise: str) -> bool:
    return len(ours) == len(theirs) and all(
        re.fullmatch(noise + re.escape(our.text) + noise, their.text) and our.copy_data == their.copy_data
        for our, their in zip(ours, theirs, strict=True)
    )


def assert_same(case: dict[str, Any], dialect: Dialect, reading: Reading) -> None:
    found, is_refused = statements_found(case["sql"], dialect)
    ours = [Sent(_as_read(one.text, dialect), one.copy_data) for one in found if one.kind == "sql"]
    noise = _NOISE[dialect.name]
    theirs = [sent for sent in reading.sent if not re.fullmatch(noise, sent.text)]
    if "client" in case:
        assert [sent.text.strip() for sent in theirs] == case["client"]
    elif "differs" in case:
        assert not is_same(ours, theirs, noise)
    elif is_refused:  # the client sends the open rest, which the server refuses, or complains by itself
        assert reading.complaints
        assert is_same(ours, theirs[: len(ours)], noise)
        assert len(theirs) <= len(ours) + 1
    else:
        assert is_same(ours, theirs, noise), (ours, theirs)


def _as_read(text: str, dialect: Dialect) -> str:
    """Return the text with the line ends that the client makes of it; we send what the file has."""
    return text if dialect is POSTGRESQL else text.replace("\r\n", "\n")


def cases(engine: str) -> Callable[[Any], Any]:
    found = [case for case in read_cases(engine) if not {"invalid", "unseen"} & set(case)]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in found])


@cases("postgresql")
def test_psql_sends_the_same_statements(
    case: dict[str, Any], postgres_server: PostgresServer, pg_name: str, tmp_path: Path
) -> None:
    assert_same(case, POSTGRESQL, read_by_psql(case["sql"].encode(), postgres_server, pg_name, tmp_path))


@cases("mysql")
def test_mariadb_sends_the_same_statements(case: dict[str, Any], mysql_server: MysqlServer, my_name: str, tmp_path: Path) -> None:
    if mysql_server.make.name != "mariadb":
        pytest.skip("the cases say what mariadb sends")
    assert_same(case, MYSQL, read_by_mysql(case["sql"].encode(), mysql_server, my_name, tmp_path))


@cases("sqlite")
def test_sqlite3_runs_the_same_statements(case: dict[str, Any], tmp_path: Path) -> None:
    assert_same(case, SQLITE, read_by_sqlite3(case["sql"].encode(), case.get("setup", ""), tmp_path))
