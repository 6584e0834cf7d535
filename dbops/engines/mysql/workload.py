"""The workload of MySQL and MariaDB, as performance_schema counts it by digest (MySQL 8.4 manual, 29.12.20.3)."""

from __future__ import annotations

from dbops.engines.base.connect import Connection
from dbops.engines.base.workload import Counted, Order, Workload
from dbops.engines.mysql.account import own_account
from dbops.errors import QueryError

_ORDERS: dict[Order, str] = {
    "total": "sum_timer_wait",
    "mean": "avg_timer_wait",
    "calls": "count_star",
    "rows": "sum_rows_sent + sum_rows_affected",
    "reads": "sum_rows_examined",
}
_PICOSECONDS = 1e12

#: MySQL keeps the 95th part of a hundred since 8.0; MariaDB does not.
_COSTLIEST = """
SELECT digest, digest_text, count_star, sum_timer_wait, avg_timer_wait, max_timer_wait, {p95}, sum_rows_sent + sum_rows_affected,
       sum_rows_examined, sum_timer_wait / NULLIF((SELECT SUM(sum_timer_wait)
         FROM performance_schema.events_statements_summary_by_digest WHERE schema_name = DATABASE()), 0)
FROM performance_schema.events_statements_summary_by_digest
WHERE schema_name = DATABASE() AND digest IS NOT NULL ORDER BY {order} DESC LIMIT ?"""


class MysqlWorkloads:
    """Fills `engines.base.workload.Workloads`."""

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        ((is_on,),) = conn.query("SELECT @@performance_schema")
        if not is_on:
            fix = "performance_schema = ON in the server's configuration, and a restart"
            return Workload(why="performance_schema is off", fix=fix)
        p95 = "NULL" if conn.server.flavour == "mariadb" else "quantile_95"
        try:
            rows = conn.query(_COSTLIEST.format(p95=p95, order=_ORDERS[by]), (limit,))
        except QueryError as error:
            return Workload(why=error.message, fix=f"GRANT SELECT ON performance_schema.* TO {own_account(conn)};")
        return Workload(
            [
                Counted(
                    id_,
                    text or "",
                    int(calls),
                    float(total) / _PICOSECONDS,
                    float(mean) / _PICOSECONDS,
                    float(most) / _PICOSECONDS,
                    None if quantile is None else float(quantile) / _PICOSECONDS,
                    int(number),
                    int(reads),
                    float(share or 0),
                )
                for id_, text, calls, total, mean, most, quantile, number, reads, share in rows
            ]
        )
