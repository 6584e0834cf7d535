"""What model files import, where those of older programs look for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbops.api.service.db_models import SQLiteJSON, get_database_base

if TYPE_CHECKING:
    from dbops.api.service.db_models import Base as Base

__all__ = ["SQLiteJSON", "get_database_base"]


def __getattr__(name: str) -> Any:
    """Give the base of the framework's own database as `Base`, which is another one while models are read for the service."""
    if name == "Base":
        from dbops.api.service import db_models

        return db_models.Base
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
