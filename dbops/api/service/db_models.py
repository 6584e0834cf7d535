"""What model files import: a declarative base for each database, and a column type for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbops.usecases.service.discovery import SQLiteJSON, get_database_base

if TYPE_CHECKING:
    from sqlalchemy.orm import DeclarativeBase

    Base: type[DeclarativeBase]

__all__ = ["Base", "SQLiteJSON", "get_database_base"]


def __getattr__(name: str) -> Any:
    """Give the base of the framework's own database as `Base`."""
    if name == "Base":
        return get_database_base("framework")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
