"""Who keeps a session waiting (PostgreSQL manual, "System Information Functions", pg_blocking_pids)."""

from __future__ import annotations

from dbops.engines.base.connect import Connection

#: A prepared transaction has no session: its process is 0. What others are running is not shown: it may hold secrets.
_BLOCKERS = """
SELECT DISTINCT p.pid, a.usename::text, a.application_name, pg_catalog.host(a.client_addr), a.state, a.backend_type,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::bigint
FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(?)) AS p(pid) LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = p.pid
ORDER BY 1"""


def blockers(conn: Connection, pid: int) -> list[str]:
    """Describe the sessions that `pid` waits for, those before it in the queue too."""
    return [_described(*row) for row in conn.query(_BLOCKERS, (pid,))]


def _described(
    pid: int, user: str | None, program: str | None, host: str | None, state: str | None, kind: str | None, age_s: int | None
) -> str:
    if pid == 0:
        return "a prepared transaction (see pg_prepared_xacts)"
    if user is None:
        return f"process {pid} ({kind or 'of another user'})"
    since = f", its transaction is {age_s} s old" if age_s is not None else ""
    where = f" from {host}" if host else ""
    return f"process {pid} ({program or 'unknown program'} of {user}{where}, {state or 'state unknown'}{since})"
