"""Who waits for whom on a MySQL or MariaDB server: for rows, as InnoDB tells, and for tables, as far as the server does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from dbops.engines.base.activity import Session
from dbops.engines.base.connect import Connection
from dbops.engines.mysql.blockers import waits_for_rows, waits_for_tables
from dbops.sql.dialect import MYSQL
from dbops.sql.values import without_values

#: All that wait or may keep others waiting; a transaction that is open without a statement is asleep.
_SESSIONS = """
SELECT p.id, p.user, p.host, p.command, COALESCE(p.state, ''), p.time, COALESCE(p.info, t.trx_query, ''),
       TIMESTAMPDIFF(MICROSECOND, t.trx_started, NOW(6)) / 1000000,
       t.trx_state = 'LOCK WAIT', TIMESTAMPDIFF(SECOND, t.trx_wait_started, NOW())
FROM information_schema.processlist AS p LEFT JOIN information_schema.innodb_trx AS t ON t.trx_mysql_thread_id = p.id
WHERE p.id <> CONNECTION_ID() ORDER BY t.trx_started IS NULL, t.trx_started, p.id"""


class MysqlActivity:
    """Fills `engines.base.activity.Activity`."""

    def blocked(self, conn: Connection) -> Sequence[Session]:
        rows = conn.query(_SESSIONS)
        waiting = {str(row[0]) for row in rows if row[8] or _waits_for_table(str(row[4]))}
        if not waiting:
            return []
        blockers = _blockers(conn)
        concerned = waiting.union(*(blockers[one] for one in waiting))
        return [_session(row, tuple(sorted(blockers[str(row[0])], key=int))) for row in rows if str(row[0]) in concerned]


def _waits_for_table(state: str) -> bool:
    return state.startswith("Waiting for") and state.endswith("lock")


def _blockers(conn: Connection) -> defaultdict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for waiter, holder in [*waits_for_rows(conn), *waits_for_tables(conn)]:
        found[str(waiter)].add(str(holder))
    return found


def _session(row: Sequence[object], blocked_by: tuple[str, ...]) -> Session:
    id_, user, host, command, state, time_s, text, transaction_s, is_waiting, waited_s = row
    waits_for = "row lock" if is_waiting else str(state).removeprefix("Waiting for ") if _waits_for_table(str(state)) else ""
    client, _, port = str(host).rpartition(":")
    waited = waited_s if is_waiting else time_s if waits_for else None
    return Session(
        id=str(id_),
        user=str(user),
        program="",
        client=client if port.isdigit() else str(host),
        state=str(command).lower(),
        waits_for=waits_for,
        waited_s=None if waited is None else float(str(waited)),
        transaction_s=None if transaction_s is None else float(str(transaction_s)),
        text=without_values(str(text), MYSQL),
        blocked_by=blocked_by,
    )
