"""What a PostgreSQL server counts: one look is a dozen queries, whatever the number of tables.

Sources are the views and functions of the manual's chapter "Monitoring Database Activity", called by their functions where a view
would aggregate over all tables. Without pg_read_all_stats the sessions of others show neither state nor times (27.2.3
pg_stat_activity), and a sequence without privileges shows no last value (54.27 pg_sequences).
"""

from __future__ import annotations

import time

from dbops.engines.base.connect import Connection
from dbops.engines.base.metrics import METRICS, WAITS, Look, Looking
from dbops.engines.postgresql.connect import quoted
from dbops.errors import LockTimeoutError, QueryError

_NOT_HERE = frozenset(
    {
        "connections_aborted_total",
        "statements_slow_total",
        "free_bytes",
        "pages_used_ratio",
        "purge_lag",
        "log_size_bytes",
        "log_waits_total",
        "replication_running",
        "wait_seconds_total",
    }
)

_SESSIONS_NAMES = (
    *("connections_used", "connections_active", "connections_idle", "connections_idle_in_transaction", "longest_query_seconds"),
    *("longest_transaction_seconds", "longest_idle_in_transaction_seconds"),
)
_SESSIONS = """
SELECT count(*),
       count(*) FILTER (WHERE state = 'active' AND pid <> pg_catalog.pg_backend_pid()),
       count(*) FILTER (WHERE state = 'idle'),
       count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
       max(pg_catalog.clock_timestamp() - query_start) FILTER (WHERE state = 'active' AND pid <> pg_catalog.pg_backend_pid()),
       max(pg_catalog.clock_timestamp() - xact_start) FILTER (WHERE pid <> pg_catalog.pg_backend_pid()),
       max(pg_catalog.clock_timestamp() - state_change) FILTER (WHERE state LIKE 'idle in transaction%')
FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'"""

#: pg_locks.waitstart is there since 14; before, the time since the statement began is the most it can be.
_BLOCKED = """
SELECT count(DISTINCT pid), max(pg_catalog.clock_timestamp() - waitstart) FROM pg_catalog.pg_locks WHERE NOT granted"""
_BLOCKED_13 = """
SELECT count(DISTINCT l.pid), max(pg_catalog.clock_timestamp() - a.query_start)
FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a USING (pid) WHERE NOT l.granted"""

_WAITING = """
SELECT wait_event_type || ': ' || wait_event, count(*) FROM pg_catalog.pg_stat_activity
WHERE state = 'active' AND wait_event IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"""

_SERVER = """
SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), pg_catalog.pg_is_in_recovery(),
       pg_catalog.pg_postmaster_start_time()::text,
       extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_postmaster_start_time()),
       pg_catalog.current_setting('max_connections')::int - pg_catalog.current_setting('superuser_reserved_connections')::int
         - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int,
       pg_catalog.current_setting('archive_mode'),
       (SELECT count(*) FROM pg_catalog.pg_prepared_xacts),
       (SELECT n.nspname FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_stat_statements'),
       pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
         ELSE pg_catalog.pg_current_wal_lsn() END, '0/0'),
       CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN NULL
            WHEN pg_catalog.pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_catalog.pg_last_wal_replay_lsn()
              AND EXISTS (SELECT 1 FROM pg_catalog.pg_stat_wal_receiver) THEN 0
            ELSE extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END"""

_DATABASE_NAMES = (
    *("transactions_committed_total", "transactions_rolled_back_total", "cache_hits_total", "cache_misses_total"),
    *("read_bytes_total", "deadlocks_total", "conflicts_total", "temp_files_total", "temp_bytes_total"),
    *("checksum_failures_total", "transaction_id_age", "multixact_id_age", "database_size_bytes"),
)
_DATABASE = """
SELECT s.stats_reset::text, s.xact_commit, s.xact_rollback, s.blks_hit, s.blks_read,
       s.blks_read * pg_catalog.current_setting('block_size')::bigint, s.deadlocks, s.conflicts, s.temp_files, s.temp_bytes,
       s.checksum_failures, pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid), pg_catalog.pg_database_size(d.oid)
FROM pg_catalog.pg_stat_database AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.datid
WHERE d.datname = pg_catalog.current_database()"""

