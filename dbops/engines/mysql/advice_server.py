"""Rules about the server: its status since it started, settings, transactions, statements, replication."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.engines.base.advice import Rule, Severity

_DAY_S = 86_400


def _status(name: str) -> str:
    """Return the SQL of a status variable as a number."""
    return f"(SELECT CAST(variable_value AS DECIMAL(40, 4)) FROM {{status}} WHERE variable_name = '{name}')"


def _variable(name: str) -> str:
    return f"(SELECT CAST(variable_value AS DECIMAL(40, 4)) FROM {{variables}} WHERE variable_name = '{name}')"


def _percent(part: str, whole: str) -> str:
    return f"100 * {part} / NULLIF({whole}, 0)"


#: Id, severity, title, what is measured, its unit, the comparison, the threshold, the least that `whole` must be, the remedy.
_COUNTED: Sequence[tuple[str, Severity, str, str, str, str, float, str, str]] = (
    (
        "MY-MET-001",
        "warning",
        "sessions ran out, or nearly",
        _percent(_status("max_used_connections"), _variable("max_connections")),
        "% of max_connections were in use once",
        ">",
        85,
        "1",
        "a higher max_connections, or a pool",
    ),
    (
        "MY-MET-002",
        "warning",
        "attempts to connect that fail",
        _percent(_status("aborted_connects"), _status("connections")),
        "% of all",
        ">",
        3,
        f"{_status('connections')} >= 100",
        "see who tries: wrong passwords, or timeouts",
    ),
    (
        "MY-MET-003",
        "warning",
        "slow statements",
        _percent(_status("slow_queries"), _status("questions")),
        "% took longer than long_query_time",
        ">",
        5,
        f"{_status('questions')} >= 1000",
        "see the slow query log",
    ),
    (
        "MY-MET-004",
        "warning",
        "temporary tables on disk",
        _percent(_status("created_tmp_disk_tables"), _status("created_tmp_tables")),
        "% of temporary tables",
        ">",
        25,
        f"{_status('created_tmp_tables')} >= 1000",
        "larger tmp_table_size and max_heap_table_size, or no long text in GROUP BY",
    ),
    (
        "MY-MET-005",
        "warning",
        "sorts that do not fit in memory",
        _percent(_status("sort_merge_passes"), f"({_status('sort_scan')} + {_status('sort_range')})"),
        "% of sorts",
        ">",
        10,
        f"{_status('sort_scan')} + {_status('sort_range')} >= 1000",
        "sort_buffer_size for the sessions that sort",
    ),
    (
        "MY-MET-006",
        "warning",
        "joins without an index",
        f"({_status('select_full_join')} + {_status('select_range_check')}) / ({_status('uptime')} / {_DAY_S})",
        " a day",
        ">",
        250,
        f"{_status('select_full_join')} + {_status('select_range_check')} >= 250",
        "indexes on what is joined",
    ),
    (
        "MY-MET-007",
        "info",
        "threads are made anew for sessions",
        f"100 - {_percent(_status('threads_created'), _status('connections'))}",
        "% of sessions got a thread that was there",
        "<",
        50,
        f"{_status('connections')} >= 1000",
        "a larger thread_cache_size",
    ),
    (
        "MY-MET-008",
        "info",
        "tables are opened again and again",
        _percent(_status("open_tables"), _status("opened_tables")),
        "% of those opened stayed open",
        "<",
        20,
        f"{_status('opened_tables')} >= 1000",
        "a larger table_open_cache",
    ),
    (
        "MY-MET-009",
        "warning",
        "open files run out",
        _percent(_status("open_files"), _variable("open_files_limit")),
        "% of open_files_limit",
        ">",
        85,
        "1",
        "a higher open_files_limit",
    ),
    (
        "MY-MET-010",
        "info",
        "sessions wait for locks of whole tables",
        _percent(_status("table_locks_immediate"), f"({_status('table_locks_immediate')} + {_status('table_locks_waited')})"),
        "% got them at once",
        "<",
        95,
        f"{_status('table_locks_immediate')} + {_status('table_locks_waited')} >= 1000",
        "InnoDB for the tables concerned",
    ),
    (
        "MY-MET-011",
        "warning",
        "the buffer pool misses often",
        f"100 - {_percent(_status('innodb_buffer_pool_reads'), _status('innodb_buffer_pool_read_requests'))}",
        "% of reads were in memory",
        "<",
        95,
        f"{_status('innodb_buffer_pool_read_requests')} >= 100000",
        "a larger innodb_buffer_pool_size, or statements that read less",
    ),
    (
        "MY-MET-012",
        "warning",
        "writes wait for the log buffer",
        _status("innodb_log_waits"),
        " waits",
        ">",
        0,
        "1",
        "a larger innodb_log_buffer_size",
    ),
    (
        "MY-MET-015",
        "warning",
        "most sessions that may be are at work",
        _percent(_status("threads_running"), _variable("max_connections")),
        "% of max_connections run a statement",
        ">",
        60,
        "1",
        "see what they wait for",
    ),
    (
        "MY-MET-016",
        "info",
        "transactions spill over the binlog cache",
        _percent(_status("binlog_cache_disk_use"), _status("binlog_cache_use")),
        "% went to disk",
        ">",
        10,
        f"{_status('binlog_cache_use')} >= 100",
        "a larger binlog_cache_size",
    ),
    (
        "MY-MET-017",
        "warning",
        "prepared statements run out",
        _percent(_status("prepared_stmt_count"), _variable("max_prepared_stmt_count")),
        "% of max_prepared_stmt_count",
        ">",
        80,
        "1",
        "a client that never closes them",
    ),
    (
        "MY-MET-019",
        "info",
        "the server started just now",
        _status("uptime"),
        " s ago: what counts since then says little yet",
        "<",
        60,
        "1",
        "look again later; if nobody restarted it, see its log",
    ),
)

#: Setting, severity, when it is wrong (`v` is the value as text), what to set, and why.
_SETTINGS: Sequence[tuple[str, Severity, str, str, str]] = (
    ("innodb_force_recovery", "critical", "v <> '0'", "0", "InnoDB runs in an emergency mode"),
    ("innodb_doublewrite", "error", "v = 'OFF'", "ON", "a crash may leave pages half written"),
    ("innodb_flush_log_at_trx_commit", "warning", "v <> '1'", "1", "a crash loses the last commits"),
    ("sync_binlog", "warning", "v <> '1'", "1", "a crash loses what replicas and restores need"),
    ("innodb_file_per_table", "warning", "v = 'OFF'", "ON", "room of dropped tables never comes back"),
    ("log_bin", "warning", "v = 'OFF'", "ON", "no restore to a moment, no replicas"),
    ("binlog_format", "warning", "v <> 'ROW'", "ROW", "replicas may get other rows"),
    (
        "sql_mode",
        "warning",
        "v NOT LIKE '%STRICT_TRANS_TABLES%' AND v NOT LIKE '%STRICT_ALL_TABLES%'",
        "STRICT_TRANS_TABLES",
        "values that do not fit are cut off without an error",
    ),
    ("character_set_server", "info", "v <> 'utf8mb4'", "utf8mb4", "new databases cannot hold every character"),
    ("slow_query_log", "info", "v = 'OFF'", "ON", "slow statements are not logged"),
    ("long_query_time", "info", "v + 0 >= 10", "1", "only what takes ten seconds counts as slow"),
    ("performance_schema", "info", "v = 'OFF'", "ON, and a restart", "nobody knows which statements and indexes are used"),
    ("query_cache_type", "info", "v <> 'OFF'", "OFF", "one lock around every statement"),
    ("max_connections", "info", "v + 0 > 1000", "1000 at most, and a pool", "so many at once only wait for each other"),
    ("innodb_lock_wait_timeout", "info", "v + 0 > 100", "50", "who waits for a row waits for minutes"),
    ("innodb_io_capacity", "info", "v + 0 <= 200", "1000 or more on SSD", "InnoDB thinks of a disk that turns"),
    ("log_slave_updates", "info", "v = 'OFF'", "ON", "this replica can have no replicas"),
)

#: 50% to 75% of the memory of a machine that does nothing else, 80% at most (MySQL manual, "Configuring InnoDB Buffer Pool
#: Size"). No server tells how much there is: as long as nobody says (`memory`, in bytes), the default alone is wrong.
_BUFFER_POOL = Rule(
    "MY-SET-innodb_buffer_pool_size",
    "warning",
    "server",
    "innodb_buffer_pool_size: the default is meant for a small machine, or it does not fit the memory",
    f"""
