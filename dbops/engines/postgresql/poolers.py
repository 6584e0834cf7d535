"""Poolers between us and the server: one that lends its sessions out by transaction cannot be worked through.

A lock taken there holds nobody off, and settings end up in the sessions of other programs.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dbops.errors import ConnectError

if TYPE_CHECKING:
    import psycopg

_TRIES = 3
_ASK = b"SELECT pg_catalog.pg_backend_pid()"


def process_behind(
    conn: psycopg.Connection[Any], beside: Callable[[], psycopg.Connection[Any]], place: str, limit_s: float
) -> int:
    """Return the server's process that a pooler has given to `conn` for as long as that lives.

    `beside` opens another session by the same way: if that is served by the process of `conn`, which is still open, the pooler
    lends processes out. It is asked some times, for others may work there too.

    Raises:
        ConnectError: it does, or does not let a second session in within `limit_s`.
    """
    own = {_process(conn, limit_s)}
    for _ in range(_TRIES):
        other = beside()
        try:
            others = _process(other, limit_s)
        finally:
            other.close()
        own.add(_process(conn, limit_s))
        if others is None or None in own:
            raise ConnectError(
                f"a pooler in front of {place} gives no second session within {limit_s:g} s",
                fix="use the server's own address, or a pooler with room for three sessions",
                error_code="POOLED",
            )
        if others in own or len(own) > 1:
            raise ConnectError(
                f"a pooler in front of {place} lends its sessions out by transaction: locks would hold nobody off, and settings"
                " would reach other programs",
                expected="a session that stays ours",
                fix="use the server's own address, or a pool in session mode (pgbouncer: pool_mode = session)",
                error_code="POOLED",
            )
    [process] = own
    assert process is not None
    return process


def _process(conn: psycopg.Connection[Any], limit_s: float) -> int | None:
    """Ask which process serves a session; None when no answer comes in time."""
    pgconn = conn.pgconn
    pgconn.send_query(_ASK)
    if not select.select([pgconn.socket], [], [], limit_s)[0]:
        return None
    answer = None
    while (result := pgconn.get_result()) is not None:
        answer = result.get_value(0, 0) if result.ntuples else None
    return int(answer) if answer else None
