"""The names of `dbops.api.migration_manager`, where older programs look for them."""

from dbops.api.migration_manager import (
    CompositeTransformer,
    DataMigrationResult,
    DataMigrator,
    FieldRenameTransformer,
    FieldTypeTransformer,
    Migration,
    MigrationManager,
    MigrationResult,
    MigrationRunner,
    MigrationStatus,
    MigrationStep,
    TransferResult,
    run_migrations,
    transfer,
)

__all__ = [
    "CompositeTransformer",
    "DataMigrationResult",
    "DataMigrator",
    "FieldRenameTransformer",
    "FieldTypeTransformer",
    "Migration",
    "MigrationManager",
    "MigrationResult",
    "MigrationRunner",
    "MigrationStatus",
    "MigrationStep",
    "TransferResult",
    "run_migrations",
    "transfer",
]
