"""What answers of the Python API hold, field by field, where no other test looks at it."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbops import (
    Backup,
    BackupManager,
    CodomyrmexError,
    ConnectionPool,
    DatabaseConnection,
    DatabaseMonitor,
    DatabaseType,
    DataMigrator,
    DbopsError,
    EdgeType,
    FieldRenameTransformer,
    LineageEdge,
    MigrationManager,
    MigrationRunner,
    MigrationStep,
    PerformanceAlert,
    PoolConfig,
    SchemaDefinition,
    SchemaGenerator,
    SchemaTable,
    execute_query,
    manage_databases,
    optimize_database,
    run_migrations,
    transfer,
)
from dbops.errors import QueryError
from tests.databases import Database, SqliteDatabase

TABLE = "CREATE TABLE agents (id INTEGER PRIMARY KEY, name VARCHAR(40))"
ROWS = "INSERT INTO agents VALUES (1, 'Ada'), (2, 'Bob'), (3, 'Cy')"


def is_lately(moment: datetime | None) -> bool:
    return moment is not None and abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


def test_migrations_and_their_results(database: Database, tmp_path: Path) -> None:
    manager = MigrationManager(tmp_path, database.url)
    first = manager.create_migration("first", "the agents", f"{TABLE};\n{ROWS};", "DROP TABLE agents")
    second = manager.create_migration("second", "", "DELETE FROM agents", dependencies=[first.id])
    before = manager.list_migrations()
    assert before == [first, second] and is_lately(first.created_at) and before[0].applied_at is None
    assert (before[0].description, before[0].sql, before[0].rollback_sql) == ("the agents", first.sql, "DROP TABLE agents")
    assert (before[1].dependencies, before[1]["rollback_sql"]) == ([first.id], None)
    result = manager.apply_migration(first.id)
    assert (result.migration_id, result.error_message, result.statements_executed) == (first.id, None, 2)
    assert 0 <= result.execution_time < 60 and result.rows_affected == 0
    assert is_lately(manager.list_migrations()[0].applied_at)
    found = manager.get_migration_status(second.id)
    assert (found["id"], found["name"], found["description"], found["detail"]) == (second.id, "second", "", "")
    assert (found["dependencies"], found["checksum"]) == ([first.id], second.checksum) and is_lately(found["created_at"])
    manager.close()


def test_results_of_running_a_folder_both_ways(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    folder, url = tmp_path / "migrations", sqlite_database.url
    folder.mkdir()
    nothing = run_migrations(folder, url, "down")
    assert nothing == {"direction": "down", "migrations_processed": 0, "success": True, "message": nothing["message"]}
    assert "No applied migrations" in nothing["message"]
    (folder / "a.json").write_text(
        '{"id": "a", "name": "a", "sql": "CREATE TABLE a (b INTEGER)", "rollback_sql": "DROP TABLE a"}'
    )
    assert 0 <= run_migrations(folder, url)["results"][0]["execution_time"] < 60
    assert 0 <= run_migrations(folder, url, "down")["result"]["execution_time"] < 60
    made = [MigrationManager(tmp_path).list_migrations()[0].created_at for _ in range(2)]
    assert made[0] == made[1] and is_lately(made[0]), "a file that says nothing of it was made when it was written"


def test_steps_count_the_rows_they_change(database: Database) -> None:
    step = MigrationStep(id="a", name="fill", description="with agents", dependencies=["b"], down_fn=lambda session: None)
    step.up_fn = lambda session: session.execute(ROWS) + session.execute("DELETE FROM agents WHERE id = :id", {"id": 3})
    make = MigrationStep("b", "make", up_fn=lambda session: session.execute(TABLE))
    runner = MigrationRunner(database.url).add_step(step).add_step(make)
    assert [(one.migration_id, one.rows_affected) for one in runner.run_up()] == [("b", 0), ("a", 4)]
    assert [(one.name, one.description, one.dependencies) for one in runner.get_steps()][1] == ("fill", "with agents", ["b"])
    runner.close()


def test_what_was_moved(sqlite_database: SqliteDatabase, tmp_path: Path) -> None:
    sqlite_database.load(
        f"{TABLE}; {ROWS}; CREATE TABLE people (id INTEGER, title TEXT); CREATE VIEW names AS SELECT name FROM agents;"
    )
    done = transfer(sqlite_database.url, f"sqlite:///{tmp_path}/other.db", ["agents"])
    assert done.success and done and done.rows_transferred == 3 and 0 < done.execution_time < 60
    whole = transfer(sqlite_database.url, f"sqlite:///{tmp_path}/whole.db")
    assert whole.error_message is None and [one for one in whole.left_out if "names" in one]
    with manage_databases(sqlite_database.url) as manager:
        moved = DataMigrator(FieldRenameTransformer({"name": "title"})).migrate_table(manager, "agents", target_table="people")
    assert moved.success and (moved.records_read, moved.records_written) == (3, 3) and 0 < moved.execution_time < 60


def test_backups_as_they_are_listed(sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    sqlite_database.load(f"{TABLE}; {ROWS};")
    manager = BackupManager(tmp_path, sqlite_database.url)
    made = manager.create_backup("shop", compression="none")
    [listed] = manager.list_backups()
    backup = Backup(**listed)
    assert dataclasses.asdict(backup) == listed == manager.get_backup_info(made.backup_id)
    assert (backup.backup_id, backup.database_name, backup.database_type) == (made.backup_id, "shop", "sqlite")
    assert (backup.backup_type, backup.compression, backup.encryption) == ("full", "none", False)
    assert backup.size_mb == made.file_size_mb > 0 and Path(backup.file_path).is_dir() and is_lately(backup.created_at)
    assert backup.checksum == made.checksum and backup.metadata["parent_id"] is None


def test_schemas_and_their_migrations(tmp_path: Path) -> None:
    table = SchemaTable("agents", [{"name": "id", "type": "integer", "primary_key": True}])
    schema = SchemaDefinition("shop", "1.2.0", [table])
    found = schema.to_dict()
    assert (schema.name, schema.version, schema.tables) == (found["name"], found["version"], [table])
    assert found["created_at"] == schema.created_at.isoformat() and found["tables"][0]["name"] == table.name
    generator = SchemaGenerator(tmp_path)
    generator.create_table(table)
    made = generator.generate_migration(
        "add", "a name", {"add_columns": [{"table": "agents", "column": {"name": "n", "type": "text"}}]}
    )
    next_one = generator.generate_migration("drop", "", {"drop_columns": [{"table": "agents", "column": "n"}]})
    [first, second] = generator.list_migrations()
    assert (first["migration_id"], first["name"], first["description"]) == (made.migration_id, made.name, made.description)
    assert (first["up_sql"], first["down_sql"], first["checksum"]) == (made.up_sql, made.down_sql, made.checksum)
    assert datetime.fromisoformat(first["created_at"]) == made.created_at and is_lately(made.created_at)
    assert second["dependencies"] == next_one.dependencies == [made.migration_id] and first["dependencies"] == []


def test_alerts_and_reports(tmp_path: Path) -> None:
    monitor = DatabaseMonitor(tmp_path)
    monitor.record_database_metrics("app", {"cache_hit_ratio": 0.5})
    [alert] = monitor.check_alerts("app")
    assert isinstance(alert, PerformanceAlert) and alert.description and alert.alert_id and is_lately(alert.timestamp)
    assert (alert.metric_name, alert.current_value) == ("cache_hit_ratio", 0.5) and alert.threshold_value > 0.5
    report = optimize_database("app", tmp_path)
    assert report["database_name"] == "app" and is_lately(datetime.fromisoformat(report["report_timestamp"]))
    assert report["active_alerts"] == len(report["alerts"]) == 1 and report["query_performance"]["analysis_period_hours"] == 24
    assert monitor.analyze_database_performance("other")["message"] == "No database metrics found for analysis"


def test_types_of_databases_are_their_values() -> None:
    shown = {
        "SQLITE": "sqlite",
        "POSTGRESQL": "postgresql",
        "MYSQL": "mysql",
        "MONGODB": "mongodb",
        "REDIS": "redis",
        "CUSTOM": "custom",
    }
    assert {one.name: one.value for one in DatabaseType} == shown
    for value in shown.values():
        assert DatabaseConnection("x", value, "y").db_type is DatabaseType(value)  # type: ignore[arg-type]
    custom = DatabaseConnection("x", DatabaseType.CUSTOM, "", connection_string="sqlite:///:memory:")
    assert custom.connect().execute("SELECT 1").rows == [(1,)]
    custom.disconnect()


def test_information_of_a_connection(database: Database) -> None:
    database.load(f"{TABLE};")
    with manage_databases(database.url) as manager:
        connection = manager.get_connection()
        assert connection is not None
        found = connection.get_database_info()
        assert (found["name"], found["type"], found["tables"]) == (connection.name, database.engine, ["agents"])
        assert found["is_connected"] and found["size_bytes"] > 0 and found["version"] and found["database"] == connection.database


def test_errors_as_json(sqlite_database: SqliteDatabase) -> None:
    error = CodomyrmexError("wrong", {"a": 1}, b=2)
    told = {"error_type": "DbopsError", "error_code": "DbopsError", "message": "wrong", "context": {"a": 1, "b": 2}}
    assert error.to_dict() == told and CodomyrmexError is DbopsError
    with manage_databases(sqlite_database.url) as manager, pytest.raises(QueryError) as caught:
        manager.execute_query("SELECT nothing")
    found = caught.value.to_dict()
    assert found["error_type"] == found["error_code"] == "QueryError"
    assert "nothing" in found["message"] and isinstance(found["context"], dict)
    assert execute_query(sqlite_database.url, "SELECT nothing").error_message == found["message"]


def test_a_pool_asks_its_query_and_replaces_what_is_too_old(sqlite_database: SqliteDatabase) -> None:
    sqlite_database.load(f"{TABLE};")
    asked = "INSERT INTO agents (name) VALUES ('asked')"
    with ConnectionPool(sqlite_database.url, PoolConfig(1, 2, validation_interval_s=0.0, health_check_query=asked)) as pool:
        for _ in range(3):
            pool.release(pool.acquire())
    assert sqlite_database.rows("SELECT count(*) FROM agents WHERE name = 'asked'") == [(3,)]
    with ConnectionPool(sqlite_database.url, PoolConfig(1, 2, max_lifetime_s=0.05)) as pool:
        pool.release(pool.acquire())
        time.sleep(0.06)
        pool.release(pool.acquire())
        assert (pool.stats().connections_created, pool.stats().connections_closed) == (2, 1)


def test_edges_of_lineage() -> None:
    edge = LineageEdge("a", "b", EdgeType.INPUT_TO, {"by": "x"})
    assert (edge.source_id, edge.target_id, edge.edge_type, edge.metadata) == ("a", "b", EdgeType.INPUT_TO, {"by": "x"})
    assert LineageEdge.from_dict(edge.to_dict()) == edge and is_lately(edge.created_at)
