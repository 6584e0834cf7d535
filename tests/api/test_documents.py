"""The examples of the documents that describe the Python API, on each engine; only the module's name is another."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import declarative_base

from dbops import DatabaseConnection
from tests.databases import Database, MysqlDatabase, PostgresDatabase

USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(40), active BOOLEAN)"
LOGS = "CREATE TABLE IF NOT EXISTS logs (id INTEGER PRIMARY KEY, message TEXT)"
AGENTS = "CREATE TABLE agents (id INTEGER PRIMARY KEY, active INTEGER)"
ROWS = "INSERT INTO users VALUES (1, 'Ada', TRUE), (2, 'Bob', FALSE)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a program, in which the documents' relative paths lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def url_of(database: Database, shown: str) -> str:
    """Return the URL that a document shows where it is one of SQLite, and a server's in its place."""
    return shown if database.engine == "sqlite" else database.url


def beside(database: Database) -> str:
    """Return a database that does not exist yet: a file's path, a server's URL."""
    if isinstance(database, PostgresDatabase | MysqlDatabase):
        return database.server.url(f"{database.name}_beside")
    return "restored.db"


def test_database_management_of_the_specification(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    from dbops import manage_databases

    with manage_databases(url_of(database, "sqlite:///app.db")) as before:
        assert before.execute(USERS).success and before.execute(ROWS).success
    # Create a database manager with auto-connect
    manager = manage_databases(url_of(database, "sqlite:///app.db"))

    # Execute queries
    result = manager.execute("SELECT * FROM users WHERE active = ?", (True,))
    print(f"Found {result.row_count} active users")

    # Clean up
    manager.disconnect()
    assert capsys.readouterr().out == "Found 1 active users\n"


def test_orchestration_of_the_specification(database: Database) -> None:
    from dbops import MigrationManager, run_migrations

    made = MigrationManager().create_migration("agents", "", AGENTS, "DROP TABLE agents")
    # Run database migrations
    result = run_migrations(migration_dir="migrations/", database_url=url_of(database, "sqlite:///app.db"), direction="up")
    assert result["success"] and [one["migration_id"] for one in result["results"]] == [made.id]
    again = run_migrations("migrations/", url_of(database, "sqlite:///app.db"))
    assert again["success"] and again["migrations_processed"] == 0
    down = run_migrations("migrations/", url_of(database, "sqlite:///app.db"), "down")
    assert down["success"] and down["result"]["migration_id"] == made.id


def test_performance_monitoring_of_the_specification(database: Database) -> None:
    from dbops import DatabaseMonitor, monitor_database, optimize_database

    assert monitor_database("my_database", workspace_dir="./perf_data")["metrics_count"] == 0
    database.load(f"{USERS}; {ROWS};")
    with DatabaseMonitor("./perf_data", database.url) as monitor:
        seen = dataclasses.asdict(monitor.collect(settle_s=0))
        assert seen.pop("database_name")
        monitor.record_database_metrics("my_database", seen)
    # Monitor database performance
    metrics = monitor_database("my_database", workspace_dir="./perf_data")

    # Generate optimization report
    report = optimize_database("my_database", workspace_dir="./perf_data")
    assert metrics["database_name"] == "my_database" and metrics["metrics_count"] == 1
    assert report["database_performance"] == metrics and "recommendations" in report


def test_quick_start_of_the_first_readme(database: Database) -> None:
    """Version 0, with the modules of its layout."""
    from dbops.db_manager import DatabaseManager
    from dbops.migration_manager import MigrationManager

    MigrationManager().create_migration("agents", "", f"{AGENTS}; INSERT INTO agents VALUES (1, 1), (2, 0);")
    # Initialize connection
    db = DatabaseManager(connection_string=url_of(database, "sqlite:///data.db"))
    db.connect()

    # Run migrations
    migrator = MigrationManager(db)
    assert all(migrator.apply_pending())

    # Execute query
    results = db.execute("SELECT * FROM agents WHERE active = 1")
    assert results.success and results.columns == ["id", "active"] and results.rows == [(1, 1)]
    migrator.close()
    db.disconnect()


def test_quick_start_of_the_second_readme(database: Database) -> None:
    """Version 1: a connection given by its fields, a server's over TCP with a password."""
    from dbops import DatabaseManager

    # Create a connection and execute queries
    conn = connection_of(database)
    conn.connect()
    conn.execute_query(USERS)
    conn.execute_query(ROWS)
    results = conn.execute_query("SELECT * FROM users WHERE active = ?", (True,))
    assert results == [{"id": 1, "name": "Ada", "active": True}]

    # Manage multiple connections
    manager = DatabaseManager()
    manager.add_connection(conn)
    assert manager.execute_query("app_db", LOGS) == []
    assert manager.get_tables() == ["logs", "users"]
    conn.disconnect()


def connection_of(database: Database) -> DatabaseConnection:
    """Return the connection `app_db`, its type given as a text."""
    if not isinstance(database, PostgresDatabase | MysqlDatabase):
        return DatabaseConnection(name="app_db", db_type="sqlite", database="app.db")  # type: ignore[arg-type]
    at = DatabaseConnection.from_url(database.server.tcp_url(database.name))
    assert at.password
    return DatabaseConnection(
        name="app_db",
        db_type=database.engine,  # type: ignore[arg-type]
        database=database.name,
        host=at.host,
        port=at.port,
        username=at.username,
        password=at.password,
    )


def test_names_of_the_agents_page(database: Database) -> None:
    from dbops import DatabaseManager

    manager = DatabaseManager(database.url)
    assert manager.execute_query(USERS) == []
    queries: list[dict[str, Any]] = [{"query": ROWS}, {"query": "DELETE FROM users WHERE id = :id", "params": {"id": 2}}]
    assert manager.execute_transaction(queries) is True
    assert manager.execute_query("SELECT name FROM users WHERE id = :id", {"id": 1}) == [{"name": "Ada"}]
    assert manager.execute_query(query="SELECT name FROM users WHERE id = :id", params={"id": 1}) == [{"name": "Ada"}]
    assert manager.get_connection().is_connected()  # type: ignore[union-attr]
    manager.close_connection()
    assert not manager.get_connection().is_connected()  # type: ignore[union-attr]


def test_migrations_of_the_agents_page(database: Database) -> None:
    from dbops import MigrationManager, MigrationStatus

    manager = MigrationManager()
    manager.set_database_url(database.url)
    made = manager.create_migration("agents", "", AGENTS, "DROP TABLE agents")
    assert manager.run_migration(f"migrations/{made.id}.json") is True
    assert isinstance(manager.get_migration_status(), MigrationStatus)
    assert [one.name for one in manager.list_migrations()] == ["agents"]
    assert manager.rollback_migration(made.id)
    manager.close()


def test_schemas_of_the_agents_page(database: Database) -> None:
    from dbops import SchemaManager

    class Agent(declarative_base()):  # type: ignore[misc]  # a new base in each test
        __tablename__ = "agents"
        id = Column(Integer, primary_key=True)
        name = Column(String(40))

    manager = SchemaManager(database.url)
    schema = manager.generate_schema(model=Agent)
    assert manager.create_table(schema=schema) is True
    assert manager.alter_table(table="agents", changes={"add_columns": [{"name": "active", "type": "boolean"}]}) is True
    assert [column["name"] for column in manager.get_schema(table="agents")["columns"]] == ["id", "name", "active"]


def test_backups_of_the_agents_page(database: Database, folder: Path) -> None:
    from dbops import BackupManager, DatabaseManager

    database.load(f"{USERS}; {ROWS};")
    source = str(folder / "test.db") if database.engine == "sqlite" else database.url
    manager, target = BackupManager(), beside(database)
    try:
        assert manager.create_backup(database=source, output_path="out/first")
        assert manager.restore_backup(backup_path="out/first", database=target)
        with DatabaseManager(target if "://" in target else f"sqlite:///{target}") as restored:
            assert restored.execute("SELECT name FROM users ORDER BY id").rows == [("Ada",), ("Bob",)]
        assert manager.list_backups(database="test") == [], "it lies in a folder of its own"
        with pytest.raises(TypeError, match="once"):
            manager.restore_backup("out/first", backup_path="out/first")
    finally:
        if isinstance(database, PostgresDatabase | MysqlDatabase):
            database.server.drop_database(f"{database.name}_beside")


def test_monitoring_of_the_agents_page(database: Database, tmp_path: Path) -> None:
    from dbops.performance_monitor import PerformanceMonitor

    database.load(f"{USERS}; {ROWS};")
    with PerformanceMonitor(tmp_path, database.url) as monitor:
        assert monitor.monitor_query_performance("SELECT name FROM users").query_type == "SELECT"
        assert "SELECT name FROM users" in {slow.query_text for slow in monitor.analyze_slow_queries(threshold=0.0)}
        assert monitor.get_database_stats().figures["database_size_bytes"] > 0


@pytest.mark.parametrize(
    "block", re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8"), re.DOTALL)
)
def test_python_of_the_readme_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
