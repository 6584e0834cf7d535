"""What a MySQL or MariaDB server counts: SHOW GLOBAL STATUS, and what information_schema and the replicas say.

Status and variables are everybody's to read (MySQL 8.4 manual, 7.1.10 Server Status Variables); transactions and InnoDB's own
counters want PROCESS, replicas REPLICATION CLIENT or, on MariaDB since 10.5, SLAVE MONITOR. Where performance_schema is off,
which is MariaDB's default, its views are empty: that is said, not taken for silence.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from dbops.engines.base.connect import Connection
from dbops.engines.base.metrics import ABOUT, METRICS, WAITS, Look, Looking
from dbops.engines.mysql.account import own_account
from dbops.engines.mysql.connect import quoted
from dbops.errors import MissingTableError, QueryError

if TYPE_CHECKING:
    from dbops.engines.mysql.connect import MysqlConnection

_NOT_HERE = frozenset(
    {
        "conflicts_total",
        "checksum_failures_total",
        "transaction_id_age",
        "multixact_id_age",
        "oldest_xmin_age",
        "pages_used_ratio",
        "checkpoints_timed_total",
        "checkpoints_requested_total",
        "log_size_bytes",
        "archived_total",
        "archive_failures_total",
        "archive_failing",
        "replication_lag_bytes",
        "replay_lag_seconds",
        "slot_retained_bytes",
        "slot_active",
        "table_dead_rows",
        "table_vacuum_age_seconds",
        "temp_bytes_total",
        "prepared_transactions",
    }
)

#: Metrics that are a status variable as it is.
_STATUS = {
    "uptime_seconds": "uptime",
    "connections_used": "threads_connected",
    "connections_aborted_total": "aborted_connects",
    "transactions_committed_total": "com_commit",
    "transactions_rolled_back_total": "com_rollback",
    "statements_total": "questions",
    "statements_slow_total": "slow_queries",
    "cache_misses_total": "innodb_buffer_pool_reads",
    "read_bytes_total": "innodb_data_read",
    "written_bytes_total": "innodb_data_written",
    "temp_files_total": "created_tmp_disk_tables",
    "log_bytes_total": "innodb_os_log_written",
    "log_waits_total": "innodb_log_waits",
}

_SYSTEM = "('mysql', 'information_schema', 'performance_schema', 'sys')"

_TRANSACTIONS_NAMES = (
    *("longest_query_seconds", "longest_transaction_seconds", "longest_idle_in_transaction_seconds"),
    *("connections_idle_in_transaction", "sessions_blocked", "longest_block_seconds"),
)
#: The process list says since when a session does what it does; INNODB_TRX since when its transaction is open.
_TRANSACTIONS = """
SELECT COALESCE(MAX(CASE WHEN p.command IN ('Query', 'Execute') THEN p.time END), 0),
       COALESCE(MAX(TIMESTAMPDIFF(MICROSECOND, t.trx_started, NOW(6)) / 1000000), 0),
       COALESCE(MAX(CASE WHEN p.command = 'Sleep' AND t.trx_id IS NOT NULL THEN p.time END), 0),
       COALESCE(SUM(p.command = 'Sleep' AND t.trx_id IS NOT NULL), 0),
       COALESCE(SUM(t.trx_state = 'LOCK WAIT' OR p.state LIKE 'Waiting for%lock'), 0),
       COALESCE(MAX(CASE WHEN t.trx_state = 'LOCK WAIT' OR p.state LIKE 'Waiting for%lock' THEN p.time END), 0)
FROM information_schema.processlist AS p
LEFT JOIN information_schema.innodb_trx AS t ON t.trx_mysql_thread_id = p.id
WHERE p.id <> CONNECTION_ID() AND p.command NOT IN ('Daemon', 'Binlog Dump', 'Binlog Dump GTID')
  AND p.user NOT IN ('system user', 'event_scheduler')"""

#: A wait for a row stands in no state of a session.
_WAITING = """
SELECT CASE WHEN t.trx_state = 'LOCK WAIT' THEN 'row lock' ELSE p.state END AS wait, COUNT(*)
FROM information_schema.processlist AS p
LEFT JOIN information_schema.innodb_trx AS t ON t.trx_mysql_thread_id = p.id
WHERE p.command IN ('Query', 'Execute') AND p.id <> CONNECTION_ID() AND p.user NOT IN ('system user', 'event_scheduler')
  AND (t.trx_state = 'LOCK WAIT' OR p.state LIKE 'Waiting%' OR p.state IN ('User sleep', 'System lock'))
