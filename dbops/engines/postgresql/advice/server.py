"""Rules about what the counters of a database and its server tell, replication, extensions and versions."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.engines.base.advice import Rule

_OF_DATABASE = "FROM pg_catalog.pg_stat_database AS s WHERE s.datname = pg_catalog.current_database()"
_NOW_LSN = """CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
  ELSE pg_catalog.pg_current_wal_lsn() END"""

#: The last day of each version (https://www.postgresql.org/support/versioning/).
_ENDS = """(VALUES (12, '2024-11-14'::date), (13, '2025-11-13'), (14, '2026-11-12'), (15, '2027-11-11'), (16, '2028-11-09'),
  (17, '2029-11-08'), (18, '2030-11-14'))"""

_CHECKPOINTS = """
SELECT 'checkpoints', format('%s forced, %s due', {requested}, {timed}), NULL FROM pg_catalog.{view}
WHERE {requested} + {timed} >= :min AND {requested}::float8 / nullif({requested} + {timed}, 0) > :ratio"""

RULES: Sequence[Rule] = (
    Rule(
        "PG-MET-001",
        "warning",
        "database",
        "the cache misses often",
        f"""
SELECT s.datname, format('%s%% of %s blocks were in memory', round(100.0 * s.blks_hit / (s.blks_hit + s.blks_read), 1),
         s.blks_hit + s.blks_read), NULL
{_OF_DATABASE} AND s.blks_hit + s.blks_read >= :min_blocks AND s.blks_hit::float8 / (s.blks_hit + s.blks_read) < :ratio""",
        "more shared_buffers, or statements that read less",
        thresholds={"min_blocks": 10_000, "ratio": 0.95},
    ),
    Rule(
        "PG-MET-002",
        "warning",
        "database",
        "sorts and hashes spill to disk",
        f"""
SELECT s.datname, format('%s files, %s', s.temp_files, pg_catalog.pg_size_pretty(s.temp_bytes)), NULL
{_OF_DATABASE} AND s.temp_bytes >= :bytes""",
        "more work_mem for the role that needs it; log_temp_files shows the statements",
        thresholds={"bytes": 1 << 30},
    ),
    Rule(
        "PG-MET-003",
        "warning",
        "database",
        "deadlocks",
        f"SELECT s.datname, format('%s since the counters began', s.deadlocks), NULL {_OF_DATABASE} AND s.deadlocks >= :number",
        "change rows in one order everywhere",
        thresholds={"number": 5},
    ),
    Rule(
        "PG-MET-004",
        "warning",
        "database",
        "many transactions are rolled back",
        f"""
SELECT s.datname, format('%s of %s', s.xact_rollback, s.xact_commit + s.xact_rollback), NULL
{_OF_DATABASE} AND s.xact_commit + s.xact_rollback >= :min
  AND s.xact_rollback::float8 / (s.xact_commit + s.xact_rollback) > :ratio""",
        "see which errors the programs meet",
        thresholds={"min": 1000, "ratio": 0.1},
    ),
    Rule(
        "PG-MET-005",
        "warning",
        "server",
        "checkpoints that the amount of log forces",
        _CHECKPOINTS.format(requested="checkpoints_req", timed="checkpoints_timed", view="pg_stat_bgwriter"),
        "a larger max_wal_size",
        thresholds={"min": 100, "ratio": 0.5},
        versions=(0, 17),
    ),
    Rule(
        "PG-MET-005",
        "warning",
        "server",
        "checkpoints that the amount of log forces",
        _CHECKPOINTS.format(requested="num_requested", timed="num_timed", view="pg_stat_checkpointer"),
        "a larger max_wal_size",
        thresholds={"min": 100, "ratio": 0.5},
        versions=(17, 9999),
    ),
    Rule(
        "PG-MET-006",
        "error",
        "server",
        "the log is not archived",
        """
SELECT coalesce(last_failed_wal, 'archive'), format('%s failures, the last good one %s', failed_count,
         coalesce(last_archived_time::text, 'never')), NULL
FROM pg_catalog.pg_stat_archiver
WHERE last_failed_time IS NOT NULL AND (last_archived_time IS NULL OR last_failed_time > last_archived_time)""",
        "mend archive_command; until then the log piles up and no moment after the failure can be restored",
    ),
    Rule(
        "PG-MET-007",
        "critical",
        "server",
        "damaged pages",
        """
