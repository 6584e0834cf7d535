"""The settings of the service: what a program says, else an environment variable, else the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from dbops.dataclass import dataclass
from dbops.errors import DbopsError

DEFAULT_FOLDER = "data/database"
"""Where SQLite files are, below the program's root, when nothing says where databases are."""

DATABASE_MODULE_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "database_url": {"type": "str", "default": "", "description": "Database URL (auto-configured if empty)"},
    "max_retries": {"type": "int", "default": 5, "description": "Maximum retry attempts for database operations"},
    "connection_timeout": {"type": "int", "default": 30, "description": "Database connection timeout in seconds"},
    "sqlite_journal_mode": {"type": "str", "default": "WAL", "description": "SQLite's PRAGMA journal_mode"},
    "sqlite_synchronous": {"type": "str", "default": "NORMAL", "description": "SQLite's PRAGMA synchronous"},
    "sqlite_cache_size": {
        "type": "int",
        "default": 10000,
        "description": "SQLite's PRAGMA cache_size: pages, or KiB when negative",
    },
    "pool_size": {"type": "int", "default": 20, "description": "Connections that a pool keeps"},
    "max_overflow": {"type": "int", "default": 10, "description": "Connections above pool_size in busy times"},
    "pool_recycle": {"type": "int", "default": 3600, "description": "Age in seconds at which a connection is replaced"},
}

_VARIABLES = {
    "database_url": "DATABASE_URL",
    "max_retries": "DATABASE_MAX_RETRIES",
    "connection_timeout": "DATABASE_CONNECTION_TIMEOUT",
    "sqlite_journal_mode": "SQLITE_JOURNAL_MODE",
    "sqlite_synchronous": "SQLITE_SYNCHRONOUS",
    "sqlite_cache_size": "SQLITE_CACHE_SIZE",
    "pool_size": "DATABASE_POOL_SIZE",
    "max_overflow": "DATABASE_MAX_OVERFLOW",
    "pool_recycle": "DATABASE_POOL_RECYCLE",
}
_WORDS = {
    "sqlite_journal_mode": ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF"),
    "sqlite_synchronous": ("OFF", "NORMAL", "FULL", "EXTRA"),
}
_LEAST = {"max_retries": 1, "connection_timeout": 1, "pool_size": 1, "max_overflow": 0, "pool_recycle": 1}


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Names as in `DATABASE_MODULE_SETTINGS`; times in seconds. `max_retries` counts attempts, the first among them."""

    database_url: str = field(default="", repr=False)
    max_retries: int = 5
    connection_timeout: int = 30
    sqlite_journal_mode: str = "WAL"
    sqlite_synchronous: str = "NORMAL"
    sqlite_cache_size: int = 10000
    pool_size: int = 20
    max_overflow: int = 10
    pool_recycle: int = 3600

    @property
    def pragmas(self) -> tuple[tuple[str, str], ...]:
        """The pragmas of every SQLite session, in the order in which SQLite wants them."""
        return (
            ("busy_timeout", "10000"),
            ("journal_mode", self.sqlite_journal_mode),
            ("synchronous", self.sqlite_synchronous),
            ("cache_size", str(self.sqlite_cache_size)),
            ("foreign_keys", "ON"),
        )


SQLITE_PRAGMAS: tuple[str, ...] = tuple(f"PRAGMA {name}={value}" for name, value in ServiceSettings().pragmas)
"""The statements with which every SQLite connection begins where no setting says otherwise."""


def settings_of(given: Mapping[str, Any], environ: Mapping[str, str]) -> ServiceSettings:
    """Return the settings; an empty variable, and None among `given`, is as good as none.

    Raises:
        DbopsError: INVALID_SETTING: an unknown name, or a value that is not one; says where it stands.
    """
    unknown = sorted(set(given) - set(DATABASE_MODULE_SETTINGS))
    if unknown:
        raise DbopsError(
            f"there is no setting {unknown[0]!r}",
            error_code="INVALID_SETTING",
            expected=f"one of {', '.join(DATABASE_MODULE_SETTINGS)}",
        )
    found: dict[str, Any] = {}
    for name, setting in DATABASE_MODULE_SETTINGS.items():
        variable = _VARIABLES[name]
        if given.get(name) is not None:
            found[name] = _checked(name, setting["type"], given[name], name)
        elif environ.get(variable):
            found[name] = _checked(name, setting["type"], environ[variable], variable)
    return ServiceSettings(**found)


def _checked(name: str, kind: str, value: Any, place: str) -> Any:
    if kind == "int":
        least = _LEAST.get(name)
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = None
        if number is None or isinstance(value, bool | float) or (least is not None and number < least):
            raise _wrong(place, value, "a whole number" + ("" if least is None else f", at least {least}"))
        return number
    if not isinstance(value, str):
        raise _wrong(place, value, "a text")
    if name in _WORDS and value.upper() not in _WORDS[name]:
        raise _wrong(place, value, f"one of {', '.join(_WORDS[name])}")
    return value.upper() if name in _WORDS else value


def _wrong(place: str, value: object, expected: str) -> DbopsError:
    return DbopsError(f"{place} is {value!r:.40}", error_code="INVALID_SETTING", expected=expected)
