"""The examples of the documents that describe the Python API, on each engine; only the module's name is another."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

import dbops
from tests.databases import Database, SqliteDatabase

USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR(40), active BOOLEAN)"
ROWS = "INSERT INTO users VALUES (1, 'Ada', TRUE), (2, 'Bob', FALSE)"


def test_database_management_of_the_specification(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    from dbops import manage_databases

    database.load(f"{USERS}; {ROWS};")
    # Create a database manager with auto-connect
    manager = manage_databases(database.url)

    # Execute queries
    result = manager.execute("SELECT * FROM users WHERE active = ?", (True,))
    print(f"Found {result.row_count} active users")

    # Clean up
    manager.disconnect()
    assert capsys.readouterr().out == "Found 1 active users\n"


def test_database_management_of_the_specification_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, sqlite_database: SqliteDatabase
) -> None:
    from dbops import manage_databases

    monkeypatch.chdir(sqlite_database.path.parent)
    manager = manage_databases("sqlite:///app.db")
    assert manager.execute(USERS).success and manager.execute(ROWS).success
    assert manager.execute("SELECT * FROM users WHERE active = ?", (True,)).row_count == 1
    manager.disconnect()


def test_quick_start_of_the_first_readme(monkeypatch: pytest.MonkeyPatch, sqlite_database: SqliteDatabase) -> None:
    from dbops import DatabaseConnection, DatabaseManager

    monkeypatch.chdir(sqlite_database.path.parent)
    # Create a connection and execute queries
    conn = DatabaseConnection(name="app_db", db_type="sqlite", database="app.db")  # type: ignore[arg-type]
    conn.connect()
    conn.execute_query(USERS)
    conn.execute_query(ROWS)
    results = conn.execute_query("SELECT * FROM users WHERE active = ?", (True,))
    assert results == [{"id": 1, "name": "Ada", "active": 1}]

    # Manage multiple connections
    manager = DatabaseManager()
    manager.add_connection(conn)
    manager.execute_query("app_db", "CREATE TABLE IF NOT EXISTS logs (id INTEGER PRIMARY KEY, message TEXT)")
    assert manager.get_tables() == ["logs", "users"]
    conn.disconnect()


def test_names_of_the_agents_page(database: Database) -> None:
    from dbops import DatabaseManager

    manager = DatabaseManager(database.url)
    assert manager.execute_query(USERS) == []
    queries = [{"query": ROWS}, {"query": "DELETE FROM users WHERE id = :id", "params": {"id": 2}}]
    assert manager.execute_transaction(queries) is True
    assert manager.execute_query("SELECT name FROM users WHERE id = :id", {"id": 1}) == [{"name": "Ada"}]
    assert manager.execute_query(query="SELECT name FROM users WHERE id = :id", params={"id": 1}) == [{"name": "Ada"}]
    assert manager.get_connection().is_connected()  # type: ignore[union-attr]
    manager.close_connection()
    assert not manager.get_connection().is_connected()  # type: ignore[union-attr]


def test_quick_start_of_the_second_readme(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dbops.db_manager import DatabaseManager
    from dbops.migration_manager import MigrationManager

    monkeypatch.chdir(tmp_path)
    MigrationManager().create_migration("agents", "", "CREATE TABLE agents (id INTEGER, active INTEGER)")
    # Initialize connection
    db = DatabaseManager(connection_string="sqlite:///data.db")
    db.connect()

    # Run migrations
    migrator = MigrationManager(db)
    assert all(migrator.apply_pending())

    # Execute query
    results = db.execute("SELECT * FROM agents WHERE active = 1")
    assert results.success and results.columns == ["id", "active"] and results.rows == []
    migrator.close()
    db.disconnect()


def test_orchestration_of_the_specification(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dbops import MigrationManager, run_migrations

    monkeypatch.chdir(tmp_path)
    MigrationManager().create_migration("agents", "", "CREATE TABLE agents (id INTEGER, active INTEGER)")
    # Run database migrations
    result = run_migrations(
        migration_dir="migrations/",
        database_url="sqlite:///app.db",
        direction="up",
    )
    assert result["success"] and result["successful"] == 1


def test_migrations_of_the_agents_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: Database) -> None:
    from dbops import MigrationManager, MigrationStatus

    monkeypatch.chdir(tmp_path)
    manager = MigrationManager()
    manager.set_database_url(database.url)
    made = manager.create_migration("agents", "", "CREATE TABLE agents (id INTEGER)", "DROP TABLE agents")
    assert manager.run_migration(f"migrations/{made.id}.json") is True
    assert isinstance(manager.get_migration_status(), MigrationStatus)
    assert [one.name for one in manager.list_migrations()] == ["agents"]
    assert manager.rollback_migration(made.id)
    manager.close()


def test_backups_of_the_agents_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_database: SqliteDatabase) -> None:
    from dbops import BackupManager

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    sqlite_database.load(f"{USERS}; {ROWS};")
    manager = BackupManager()
    assert manager.create_backup(str(sqlite_database.path), "out/first")
    assert manager.restore_backup("out/first", "restored.db")
    assert (tmp_path / "restored.db").is_file() and manager.list_backups("test") == []
    assert manager.create_backup(database=str(sqlite_database.path), output_path="out/second")
    assert manager.restore_backup(backup_path="out/second", database="again.db")
    assert (tmp_path / "again.db").is_file() and manager.list_backups(database="test") == []
    with pytest.raises(TypeError, match="once"):
        manager.restore_backup("out/second", backup_path="out/second")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("QueryResult", "success rows columns row_count execution_time error_message"),
        (
            "DatabaseConnection",
            "name db_type database host port username password ssl_mode connection_pool_size connection_timeout max_retries"
            " connection_string created_at",
        ),
        ("Migration", "id name description sql rollback_sql dependencies created_at applied_at status checksum"),
        ("MigrationResult", "migration_id success execution_time error_message rows_affected statements_executed"),
        (
            "Backup",
            "backup_id database_name database_type backup_type file_path size_mb created_at compression encryption checksum"
            " metadata",
        ),
        ("BackupResult", "backup_id success duration file_size_mb error_message warnings checksum"),
        (
            "DatabaseMetrics",
            "database_name timestamp connections_active connections_idle queries_per_second average_query_time_ms cache_hit_ratio"
            " disk_io_mb",
        ),
        ("SchemaDefinition", "name version tables created_at"),
        (
            "PerformanceAlert",
            "alert_id severity metric_name current_value threshold_value description timestamp resolution_suggestions",
        ),
    ],
)
def test_dataclasses_have_the_fields_of_the_specification_in_its_order(name: str, fields: str) -> None:
    assert [field.name for field in dataclasses.fields(getattr(dbops, name)) if field.init] == fields.split()


def test_performance_monitoring_of_the_specification(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dbops import monitor_database, optimize_database

    monkeypatch.chdir(tmp_path)
    # Monitor database performance
    metrics = monitor_database("my_database", workspace_dir="./perf_data")

    # Generate optimization report
    report = optimize_database("my_database", workspace_dir="./perf_data")
    assert metrics["metrics_count"] == 0 and report["database_performance"] == metrics


def test_monitoring_of_the_agents_page(database: Database, tmp_path: Path) -> None:
    from dbops.performance_monitor import PerformanceMonitor

    database.load(f"{USERS}; {ROWS};")
    with PerformanceMonitor(tmp_path, database.url) as monitor:
        assert monitor.monitor_query_performance("SELECT name FROM users").query_type == "SELECT"
        assert [slow.query_text for slow in monitor.analyze_slow_queries(threshold=0.0)][-1:] == ["SELECT name FROM users"]
        assert monitor.get_database_stats().figures["database_size_bytes"] > 0


@pytest.mark.parametrize(
    "block", re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8"), re.DOTALL)
)
def test_python_of_the_readme_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
