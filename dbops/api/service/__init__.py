"""The database service: databases that model files name, for asynchronous programs.

* `service`          `DatabaseService`: databases, tables, migrations, retries
* `crud`             `CRUDService`: records by table name, or as objects of a model
* `db_models`        what model files import: `get_database_base`, `SQLiteJSON`
* `databases`        `DatabaseOperations`: how databases are found, made and registered
* `result`           `Result`, and errors as the REST service sends them
* `module_settings`  the settings
"""

from __future__ import annotations

from dbops.api.service.crud import CRUDService
from dbops.api.service.databases import DatabaseInfo, DatabaseOperations
from dbops.api.service.module_settings import DATABASE_MODULE_SETTINGS, SQLITE_PRAGMAS
from dbops.api.service.result import Result, standard_error
from dbops.api.service.service import DatabaseService
from dbops.usecases.service.discovery import SQLiteJSON, get_database_base

__all__ = [
    "DATABASE_MODULE_SETTINGS",
    "SQLITE_PRAGMAS",
    "CRUDService",
    "DatabaseInfo",
    "DatabaseOperations",
    "DatabaseService",
    "Result",
    "SQLiteJSON",
    "get_database_base",
    "standard_error",
]
