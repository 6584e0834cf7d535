"""What programs give by mistake is told in words, and nothing is touched."""

from __future__ import annotations

from typing import Any

import pytest

from dbops import DatabaseManager, connect_database
from dbops.errors import ConnectError, MissingTableError
from tests.databases import SqliteDatabase


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
