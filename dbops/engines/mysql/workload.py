"""The workload of MySQL and MariaDB, as performance_schema counts it by digest (MySQL 8.4 manual, 29.12.20.3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from dbops.engines.base.workload import (
    NOT_PLANNED,
    PLANNED,
    TEXT_CHARACTERS,
    Cost,
    Counted,
    Order,
    SamplePlan,
    Tallies,
    Tally,
    Workload,
    costliest,
)
from dbops.engines.mysql.account import own_account
from dbops.errors import QueryError
from dbops.sql.dialect import MYSQL
from dbops.sql.tokens import leading_words

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection
    from dbops.engines.mysql.connect import MysqlConnection

_PICOSECONDS = 1e12

#: MySQL keeps the 95th part of a hundred since 8.0; MariaDB does not. A digest that was thrown away has another `first_seen`.
_TALLIES = """
SELECT digest, CAST(first_seen AS CHAR), count_star, sum_timer_wait, max_timer_wait, {p95}, sum_rows_sent + sum_rows_affected,
       sum_rows_examined
FROM performance_schema.events_statements_summary_by_digest
WHERE schema_name = DATABASE() AND digest IS NOT NULL AND count_star > 0"""

_TEXTS = """
SELECT digest, LEFT(digest_text, ?) FROM performance_schema.events_statements_summary_by_digest
WHERE schema_name = DATABASE() AND digest IN ({marks})"""

#: MariaDB keeps no sample; what sessions ran last is there where its consumers are on (Knowledge Base, Performance Schema).
_SAMPLE_MYSQL = """
SELECT query_sample_text FROM performance_schema.events_statements_summary_by_digest
WHERE schema_name = DATABASE() AND digest = ?"""
_SAMPLE_MARIADB = """
SELECT sql_text FROM performance_schema.{table}
WHERE current_schema = DATABASE() AND digest = ? AND sql_text IS NOT NULL ORDER BY timer_end DESC LIMIT 1"""
_HISTORIES = ("events_statements_history_long", "events_statements_history")
_CONSUMERS = (
    "UPDATE performance_schema.setup_consumers SET enabled = 'YES' "
    "WHERE name LIKE 'events\\_statements\\_%' OR name = 'statements_digest';"
)

_COLUMNS = ("id", "select_type", "table", "partitions", "type", "key", "rows", "filtered", "Extra")


class MysqlWorkloads:
    """Fills `engines.base.workload.Workloads`."""

    def tallies(self, conn: Connection) -> Tallies:
        ((is_on,),) = conn.query("SELECT @@performance_schema")
        if not is_on:
            fix = "performance_schema = ON in the server's configuration, and a restart"
            return Tallies(why="performance_schema is off", fix=fix)
        p95 = "NULL" if conn.server.flavour == "mariadb" else "quantile_95"
        try:
            rows = conn.query(_TALLIES.format(p95=p95))
        except QueryError as error:
            return Tallies(why=error.message, fix=f"GRANT SELECT ON performance_schema.* TO {own_account(conn)};")
        return Tallies([_tally(*row) for row in rows])

    def texts(self, conn: Connection, ids: Collection[str]) -> Mapping[str, str]:
        if not ids:
            return {}
        rows = conn.query(_TEXTS.format(marks=", ".join("?" * len(ids))), (TEXT_CHARACTERS, *ids))
        return {str(id_): str(text or "") for id_, text in rows}

    def plan(self, conn: Connection, statement: Counted) -> SamplePlan:
        """Ask for the plan of a call that the server remembers; the answer has no values of it."""
        if not PLANNED.intersection(leading_words(statement.text.lstrip("( "), MYSQL, 1)):
            return NOT_PLANNED
        try:
            sample = _sample(conn, statement.id)
            if not sample:
                why = "the server remembers no call of it"
                return SamplePlan(why=f"{why}; {_CONSUMERS}" if conn.server.flavour == "mariadb" else why)
            if sample.endswith("..."):
                return SamplePlan(
                    why="the server remembers the beginning of its text alone; performance_schema_max_sql_text_length"
                )
            return SamplePlan(_explained(cast("MysqlConnection", conn), sample))
        except QueryError as error:
            return SamplePlan(why=error.message)

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        return costliest(self, conn, by, limit)


def _tally(digest: str, since: str, calls: int, total: int, most: int, p95: int | None, rows: int, reads: int) -> Tally:
    quantile = None if p95 is None else float(p95) / _PICOSECONDS
    cost = Cost(int(calls), float(total) / _PICOSECONDS, int(rows), int(reads), None, quantile)
    return Tally(digest, digest, since, cost, float(most) / _PICOSECONDS)


def _sample(conn: Connection, digest: str) -> str | None:
    if conn.server.flavour != "mariadb":
        rows = conn.query(_SAMPLE_MYSQL, (digest,))
        return str(rows[0][0]) if rows and rows[0][0] else None
    for table in _HISTORIES:
        if rows := conn.query(_SAMPLE_MARIADB.format(table=table), (digest,)):
            return str(rows[0][0])
    return None


def _explained(session: MysqlConnection, sample: str) -> list[str]:
    """Explain through PREPARE, which takes one statement alone (manual, 15.5.1), in a transaction that writes nothing.

    MySQL answers without FORMAT in that of `explain_format`, a tree by default (MySQL 9.7 manual, 7.1.8).
    """
    session.execute("START TRANSACTION READ ONLY")
    try:
        session.execute("SET @dbops_sample = ?", (f"EXPLAIN FORMAT=TRADITIONAL {sample}",))
        session.execute("PREPARE dbops_sample FROM @dbops_sample")
        try:
            rows = session.named_rows("EXECUTE dbops_sample")
        finally:
            session.execute("DEALLOCATE PREPARE dbops_sample")
    finally:
        session.execute("SET @dbops_sample = NULL")
        session.execute("ROLLBACK")
    return _as_lines(rows)


def _as_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the answer as a table; columns that say nothing are left out."""
    names = [name for name in _COLUMNS if any(row.get(name) is not None for row in rows)]
    table = [names, *([str(row[name]) if row.get(name) is not None else "" for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