SELECT 'innodb_buffer_pool_size', CONCAT('is ', ROUND(v / 1048576), ' MiB', IF(:memory > 0,
  CONCAT(', ', ROUND(100 * v / GREATEST(:memory, 1)), '% of ', ROUND(:memory / 1048576), ' MiB of memory'), '')), NULL
FROM (SELECT {_variable("innodb_buffer_pool_size")} AS v) AS s
WHERE IF(:memory > 0, v NOT BETWEEN :least * :memory AND :most * :memory, v <= 134217728)""",
    "innodb_buffer_pool_size = 50% to 70% of the memory; how much that is, the threshold memory says",
    thresholds={"memory": 0, "least": 0.25, "most": 0.8},
)


def _rules() -> Iterator[Rule]:
    for id_, severity, title, measured, unit, sign, threshold, enough, remedy in _COUNTED:
        sql = f"""
SELECT 'server', CONCAT(ROUND(v, 1), '{unit}'), NULL FROM (SELECT {measured} AS v) AS q WHERE v {sign} :threshold AND {enough}"""
        yield Rule(id_, severity, "server", title, sql, remedy, thresholds={"threshold": threshold})
    for name, severity, wrong, wanted, why in _SETTINGS:
        sql = f"""
SELECT name, CONCAT('is ', v), NULL FROM (SELECT LOWER(variable_name) AS name, variable_value AS v FROM {{variables}}
  WHERE variable_name = '{name}') AS s WHERE {wrong}"""
        yield Rule(f"MY-SET-{name}", severity, "server", f"{name}: {why}", sql, f"{name} = {wanted}")


_DIGESTS = """FROM performance_schema.events_statements_summary_by_digest
WHERE schema_name = DATABASE() AND digest IS NOT NULL AND count_star >= :min_calls"""
_TEXT = "LEFT(digest_text, 300)"

RULES: Sequence[Rule] = (
    *_rules(),
    _BUFFER_POOL,
    Rule(
        "MY-MET-013",
        "info",
        "server",
        "the redo log holds less than an hour of writes",
        f"""
