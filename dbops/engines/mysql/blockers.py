"""Who keeps a session waiting: holders of metadata locks and of rows, as far as the server and the account's privileges tell.

MySQL tells by performance_schema.metadata_locks and data_lock_waits (manual, 29.12.13), MariaDB by the plugin
metadata_lock_info where it is installed (Knowledge Base, Metadata Lock Info Plugin); else open transactions are all one sees.
"""

from __future__ import annotations

from contextlib import suppress

from dbops.engines.base.connect import Connection, Row
from dbops.errors import QueryError

_WAITS = "SELECT state FROM information_schema.processlist WHERE id = ?"

_METADATA_MYSQL = """
SELECT DISTINCT waiter.processlist_id, holder.processlist_id
FROM performance_schema.metadata_locks AS wanted
JOIN performance_schema.threads AS waiter ON waiter.thread_id = wanted.owner_thread_id
JOIN performance_schema.metadata_locks AS held ON held.object_type = wanted.object_type
 AND held.object_schema <=> wanted.object_schema AND held.object_name <=> wanted.object_name AND held.lock_status = 'GRANTED'
JOIN performance_schema.threads AS holder ON holder.thread_id = held.owner_thread_id
WHERE wanted.lock_status = 'PENDING' AND holder.processlist_id <> waiter.processlist_id"""

#: The plugin shows no lock that is only waited for, so what counts is who holds one on a table that the statement names.
_METADATA_MARIADB = """
SELECT DISTINCT waiter.id, held.thread_id
FROM information_schema.metadata_lock_info AS held
JOIN information_schema.processlist AS waiter ON waiter.state LIKE 'Waiting for table%'
WHERE held.thread_id <> waiter.id AND held.table_schema = waiter.db AND held.table_name <> ''
  AND held.lock_type = 'Table metadata lock' AND LOCATE(held.table_name, waiter.info) > 0"""

_ROWS_MYSQL = """
SELECT DISTINCT waiter.trx_mysql_thread_id, holder.trx_mysql_thread_id
FROM performance_schema.data_lock_waits AS w
JOIN information_schema.innodb_trx AS waiter ON waiter.trx_id = w.requesting_engine_transaction_id
JOIN information_schema.innodb_trx AS holder ON holder.trx_id = w.blocking_engine_transaction_id"""

_ROWS_MARIADB = """
SELECT DISTINCT waiter.trx_mysql_thread_id, holder.trx_mysql_thread_id
FROM information_schema.innodb_lock_waits AS w
JOIN information_schema.innodb_trx AS waiter ON waiter.trx_id = w.requesting_trx_id
JOIN information_schema.innodb_trx AS holder ON holder.trx_id = w.blocking_trx_id"""

_TRANSACTIONS = """
SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_mysql_thread_id NOT IN (0, CONNECTION_ID(), ?)"""

_SESSION = """
SELECT p.id, p.user, p.host, p.command, p.time, TIMESTAMPDIFF(SECOND, t.trx_started, NOW())
FROM information_schema.processlist AS p LEFT JOIN information_schema.innodb_trx AS t ON t.trx_mysql_thread_id = p.id
WHERE p.id = ?"""


def blockers(conn: Connection, thread: int) -> list[str]:
    """Describe the sessions that connection `thread` waits for."""
    if is_waiting_for_table(conn, thread):
        return [_described(conn, number) for number in _holders_of_metadata(conn, thread)]
    return [_described(conn, holder) for waiter, holder in waits_for_rows(conn) if waiter == thread]


def waits_for_rows(conn: Connection) -> list[Row]:
    """Return pairs of a session that waits for rows and one that it waits for; none where the account may not see them."""
    return _asked(conn, _ROWS_MARIADB if conn.server.flavour == "mariadb" else _ROWS_MYSQL)


def waits_for_tables(conn: Connection) -> list[Row]:
    """Return the same for what all users of a table hold; none where the server does not tell."""
    return _asked(conn, _METADATA_MARIADB if conn.server.flavour == "mariadb" else _METADATA_MYSQL)


def is_waiting_for_table(conn: Connection, thread: int) -> bool:
    """Tell whether connection `thread` waits for what all users of a table hold."""
    states = conn.query(_WAITS, (thread,))
    state = str(states[0][0] or "") if states else ""
    return "metadata lock" in state or "backup lock" in state or "table flush" in state


def _holders_of_metadata(conn: Connection, thread: int) -> list[int]:
    """Who holds the lock; where the server does not tell, who has a transaction open and so may hold it."""
    found = [holder for waiter, holder in waits_for_tables(conn) if waiter == thread]
    return found or [number for (number,) in _asked(conn, _TRANSACTIONS, thread)]


def _asked(conn: Connection, sql: str, *thread: int) -> list[Row]:
    """The answer, nothing where the plugin or the privilege is missing."""
    with suppress(QueryError):
        return conn.query(sql, thread)
    return []


def _described(conn: Connection, number: int) -> str:
    rows = _asked(conn, _SESSION, number)
    if not rows:
        return f"connection {number}"
    _, user, host, command, time_s, transaction_s = rows[0]
    since = f", its transaction is {transaction_s} s old" if transaction_s is not None else ""
    return f"connection {number} ({user}@{host}, {str(command).lower()} for {time_s} s{since})"
