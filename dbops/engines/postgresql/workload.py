"""The workload of PostgreSQL, as pg_stat_statements counts it (manual, F.32; columns since version 1.8, PostgreSQL 13)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import contextmanager
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
from dbops.engines.postgresql.connect import quoted
from dbops.errors import QueryError
from dbops.sql.dialect import POSTGRESQL
from dbops.sql.tokens import leading_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbops.engines.base.connect import Connection
    from dbops.engines.postgresql.connect import PostgresConnection

_EXTENSION = """
SELECT n.nspname::text, e.extversion, pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'"""
_FIX = "shared_preload_libraries = 'pg_stat_statements', a restart, and CREATE EXTENSION pg_stat_statements;"

#: Texts may be hundreds of megabytes: they stay where they are. A statement has a counter for each account, and another where a
#: function ran it. Times of one page are counted since 1.11 by the kind of page, which says nothing here.
_TALLIES = """
SELECT s.queryid::text, pg_catalog.concat_ws('/', s.queryid, s.userid, {toplevel}), coalesce({since}, ''), s.calls,
       s.total_exec_time, s.rows, s.shared_blks_hit + s.shared_blks_read,
       s.shared_blks_read + s.local_blks_read + s.temp_blks_read + s.temp_blks_written, s.max_exec_time
FROM {schema}.pg_stat_statements(false) AS s
WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) AND s.calls > 0
  AND s.queryid IS NOT NULL"""

_TEXTS = """
SELECT DISTINCT ON (s.queryid) s.queryid::text, pg_catalog.left(s.query, ?) FROM {schema}.pg_stat_statements(true) AS s
WHERE s.queryid = ANY (?::bigint[])
  AND s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
ORDER BY s.queryid, pg_catalog.length(s.query)"""

_SAMPLE = "dbops_sample"


class PostgresWorkloads:
    """Fills `engines.base.workload.Workloads`."""

    def tallies(self, conn: Connection) -> Tallies:
        found = conn.query(_EXTENSION)
        if not found:
            return Tallies(why="the extension pg_stat_statements is not in this database", fix=_FIX)
        schema, version, sees_all = found[0]
        user = quoted(conn.server.user)
        if not sees_all:
            return Tallies(why=f"{user} sees its own statements alone", fix=f"GRANT pg_monitor TO {user};")
        try:
            rows = conn.query(_tallies_sql(quoted(schema), tuple(map(int, version.split(".")))))
        except QueryError as error:  # the extension is there and its library is not loaded
            return Tallies(why=error.message, fix=_FIX)
        return Tallies(
            [
                Tally(key, id_, since, Cost(calls, total / 1e3, number, reads, io), most / 1e3)
                for id_, key, since, calls, total, number, reads, io, most in rows
            ]
        )

    def texts(self, conn: Connection, ids: Collection[str]) -> Mapping[str, str]:
        if not ids or not (found := conn.query(_EXTENSION)):
            return {}
        rows = conn.query(_TEXTS.format(schema=quoted(found[0][0])), (TEXT_CHARACTERS, "{" + ",".join(ids) + "}"))
        return {str(id_): str(text) for id_, text in rows}

    def plan(self, conn: Connection, statement: Counted) -> SamplePlan:
        """Ask for the plan of any values (manual, EXPLAIN, GENERIC_PLAN, since 16; before, of a prepared statement)."""
        if not PLANNED.intersection(leading_words(statement.text.lstrip("("), POSTGRESQL, 1)):
            return NOT_PLANNED
        try:
            with _undone(cast("PostgresConnection", conn)) as session:
                if conn.server.version[0] >= 16:
                    return SamplePlan(_one(session, f"EXPLAIN (GENERIC_PLAN) {statement.text}"))
                return SamplePlan(_of_prepared(session, statement.text))
        except QueryError as error:
            return SamplePlan(why=error.message)

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        return costliest(self, conn, by, limit)


def _tallies_sql(schema: str, version: tuple[int, ...]) -> str:
    """The extension may be older than the server: it stays as it is until somebody updates it."""
    since = "NULL"
    if version >= (1, 9):
        since = f"(SELECT i.stats_reset::text FROM {schema}.pg_stat_statements_info AS i)"
    if version >= (1, 11):
        since = f"s.stats_since::text || {since}"
    return _TALLIES.format(schema=schema, toplevel="s.toplevel" if version >= (1, 9) else "true", since=since)


@contextmanager
def _undone(session: PostgresConnection) -> Iterator[PostgresConnection]:
    """Give the session in a transaction that writes nothing and is rolled back in the end."""
    session.execute("BEGIN READ ONLY")
    try:
        yield session
    finally:
        session.execute("ROLLBACK")


def _of_prepared(session: PostgresConnection, text: str) -> list[str]:
    session.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    _one(session, f"PREPARE {_SAMPLE} AS {text}")
    try:
        sql = "SELECT pg_catalog.cardinality(parameter_types) FROM pg_catalog.pg_prepared_statements WHERE name = ?"
        ((count,),) = session.query(sql, (_SAMPLE,))
        values = f"({', '.join(['NULL'] * count)})" if count else ""
        return _one(session, f"EXPLAIN EXECUTE {_SAMPLE}{values}")
    finally:
        session.execute("ROLLBACK")  # a transaction that failed takes no DEALLOCATE
        session.execute(f"DEALLOCATE {_SAMPLE}")


def _one(session: PostgresConnection, sql: str) -> list[str]:
    """Run one statement, whose text others wrote; the protocol that gives answers in binary refuses to take several."""
    import psycopg

    from dbops.engines.postgresql.errors import query_error

    try:
        with session.driver.cursor(binary=True) as cursor:
            cursor.execute(cast(Any, sql))
            return [str(line) for (line,) in cursor.fetchall()] if cursor.description else []
    except psycopg.Error as error:
        raise query_error(error, session.target.secrets) from error
