"""The workload of PostgreSQL, as pg_stat_statements counts it (manual, F.32; columns since version 1.8, PostgreSQL 13)."""

from __future__ import annotations

from dbops.engines.base.connect import Connection
from dbops.engines.base.workload import Counted, Order, Workload
from dbops.engines.postgresql.connect import quoted
from dbops.errors import QueryError

_ORDERS: dict[Order, str] = {
    "total": "total_exec_time",
    "mean": "mean_exec_time",
    "calls": "calls",
    "rows": "rows",
    "reads": "shared_blks_hit + shared_blks_read",
}
_SCHEMA = """
SELECT n.nspname, pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'"""

#: Statements are chosen without their texts, which may be hundreds of megabytes.
_COSTLIEST = """
WITH chosen AS (
  SELECT queryid, userid, dbid, calls, total_exec_time, mean_exec_time, max_exec_time, rows,
         shared_blks_hit + shared_blks_read AS reads,
         total_exec_time / nullif(sum(total_exec_time) OVER (), 0) AS share
  FROM {schema}.pg_stat_statements(false)
  WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  ORDER BY {order} DESC NULLS LAST LIMIT ?)
SELECT coalesce(c.queryid::text, 'unknown'), coalesce(t.query, ''), c.calls, c.total_exec_time, c.mean_exec_time,
       c.max_exec_time, c.rows, c.reads, coalesce(c.share, 0)
FROM chosen AS c LEFT JOIN LATERAL (
  SELECT s.query FROM {schema}.pg_stat_statements(true) AS s
  WHERE s.queryid = c.queryid AND s.userid = c.userid AND s.dbid = c.dbid LIMIT 1) AS t ON true
ORDER BY {outer} DESC"""


class PostgresWorkloads:
    """Fills `engines.base.workload.Workloads`."""

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        found = conn.query(_SCHEMA)
        fix = "shared_preload_libraries = 'pg_stat_statements', a restart, and CREATE EXTENSION pg_stat_statements;"
        if not found:
            return Workload(why="the extension pg_stat_statements is not in this database", fix=fix)
        schema, sees_all = found[0]
        user = quoted(conn.server.user)
        if not sees_all:
            return Workload(why=f"{user} sees its own statements alone", fix=f"GRANT pg_monitor TO {user};")
        outer = "c.reads" if by == "reads" else f"c.{_ORDERS[by]}"
        try:
            rows = conn.query(_COSTLIEST.format(schema=quoted(str(schema)), order=_ORDERS[by], outer=outer), (limit,))
        except QueryError as error:  # the extension is there and its library is not loaded
            return Workload(why=error.message, fix=fix)
        return Workload(
            [
                Counted(id_, text, calls, total / 1e3, mean / 1e3, most / 1e3, None, number, reads, float(share))
                for id_, text, calls, total, mean, most, number, reads, share in rows
            ]
        )