GROUP BY wait ORDER BY 2 DESC, 1 LIMIT ?"""

#: What instruments are switched on for is summed up whether consumers are on or not (manual, 29.12.20.1); in picoseconds.
_WAITED = """
SELECT event_name, sum_timer_wait / 1000000000000 FROM performance_schema.events_waits_summary_global_by_event_name
WHERE sum_timer_wait > 0 AND event_name <> 'idle' ORDER BY sum_timer_wait DESC, event_name LIMIT ?"""

_INNODB_NAMES = {"trx_rseg_history_len": "purge_lag", "lock_deadlocks": "deadlocks_total"}
#: Whether it is counted stands in a column STATUS on MySQL and ENABLED on MariaDB.
_INNODB = "SELECT * FROM information_schema.innodb_metrics WHERE name IN ('trx_rseg_history_len', 'lock_deadlocks')"

#: MariaDB opens every table for `information_schema.tables` unless names alone are wanted (Knowledge Base, Information Schema).
_NUMBER = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"
_OPENED_AT_MOST = 500
_SIZE_KEPT = """
SELECT COALESCE(SUM(clustered_index_size + sum_of_other_index_sizes), 0) * @@innodb_page_size
FROM mysql.innodb_table_stats WHERE database_name = DATABASE()"""
#: A partition is kept by itself, as `table#P#partition`.
_TABLES_KEPT = """
SELECT SUBSTRING_INDEX(table_name, '#P#', 1) AS name,
       SUM(clustered_index_size + sum_of_other_index_sizes) * @@innodb_page_size AS size, SUM(n_rows)
FROM mysql.innodb_table_stats WHERE database_name = DATABASE() AND table_name NOT LIKE 'dbops\\_%'
GROUP BY name ORDER BY size DESC, name LIMIT ?"""

_SIZES = """
SELECT COALESCE(SUM(data_length + index_length + data_free), 0), COALESCE(SUM(data_free), 0)
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type <> 'VIEW'"""

_TABLES = """
SELECT table_name, data_length + index_length, table_rows FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type <> 'VIEW' AND data_length IS NOT NULL AND table_name NOT LIKE 'dbops\\_%'
ORDER BY data_length + index_length DESC, table_name LIMIT ?"""

_SCANS_NAMES = ("table_full_scans_total", "table_index_scans_total", "index_scans_total")
#: NULL in `index_name` counts reads of the whole table (manual, 29.12.20.8, table_io_waits_summary_by_index_usage).
_SCANS = """
SELECT object_name, index_name, count_read FROM performance_schema.table_io_waits_summary_by_index_usage
WHERE object_schema = DATABASE() AND count_read > 0"""

_STATEMENT_TIME = """
SELECT COALESCE(SUM(sum_timer_wait), 0) / 1000000000000 FROM performance_schema.events_statements_summary_by_digest
WHERE schema_name = DATABASE()"""

_MOST = """CASE c.data_type WHEN 'tinyint' THEN 127 WHEN 'smallint' THEN 32767 WHEN 'mediumint' THEN 8388607
  WHEN 'int' THEN 2147483647 ELSE 9223372036854775807 END"""
_COUNTERS = f"""
SELECT CONCAT(t.table_name, '.', c.column_name),
       (t.auto_increment - 1) / (CASE WHEN c.column_type LIKE '%unsigned%' THEN 2e0 ELSE 1e0 END * {_MOST}) AS used
FROM information_schema.tables AS t
JOIN information_schema.columns AS c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
WHERE t.table_schema = DATABASE() AND c.extra LIKE '%auto_increment%' AND t.auto_increment IS NOT NULL
  AND t.table_name NOT LIKE 'dbops\\_%'
ORDER BY used DESC, 1 LIMIT ?"""

_MYSQL_REPLICAS = """
SELECT COALESCE(NULLIF(c.channel_name, ''), 'default'), c.service_state = 'ON' AND a.service_state = 'ON',
       COALESCE(MAX(CASE WHEN w.applying_transaction <> '' THEN
         TIMESTAMPDIFF(MICROSECOND, w.applying_transaction_original_commit_timestamp, NOW(6)) / 1000000 END), 0)