_CHECKPOINTS = "SELECT checkpoints_timed, checkpoints_req, stats_reset::text FROM pg_catalog.pg_stat_bgwriter"
_CHECKPOINTS_17 = "SELECT num_timed, num_requested, stats_reset::text FROM pg_catalog.pg_stat_checkpointer"
_WRITTEN = """
SELECT (buffers_checkpoint + buffers_clean + buffers_backend) * pg_catalog.current_setting('block_size')::bigint
FROM pg_catalog.pg_stat_bgwriter"""
_WRITTEN_16 = "SELECT sum((coalesce(writes, 0) + coalesce(extends, 0)) * op_bytes) FROM pg_catalog.pg_stat_io"
_WRITTEN_18 = "SELECT sum(coalesce(write_bytes, 0) + coalesce(extend_bytes, 0)) FROM pg_catalog.pg_stat_io"

_ARCHIVER = """
SELECT archived_count, failed_count,
       (last_failed_time IS NOT NULL AND (last_archived_time IS NULL OR last_failed_time > last_archived_time))::int
FROM pg_catalog.pg_stat_archiver"""

_XMIN = """
SELECT coalesce(max(age), 0) FROM (
  SELECT pg_catalog.age(backend_xmin) AS age FROM pg_catalog.pg_stat_activity
  WHERE backend_xmin IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()
  UNION ALL SELECT pg_catalog.age(transaction) FROM pg_catalog.pg_prepared_xacts
  UNION ALL SELECT pg_catalog.age(xmin) FROM pg_catalog.pg_replication_slots WHERE xmin IS NOT NULL
  UNION ALL SELECT pg_catalog.age(catalog_xmin) FROM pg_catalog.pg_replication_slots WHERE catalog_xmin IS NOT NULL) AS held"""

_REPLICAS = """
SELECT coalesce(nullif(application_name, ''), pid::text) || coalesce('@' || pg_catalog.host(client_addr), ''),
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn), extract(epoch FROM coalesce(replay_lag, '0'))
FROM pg_catalog.pg_stat_replication"""

_SLOTS = """
SELECT slot_name::text, active::int, pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery()
         THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn)
FROM pg_catalog.pg_replication_slots"""

_OWN = "n.nspname NOT IN ('information_schema', 'dbops') AND n.nspname !~ '^pg_'"

#: Functions that tell sizes wait for whoever changes a table: those that somebody wants for himself are left alone.
_TAKEN = """taken AS MATERIALIZED (
  SELECT relation FROM pg_catalog.pg_locks
  WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))"""

_LARGEST = f"""
WITH {_TAKEN}, largest AS (
  SELECT c.oid, n.nspname::text || '.' || c.relname AS name, c.reltuples,
         EXISTS (SELECT FROM taken AS k WHERE k.relation IN (c.oid, c.reltoastrelid)
                 OR k.relation IN (SELECT i.indexrelid FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid)) AS is_taken
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm') AND {_OWN}
  ORDER BY c.relpages DESC, pg_catalog.pg_stat_get_live_tuples(c.oid) DESC, c.oid LIMIT ?)"""

_TABLES_NAMES = (
    *("table_size_bytes", "table_rows", "table_dead_rows", "table_full_scans_total", "table_index_scans_total"),
    "table_vacuum_age_seconds",
)
_TABLES = f"""{_LARGEST}
SELECT t.oid::text, t.name, t.is_taken, CASE WHEN NOT t.is_taken THEN pg_catalog.pg_total_relation_size(t.oid) END,
       CASE WHEN t.reltuples > 0 THEN t.reltuples::bigint ELSE pg_catalog.pg_stat_get_live_tuples(t.oid) END,
       pg_catalog.pg_stat_get_dead_tuples(t.oid), pg_catalog.pg_stat_get_numscans(t.oid),
       (SELECT coalesce(sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)), 0) FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = t.oid),
       extract(epoch FROM pg_catalog.clock_timestamp() - greatest(pg_catalog.pg_stat_get_last_vacuum_time(t.oid),
         pg_catalog.pg_stat_get_last_autovacuum_time(t.oid)))
FROM largest AS t"""

_INDEXES = """
SELECT n.nspname::text || '.' || t.relname, c.relname::text, pg_catalog.pg_relation_size(c.oid),
       pg_catalog.pg_stat_get_numscans(c.oid)
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
WHERE i.indrelid = ANY (?::oid[]) ORDER BY c.relpages DESC, c.oid LIMIT ?"""