SELECT 'redo log', CONCAT(ROUND(hours, 2), ' hours'), NULL FROM (SELECT
  COALESCE({_variable("innodb_redo_log_capacity")},
           {_variable("innodb_log_file_size")} * COALESCE({_variable("innodb_log_files_in_group")}, 1))
    / NULLIF({_status("innodb_os_log_written")} / ({_status("uptime")} / 3600), 0) AS hours) AS q
WHERE hours < :hours AND {_status("uptime")} >= :min_uptime""",
        "a larger innodb_log_file_size, or innodb_redo_log_capacity on MySQL",
        thresholds={"hours": 1, "min_uptime": 3600},
    ),
    Rule(
        "MY-MET-014",
        "warning",
        "server",
        "old versions of rows pile up",
        """
SELECT 'history list', CONCAT(count, ' versions wait to be purged'), NULL FROM information_schema.innodb_metrics
WHERE name = 'trx_rseg_history_len' AND count > :length""",
        "find the long transaction that still wants to see them (MY-TXN-001)",
        requires=("process",),
        thresholds={"length": 50_000},
    ),
    Rule(
        "MY-MET-018",
        "warning",
        "server",
        "deadlocks",
        f"""
SELECT 'server', CONCAT(count, ' since the server started'), NULL FROM information_schema.innodb_metrics
WHERE name = 'lock_deadlocks' AND {{counted}} AND count >= :min AND count / ({_status("uptime")} / 3600) > :per_hour""",
        "change rows in one order everywhere",
        requires=("process",),
        thresholds={"min": 5, "per_hour": 1},
    ),
    Rule(
        "MY-TXN-001",
        "warning",
        "server",
        "a transaction that is open for long",
        """
SELECT trx_mysql_thread_id, CONCAT(TIMESTAMPDIFF(SECOND, trx_started, NOW()), ' s: ', COALESCE(LEFT(trx_query, 200), 'idle')),
       CONCAT('KILL ', trx_mysql_thread_id, ';')
