"""The names of `dbops.api.db_manager`, where older programs look for them."""

from dbops.api.db_manager import (
    DatabaseConnection,
    DatabaseManager,
    DatabaseType,
    QueryResult,
    connect_database,
    execute_query,
    manage_databases,
)

__all__ = [
    "DatabaseConnection",
    "DatabaseManager",
    "DatabaseType",
    "QueryResult",
    "connect_database",
    "execute_query",
    "manage_databases",
]
