"""Errors of SQLite as errors of dbops, by its result codes (https://www.sqlite.org/rescode.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbops.errors import ConnectError, LockTimeoutError, MissingTableError, QueryError

if TYPE_CHECKING:
    import sqlite3

REBUILD_PREFIX = "dbops_new_"
"""What a table is called while it is built anew."""

LEFT_HALF_WRITTEN = "SQLITE_READONLY_ROLLBACK"
"""A program died while it wrote; whoever may write has to roll that back before anybody can read."""

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_NO_DATABASE = "SQLITE_NOTADB"
_FIXES = {
    "SQLITE_FULL": "make room on the disk",
    "SQLITE_READONLY": "check the permissions of the file and of its folder",
    "SQLITE_PERM": "check the permissions of the file and of its folder",
    "SQLITE_CANTOPEN": "check the permissions of the file and of its folder",
    "SQLITE_CORRUPT": "restore it from a backup; `PRAGMA integrity_check` says what is damaged",
    "SQLITE_CONSTRAINT_NOTNULL": "give these rows a value, or the column a default",
    "SQLITE_CONSTRAINT_UNIQUE": "delete or change rows that are alike",
    "SQLITE_CONSTRAINT_CHECK": "correct the rows that do not keep the check",
    "SQLITE_INTERRUPT": "raise timeouts.statement of the connection",
}


_LEFT_BEHIND = (
    "drop it before the table that it names goes, and create it again behind; PRAGMA legacy_alter_table = ON leaves it alone"
)
"""https://www.sqlite.org/lang_altertable.html: from 3.25 on a rename looks at all views and triggers."""


_LOCKED = {"database is locked": "SQLITE_BUSY", "database table is locked": "SQLITE_LOCKED"}
"""Errors that a program raised itself have a text alone."""


def code_of(error: sqlite3.Error) -> str:
    """Return the name of the extended result code, empty where the driver itself complains."""
    return getattr(error, "sqlite_errorname", None) or _LOCKED.get(str(error), "")


def query_error(error: sqlite3.Error, path: str, lock_s: float) -> QueryError:
    """Translate an error of a running statement."""
    code = code_of(error)
    if code.startswith(_BUSY):
        return LockTimeoutError(
            f"{path}: the database is locked by another connection, and was for all of {lock_s:g} s",
            {"sqlstate": code, "path": path},
            fix="end what holds it, or raise timeouts.lock of the connection",
        )
    text = "the statement ran longer than its time limit" if code == "SQLITE_INTERRUPT" else str(error)
    if code.startswith(("SQLITE_READONLY", "SQLITE_FULL")):
        text = f"{path}: {text}"
    kind = MissingTableError if text.startswith("no such table: ") else QueryError
    fix = _LEFT_BEHIND if text.startswith(("error in view ", "error in trigger ")) else _fix(code)
    return kind(text.replace(REBUILD_PREFIX, ""), {"sqlstate": code, "path": path}, fix=fix)


def connect_error(error: sqlite3.Error, path: str, lock_s: float) -> ConnectError | LockTimeoutError:
    """Translate an error while a file is opened."""
    code = code_of(error)
    if code.startswith(_BUSY):
        locked = query_error(error, path, lock_s)
        assert isinstance(locked, LockTimeoutError)
        return locked
    if code.startswith(_NO_DATABASE):
        return ConnectError(f"{path} is not a SQLite database, or it is encrypted", {"sqlstate": code, "path": path})
    return ConnectError(f"{path} cannot be opened: {error}", {"sqlstate": code, "path": path}, fix=_fix(code))


def _fix(code: str) -> str | None:
    return next((fix for prefix, fix in _FIXES.items() if code.startswith(prefix)), None)
