"""The advisory lock of one database: GET_LOCK, which the server releases when the session dies."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dbops.engines.mysql.connect import MysqlConnection
from dbops.errors import LockTimeoutError, QueryError

_POLL_S = 0.2
_LONGEST = 64  # MySQL 8.4 manual, 14.14: longer names are refused


@contextmanager
def lock(conn: MysqlConnection, name: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock `name` of this database; names of GET_LOCK belong to the server, so the database is part of it.

    It is tried again and again: the time limit of statements, where there is one, would end a longer wait with its own error.
    """
    full = lock_name(conn.database, name)
    deadline = time.monotonic() + timeout_s
    while conn.query("SELECT GET_LOCK(?, 0)", (full,)) != [(1,)]:
        if time.monotonic() >= deadline:
            holder = _holder(conn, full)
            raise LockTimeoutError(
                f"the lock '{name}' of database '{conn.database}' was not free within {timeout_s:g} s: {holder} holds it",
                {"lock": name, "holder": holder},
                fix="wait until it is done, or raise --lock-timeout",
            )
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        with suppress(QueryError):  # a session that is gone, or torn out of a transaction, lets go by ending
            conn.query("SELECT RELEASE_LOCK(?)", (full,))


def lock_name(database: str, name: str) -> str:
    """Return the server-wide name of a lock, hashed when it would be too long."""
    full = f"dbops:{database}:{name}"
    return full if len(full) <= _LONGEST else "dbops:" + hashlib.sha256(full.encode()).hexdigest()[:48]


def _holder(conn: MysqlConnection, full: str) -> str:
    rows = conn.query("SELECT id, user, host FROM information_schema.processlist WHERE id = IS_USED_LOCK(?)", (full,))
    return f"connection {rows[0][0]} of {rows[0][1]}@{rows[0][2]}" if rows else "another connection"
