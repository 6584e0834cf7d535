"""SQLite counts no statements: programs that run them through dbops do (`counting`). How it would carry one out it does tell."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from shlex import quote
from typing import TYPE_CHECKING, cast

from dbops.engines.base.connect import Connection
from dbops.engines.base.workload import Counted, Order, SamplePlan, Tallies, Workload, costliest
from dbops.engines.sqlite import counting
from dbops.errors import QueryError

if TYPE_CHECKING:
    from dbops.engines.sqlite.connect import SqliteConnection


class SqliteWorkloads:
    """Fills `engines.base.workload.Workloads`."""

    def tallies(self, conn: Connection) -> Tallies:
        import sqlite3

        path = cast("SqliteConnection", conn).path
        try:
            found = counting.tallies(path)
        except sqlite3.Error as error:
            why, fix = counting.unreadable(path, error)
            return Tallies(why=why, fix=fix)
        if found is None:
            return Tallies(
                why="nobody counts the statements of this file, and SQLite has no server that would",
                fix=f"touch {quote(path + counting.ENDING)}; programs that run them through dbops then count theirs",
            )
        return Tallies(found)

    def texts(self, conn: Connection, ids: Collection[str]) -> Mapping[str, str]:
        import sqlite3

        try:
            return counting.texts(cast("SqliteConnection", conn).path, ids)
        except sqlite3.Error as error:
            raise QueryError(str(error)) from error

    def plan(self, conn: Connection, statement: Counted) -> SamplePlan:
        """Ask for the plan (https://www.sqlite.org/eqp.html); parameters have no values, and are taken for NULL."""
        try:
            rows = conn.query(f"EXPLAIN QUERY PLAN {statement.text}", counting.unbound(statement.text))
        except QueryError as error:
            return SamplePlan(why=error.message)
        depths = {0: -1}
        for id_, parent, _, _ in rows:
            depths[id_] = depths.get(parent, -1) + 1
        return SamplePlan(["  " * depths[id_] + str(line) for id_, _, _, line in rows])

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        return costliest(self, conn, by, limit)