#: A column that owns the sequence may end before the sequence does. Its type is looked up for those nearest to the end of 32 bits
#: alone: for thousands of sequences that is most of the work.
_SEQUENCES = f"""
WITH {_TAKEN}
SELECT n.nspname::text || '.' || c.relname, CASE WHEN q.last IS NOT NULL THEN (q.last - q.seqmin + 1)::float8
         / (least(q.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                   ELSE q.seqmax END)::float8 - q.seqmin + 1) END AS used,
       CASE WHEN NOT q.may THEN format('%I.%I', n.nspname, c.relname) END
FROM (
  SELECT * FROM (SELECT s.seqrelid, s.seqmin, s.seqmax, p.may,
      CASE WHEN NOT p.may THEN NULL WHEN s.seqincrement < 0 THEN s.seqmin - 1
           ELSE coalesce(pg_catalog.pg_sequence_last_value(s.seqrelid), s.seqstart - 1) END AS last
  FROM pg_catalog.pg_sequence AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (SELECT pg_catalog.has_sequence_privilege(s.seqrelid, 'SELECT, USAGE') AS may OFFSET 0) AS p
  WHERE NOT s.seqcycle AND {_OWN} AND s.seqrelid NOT IN (SELECT relation FROM taken) OFFSET 0) AS all_of_them
  ORDER BY may, last::float8 / least(seqmax, 2147483647) DESC, seqrelid LIMIT ?) AS q
JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = q.seqrelid
  AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
ORDER BY q.may, used DESC, 1 LIMIT ?"""

_NEXT_LOOK = "the next look after that"
_NEXT_TRANSACTION = "a transaction of the primary, once it is replayed here"
_READ_ALL = "GRANT pg_monitor TO {user};"


class PostgresMetrics:
    """Fills `engines.base.metrics.Metrics`."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(METRICS) - _NOT_HERE

    def look(self, conn: Connection, *, objects: int) -> Look:
        looking = Looking(conn, objects)
        started = time.perf_counter()
        looking.rows("SELECT 1")
        looking.tell("latency_seconds", time.perf_counter() - started)
        started_at = _server(looking)
        _database(looking, started_at)
        _sized(looking)
        return looking.seen()


def _server(looking: Looking) -> str:
    """Tell what the whole server counts; return when it started, after which counters may have begun anew."""
    (row,) = looking.rows(_SERVER)
    sees_all, is_standby, started, uptime_s, most, archive_mode, prepared, statements, log_bytes, replay_lag = row
    looking.tell("uptime_seconds", uptime_s)
    looking.tell("connections_max", most)
    looking.tell("prepared_transactions", prepared)
    looking.tell("log_bytes_total", log_bytes)
    looking.tell("replay_lag_seconds", replay_lag)
    if is_standby and replay_lag is None:
        looking.hide(("replay_lag_seconds",), "this standby has replayed no transaction since it started", _NEXT_TRANSACTION)
    _sessions(looking, bool(sees_all))
    version = looking.conn.server.version[0]
    timed, requested, reset = looking.rows(_CHECKPOINTS_17 if version >= 17 else _CHECKPOINTS)[0]
    looking.epochs["server"] = f"{started} {reset}"
    looking.tell_all(("checkpoints_timed_total", "checkpoints_requested_total"), (timed, requested))
    looking.tell(
        "written_bytes_total", looking.rows(_WRITTEN_18 if version >= 18 else _WRITTEN_16 if version >= 16 else _WRITTEN)[0][0]
    )
    if archive_mode != "off":
        looking.tell_all(("archived_total", "archive_failures_total", "archive_failing"), looking.rows(_ARCHIVER)[0])
    for slot, active, retained in looking.rows(_SLOTS):
        looking.tell("slot_active", active, (str(slot),))
        looking.tell("slot_retained_bytes", retained, (str(slot),))
    _statements(looking, statements)
    if sees_all and not is_standby:
        for replica, lag_bytes, lag_s in looking.rows(_REPLICAS):
            looking.tell("replication_lag_bytes", lag_bytes, (str(replica),))
            looking.tell("replication_lag_seconds", lag_s, (str(replica),))
    return str(started)


def _sessions(looking: Looking, sees_all: bool) -> None:
    blocked, blocked_for = looking.rows(_BLOCKED if looking.conn.server.version[0] >= 14 else _BLOCKED_13)[0]
    looking.tell("sessions_blocked", blocked)
    if sees_all or looking.conn.server.version[0] >= 14:
        looking.tell("longest_block_seconds", blocked_for or 0)
    if sees_all:
        numbers = looking.rows(_SESSIONS)[0]
        looking.tell_all(_SESSIONS_NAMES, [number or 0 for number in numbers])
        looking.tell("oldest_xmin_age", looking.rows(_XMIN)[0][0])
        for wait, number in looking.rows(_WAITING, WAITS):
            looking.tell("sessions_waiting", number, (wait,))
        return
    hidden = [*_SESSIONS_NAMES, "oldest_xmin_age", "sessions_waiting", "replication_lag_bytes", "replication_lag_seconds"]
    hidden += [] if looking.conn.server.version[0] >= 14 else ["longest_block_seconds"]
    user = looking.conn.server.user
    looking.hide(hidden, f"{user} sees the sessions of others without their state", _READ_ALL.format(user=quoted(user)))


def _statements(looking: Looking, schema: object) -> None:
    names = ("statements_total", "statement_seconds_total")
    if schema is None:
        fix = "shared_preload_libraries = 'pg_stat_statements', a restart, and CREATE EXTENSION pg_stat_statements;"
        looking.hide(names, "the extension pg_stat_statements is not in this database", fix)
        return
    sql = f"""
