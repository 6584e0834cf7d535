"""SQLite counts no statements: every program runs its own."""

from __future__ import annotations

from dbops.engines.base.connect import Connection
from dbops.engines.base.workload import Order, Workload


class SqliteWorkloads:
    """Fills `engines.base.workload.Workloads`."""

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        return Workload(
            why="SQLite has no server that would count the statements of all programs",
            fix="sqlite3_trace_v2, or the driver's own, in the program that runs them",
        )