FROM performance_schema.replication_connection_status AS c
JOIN performance_schema.replication_applier_status AS a USING (channel_name)
LEFT JOIN performance_schema.replication_applier_status_by_worker AS w USING (channel_name)
GROUP BY c.channel_name, c.service_state, a.service_state"""


class MysqlMetrics:
    """Fills `engines.base.metrics.Metrics`."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(METRICS) - _NOT_HERE

    def look(self, conn: Connection, *, objects: int) -> Look:
        looking = Looking(conn, objects)
        started = time.perf_counter()
        looking.rows("SELECT 1")
        looking.tell("latency_seconds", time.perf_counter() - started)
        variables = _pairs(looking, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_connections', 'performance_schema')")
        schema_is_on = variables.get("performance_schema") in ("ON", "1")
        status = _status(looking, variables)
        _transactions(looking)
        _tables(looking, schema_is_on)
        _statements(looking, schema_is_on)
        _replicas(looking)
        started_at = f"{ABOUT}{time.time() - float(status['uptime']):.0f}"
        looking.epochs |= dict.fromkeys(("server", "database", "wait", "table", "index"), started_at)
        return looking.seen()


def _pairs(looking: Looking, sql: str) -> Mapping[str, str]:
    return {str(name).lower(): str(value) for name, value in looking.rows(sql)}


def _named_rows(looking: Looking, sql: str) -> list[dict[str, Any]]:
    looking.queries += 1
    return cast("MysqlConnection", looking.conn).named_rows(sql)


def _status(looking: Looking, variables: Mapping[str, str]) -> Mapping[str, str]:
    status = _pairs(looking, "SHOW GLOBAL STATUS")
    looking.tell("connections_max", variables["max_connections"])
    running = float(status["threads_running"]) - 1  # this session runs the statement that asks
    looking.tell("connections_active", max(running, 0))
    looking.tell("connections_idle", max(float(status["threads_connected"]) - 1 - running, 0))
    for name, variable in _STATUS.items():
        looking.tell(name, status.get(variable))
    requests = status.get("innodb_buffer_pool_read_requests")
    if requests is not None:
        looking.tell("cache_hits_total", float(requests) - float(status["innodb_buffer_pool_reads"]))
    return status


def _transactions(looking: Looking) -> None:
    """Both tables of InnoDB are refused without PROCESS, however an account came by it (MySQL 8.4 manual, 28.4.21 and 28.4.28).

    INNODB_METRICS is asked first: INNODB_TRX is not even read, and so not refused, where the account sees no other session.
    """
    try:
        counters = _named_rows(looking, _INNODB)
        figures = looking.rows(_TRANSACTIONS)[0]
    except QueryError as error:
        fix = f"GRANT PROCESS ON *.* TO {_account(looking)};"
        looking.hide([*_TRANSACTIONS_NAMES, "sessions_waiting", *_INNODB_NAMES.values()], error.message, fix)
        return
    looking.tell_all(_TRANSACTIONS_NAMES, figures)
    for state, number in looking.rows(_WAITING, WAITS):
        looking.tell("sessions_waiting", number, (str(state),))
    for row in counters:
        name = str(row["NAME"])
        metric = _INNODB_NAMES[name.lower()]
        if str(row.get("STATUS", row.get("ENABLED"))) in ("enabled", "1"):
            looking.tell(metric, row["COUNT"])
        else:
            looking.hide([metric], f"InnoDB does not count {name}", f"SET GLOBAL innodb_monitor_enable = '{name}';")


def _account(looking: Looking) -> str:
    looking.queries += 1
    return own_account(looking.conn)


def _tables(looking: Looking, schema_is_on: bool) -> None:
    """Tell of tables and indexes; of very many what can be had without opening each of them."""
    ((number,),) = looking.rows(_NUMBER)
    if number > _OPENED_AT_MOST:
        _from_statistics(looking, f"the server looks into each of {number:,} tables to tell")
        return
    with _asked_anew(looking):
        size, free = looking.rows(_SIZES)[0]
        tables = looking.rows(_TABLES, looking.objects)
        counters = looking.rows(_COUNTERS, looking.objects)
    if _sees_all_tables(looking):
        looking.tell_all(("database_size_bytes", "free_bytes"), (size, free))
    else:
        names = ("database_size_bytes", "free_bytes", "table_size_bytes", "table_rows", "sequence_used_ratio", *_SCANS_NAMES)
        database = quoted(cast("MysqlConnection", looking.conn).database)
        fix = f"GRANT SELECT ON {database}.* TO {_account(looking)};"
        looking.hide(names, "tables that this account may not read are not shown to it", fix)
    for name, size, rows in tables:
        looking.tell_all(("table_size_bytes", "table_rows"), (size, rows), (str(name),))
    for name, used in counters:
        looking.tell("sequence_used_ratio", used, (str(name),))
    _indexes(looking)
    if not schema_is_on:
        _schema_is_off(looking, _SCANS_NAMES)
        return
    try:
        _scans(looking, {str(row[0]) for row in tables}, looking.rows(_SCANS))
    except QueryError as error:
        looking.hide(_SCANS_NAMES, error.message, f"GRANT SELECT ON performance_schema.* TO {_account(looking)};")


def _sees_all_tables(looking: Looking) -> bool:
    """Tell whether every table is shown: that one is not there, the server says to whoever may read all alone."""
    try:
        looking.rows("SELECT 1 FROM dbops_no_such_table")
    except MissingTableError:
        return True
    except QueryError:
        return False
    return True


@contextmanager
def _asked_anew(looking: Looking) -> Iterator[None]:
    """Let MySQL ask its tables, rather than say what they were up to a day ago (manual, information_schema_stats_expiry)."""
    if looking.conn.server.flavour == "mariadb":
        yield
        return
    looking.rows("SET SESSION information_schema_stats_expiry = 0")
    try:
        yield
    finally:
        looking.rows("SET SESSION information_schema_stats_expiry = DEFAULT")


def _from_statistics(looking: Looking, why: str) -> None:
    """Read what InnoDB keeps of its tables' sizes, which is written when a tenth of a table has changed."""
    looking.hide([*_SCANS_NAMES, "free_bytes", "sequence_used_ratio"], why, "dbops advise asks once")
    try:
        looking.tell("database_size_bytes", looking.rows(_SIZE_KEPT)[0][0])
        for name, size, rows in looking.rows(_TABLES_KEPT, looking.objects):
            looking.tell_all(("table_size_bytes", "table_rows"), (size, rows), (str(name),))
    except QueryError as error:
        fix = f"GRANT SELECT ON mysql.innodb_table_stats TO {_account(looking)};"
        looking.hide(["database_size_bytes", "table_size_bytes", "table_rows"], error.message, fix)
    _indexes(looking)


def _indexes(looking: Looking) -> None:
    """InnoDB keeps sizes of indexes in pages, in a table of its own (manual, 17.8.10.1)."""
    sql = """
SELECT table_name, index_name, stat_value * @@innodb_page_size FROM mysql.innodb_index_stats
WHERE database_name = DATABASE() AND stat_name = 'size' AND table_name NOT LIKE 'dbops\\_%'
ORDER BY stat_value DESC, table_name, index_name LIMIT ?"""
    try:
        for table, index, size in looking.rows(sql, looking.objects):
            looking.tell("index_size_bytes", size, (str(table), str(index)))
    except QueryError as error:
        fix = f"GRANT SELECT ON mysql.innodb_index_stats TO {_account(looking)};"
        looking.hide(["index_size_bytes"], error.message, fix)


def _scans(looking: Looking, tables: set[str], rows: Sequence[Any]) -> None:
    through: dict[str, int] = {}
    for table, index, count in rows:
        if table not in tables:
            continue
        if index is None:
            looking.tell("table_full_scans_total", count, (table,))
        else:
            looking.tell("index_scans_total", count, (table, index))
            through[table] = through.get(table, 0) + count
    for table, count in through.items():
        looking.tell("table_index_scans_total", count, (table,))


def _statements(looking: Looking, schema_is_on: bool) -> None:
    names = ["statement_seconds_total", "wait_seconds_total"]
    if not schema_is_on:
        _schema_is_off(looking, names)
        return
    try:
        looking.tell("statement_seconds_total", looking.rows(_STATEMENT_TIME)[0][0])
        for wait, seconds in looking.rows(_WAITED, WAITS):
            looking.tell("wait_seconds_total", seconds, (str(wait),))
    except QueryError as error:
        looking.hide(names, error.message, f"GRANT SELECT ON performance_schema.* TO {_account(looking)};")


def _schema_is_off(looking: Looking, names: Sequence[str]) -> None:
    looking.hide(names, "performance_schema is off", "performance_schema = ON in the server's configuration, and a restart")


def _replicas(looking: Looking) -> None:
    is_mariadb = looking.conn.server.flavour == "mariadb"
    try:
        found = _mariadb_replicas(looking) if is_mariadb else looking.rows(_MYSQL_REPLICAS)
    except QueryError as error:
        grant = "SLAVE MONITOR ON *.*" if is_mariadb else "SELECT ON performance_schema.*"
        names = ["replication_running", "replication_lag_seconds"]
        looking.hide(names, error.message, f"GRANT {grant} TO {_account(looking)};")
        return
    for channel, running, lag_s in found:
        looking.tell("replication_running", running, (str(channel),))
        looking.tell("replication_lag_seconds", lag_s, (str(channel),))


def _mariadb_replicas(looking: Looking) -> Sequence[tuple[str, bool, Any]]:
    """Read SHOW ALL SLAVES STATUS by its columns' names, which differ in place from version to version."""
    found = []
    for row in _named_rows(looking, "SHOW ALL SLAVES STATUS"):
        runs = row["Slave_IO_Running"] == "Yes" and row["Slave_SQL_Running"] == "Yes"
        found.append((row["Connection_name"] or "default", runs, row["Seconds_Behind_Master"]))
    return found
