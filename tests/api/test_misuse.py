"""What programs give by mistake is told in words, and nothing is touched."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dbops import DatabaseManager, connect_database
from dbops.errors import ConnectError, MissingTableError, QueryError
from tests.databases import Database, PostgresDatabase, SqliteDatabase

TABLE = "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(40))"


@pytest.mark.parametrize("sql", [None, 5, b"SELECT 1"])
def test_what_is_no_statement_is_told(sqlite_database: SqliteDatabase, sql: Any) -> None:
    with DatabaseManager(sqlite_database.url) as manager:
        for result in (manager.execute(sql), manager.execute_many(sql, [(1,)])):
            assert str(result.error_message).startswith(f"a statement cannot be {type(sql).__name__}")
        assert not manager.execute_transaction([{"query": "CREATE TABLE t (a int)"}, {"query": sql}])
        assert manager.get_tables() == []


def test_rows_may_come_from_a_generator_and_not_from_a_number(sqlite_database: SqliteDatabase) -> None:
    rows: Any = 5
    with DatabaseManager(sqlite_database.url) as manager:
        manager.execute("CREATE TABLE t (a int)")
        assert manager.execute_many("INSERT INTO t VALUES (?)", ((n,) for n in range(3))).row_count == 3
        assert "rows of parameters cannot be int" in str(manager.execute_many("INSERT INTO t VALUES (?)", rows).error_message)


@pytest.mark.parametrize("given", [None, 5, [5], ["SELECT 1"]])
def test_what_is_no_transaction_connection_or_url_is_told(sqlite_database: SqliteDatabase, given: Any) -> None:
    with DatabaseManager(sqlite_database.url) as manager:
        with pytest.raises(ValueError, match=r"of the transaction is|a transaction cannot be"):
            manager.execute_transaction(given)
        with pytest.raises(ValueError, match="a connection cannot be"):
            manager.add_connection(given)
        with pytest.raises(MissingTableError):
            manager.get_table_info(str(given))
    with pytest.raises(ConnectError, match="not a database URL"):
        connect_database(given)


@pytest.fixture
def manager(database: Database) -> Iterator[DatabaseManager]:
    """A manager on a database with one empty table."""
    with DatabaseManager(database.url) as made:
        assert made.execute(TABLE).success
        yield made


def test_text_that_is_none_in_utf_8_is_told(manager: DatabaseManager) -> None:
    half = "\ud800"
    for result in (
        manager.execute("INSERT INTO items VALUES (1, ?)", (half,)),
        manager.execute(f"INSERT INTO items VALUES (1, '{half}')"),
        manager.execute_many("INSERT INTO items VALUES (?, ?)", [(1, "a"), (2, half)]),
    ):
        assert str(result.error_message).startswith("text that cannot be sent"), result
    assert manager.execute("SELECT count(*) FROM items").rows == [(0,)]


def test_a_statement_ends_at_no_nul(pg_database: PostgresDatabase) -> None:
    with DatabaseManager(pg_database.url) as manager:
        manager.execute_transaction([{"query": TABLE}, {"query": "INSERT INTO items VALUES (1, 'a')"}])
        assert "NUL" in str(manager.execute("DELETE FROM items\0 WHERE id = 2").error_message)
        assert manager.execute("SELECT id FROM items").rows == [(1,)]


def test_names_of_parameters_that_are_no_text_are_told(manager: DatabaseManager) -> None:
    given: Any = {1: 2}
    assert "no value was given for the parameter 'a'" in str(manager.execute("SELECT :a", given).error_message)


def test_a_connection_closed_in_a_block_keeps_nothing_of_it(manager: DatabaseManager) -> None:
    with pytest.raises(QueryError, match="the connection was closed in it"), manager.transaction():
        assert manager.execute("INSERT INTO items VALUES (1, 'a')").success
        manager.disconnect_all()
        assert "the connection was closed in it" in str(manager.execute("INSERT INTO items VALUES (2, 'b')").error_message)
        with pytest.raises(QueryError, match="the connection was closed in it"), manager.transaction():
            pass
    assert manager.execute("SELECT count(*) FROM items").rows == [(0,)]
    connection = manager.get_connection()
    assert connection is not None and connection.get_database_info()["pool"]["in_use"] == 0


def test_a_connection_that_another_thread_closes_keeps_nothing_of_a_block(manager: DatabaseManager) -> None:
    def close() -> None:
        manager.disconnect_all()
        assert manager.execute("SELECT 1").success

    with pytest.raises(QueryError, match="the connection was closed in it"), manager.transaction():
        assert manager.execute("INSERT INTO items VALUES (1, 'a')").success
        other = threading.Thread(target=close)
        other.start()
        other.join()
    with pytest.raises(QueryError, match="the connection was closed in it"):
        connection = manager.get_connection()
        assert connection is not None and connection.execute("INSERT INTO items VALUES (2, 'b')", commit=False).success
        other = threading.Thread(target=close)
        other.start()
        other.join()
        connection.commit()
    assert manager.execute("SELECT count(*) FROM items").rows == [(0,)]


FORKED = """
import os, sys
from dbops import DatabaseManager

SESSION = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
manager = DatabaseManager(sys.argv[1])
session = SESSION.get(manager.get_connection().db_type.value, "SELECT 0")
mine = manager.execute(session).rows
parent = os.getpid()
try:
    with manager.transaction():
        manager.execute("INSERT INTO items VALUES (1, 'parent')")
        child = os.fork()
        if child == 0:
            assert "this process was forked in it" in manager.execute("INSERT INTO items VALUES (2, 'child')").error_message
            raise ZeroDivisionError
        assert os.waitpid(child, 0)[1] == 0
        assert manager.execute("INSERT INTO items VALUES (3, 'parent')").success
except ZeroDivisionError:
    assert manager.execute("SELECT count(*) FROM items").rows == [(0,)]
    assert session == "SELECT 0" or manager.execute(session).rows != mine
    manager.disconnect_all()
    sys.stdout.flush()
    os._exit(0)
assert manager.execute(session).rows == mine
print(manager.execute("SELECT id FROM items ORDER BY id").rows)
"""


def test_a_forked_process_has_sessions_of_its_own(database: Database) -> None:
    database.load(f"{TABLE};")
    done = subprocess.run([sys.executable, "-c", FORKED, database.url], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "[(1,), (3,)]\n"), done.stderr
