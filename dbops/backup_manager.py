"""The names of `dbops.api.backup_manager`, where older programs look for them."""

from dbops.api.backup_manager import (
    Backup,
    BackupManager,
    BackupResult,
    backup_database,
)

__all__ = [
    "Backup",
    "BackupManager",
    "BackupResult",
    "backup_database",
]
