"""What programs give by mistake is told in words, and nothing is touched."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dbops
from dbops import DatabaseManager, connect_database
from dbops.arguments import checked, must_fit
from dbops.errors import ArgumentError, ConnectError, DbopsError, MissingTableError, QueryError
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


# --- arguments of a wrong type

#: What calls are made with; another name gets a text.
GOOD: dict[str, Any] = {
    "params": None,
    "connection": dbops.DatabaseConnection("other", dbops.DatabaseType.SQLITE, "other.db"),
    "dependencies": None,
    "table": dbops.SchemaTable("x", [dbops.Column("id", "integer")]),
    "table_def": {"name": "x", "columns": [{"name": "id", "type": "integer"}]},
    "changes": {},
    "current_schema": {"tables": []},
    "target_schema": {"tables": []},
    "models": [],
    "query_metrics": {"execution_time_ms": 1},
    "metrics": {},
    "params_list": [],
    "queries": [],
    "keep": 1,
    "step": dbops.MigrationStep("1", "x", up_fn=lambda: None),
    "transformer": dbops.FieldRenameTransformer({}),
    "transformers": [],
    "records": [],
    "renames": {},
    "conversions": {},
    "inputs": [],
    "outputs": [],
    "factory": "sqlite:///a.db",
    "query": "SELECT 1",
    "migration_dir": ".",
    "database_url": "sqlite:///a.db",
    "source_url": "sqlite:///a.db",
    "target_url": "sqlite:///b.db",
    "dialect": "sqlite",
}
WRONG: list[Any] = [None, 5, "x", [5], {1: 2}, object(), b"x", 1.5]
MADE: dict[str, Callable[[], Any]] = {
    "DatabaseManager": lambda: dbops.DatabaseManager("sqlite:///a.db"),
    "DatabaseConnection": lambda: connect_database("sqlite:///a.db"),
    "MigrationManager": lambda: dbops.MigrationManager(None, "sqlite:///a.db"),
    "BackupManager": dbops.BackupManager,
    "SchemaGenerator": dbops.SchemaGenerator,
    "SchemaManager": lambda: dbops.SchemaManager("sqlite:///a.db"),
    "DatabaseMonitor": lambda: dbops.DatabaseMonitor(None, "sqlite:///a.db"),
    "MigrationRunner": dbops.MigrationRunner,
    "DataMigrator": lambda: dbops.DataMigrator(dbops.FieldRenameTransformer({})),
    "LineageGraph": dbops.LineageGraph,
    "LineageTracker": dbops.LineageTracker,
    "ImpactAnalyzer": lambda: dbops.ImpactAnalyzer(dbops.LineageGraph()),
    "CompositeTransformer": lambda: dbops.CompositeTransformer([]),
    "FieldRenameTransformer": lambda: dbops.FieldRenameTransformer({}),
    "FieldTypeTransformer": lambda: dbops.FieldTypeTransformer({}),
    "ConnectionPool": lambda: dbops.ConnectionPool("sqlite:///a.db"),
}
#: What runs for every record of many looks at none.
UNSEEN = {"FieldRenameTransformer.transform", "FieldTypeTransformer.transform"}


def public_calls() -> Iterator[Any]:
    """Each function, constructor and method that programs call without awaiting it."""
    for name in dbops.__all__:
        found = getattr(dbops, name)
        if inspect.isfunction(found):
            yield pytest.param(lambda found=found: found, inspect.signature(found), id=name)
    for name, make in MADE.items():
        cls = getattr(dbops, name)
        yield pytest.param(lambda cls=cls: cls, inspect.signature(cls), id=name)
        for word, member in vars(cls).items():
            if word.startswith("_") or not inspect.isfunction(member) or f"{name}.{word}" in UNSEEN:
                continue
            signature = inspect.signature(member)
            without_self = signature.replace(parameters=list(signature.parameters.values())[1:])
            if without_self.parameters:
                yield pytest.param(lambda make=make, word=word: getattr(make(), word), without_self, id=f"{name}.{word}")


@pytest.mark.parametrize(("get", "signature"), list(public_calls()))
def test_arguments_of_a_wrong_type_are_told_in_words(
    get: Callable[[], Callable[..., Any]], signature: inspect.Signature, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is given for one of them: no error of Python's own comes from inside."""
    monkeypatch.chdir(tmp_path)
    for parameter in signature.parameters:
        for wrong in WRONG:
            required = {one.name for one in signature.parameters.values() if one.default is one.empty}
            given = {name: GOOD.get(name, "x") for name in required} | {parameter: wrong}
            try:
                get()(**given)
            except (DbopsError, ValueError, OSError) as error:
                if isinstance(error, ArgumentError):
                    assert " cannot be " in error.message or "once" in error.message


def test_an_argument_of_a_wrong_type_says_what_was_given_and_what_is_expected() -> None:
    generator: Any = dbops.SchemaGenerator
    with pytest.raises(TypeError) as caught:
        generator().create_table(None)
    assert isinstance(caught.value, ArgumentError) and caught.value.to_dict() == {
        "error_type": "ArgumentError",
        "error_code": "ArgumentError",
        "message": "SchemaGenerator.create_table: table cannot be None",
        "context": {"argument": "table", "expected": "SchemaTable"},
    }
    with pytest.raises(ArgumentError, match=r"^Migration: sql cannot be int$"):
        dbops.Migration("1", "x", "", 5)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="record 1 cannot be int"):
        dbops.DataMigrator(dbops.FieldRenameTransformer({})).migrate([{}, 5])  # type: ignore[list-item]


def test_what_does_for_a_type_is_taken() -> None:
    @checked
    def call(number: float, names: list[str], kind: dbops.DatabaseType, *, place: str | Path | None = None) -> bool:
        return True

    assert call(1, ("a", "b"), "sqlite") and call(1.5, (name for name in "ab"), dbops.DatabaseType.MYSQL, place=Path())  # type: ignore[arg-type]
    for wrong in ({"number": "1"}, {"names": "ab"}, {"names": {"a": 1}}, {"kind": 5}, {"place": b"x"}):
        with pytest.raises(ArgumentError):
            call(**{"number": 1, "names": [], "kind": "sqlite"} | wrong)  # type: ignore[arg-type]
    assert inspect.signature(call).parameters["place"].default is None
    must_fit(dbops.PoolConfig())
