"""Rules about what sessions are doing now, and who waits for whom."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.advice import Rule

_CLIENTS = (
    "FROM pg_catalog.pg_stat_activity AS a WHERE a.backend_type = 'client backend' AND a.pid <> pg_catalog.pg_backend_pid()"
)
_WHO = "concat_ws(' ', a.usename, nullif(a.application_name, ''))"
_NOW = "pg_catalog.clock_timestamp()"

RULES: Sequence[Rule] = (
    Rule(
        "PG-CON-100",
        "warning",
        "server",
        "sessions run out",
        """
SELECT 'max_connections', format('%s of %s', used, most), NULL FROM (
  SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend') AS used,
         pg_catalog.current_setting('max_connections')::int
           - pg_catalog.current_setting('superuser_reserved_connections')::int
           - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int AS most) AS q
WHERE used >= :ratio * most""",
        "a pooler, or smaller pools",
        requires=("sessions",),
        thresholds={"ratio": 0.8},
    ),
    Rule(
        "PG-TXN-001",
        "warning",
        "server",
        "a session that is idle inside its transaction",
        f"""
SELECT a.pid::text, format('%s, for %s', {_WHO}, date_trunc('second', {_NOW} - a.state_change)),
       format('SELECT pg_terminate_backend(%s);', a.pid)
{_CLIENTS} AND a.state LIKE 'idle in transaction%' AND {_NOW} - a.state_change > :seconds * interval '1 second'
ORDER BY a.state_change""",
        "end it; idle_in_transaction_session_timeout ends the next one",
        requires=("sessions",),
        thresholds={"seconds": 300},
    ),
    Rule(
        "PG-TXN-002",
        "warning",
        "server",
        "a statement that takes long",
        f"""
SELECT a.pid::text, format('%s, for %s: %s', {_WHO}, date_trunc('second', {_NOW} - a.query_start), left(a.query, 200)),
       format('SELECT pg_cancel_backend(%s);', a.pid)
{_CLIENTS} AND a.state = 'active' AND {_NOW} - a.query_start > :seconds * interval '1 second' ORDER BY a.query_start""",
        "look at its plan; statement_timeout for its role",
        requires=("sessions",),
        thresholds={"seconds": 60},
    ),
    Rule(
        "PG-TXN-003",
        "error",
        "server",
        "a session that waits for another",
        f"""
SELECT a.pid::text, format('%s waits for %s, at most %s: %s', {_WHO}, array_to_string(pg_catalog.pg_blocking_pids(a.pid), ', '),
         date_trunc('second', {_NOW} - a.query_start), left(a.query, 200)),
       format('SELECT pg_terminate_backend(%s);', (pg_catalog.pg_blocking_pids(a.pid))[1])
{_CLIENTS} AND a.wait_event_type = 'Lock' AND cardinality(pg_catalog.pg_blocking_pids(a.pid)) > 0
  AND {_NOW} - a.query_start > :seconds * interval '1 second' ORDER BY a.query_start""",
        "see what the one it waits for is doing, and end that if nobody needs it; lock_timeout for DDL",
        requires=("sessions",),
        thresholds={"seconds": 30},
    ),
    Rule(
        "PG-TXN-004",
        "warning",
        "server",
        "something old holds vacuum back",
        """
SELECT object, format('%s transactions old', age), remedy FROM (
  SELECT 'session ' || pid AS object, age(backend_xmin) AS age, format('SELECT pg_terminate_backend(%s);', pid) AS remedy
  FROM pg_catalog.pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
  UNION ALL SELECT 'slot ' || slot_name, greatest(age(xmin), age(catalog_xmin)),
         format('SELECT pg_drop_replication_slot(%L);', slot_name)
  FROM pg_catalog.pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
  UNION ALL SELECT 'prepared transaction ' || gid, age(transaction), format('ROLLBACK PREPARED %L;', gid)
  FROM pg_catalog.pg_prepared_xacts) AS held
WHERE age > :max_age ORDER BY age DESC""",
        "end the holder: no row that it could see is cleaned up anywhere",
        requires=("sessions",),
        thresholds={"max_age": 1_000_000},
    ),
    Rule(
        "PG-TXN-005",
        "warning",
        "server",
        "a prepared transaction that nobody ends",
        f"""
SELECT gid, format('by %s in %s, for %s', owner, database, date_trunc('second', {_NOW} - prepared)),
       format('ROLLBACK PREPARED %L;', gid)
FROM pg_catalog.pg_prepared_xacts WHERE {_NOW} - prepared > :seconds * interval '1 second' ORDER BY prepared""",
        "commit it or roll it back: its locks stay, and vacuum waits",
        thresholds={"seconds": 300},
    ),
)