FROM information_schema.innodb_trx
WHERE TIMESTAMPDIFF(SECOND, trx_started, NOW()) > :seconds AND trx_mysql_thread_id > 0 ORDER BY trx_started""",
        "end it: its locks stay, and nothing it could see is purged",
        requires=("process",),
        thresholds={"seconds": 60},
    ),
    Rule(
        "MY-TXN-002",
        "error",
        "server",
        "a session that waits for another",
        """
SELECT p.id, CONCAT('for ', p.time, ' s: ', COALESCE(LEFT(p.info, 200), p.state)), CONCAT('KILL ', (
  SELECT MIN(o.trx_mysql_thread_id) FROM information_schema.innodb_trx AS o
  WHERE o.trx_state = 'RUNNING' AND o.trx_mysql_thread_id <> CONNECTION_ID() AND o.trx_started <= t.trx_wait_started), ';')
FROM information_schema.processlist AS p LEFT JOIN information_schema.innodb_trx AS t ON t.trx_mysql_thread_id = p.id
WHERE (t.trx_state = 'LOCK WAIT' OR p.state LIKE 'Waiting for%lock') AND p.time > :seconds ORDER BY p.time DESC""",
        "see what the one it waits for is doing, and end that if nobody needs it",
        requires=("process",),
        thresholds={"seconds": 10},
    ),
    Rule(
        "MY-STM-001",
        "warning",
        "database",
        "a slow statement",
        f"""
SELECT digest, CONCAT(ROUND(avg_timer_wait / 1e9, 1), ' ms on average, ', count_star, ' calls: ', {_TEXT}), NULL
{_DIGESTS} AND avg_timer_wait / 1e9 >= :milliseconds ORDER BY sum_timer_wait DESC LIMIT 25""",
        "look at its plan; an index for what it looks for",
        requires=("performance_schema", "counters"),
        thresholds={"min_calls": 100, "milliseconds": 50},
    ),
    Rule(
        "MY-STM-002",
        "warning",
        "database",
        "a statement that reads whole tables",
        f"""
SELECT digest, CONCAT(ROUND(sum_rows_examined / count_star), ' rows each of ', count_star, ' times: ', {_TEXT}), NULL
{_DIGESTS} AND sum_no_index_used > 0 AND sum_rows_examined / count_star > :rows ORDER BY sum_rows_examined DESC LIMIT 25""",
        "an index for what it looks for",
        requires=("performance_schema", "counters"),
        thresholds={"min_calls": 10, "rows": 1000},
    ),
    Rule(
        "MY-STM-003",
        "info",
        "database",
        "a statement that reads far more than it returns",
        f"""
SELECT digest, CONCAT(ROUND(sum_rows_examined / GREATEST(1, sum_rows_sent)), ' rows read for each: ', {_TEXT}), NULL
{_DIGESTS} AND digest_text LIKE 'SELECT%' AND sum_rows_examined / GREATEST(1, sum_rows_sent) > :rows
ORDER BY sum_rows_examined DESC LIMIT 25""",
        "an index that finds just these rows",
        requires=("performance_schema", "counters"),
        thresholds={"min_calls": 100, "rows": 1000},
    ),
    Rule(
        "MY-STM-004",
        "info",
        "database",
        "a statement whose temporary tables go to disk",
        f"""
SELECT digest, CONCAT(sum_created_tmp_disk_tables, ' tables, ', sum_sort_merge_passes, ' merges in ', count_star, ' calls: ',
         {_TEXT}), NULL
{_DIGESTS} AND sum_created_tmp_disk_tables + sum_sort_merge_passes >= count_star
ORDER BY sum_created_tmp_disk_tables DESC LIMIT 25""",
        "fewer long columns in GROUP BY and ORDER BY; an index that sorts",
        requires=("performance_schema", "counters"),
        thresholds={"min_calls": 100},
    ),
    Rule(
        "MY-STM-005",
        "warning",
        "database",
        "a statement that fails",
        f"""
SELECT digest, CONCAT(sum_errors, ' of ', count_star, ' calls: ', {_TEXT}), NULL
{_DIGESTS} AND sum_errors / count_star > :ratio ORDER BY sum_errors DESC LIMIT 25""",
        "see which error the program meets",
        requires=("performance_schema", "counters"),
        thresholds={"min_calls": 100, "ratio": 0.01},
    ),
)