SELECT coalesce(sum(calls), 0), coalesce(sum(total_exec_time), 0) / 1000 FROM {quoted(str(schema))}.pg_stat_statements(false)
WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"""
    try:
        looking.tell_all(names, looking.rows(sql)[0])
    except QueryError as error:  # the extension is there and its library is not loaded
        looking.hide(names, error.message, "shared_preload_libraries = 'pg_stat_statements', and a restart")


def _database(looking: Looking, started_at: str) -> None:
    (row,) = looking.rows(_DATABASE)
    looking.epochs["database"] = f"{started_at} {row[0]}"
    looking.tell_all(_DATABASE_NAMES, row[1:])
    if row[1 + _DATABASE_NAMES.index("checksum_failures_total")] is None:
        looking.hide(
            ("checksum_failures_total",), "the server keeps no checksums of pages", "pg_checksums --enable, while it is down"
        )


def _sized(looking: Looking) -> None:
    """Tell of tables, indexes and sequences; also while somebody changes some of them."""
    try:
        _tables(looking)
        _sequences(looking)
    except LockTimeoutError as error:  # it came in between
        looking.hide(("table_size_bytes", "index_size_bytes", "sequence_used_ratio"), error.message, _NEXT_LOOK)


def _tables(looking: Looking) -> None:
    looking.epochs |= dict.fromkeys(("table", "index"), looking.epochs["database"])
    tables = looking.rows(_TABLES, looking.objects)
    for _, name, _, *numbers in tables:
        looking.tell_all(_TABLES_NAMES, numbers, (str(name),))
    if taken := [str(name) for _, name, is_taken, *_ in tables if is_taken]:
        why = f"somebody changes {', '.join(taken)}, or waits to"
        looking.hide(("table_size_bytes", "index_size_bytes"), why, _NEXT_LOOK)
    oids = "{" + ",".join(oid for oid, _, is_taken, *_ in tables if not is_taken) + "}"
    for table, index, size, scans in looking.rows(_INDEXES, oids, looking.objects):
        looking.tell_all(("index_size_bytes", "index_scans_total"), (size, scans), (str(table), str(index)))


def _sequences(looking: Looking) -> None:
    hidden = []
    for name, used, quoted_name in looking.rows(_SEQUENCES, 4 * looking.objects, looking.objects):
        if quoted_name is not None:
            hidden.append((str(name), str(quoted_name)))
        looking.tell("sequence_used_ratio", used, (str(name),))
    if hidden:
        user = looking.conn.server.user
        grants = " ".join(f"GRANT SELECT ON SEQUENCE {name} TO {quoted(user)};" for _, name in hidden)
        looking.hide(("sequence_used_ratio",), f"{user} may not read {', '.join(name for name, _ in hidden)}", grants)
