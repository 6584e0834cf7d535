"""Who waits for whom on a PostgreSQL server (manual, 54.12 pg_locks, and pg_blocking_pids in 9.27)."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.activity import Session
from dbops.engines.base.connect import Connection
from dbops.sql.dialect import POSTGRESQL
from dbops.sql.values import without_values

#: Names of tables are known in their own database alone. A prepared transaction has no session: its process is 0.
_BLOCKED = """
WITH waiting AS (
  SELECT l.pid, pg_catalog.pg_blocking_pids(l.pid) AS blockers, min({waited}) AS since,
         pg_catalog.string_agg(DISTINCT l.locktype || ' ' || l.mode || coalesce(' on ' || n.nspname || '.' || c.relname, ''),
                               ', ') AS lock
  FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE NOT l.granted GROUP BY l.pid),
concerned AS (SELECT pid FROM waiting UNION SELECT pg_catalog.unnest(blockers) FROM waiting)
SELECT p.pid, a.usename::text, a.application_name, pg_catalog.host(a.client_addr), coalesce(a.state, a.backend_type), w.lock,
       extract(epoch FROM pg_catalog.clock_timestamp() - w.since)::float8,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8, a.query, w.blockers
FROM concerned AS p LEFT JOIN waiting AS w ON w.pid = p.pid LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = p.pid
ORDER BY a.xact_start NULLS FIRST, p.pid"""

_NOT_SHOWN = "<insufficient privilege>"


class PostgresActivity:
    """Fills `engines.base.activity.Activity`."""

    def blocked(self, conn: Connection) -> Sequence[Session]:
        waited = "l.waitstart" if conn.server.version[0] >= 14 else "a.query_start"
        return [_session(*row) for row in conn.query(_BLOCKED.format(waited=waited))]


def _session(
    pid: int,
    user: str | None,
    program: str | None,
    client: str | None,
    state: str | None,
    lock: str | None,
    waited_s: float | None,
    transaction_s: float | None,
    text: str | None,
    blockers: Sequence[int] | None,
) -> Session:
    shown = without_values(text, POSTGRESQL) if text and text != _NOT_SHOWN else ""
    return Session(
        id=str(pid),
        user=user or "",
        program=program or "",
        client=client or "",
        state="prepared transaction" if pid == 0 else state or "",
        waits_for=lock or "",
        waited_s=waited_s,
        transaction_s=transaction_s,
        text=shown,
        blocked_by=tuple(str(one) for one in dict.fromkeys(blockers or ())),
    )