SELECT coalesce(datname, 'shared objects'),
       format('%s checksum failures, the last %s', checksum_failures, checksum_last_failure), NULL
FROM pg_catalog.pg_stat_database WHERE checksum_failures > 0 ORDER BY 1""",
        "restore a backup; pg_amcheck finds what is damaged",
        requires=("checksums",),
    ),
    Rule(
        "PG-REP-001",
        "warning",
        "server",
        "a replica that is behind",
        f"""
SELECT coalesce(nullif(application_name, ''), pid::text), format('%s, %s', pg_catalog.pg_size_pretty(
         pg_catalog.pg_wal_lsn_diff({_NOW_LSN}, replay_lsn)), coalesce(replay_lag::text, 'no time told')), NULL
FROM pg_catalog.pg_stat_replication
WHERE replay_lag > :seconds * interval '1 second' OR pg_catalog.pg_wal_lsn_diff({_NOW_LSN}, replay_lsn) > :bytes ORDER BY 1""",
        "see what holds it up: its disk, the network, or a query there",
        requires=("sessions",),
        thresholds={"seconds": 30, "bytes": 100 << 20},
    ),
    Rule(
        "PG-REP-002",
        "error",
        "server",
        "a replication slot that keeps the log",
        f"""
SELECT slot_name, format('%s, %s, keeps %s', CASE WHEN active THEN 'read' ELSE 'not read' END, coalesce(wal_status, 'unknown'),
         coalesce(pg_catalog.pg_size_pretty(pg_catalog.pg_wal_lsn_diff({_NOW_LSN}, restart_lsn)), 'nothing')),
       format('SELECT pg_drop_replication_slot(%L);', slot_name)
FROM pg_catalog.pg_replication_slots
WHERE (NOT active AND pg_catalog.pg_wal_lsn_diff({_NOW_LSN}, restart_lsn) > :bytes) OR wal_status IN ('unreserved', 'lost')
ORDER BY 1""",
        "let its reader catch up, or drop it; max_slot_wal_keep_size bounds what it keeps",
        thresholds={"bytes": 1 << 30},
    ),
    Rule(
        "PG-EXT-001",
        "info",
        "database",
        "an extension with a newer version at hand",
        """
SELECT name, installed_version || ' -> ' || default_version, format('ALTER EXTENSION %I UPDATE;', name)
FROM pg_catalog.pg_available_extensions
WHERE installed_version IS NOT NULL AND installed_version <> default_version ORDER BY 1""",
        "read what changed, then update it",
    ),
    Rule(
        "PG-EXT-002",
        "warning",
        "database",
        "statements are not counted",
        """
SELECT 'pg_stat_statements', 'the extension is not in this database', 'CREATE EXTENSION pg_stat_statements;'
WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements')""",
        "shared_preload_libraries = 'pg_stat_statements', a restart, and CREATE EXTENSION",
    ),
    Rule(
        "PG-COLL-001",
        "critical",
        "database",
        "the rules for sorting text changed under the indexes",
        """
SELECT datname, format('made with %s, now %s', datcollversion, pg_catalog.pg_database_collation_actual_version(oid)), NULL
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
  AND datcollversion <> pg_catalog.pg_database_collation_actual_version(oid)""",
        "REINDEX DATABASE, then ALTER DATABASE ... REFRESH COLLATION VERSION",
        versions=(15, 9999),
    ),
    Rule(
        "PG-VER-001",
        "error",
        "server",
        "a version that gets no more fixes",
        f"""
SELECT 'PostgreSQL ' || pg_catalog.current_setting('server_version'), format('ended on %s', ends), NULL
FROM {_ENDS} AS v (major, ends)
WHERE v.major = pg_catalog.current_setting('server_version_num')::int / 10000 AND v.ends < current_date
UNION ALL SELECT 'PostgreSQL ' || pg_catalog.current_setting('server_version'), 'ended years ago', NULL
WHERE pg_catalog.current_setting('server_version_num')::int < 120000""",
        "upgrade: what is found from now on stays open",
    ),
)
