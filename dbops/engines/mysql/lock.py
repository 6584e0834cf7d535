"""The advisory lock of one database: GET_LOCK, which the server releases when the session dies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from dbops.engines.mysql.connect import MysqlConnection
from dbops.errors import LockTimeoutError

_LONGEST = 64  # MySQL 8.4 manual, 14.14: longer names are refused


@contextmanager
def lock(conn: MysqlConnection, name: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock `name` of this database; names of GET_LOCK belong to the server, so the database is part of it."""
    full = lock_name(conn.database, name)
    [(granted,)] = conn.query("SELECT GET_LOCK(?, ?)", (full, round(timeout_s, 3)))
    if granted != 1:
        raise LockTimeoutError(
            f"the lock '{name}' of database '{conn.database}' is held by {_holder(conn, full)}",
            fix="wait for it, or raise --lock-timeout",
        )
    try:
        yield
    finally:
        conn.query("SELECT RELEASE_LOCK(?)", (full,))


def lock_name(database: str, name: str) -> str:
    """Return the server-wide name of a lock, hashed when it would be too long."""
    full = f"dbops:{database}:{name}"
    return full if len(full) <= _LONGEST else "dbops:" + hashlib.sha256(full.encode()).hexdigest()[:48]


def _holder(conn: MysqlConnection, full: str) -> str:
    rows = conn.query("SELECT id, user, host FROM information_schema.processlist WHERE id = IS_USED_LOCK(?)", (full,))
    return f"connection {rows[0][0]} of {rows[0][1]}@{rows[0][2]}" if rows else "another connection"
