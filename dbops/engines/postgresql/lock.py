"""The advisory lock that keeps two applies of one database apart; it ends with the session that holds it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dbops.engines.base.connect import Connection
from dbops.errors import LockTimeoutError, QueryError

#: "dbop" as a number: the first of the two keys, so that no other program's advisory locks are ours.
_FAMILY = 0x64626F70
_POLL_S = 0.2

_HOLDER = """
SELECT a.pid, a.usename::text, a.application_name, coalesce(pg_catalog.host(a.client_addr), 'this machine'), a.backend_start
FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = ? AND l.objid::bigint = ? AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"""


@contextmanager
def lock(conn: Connection, name: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock as the engine port says.

    It is tried again and again instead of waited for: a waiting session keeps a snapshot, and CREATE INDEX CONCURRENTLY of the
    holder would wait for that snapshot to go (CREATE INDEX, Building Indexes Concurrently).
    """
    key = zlib.crc32(name.encode())
    deadline = time.monotonic() + timeout_s
    while not _try(conn, key):
        if time.monotonic() >= deadline:
            raise _refusal(conn, name, key, timeout_s)
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        with suppress(QueryError):  # a session that is gone, or torn out of a transaction, lets go by ending
            conn.query("SELECT pg_catalog.pg_advisory_unlock(?::int, ?::int)", (_FAMILY, _signed(key)))


def _try(conn: Connection, key: int) -> bool:
    return bool(conn.query("SELECT pg_catalog.pg_try_advisory_lock(?::int, ?::int)", (_FAMILY, _signed(key)))[0][0])


def _signed(key: int) -> int:
    """pg_locks shows the keys as unsigned, the functions take signed integers."""
    return key - 2**32 if key >= 2**31 else key


def _refusal(conn: Connection, name: str, key: int, timeout_s: float) -> LockTimeoutError:
    holders = conn.query(_HOLDER, (_FAMILY, key))
    context: dict[str, object] = {"lock": name}
    who = "another session"
    if holders:
        pid, user, application, host, since = holders[0]
        who = (
            f"{user} ({application or 'unknown program'}, process {pid}, from {host}, connected since {since:%Y-%m-%d %H:%M:%S})"
        )
        context |= {"pid": pid, "user": user, "holder": who}
    return LockTimeoutError(
        f"the lock '{name}' was not free within {timeout_s:g} s: {who} holds it",
        context,
        fix="wait until it is done, or raise --lock-timeout",
    )
