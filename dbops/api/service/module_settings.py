"""The settings of the service, with their types and defaults."""

from __future__ import annotations

from dbops.usecases.service.settings import DATABASE_MODULE_SETTINGS

__all__ = ["DATABASE_MODULE_SETTINGS"]
