"""dbops: GitOps for databases.

`import dbops` loads nothing but this file; each public name is loaded when it is first used.
"""

from __future__ import annotations

from dbops.version import __version__

TYPE_CHECKING = False  # as `typing` has it, which costs more to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from dbops.api.backup_manager import (
        Backup,
        BackupManager,
        BackupResult,
        backup_database,
    )
    from dbops.api.connections import (
        ConnectionFactory,
        ConnectionPool,
        HealthChecker,
        PoolConfig,
        PooledConnection,
        PoolStats,
    )
    from dbops.api.db_manager import (
        DatabaseConnection,
        DatabaseManager,
        DatabaseType,
        QueryResult,
        connect_database,
        execute_query,
        manage_databases,
    )
    from dbops.api.lineage import (
        DataAsset,
        EdgeType,
        ImpactAnalyzer,
        LineageEdge,
        LineageGraph,
        LineageNode,
        LineageTracker,
        NodeType,
    )
    from dbops.api.migration_manager import (
        Migration,
        MigrationManager,
        MigrationResult,
        MigrationStatus,
        run_migrations,
    )
    from dbops.api.migration_records import (
        CompositeTransformer,
        DataMigrationResult,
        DataMigrator,
        FieldRenameTransformer,
        FieldTypeTransformer,
    )
    from dbops.api.migration_steps import MigrationRunner, MigrationStep
    from dbops.api.performance_monitor import (
        DatabaseMetrics,
        DatabaseMonitor,
        DatabasePerformanceMonitor,
        DatabaseStats,
        PerformanceAlert,
        PerformanceMonitor,
        QueryMetrics,
        SlowQuery,
        monitor_database,
        optimize_database,
    )
    from dbops.api.schema_generator import (
        Column,
        Index,
        SchemaDefinition,
        SchemaGenerator,
        SchemaManager,
        SchemaMigration,
        SchemaTable,
        generate_schema,
    )
    from dbops.api.service import CRUDService, DatabaseService, Result, SQLiteJSON, get_database_base
    from dbops.api.transfer import TransferResult, transfer
    from dbops.errors import CodomyrmexError, DbopsError

__all__ = [
    "Backup",
    "BackupManager",
    "BackupResult",
    "CRUDService",
    "CodomyrmexError",
    "Column",
    "CompositeTransformer",
    "ConnectionFactory",
    "ConnectionPool",
    "DataAsset",
    "DataMigrationResult",
    "DataMigrator",
    "DatabaseConnection",
    "DatabaseManager",
    "DatabaseMetrics",
    "DatabaseMonitor",
    "DatabasePerformanceMonitor",
    "DatabaseService",
    "DatabaseStats",
    "DatabaseType",
    "DbopsError",
    "EdgeType",
    "FieldRenameTransformer",
    "FieldTypeTransformer",
    "HealthChecker",
    "ImpactAnalyzer",
    "Index",
    "LineageEdge",
    "LineageGraph",
    "LineageNode",
    "LineageTracker",
    "Migration",
    "MigrationManager",
    "MigrationResult",
    "MigrationRunner",
    "MigrationStatus",
    "MigrationStep",
    "NodeType",
    "PerformanceAlert",
    "PerformanceMonitor",
    "PoolConfig",
    "PoolStats",
    "PooledConnection",
    "QueryMetrics",
    "QueryResult",
    "Result",
    "SQLiteJSON",
    "SchemaDefinition",
    "SchemaGenerator",
    "SchemaManager",
    "SchemaMigration",
    "SchemaTable",
    "SlowQuery",
    "TransferResult",
    "__version__",
    "backup_database",
    "connect_database",
    "execute_query",
    "generate_schema",
    "get_database_base",
    "manage_databases",
    "monitor_database",
    "optimize_database",
    "run_migrations",
    "transfer",
]

#: Where each name lives.
_HOMES = {
    "Backup": "dbops.api.backup_manager",
    "BackupManager": "dbops.api.backup_manager",
    "BackupResult": "dbops.api.backup_manager",
    "CRUDService": "dbops.api.service",
    "CodomyrmexError": "dbops.errors",
    "Column": "dbops.api.schema_generator",
    "CompositeTransformer": "dbops.api.migration_records",
    "ConnectionFactory": "dbops.api.connections",
    "ConnectionPool": "dbops.api.connections",
    "DataAsset": "dbops.api.lineage",
    "DataMigrationResult": "dbops.api.migration_records",
    "DataMigrator": "dbops.api.migration_records",
    "DatabaseConnection": "dbops.api.db_manager",
    "DatabaseManager": "dbops.api.db_manager",
    "DatabaseMetrics": "dbops.api.performance_monitor",
    "DatabaseMonitor": "dbops.api.performance_monitor",
    "DatabasePerformanceMonitor": "dbops.api.performance_monitor",
    "DatabaseService": "dbops.api.service",
    "DatabaseStats": "dbops.api.performance_monitor",
    "DatabaseType": "dbops.api.db_manager",
    "DbopsError": "dbops.errors",
    "EdgeType": "dbops.api.lineage",
    "FieldRenameTransformer": "dbops.api.migration_records",
    "FieldTypeTransformer": "dbops.api.migration_records",
    "HealthChecker": "dbops.api.connections",
    "ImpactAnalyzer": "dbops.api.lineage",
    "Index": "dbops.api.schema_generator",
    "LineageEdge": "dbops.api.lineage",
    "LineageGraph": "dbops.api.lineage",
    "LineageNode": "dbops.api.lineage",
    "LineageTracker": "dbops.api.lineage",
    "Migration": "dbops.api.migration_manager",
    "MigrationManager": "dbops.api.migration_manager",
    "MigrationResult": "dbops.api.migration_manager",
    "MigrationRunner": "dbops.api.migration_steps",
    "MigrationStatus": "dbops.api.migration_manager",
    "MigrationStep": "dbops.api.migration_steps",
    "NodeType": "dbops.api.lineage",
    "PerformanceAlert": "dbops.api.performance_monitor",
    "PerformanceMonitor": "dbops.api.performance_monitor",
    "PoolConfig": "dbops.api.connections",
    "PoolStats": "dbops.api.connections",
    "PooledConnection": "dbops.api.connections",
    "QueryMetrics": "dbops.api.performance_monitor",
    "QueryResult": "dbops.api.db_manager",
    "Result": "dbops.api.service",
    "SQLiteJSON": "dbops.api.service",
    "SchemaDefinition": "dbops.api.schema_generator",
    "SchemaGenerator": "dbops.api.schema_generator",
    "SchemaManager": "dbops.api.schema_generator",
    "SchemaMigration": "dbops.api.schema_generator",
    "SchemaTable": "dbops.api.schema_generator",
    "SlowQuery": "dbops.api.performance_monitor",
    "TransferResult": "dbops.api.transfer",
    "backup_database": "dbops.api.backup_manager",
    "connect_database": "dbops.api.db_manager",
    "execute_query": "dbops.api.db_manager",
    "generate_schema": "dbops.api.schema_generator",
    "get_database_base": "dbops.api.service",
    "manage_databases": "dbops.api.db_manager",
    "monitor_database": "dbops.api.performance_monitor",
    "optimize_database": "dbops.api.performance_monitor",
    "run_migrations": "dbops.api.migration_manager",
    "transfer": "dbops.api.transfer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dbops' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
