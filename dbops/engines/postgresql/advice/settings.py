"""Rules about settings; values are compared in the unit that pg_settings stores them in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.engines.base.advice import Rule, Severity

#: Setting, severity, when it is wrong, what to set, and why. `v` is the stored value with which a session of this account begins:
#: the one that asks has timeouts of its own.
_SETTINGS: Sequence[tuple[str, Severity, str, str, str]] = (
    ("fsync", "critical", "v = 'off'", "on", "a crash may lose the whole cluster"),
    ("full_page_writes", "error", "v = 'off'", "on", "a crash may leave pages half written"),
    ("zero_damaged_pages", "critical", "v = 'on'", "off", "damaged pages are emptied without a word"),
    ("ignore_checksum_failure", "critical", "v = 'on'", "off", "damaged pages are read as if they were whole"),
    ("allow_system_table_mods", "critical", "v = 'on'", "off", "a statement can break the catalogs"),
    ("autovacuum", "error", "v = 'off'", "on", "dead rows pile up, and transaction ids run out"),
    ("track_counts", "error", "v = 'off'", "on", "autovacuum is blind"),
    ("data_checksums", "warning", "v = 'off'", "pg_checksums --enable, while it is down", "damage on disk stays unnoticed"),
    ("wal_level", "warning", "v = 'minimal'", "replica", "no copy of the files can be backed up, nothing replicates"),
    (
        "idle_in_transaction_session_timeout",
        "warning",
        "v = '0'",
        "60s to 10min",
        "a forgotten transaction holds its locks for ever",
    ),
    ("synchronous_commit", "info", "v = 'off'", "on", "a crash loses the last commits"),
    ("track_io_timing", "info", "v = 'off'", "on", "nobody knows how long reads take"),
    ("statement_timeout", "info", "v = '0'", "by role", "a runaway statement runs for ever"),
    ("lock_timeout", "info", "v = '0'", "for sessions that change the schema", "DDL that waits makes everybody wait"),
    ("log_min_duration_statement", "info", "v = '-1'", "1s", "slow statements are not logged"),
    ("log_lock_waits", "info", "v = 'off'", "on", "waits for locks are not logged"),
    ("log_temp_files", "info", "v = '-1'", "10MB", "spills to disk are not logged"),
    ("log_autovacuum_min_duration", "info", "v = '-1'", "10min", "long vacuums are not logged"),
    ("random_page_cost", "info", "v::numeric >= 4", "1.1 on SSD", "the planner thinks of disks that turn"),
    ("max_wal_size", "info", "v::bigint <= 1024", "4GB or more for many writes", "writes force checkpoints"),
    ("work_mem", "info", "v::bigint <= 4096 AND boot_val = v", "by role", "sorts spill to disk"),
    ("maintenance_work_mem", "info", "v::bigint <= 65536", "256MB or more", "indexes are built slowly"),
)


def _rules() -> Iterator[Rule]:
    for name, severity, wrong, wanted, why in _SETTINGS:
        sql = f"""
SELECT name, 'is ' || CASE WHEN v = setting THEN pg_catalog.current_setting(name) ELSE v END, NULL
FROM (SELECT name, setting, reset_val AS v, boot_val FROM pg_catalog.pg_settings WHERE name = '{name}' OFFSET 0) AS s
WHERE {wrong}"""
        yield Rule(f"PG-SET-{name}", severity, "server", f"{name}: {why}", sql, f"{name}: {wanted}")


#: A quarter of the memory is a good start, more than 40% of it rarely better (PostgreSQL manual, "Memory"). No server tells how
#: much there is, within a container least of all: as long as nobody says (`memory`, in bytes), the default alone is wrong.
_SHARED_BUFFERS = Rule(
    "PG-SET-shared_buffers",
    "warning",
    "server",
    "shared_buffers: the default is meant for a small machine, or it does not fit the memory",
    """
SELECT name, 'is ' || pg_catalog.current_setting(name) || CASE WHEN :memory > 0 THEN format(', %s%% of %s of memory',
  round(100 * v / greatest(:memory, 1)), pg_catalog.pg_size_pretty(:memory::bigint)) ELSE '' END, NULL
FROM (SELECT name, setting::numeric * 8192 AS v FROM pg_catalog.pg_settings WHERE name = 'shared_buffers' OFFSET 0) AS s
WHERE CASE WHEN :memory > 0 THEN v NOT BETWEEN :least * :memory AND :most * :memory ELSE v <= 134217728 END""",
    "shared_buffers: 25% of the memory; how much that is, the threshold memory says",
    thresholds={"memory": 0, "least": 0.15, "most": 0.4},
)

#: What the server's command line says goes before the files, and what waits for a restart is not applied: no errors of the files.
RULES: Sequence[Rule] = (
    *_rules(),
    _SHARED_BUFFERS,
    Rule(
        "PG-SET-pending",
        "warning",
        "server",
        "a setting that waits for a restart",
        """
SELECT name, 'is ' || coalesce(setting, 'not set') || ' until then', NULL
FROM pg_catalog.pg_settings WHERE pending_restart AND source <> 'command line' ORDER BY 1""",
        "restart, or take the change back: the next restart will surprise somebody",
    ),
    Rule(
        "PG-SET-fileerr",
        "error",
        "server",
        "an error in the configuration files",
        """
SELECT coalesce(name, 'line ' || sourceline), format('%s:%s: %s', sourcefile, sourceline, error), NULL
FROM pg_catalog.pg_file_settings AS f WHERE error IS NOT NULL AND NOT applied
  AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_settings AS s WHERE s.name = f.name AND (s.source = 'command line' OR s.pending_restart))
ORDER BY sourcefile, sourceline""",
        "mend the line: the next restart may fail",
        requires=("files",),
    ),
)
