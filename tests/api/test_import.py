"""`import dbops` is cheap: names are loaded when they are used."""

from __future__ import annotations

import resource
import subprocess
import sys
from importlib import import_module

import pytest

import dbops

MODULES = {
    "backup_manager": "BackupManager Backup BackupResult backup_database",
    "connections": "ConnectionPool ConnectionFactory PoolConfig PoolStats HealthChecker",
    "db_models": "get_database_base SQLiteJSON",
    "db_manager": "DatabaseManager DatabaseConnection DatabaseType QueryResult manage_databases connect_database execute_query",
    "exceptions": "CodomyrmexError",
    "lineage": "LineageNode LineageEdge NodeType EdgeType DataAsset LineageGraph LineageTracker ImpactAnalyzer",
    "migration": "MigrationRunner MigrationStep DataMigrator FieldRenameTransformer FieldTypeTransformer CompositeTransformer",
    "migration_manager": "MigrationManager Migration MigrationResult MigrationStatus run_migrations",
    "performance_monitor": "DatabaseMonitor PerformanceMonitor DatabasePerformanceMonitor DatabaseMetrics monitor_database"
    " optimize_database",
    "schema_generator": "SchemaGenerator SchemaManager SchemaDefinition SchemaTable SchemaMigration generate_schema",
}


def test_importing_dbops_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import dbops; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"dbops", "dbops.version", "__future__"}


def test_importing_dbops_costs_less_than_three_times_sqlite3() -> None:
    assert min(cpu_s("import dbops") for _ in range(5)) < 3 * min(cpu_s("import sqlite3") for _ in range(5))


def cpu_s(code: str) -> float:
    """User and system time of a Python that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_every_name_is_there_and_no_other() -> None:
    assert set(dbops.__all__) == {*dbops._HOMES, "__version__"} and set(dbops.__all__) <= set(dir(dbops))
    assert all(getattr(dbops, name) is not None for name in dbops.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = dbops.Nothing
    with pytest.raises(ImportError):
        exec("from dbops import Nothing")


@pytest.mark.parametrize("module", MODULES)
def test_older_programs_find_the_modules(module: str) -> None:
    """Each module of the documents' layout has what it had there, the same as `dbops` has."""
    found = import_module(f"dbops.{module}")
    assert set(found.__all__) == {name for name in found.__all__ if getattr(dbops, name) is getattr(found, name)}
    assert set(MODULES[module].split()) <= set(found.__all__)
