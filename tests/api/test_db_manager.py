"""Managers, connections, queries and transactions do on every engine what the documents say."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dbops import (
    CodomyrmexError,
    DatabaseConnection,
    DatabaseManager,
    DatabaseService,
    DatabaseType,
    DbopsError,
    QueryResult,
    connect_database,
    execute_query,
    manage_databases,
)
from dbops.errors import ConnectError, MissingTableError, QueryError
from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase
from tests.servers import MysqlServer, PostgresServer

ITEMS = "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL, active BOOLEAN DEFAULT TRUE)"
INSERT = "INSERT INTO items (id, name) VALUES (?, ?)"


@pytest.fixture
def manager(database: Database) -> Iterator[DatabaseManager]:
    """A manager on an empty database with the table `items`."""
    with DatabaseManager(database.url) as made:
        assert made.execute(ITEMS).success
        yield made


def names(database: Database) -> list[str]:
    """What another session sees."""
    return [name for (name,) in database.rows("SELECT name FROM items ORDER BY id")]


# --- queries


def test_a_manager_answers_queries(manager: DatabaseManager) -> None:
    assert manager.execute(INSERT, (1, "one")).row_count == 1
    result = manager.execute("SELECT id, name FROM items WHERE active = ?", (True,))
    assert (result.success, result.rows, result.columns, result.row_count) == (True, [(1, "one")], ["id", "name"], 1)
    assert result.to_dict_list() == [{"id": 1, "name": "one"}]
    assert result.execution_time > 0 and result.error_message is None


def test_rows_changed_are_counted(manager: DatabaseManager) -> None:
    assert manager.execute_many(INSERT, [(n, f"n{n}") for n in range(5)]).row_count == 5
    assert manager.execute("UPDATE items SET name = 'x' WHERE id < 3").row_count == 3
    assert manager.execute("DELETE FROM items WHERE id > 90").row_count == 0
    assert manager.execute("SELECT id FROM items WHERE id > 90").row_count == 0


@pytest.mark.parametrize(
    ("marks", "values"),
    [
        ("?, ?", (1, "it's ? %s :a")),
        ("%s, %s", (1, "it's ? %s :a")),
        (":id, :name", {"id": 1, "name": "it's ? %s :a"}),
        ("%(id)s, %(name)s", {"id": 1, "name": "it's ? %s :a"}),
    ],
)
def test_every_style_of_parameters_works(manager: DatabaseManager, marks: str, values: Any) -> None:
    assert manager.execute(f"INSERT INTO items (id, name) VALUES ({marks})", values).error_message is None
    found = manager.execute("SELECT name, '? %s :a' FROM items WHERE id = ? -- ? %s :b", (1,)).rows
    assert found == [("it's ? %s :a", "? %s :a")]


def test_values_of_many_types_are_stored(database: Database) -> None:
    moment, number = datetime(2026, 1, 31, 12, 30, 15), UUID(int=7)
    with DatabaseManager(database.url) as manager:
        manager.execute("CREATE TABLE kinds (a DECIMAL(8, 2), b DATE, c TIMESTAMP, d CHAR(36), e INTEGER, f VARCHAR(40))")
        values = (Decimal("12.50"), date(2026, 1, 31), moment, str(number), None, '{"a": 1}')
        assert manager.execute("INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?)", values).error_message is None
        [row] = manager.execute("SELECT * FROM kinds").rows
    assert (Decimal(str(row[0])), str(row[1]), str(row[2]), row[3:]) == (
        Decimal("12.50"),
        "2026-01-31",
        "2026-01-31 12:30:15",
        (str(number), None, '{"a": 1}'),
    )


def test_dictionaries_and_uuids_are_values(database: Database) -> None:
    kinds = {"sqlite": ("TEXT", "TEXT"), "postgresql": ("jsonb", "uuid"), "mysql": ("JSON", "CHAR(36)")}[database.engine]
    with DatabaseManager(database.url) as manager:
        manager.execute(f"CREATE TABLE held (doc {kinds[0]}, id {kinds[1]})")
        assert manager.execute("INSERT INTO held VALUES (?, ?)", ({"a": [1, None]}, UUID(int=7))).error_message is None
        [(doc, found)] = manager.execute("SELECT doc, id FROM held").rows
    assert (doc if isinstance(doc, dict) else __import__("json").loads(doc)) == {"a": [1, None]}
    assert str(found) == str(UUID(int=7))


class Size(IntEnum):
    SMALL = 1


class Colour(StrEnum):
    RED = "red'"


def test_values_of_a_programs_own_kinds_of_number_and_text_are_stored(manager: DatabaseManager) -> None:
    assert manager.execute(INSERT, (Size.SMALL, Colour.RED)).error_message is None
    assert manager.execute_many(INSERT, [[2, Colour.RED], (Size.SMALL + 2, "ü\\'")]).error_message is None
    assert manager.execute("SELECT id, name FROM items ORDER BY id").rows == [(1, "red'"), (2, "red'"), (3, "ü\\'")]
    assert manager.execute("SELECT name FROM items WHERE id = ?", range(1, 2)).rows == [("red'",)]


def test_a_value_of_no_known_type_is_an_error_of_the_query(manager: DatabaseManager) -> None:
    for result in (manager.execute(INSERT, (1, object())), manager.execute_many(INSERT, [(1, "a"), (2, object())])):
        assert not result.success and "object" in str(result.error_message)
    assert manager.execute("SELECT count(*) FROM items").rows == [(0,)]


def test_json_operators_of_postgresql_are_no_parameters(pg_database: PostgresDatabase) -> None:
    with DatabaseManager(pg_database.url) as manager:
        query = """SELECT '{"a": 1}'::jsonb ? 'a', '{"a": 1}'::jsonb ?| ?, '[1]'::jsonb @? ?::jsonpath, ?::text"""
        assert manager.execute(query, (["a", "b"], "$[0]", "x")).rows == [(True, True, True, "x")]


def test_what_the_database_refuses_comes_back(manager: DatabaseManager) -> None:
    result = manager.execute("SELECT a FROM nowhere")
    assert not result.success and "nowhere" in str(result.error_message) and result.rows == []
    with pytest.raises(QueryError, match="nowhere"):
        manager.execute_query("SELECT a FROM nowhere")
    assert manager.execute("SELECT ?", (1, 2)).error_message == (
        "the statement has 1 mark for parameters, and 2 values were given"
    )
    assert "parameters cannot be str" in str(manager.execute("SELECT ?", "x").error_message)


def test_one_text_is_one_statement(my_database: MysqlDatabase, sqlite_database: SqliteDatabase) -> None:
    for url in (my_database.url, sqlite_database.url):
        with DatabaseManager(url) as manager:
            manager.execute(ITEMS)
            assert not manager.execute("SELECT 1; DROP TABLE items").success
            assert manager.get_tables() == ["items"]


# --- transactions


def test_a_rolled_back_transaction_keeps_nothing(database: Database, manager: DatabaseManager) -> None:
    with pytest.raises(ZeroDivisionError), manager.transaction():
        manager.execute(INSERT, (1, "one"))
        assert manager.execute("SELECT count(*) FROM items").rows == [(1,)]
        raise ZeroDivisionError
    assert names(database) == []


def test_a_transaction_is_kept_at_its_end(database: Database, manager: DatabaseManager) -> None:
    with manager.transaction():
        manager.execute(INSERT, (1, "one"))
        assert names(database) == []
    assert names(database) == ["one"]


def test_what_an_insert_returns_is_committed(database: Database, manager: DatabaseManager) -> None:
    if "RETURNING" not in supported(database):
        pytest.skip("the server has no RETURNING")
    result = manager.execute("INSERT INTO items (id, name) VALUES (?, ?) RETURNING id", (7, "seven"))
    assert result.rows == [(7,)] and names(database) == ["seven"]
    assert manager.execute_query("INSERT INTO items (id, name) VALUES (8, 'eight') RETURNING name") == [{"name": "eight"}]
    assert names(database) == ["seven", "eight"]


def supported(database: Database) -> str:
    """MySQL itself has no INSERT ... RETURNING; MariaDB has."""
    is_there = not isinstance(database, MysqlDatabase) or "MariaDB" in str(database.rows("SELECT VERSION()"))
    return "RETURNING" if is_there else ""


def test_a_failed_statement_undoes_its_transaction(database: Database, manager: DatabaseManager) -> None:
    with pytest.raises(QueryError, match="the transaction was rolled back"), manager.transaction():
        manager.execute(INSERT, (1, "one"))
        assert not manager.execute(INSERT, (1, "again")).success
        late = manager.execute(INSERT, (2, "two"))
        assert not late.success and "a statement before failed" in str(late.error_message)
    assert names(database) == []
    with pytest.raises(QueryError), manager.transaction():
        manager.execute(INSERT, (1, "one"))
        manager.execute_query("SELECT a FROM nowhere")
    assert names(database) == []
    assert manager.execute(INSERT, (3, "three")).success


def test_an_inner_transaction_is_undone_alone(database: Database, manager: DatabaseManager) -> None:
    with manager.transaction():
        manager.execute(INSERT, (1, "one"))
        with pytest.raises(QueryError), manager.transaction():
            manager.execute(INSERT, (2, "two"))
            manager.execute(INSERT, (1, "again"))
        with manager.transaction():
            manager.execute(INSERT, (3, "three"))
    assert names(database) == ["one", "three"]


def test_a_list_of_statements_runs_all_or_nothing(
    database: Database, manager: DatabaseManager, caplog: pytest.LogCaptureFixture
) -> None:
    good = [{"query": INSERT, "params": (1, "one")}, {"query": "UPDATE items SET name = 'uno'"}]
    assert manager.execute_transaction(good) is True
    assert manager.execute_transaction([{"query": INSERT, "params": (2, "two")}, *good]) is False
    assert names(database) == ["uno"] and "undone" in caplog.text
    with pytest.raises(ValueError, match="entry 1 of the transaction has no query"):
        manager.execute_transaction([good[0], {"sql": INSERT}])
    assert names(database) == ["uno"]


def test_many_rows_are_inserted_all_or_none(database: Database, manager: DatabaseManager) -> None:
    assert not manager.execute_many(INSERT, [(1, "one"), (2, "two"), (1, "again")]).success
    assert names(database) == []
    by_name = [{"id": 1, "name": "one"}, {"name": "two", "id": 2}]
    assert manager.execute_many("INSERT INTO items (id, name) VALUES (:id, :name)", by_name).row_count == 2
    assert names(database) == ["one", "two"]
    assert manager.execute_many(INSERT, []).row_count == 0
    for rows in ([(3, "three"), (4,)], [(3, "three"), {"id": 4}]):
        assert "row 1 has other values than the first" in str(manager.execute_many(INSERT, rows).error_message)


@pytest.mark.parametrize("inside", [False, True])
def test_values_that_sqlite_has_no_type_for_may_come_later_among_many_rows(sqlite_database: SqliteDatabase, inside: bool) -> None:
    rows = [(1, None), (2, Decimal("1.50")), (3, UUID(int=7)), (4, date(2025, 1, 31)), (5, {"a": 1})]
    with DatabaseManager(sqlite_database.url) as manager:
        manager.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
        with manager.transaction() if inside else nullcontext():
            assert manager.execute_many("INSERT INTO t VALUES (?, ?)", rows).row_count == 5
        assert not manager.execute_many("INSERT INTO t VALUES (?, ?)", [(6, None), (7, UUID(int=1)), (1, None)]).success
        found = [row[0] for row in manager.execute("SELECT v FROM t ORDER BY id").rows]
    assert found == [None, "1.50", str(UUID(int=7)), "2025-01-31", '{"a": 1}']


def test_statements_may_wait_for_a_later_commit(database: Database, manager: DatabaseManager) -> None:
    connection = manager.get_connection()
    assert connection is not None
    connection.execute(INSERT, (1, "one"), commit=False)
    assert names(database) == []
    connection.execute(INSERT, (2, "two"))
    assert names(database) == ["one", "two"]
    connection.execute("DELETE FROM items", commit=False)
    connection.rollback()
    assert names(database) == ["one", "two"]
    connection.execute("DELETE FROM items WHERE id = 1", commit=False)
    connection.commit()
    assert names(database) == ["two"]
    connection.execute("DELETE FROM items", commit=False)
    connection.disconnect()
    assert names(database) == ["two"]


def test_a_transaction_in_the_users_own_words_is_respected(database: Database, manager: DatabaseManager) -> None:
    assert manager.execute("BEGIN").success
    manager.execute(INSERT, (1, "one"))
    assert names(database) == []
    manager.execute("ROLLBACK")
    manager.execute("BEGIN")
    manager.execute(INSERT, (2, "two"))
    manager.execute("COMMIT")
    assert names(database) == ["two"]


def test_what_commits_by_itself_is_refused_in_a_transaction(my_database: MysqlDatabase) -> None:
    with DatabaseManager(my_database.url) as manager:
        manager.execute(ITEMS)
        with pytest.raises(QueryError, match="commits by itself"), manager.transaction():
            manager.execute(INSERT, (1, "one"))
            manager.execute("CREATE TABLE other (a INT)")
        assert names(my_database) == [] and manager.get_tables() == ["items"]


def test_a_transaction_block_is_not_ended_by_hand(database: Database, manager: DatabaseManager) -> None:
    with pytest.raises(QueryError, match="begins and ends by itself"), manager.transaction():
        manager.execute(INSERT, (1, "one"))
        manager.execute("COMMIT")
    assert names(database) == []


def test_changes_of_tables_are_undone_where_the_engine_can(
    pg_database: PostgresDatabase, sqlite_database: SqliteDatabase
) -> None:
    for url in (pg_database.url, sqlite_database.url):
        with DatabaseManager(url) as manager:
            with pytest.raises(ZeroDivisionError), manager.transaction():
                manager.execute(ITEMS)
                raise ZeroDivisionError
            assert manager.get_tables() == []


# --- connections


def test_two_files_of_one_name_do_not_collide(tmp_path: Path) -> None:
    manager = DatabaseManager()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        manager.connect(f"sqlite:///{tmp_path}/{folder}/app.db")
        manager.execute("CREATE TABLE t (x TEXT)")
        manager.execute("INSERT INTO t VALUES (?)", (folder,))
    assert manager.list_connections() == ["app", "app_2"]
    assert manager.execute_query("app", "SELECT x FROM t") == [{"x": "a"}]
    assert manager.execute_query("app_2", "SELECT x FROM t") == [{"x": "b"}]
    assert manager.connect(f"sqlite:///{tmp_path}/a/app.db").name == "app"
    assert manager.list_connections() == ["app", "app_2"]
    manager.disconnect_all()


def test_connections_are_kept_by_name(database: Database) -> None:
    manager = DatabaseManager()
    connection = DatabaseConnection("shop", "custom", "", connection_string=database.url)  # type: ignore[arg-type]
    manager.add_connection(connection)
    manager.add_connection(connection)
    with pytest.raises(ValueError, match="already exists: shop"):
        manager.add_connection(DatabaseConnection("shop", DatabaseType.SQLITE, "other.db"))
    assert manager.list_connections() == ["shop"] and not connection.is_connected()
    manager.connect_all()
    assert connection.is_connected() and manager.get_connection("shop") is manager.get_connection() is connection
    assert manager.get_connection("missing") is None
    with pytest.raises(ValueError, match="Database connection not found: missing"):
        manager.execute_query("missing", "SELECT 1")
    assert manager.get_database_stats() == {
        "total_connections": 1,
        "active_connections": 1,
        "databases_by_type": {"custom": 1},
        "default_connection": "shop",
    }
    manager.disconnect("shop")
    assert not connection.is_connected()
    assert manager.connect() is connection and connection.is_connected()
    manager.remove_connection("shop")
    assert manager.list_connections() == [] and not connection.is_connected()
    with pytest.raises(DbopsError, match="no connection"):
        manager.execute("SELECT 1")


def test_a_connection_says_what_it_is_to(database: Database) -> None:
    connection = connect_database(database.url)
    connection.execute(ITEMS)
    info = connection.get_database_info()
    assert info["type"] == database.engine and info["is_connected"] is True and info["tables"] == ["items"]
    assert info["table_count"] == 1 and info["size_bytes"] > 0 and info["version"][0].isdigit()
    assert info["pool"] == {"size": 10, "open": 1, "in_use": 0, "idle": 1}
    connection.disconnect()
    assert "tables" not in connection.get_database_info()


def test_tables_and_their_columns_are_told(database: Database) -> None:
    with DatabaseManager(database.url) as manager:
        assert manager.get_tables() == []
        manager.execute("CREATE TABLE b (x INTEGER NOT NULL, y VARCHAR(20) DEFAULT 'a b', z INTEGER, PRIMARY KEY (x, z))")
        manager.execute("CREATE TABLE a (x INTEGER)")
        assert manager.get_tables() == ["a", "b"]
        found = manager.get_table_info("b")
        assert [(c["cid"], c["name"], c["pk"]) for c in found] == [(0, "x", True), (1, "y", False), (2, "z", True)]
        assert found[0]["notnull"] is True and found[1]["notnull"] is False
        assert found[0]["default"] is None and "a b" in found[1]["default"]
        assert all(set(column) == {"cid", "name", "type", "notnull", "default", "pk"} for column in found)
        assert "int" in found[0]["type"].lower() and "20" in found[1]["type"]
        with pytest.raises(MissingTableError, match="no table 'bb'"):
            manager.get_table_info("bb")


def test_tables_of_other_schemas_are_told_with_them(pg_database: PostgresDatabase) -> None:
    pg_database.load('CREATE SCHEMA audit; CREATE TABLE audit.log (x int); CREATE TABLE "My Table" (x int);')
    with DatabaseManager(pg_database.url) as manager:
        assert sorted(manager.get_tables()) == ["My Table", "audit.log"]
        assert manager.get_table_info("audit.log")[0]["name"] == manager.get_table_info("My Table")[0]["name"] == "x"


# --- health


def test_health_is_asked_of_the_server(database: Database) -> None:
    manager = DatabaseManager(database.url)
    name = manager.list_connections()[0]
    found = manager.health_check_all()
    assert found[name]["status"] == "healthy" and found[name]["response_time"] > 0
    manager.disconnect()


def test_a_session_that_was_ended_is_replaced(pg_database: PostgresDatabase, my_database: MysqlDatabase) -> None:
    for database, end in ((pg_database, _end_sessions_of_postgresql), (my_database, _end_sessions_of_mysql)):
        connection = connect_database(database.url)
        end(database)
        assert connection.health_check()["status"] == "healthy"
        end(database)
        lost = connection.execute("SELECT 1")
        assert not lost.success and lost.error_message
        assert connection.execute("SELECT 1").rows == [(1,)]
        with pytest.raises(QueryError), connection.transaction():
            end(database)
            connection.execute("SELECT 1")
        assert connection.execute("SELECT 1").rows == [(1,)]
        connection.disconnect()


def _end_sessions_of_postgresql(database: Any) -> None:
    query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
    assert database.server.rows("postgres", query, (database.name,))


def _end_sessions_of_mysql(database: Any) -> None:
    query = "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()"
    ended = database.rows(query, (database.name,))
    assert ended
    for (number,) in ended:
        with suppress(Exception):  # the session that asks for it has ended by itself meanwhile
            database.server.rows("mysql", f"KILL {number}")


def test_a_database_that_is_gone_is_unhealthy(postgres_server: PostgresServer, mysql_server: MysqlServer) -> None:
    for server in (postgres_server, mysql_server):
        name = server.new_database("gone")
        connection = connect_database(server.url(name))
        connection.max_retries = 1
        server.drop_database(name)
        found = connection.health_check()
        assert found["status"] == ("unhealthy" if server is postgres_server else "healthy"), found
        connection.disconnect()
        found = connection.health_check()
        assert found["status"] == "unhealthy" and "does not exist" in found["error"]


def test_a_file_that_is_no_database_is_unhealthy(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"no database" * 100)
    found = DatabaseConnection("bad", DatabaseType.SQLITE, str(tmp_path / "bad.db")).health_check()
    assert found["status"] == "unhealthy" and "not a SQLite database" in found["error"]


# --- addresses


def test_ports_and_users_default_by_engine() -> None:
    found = [DatabaseConnection("x", kind, "db") for kind in ("sqlite", "postgresql", DatabaseType.MYSQL)]  # type: ignore[arg-type]
    assert [(one.port, one.username) for one in found] == [(None, None), (5432, "postgres"), (3306, "root")]
    assert [one.get_connection_string() for one in found] == [
        "sqlite:///db",
        "postgresql://postgres@localhost:5432/db",
        "mysql://root@localhost:3306/db",
    ]
    assert DatabaseConnection("x", DatabaseType.POSTGRESQL, "db", port=3306).port == 3306
    assert asdict(found[1])["connection_pool_size"] == 10


def test_a_password_is_escaped_and_never_shown() -> None:
    connection = DatabaseConnection("x", DatabaseType.POSTGRESQL, "shop", password="p@ss:w/rd?#%")
    url = connection.get_connection_string()
    assert url == "postgresql://postgres:p%40ss%3Aw%2Frd%3F%23%25@localhost:5432/shop"
    again = DatabaseConnection.from_url(url)
    assert (again.password, again.host, again.port, again.database) == ("p@ss:w/rd?#%", "localhost", 5432, "shop")
    bare = DatabaseConnection.from_url("mysql://root:p@ss@db.example:3307/shop")
    assert (bare.password, bare.host, bare.port, bare.name) == ("p@ss", "db.example", 3307, "shop")
    for one in (connection, again, bare):
        assert "p@ss" not in repr(one) and "p%40" not in repr(one) and "ss@" not in repr(one)


def test_a_password_full_of_signs_connects(pg_database: PostgresDatabase, my_database: MysqlDatabase) -> None:
    for url in (pg_database.server.tcp_url(pg_database.name), my_database.server.tcp_url(my_database.name)):
        connection = DatabaseConnection.from_url(url)
        with_parts = DatabaseConnection(
            "parts",
            connection.db_type,
            connection.database,
            connection.host,
            connection.port,
            connection.username,
            connection.password,
        )
        assert with_parts.connect().execute("SELECT 1").rows == [(1,)]
        with_parts.disconnect()
        wrong = DatabaseConnection.from_url(url)
        wrong.connection_string, wrong.password = None, "wr@ng"
        with pytest.raises(ConnectError) as error:
            wrong.connect()
        assert "wr@ng" not in error.value.explain()


PASSWORD = "a@b:c/d?e#f%g h&i=j+k\"ü€'"


def test_a_password_of_signs_and_letters_of_all_kinds_connects(
    pg_database: PostgresDatabase, my_database: MysqlDatabase, tmp_path: Path
) -> None:
    """By all roads: drivers that wait and drivers that do not. The account is gone behind."""
    for database in (pg_database, my_database):
        account = f"odd_{database.name[-12:]}"
        user, text = (account, "PASSWORD") if database is pg_database else (f"{account}@'127.0.0.1'", "BY")
        word = "LOGIN" if database is pg_database else "IDENTIFIED"
        where = f"DATABASE {database.name}" if database is pg_database else f"{database.name}.*"
        quoted = PASSWORD.replace("'", "''")
        with DatabaseManager(database.url) as owner:
            assert owner.execute(f"CREATE USER {user} {word} {text} '{quoted}'").error_message is None
            assert owner.execute(f"GRANT ALL ON {where} TO {user}").error_message is None
            try:
                url = database.server.tcp_url(database.name, account, PASSWORD)
                with DatabaseManager(url) as manager:
                    assert manager.execute("SELECT 1").rows == [(1,)]

                async def ask(url: str = url) -> bool:
                    async with DatabaseService(tmp_path, database_url=url, environ={}) as service:
                        service.operations.register_database("x", service.operations.create_database_engine("x"))
                        return (await service.is_ready())["ready"] is True

                assert asyncio.run(ask())
            finally:
                owner.execute(f"REVOKE ALL ON {where} FROM {user}")
                owner.execute(f"DROP USER {user}")


def test_a_manager_that_knows_one_of_those_connects_to_others(sqlite_database: SqliteDatabase) -> None:
    manager = DatabaseManager()
    manager.add_connection(DatabaseConnection("cache", DatabaseType.REDIS, "0"))
    assert manager.connect(sqlite_database.url).is_connected()
    assert manager.execute("SELECT 1").rows == [(1,)]
    assert [found["status"] for found in manager.health_check_all().values()] == ["unhealthy", "healthy"]
    manager.disconnect_all()


@pytest.mark.parametrize("kind", ["mongodb", "redis"])
def test_databases_that_are_not_spoken_are_refused(kind: str) -> None:
    connection = DatabaseConnection("x", kind, "db")  # type: ignore[arg-type]
    assert connection.db_type is DatabaseType(kind)
    for act in (connection.get_connection_string, connection.connect):
        with pytest.raises(CodomyrmexError, match=f"Unsupported database type: {kind}"):
            act()
    assert connection.health_check()["status"] == "unhealthy"
    with pytest.raises(CodomyrmexError):
        manage_databases(f"{kind}://localhost/db")


def test_an_unknown_tls_mode_is_told() -> None:
    with pytest.raises(ConnectError, match="unknown TLS mode 'sometimes'"):
        DatabaseConnection("x", DatabaseType.POSTGRESQL, "db", ssl_mode="sometimes").connect()


def test_a_server_without_tls_is_refused_when_tls_is_asked_for(pg_database: PostgresDatabase) -> None:
    connection = DatabaseConnection.from_url(pg_database.server.tcp_url(pg_database.name))
    connection.ssl_mode, connection.max_retries = "require", 1
    with pytest.raises(ConnectError, match="SSL"):
        connection.connect()


def test_memory_is_one_database_for_all_threads() -> None:
    manager = DatabaseManager("sqlite://")
    manager.execute("CREATE TABLE t (x INTEGER)")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: manager.execute("INSERT INTO t VALUES (?)", (n,)), range(20)))
    assert manager.execute("SELECT count(*) FROM t").rows == [(20,)]
    manager.disconnect()


def test_foreign_keys_are_enforced(database: Database) -> None:
    with DatabaseManager(database.url) as manager:
        manager.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)")
        manager.execute("CREATE TABLE b (a INTEGER, FOREIGN KEY (a) REFERENCES a (id))")
        assert not manager.execute("INSERT INTO b VALUES (1)").success


# --- threads and tasks


def test_a_session_is_never_in_two_hands(database: Database, manager: DatabaseManager) -> None:
    manager.execute(INSERT, (1, "0"))
    session = {"sqlite": None, "postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}[database.engine]
    in_use: dict[object, int] = {}
    shared: list[object] = []

    def add(_: int) -> None:
        with manager.transaction():
            if session is not None:
                key = manager.execute(session).rows[0][0]
                if in_use.setdefault(key, threading.get_ident()) != threading.get_ident():
                    shared.append(key)
            assert manager.execute("UPDATE items SET name = CAST(name AS DECIMAL(10)) + 1 WHERE id = 1").success
            if session is not None:
                in_use.pop(key, None)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert names(database) == ["40"] and shared == []


def test_a_waiting_thread_is_told_when_the_pool_stays_empty(database: Database) -> None:
    connection = DatabaseConnection.from_url(database.url)
    connection.connection_pool_size, connection.connection_timeout = 1, 0.2  # type: ignore[assignment]
    connection.connect()
    with (
        connection.transaction(),
        ThreadPoolExecutor(1) as other,
        pytest.raises(ConnectError, match="all 1 sessions of the pool stayed in use for"),
    ):
        other.submit(connection.execute, "SELECT 1").result()
    assert connection.execute("SELECT 1").success
    connection.disconnect()


def test_tasks_do_not_share_a_transaction(database: Database, manager: DatabaseManager) -> None:
    async def insert(number: int, fails: bool) -> None:
        with manager.transaction():
            manager.execute(INSERT, (number, f"n{number}"))
            if database.engine != "sqlite":  # which has one writer at a time, so that the others would wait in vain
                await asyncio.sleep(0)
            if fails:
                raise ZeroDivisionError

    async def both() -> None:
        await asyncio.gather(*(insert(n, n % 2 == 1) for n in range(6)), return_exceptions=True)

    asyncio.run(both())
    assert names(database) == ["n0", "n2", "n4"]


def test_a_thread_that_ends_in_a_transaction_leaves_nothing(database: Database, manager: DatabaseManager) -> None:
    connection = manager.get_connection()
    assert connection is not None
    thread = threading.Thread(target=lambda: connection.execute(INSERT, (1, "one"), commit=False))
    thread.start()
    thread.join()
    assert names(database) == [] and connection.get_database_info()["pool"]["in_use"] == 0
    assert connection.execute(INSERT, (1, "two")).success


# --- functions


def test_one_query_on_a_url(database: Database) -> None:
    result = execute_query(database.url, "SELECT ? + 1 AS n", (41,))
    assert isinstance(result, QueryResult) and [int(n) for (n,) in result.rows] == [42] and result.columns == ["n"]
