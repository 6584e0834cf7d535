"""Migrations that are functions, records transformed, databases moved: where older programs look for them."""

from dbops.api.migration_manager import (
    CompositeTransformer,
    DataMigrationResult,
    DataMigrator,
    FieldRenameTransformer,
    FieldTypeTransformer,
    MigrationRunner,
    MigrationStep,
    TransferResult,
    transfer,
)

__all__ = [
    "CompositeTransformer",
    "DataMigrationResult",
    "DataMigrator",
    "FieldRenameTransformer",
    "FieldTypeTransformer",
    "MigrationRunner",
    "MigrationStep",
    "TransferResult",
    "transfer",
]
