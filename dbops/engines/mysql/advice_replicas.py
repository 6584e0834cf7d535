"""The rule about what this server receives from another: SHOW ALL SLAVES STATUS on MariaDB, performance_schema on MySQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from dbops.dataclass import dataclass
from dbops.engines.base.advice import Finding, Rule, Verdict
from dbops.engines.base.connect import Connection
from dbops.engines.mysql.connect import MysqlConnection
from dbops.engines.mysql.ddl import literal
from dbops.errors import QueryError
from dbops.sql.redact import redact

REPLICATION = Rule(
    "MY-REP-001",
    "error",
    "server",
    "a replica that does not receive or apply, or is behind",
    "",
    "see its error; a replica that is far behind lacks an index, or one of its transactions is very large",
    thresholds={"seconds": 30},
)

_MYSQL = """
SELECT c.channel_name, c.service_state, a.service_state,
       MAX(CASE WHEN w.applying_transaction <> '' THEN
         TIMESTAMPDIFF(SECOND, w.applying_transaction_original_commit_timestamp, NOW(6)) END),
       CONCAT(c.last_error_message, COALESCE(MAX(w.last_error_message), ''))
FROM performance_schema.replication_connection_status AS c
JOIN performance_schema.replication_applier_status AS a USING (channel_name)
LEFT JOIN performance_schema.replication_applier_status_by_worker AS w USING (channel_name)
GROUP BY c.channel_name, c.service_state, a.service_state, c.last_error_message"""


@dataclass(frozen=True, slots=True)
class _Channel:
    name: str
    receives: bool
    applies: bool
    lag_s: float | None
    error: str


def replication(conn: Connection, rule: Rule, own: Mapping[str, float], account: str) -> Verdict:
    """Ask the rule of a server."""
    is_mariadb = conn.server.flavour == "mariadb"
    try:
        channels = list(_mariadb(cast(MysqlConnection, conn)) if is_mariadb else _mysql(conn))
    except QueryError as error:
        grant = "SLAVE MONITOR ON *.*" if is_mariadb else "SELECT ON performance_schema.*"
        return Verdict(rule, "unknown", (), error.message, f"GRANT {grant} TO {account};")
    seconds = {**rule.thresholds, **own}["seconds"]
    findings = [found for channel in channels if (found := _finding(channel, seconds, is_mariadb)) is not None]
    return Verdict(rule, "fail" if findings else "pass", findings)


def _finding(channel: _Channel, seconds: float, is_mariadb: bool) -> Finding | None:
    name = channel.name or "default"
    if channel.receives and channel.applies:
        if channel.lag_s is None or channel.lag_s <= seconds:
            return None
        return Finding(name, f"{channel.lag_s:.0f} s behind")
    stopped = " and ".join(word for word, runs in (("receiver", channel.receives), ("applier", channel.applies)) if not runs)
    evidence = f"{stopped} stopped" + (f": {redact(channel.error)}" if channel.error else "")
    start = "START SLAVE" if is_mariadb else "START REPLICA"
    of = "" if not channel.name else f" {literal(channel.name)}" if is_mariadb else f" FOR CHANNEL {literal(channel.name)}"
    return Finding(name, evidence, f"{start}{of};")


def _mariadb(conn: MysqlConnection) -> Iterator[_Channel]:
    for row in conn.named_rows("SHOW ALL SLAVES STATUS"):
        lag_s = row["Seconds_Behind_Master"]
        error = row["Last_IO_Error"] or row["Last_SQL_Error"] or ""
        receives, applies = row["Slave_IO_Running"] == "Yes", row["Slave_SQL_Running"] == "Yes"
        yield _Channel(str(row["Connection_name"]), receives, applies, None if lag_s is None else float(lag_s), str(error))


def _mysql(conn: Connection) -> Iterator[_Channel]:
    for name, receives, applies, lag_s, error in conn.query(_MYSQL):
        yield _Channel(str(name), receives == "ON", applies == "ON", None if lag_s is None else float(lag_s), str(error or ""))
