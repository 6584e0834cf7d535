"""SQLite counts no statements: every program runs its own. How it would carry one out it does tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dbops.engines.base.connect import Connection
from dbops.engines.base.workload import Counted, Order, SamplePlan, Tallies, Workload, costliest
from dbops.errors import QueryError


class SqliteWorkloads:
    """Fills `engines.base.workload.Workloads`."""

    def tallies(self, conn: Connection) -> Tallies:
        return Tallies(
            why="SQLite has no server that would count the statements of all programs",
            fix="sqlite3_trace_v2, or the driver's own, in the program that runs them",
        )

    def texts(self, conn: Connection, ids: Collection[str]) -> Mapping[str, str]:
        return {}

    def plan(self, conn: Connection, statement: Counted) -> SamplePlan:
        """Ask for the plan (https://www.sqlite.org/eqp.html); parameters have no values, and are taken for NULL."""
        try:
            rows = conn.query(f"EXPLAIN QUERY PLAN {statement.text}")
        except QueryError as error:
            return SamplePlan(why=error.message)
        depths = {0: -1}
        for id_, parent, _, _ in rows:
            depths[id_] = depths.get(parent, -1) + 1
        return SamplePlan(["  " * depths[id_] + str(line) for id_, _, _, line in rows])

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        return costliest(self, conn, by, limit)
