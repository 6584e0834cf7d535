"""The names, parameters, defaults and fields that the documents of the Python API give, as calls of those documents say them."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import pytest

import dbops
from dbops.api import service

#: What the specification says: parameters in their order, with their defaults.
SPECIFIED = """
manage_databases(database_url=None)
run_migrations(migration_dir, database_url, direction="up")
backup_database(database_name, database_url=None, backup_type="full", compression="gzip")
monitor_database(database_name, workspace_dir=None)
optimize_database(database_name, workspace_dir=None)
generate_schema(models, output_dir)
DatabaseConnection.get_connection_string()
DatabaseConnection.connect()
DatabaseConnection.disconnect()
DatabaseConnection.execute_query(query, params=None)
DatabaseConnection.get_database_info()
DatabaseConnection.health_check()
DatabaseManager(database_url=None)
DatabaseManager.add_connection(connection)
DatabaseManager.remove_connection(name)
DatabaseManager.get_connection(name)
DatabaseManager.list_connections()
DatabaseManager.connect_all()
DatabaseManager.disconnect_all()
DatabaseManager.execute_query(name, query, params=None)
DatabaseManager.health_check_all()
DatabaseManager.get_database_stats()
DatabaseManager.connect(database_url=None)
DatabaseManager.disconnect(connection_id=None)
DatabaseManager.execute(query, params=None)
DatabaseManager.execute_many(query, params_list)
DatabaseManager.transaction()
DatabaseManager.get_tables()
DatabaseManager.get_table_info(table_name)
MigrationManager(workspace_dir=None, database_url=None)
MigrationManager.set_database_url(database_url)
MigrationManager.load_migrations_from_directory()
MigrationManager.create_migration(name, description, sql, rollback_sql=None, dependencies=None)
MigrationManager.apply_migration(migration_id, dry_run=False)
MigrationManager.rollback_migration(migration_id)
MigrationManager.get_migration_status(migration_id)
MigrationManager.list_migrations()
MigrationManager.get_pending_migrations()
MigrationManager.apply_pending_migrations()
MigrationManager.close()
BackupManager(workspace_dir=None, database_url=None)
BackupManager.create_backup(database_name, database_url=None, backup_type="full", compression="gzip", include_schema=True, include_data=True)
BackupManager.list_backups(database_name=None)
BackupManager.delete_backup(backup_id)
SchemaGenerator(workspace_dir=None, dialect="sqlite")
SchemaGenerator.create_table(table)
SchemaGenerator.create_table_from_dict(table_def)
SchemaGenerator.generate_migration(name, description, changes)
SchemaGenerator.compare_schemas(current_schema, target_schema)
SchemaGenerator.get_schema_drift_report(current_schema, target_schema)
SchemaGenerator.generate_schema_sql(schema_name, version="1.0.0")
SchemaGenerator.export_schema(output_path, format="sql")
SchemaGenerator.list_migrations()
SchemaDefinition.to_sql(dialect)
SchemaDefinition.to_dict()
"""  # noqa: E501  # a signature is one line

#: What the page of the agents and the first of the readmes say beside it: other words for the same parameters.
CALLED = """
DatabaseManager(connection_string)
DatabaseManager.execute_query(query, params)
DatabaseManager.execute_transaction(queries)
DatabaseManager.get_connection()
DatabaseManager.close_connection()
MigrationManager()
MigrationManager.run_migration(migration_file)
MigrationManager.rollback_migration(migration_id)
MigrationManager.get_migration_status()
MigrationManager.apply_pending()
SchemaManager()
SchemaManager.generate_schema(model)
SchemaManager.create_table(schema)
SchemaManager.alter_table(table, changes)
SchemaManager.get_schema(table)
BackupManager()
BackupManager.create_backup(database, output_path)
BackupManager.restore_backup(backup_path, database)
BackupManager.list_backups(database)
PerformanceMonitor()
PerformanceMonitor.monitor_query_performance(query)
PerformanceMonitor.analyze_slow_queries(threshold)
PerformanceMonitor.get_database_stats()
DatabaseOperations.create_all_databases_now(discovered_databases)
DatabaseOperations.get_database_path(db_name)
DatabaseOperations.create_database_engine(db_name)
DatabaseOperations.create_tables_for_database(engine, tables)
DatabaseService.get_database_utilities()
DatabaseService.get_database_session(name)
DatabaseService.generate_migration(message)
DatabaseService.run_migrations(target)
DatabaseService.downgrade_database(target)
DatabaseService.get_all_tables()
DatabaseService.get_table_schema(table_name)
DatabaseService.get_table_data(table_name, page, page_size, sort_by, sort_desc, filter_column, filter_value)
DatabaseService.execute_with_retry(operation, max_retries)
CRUDService.create_record(table_name, data)
CRUDService.read_records(table_name, filters)
CRUDService.update_record(table_name, record_id, data)
CRUDService.delete_record(table_name, record_id)
"""


def calls(text: str) -> list[Any]:
    """Return each call of a text as its name and its parameters."""
    return [pytest.param(name, inner, id=name) for name, inner in re.findall(r"^([\w.]+)\((.*)\)$", text, re.MULTILINE)]


def parameters_of(name: str) -> tuple[list[str], inspect.Signature]:
    """Return the names of a function's parameters, without the object, and its signature without it."""
    first, *rest = name.split(".")
    found = getattr(dbops, first) if hasattr(dbops, first) else getattr(service, first)
    for word in rest:
        found = getattr(found, word)
    signature = inspect.signature(found)
    kept = [one for one in signature.parameters.values() if one.name != "self"]
    return [one.name for one in kept], signature.replace(parameters=kept)


@pytest.mark.parametrize(("name", "given"), calls(SPECIFIED))
def test_parameters_have_the_order_and_the_defaults_of_the_specification(name: str, given: str) -> None:
    pairs = [part.partition("=")[::2] for part in given.split(", ") if part]
    names, signature = parameters_of(name)
    assert names[: len(pairs)] == [word for word, _ in pairs]
    for word, default in pairs:
        if default:
            assert signature.parameters[word].default == eval(default)
    required = {word: object() for word, default in pairs if not default}
    assert signature.bind(*required.values()) and signature.bind(**required)


@pytest.mark.parametrize(("name", "given"), calls(CALLED))
def test_parameters_have_the_words_of_the_other_documents(name: str, given: str) -> None:
    words = [word for word in given.split(", ") if word]
    _, signature = parameters_of(name)
    assert signature.bind(**{word: object() for word in words})


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
def test_dataclasses_have_the_fields_of_the_documents_in_their_order(name: str, fields: str) -> None:
    assert [field.name for field in dataclasses.fields(getattr(dbops, name)) if field.init] == fields.split()
