"""The settings of the service, with their types and defaults, and what they make of a SQLite connection."""

from __future__ import annotations

from dbops.usecases.service.settings import DATABASE_MODULE_SETTINGS, SQLITE_PRAGMAS

__all__ = ["DATABASE_MODULE_SETTINGS", "SQLITE_PRAGMAS"]
