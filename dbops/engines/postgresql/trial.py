"""Trials on PostgreSQL: EXPLAIN with parameters left open, and indexes that HypoPG makes up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from dbops.catalog.model import Index, Table
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.trial import Explained, Form
from dbops.engines.postgresql.connect import PostgresConnection, quoted
from dbops.engines.postgresql.errors import INSUFFICIENT_PRIVILEGE
from dbops.errors import QueryError

_HOME = """
SELECT n.nspname FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname = 'hypopg'"""
_PARAMETER = re.compile(r"\$(\d+)")


class HypotheticalIndexes:
    """Fills `engines.base.trial.Hypothetical` with HypoPG."""

    def __init__(self, conn: Connection, schema: str) -> None:
        self._conn, self._home = conn, quoted(schema)
        self._ids: dict[str, int] = {}

    def add(self, index: Index) -> str:
        from dbops.engines.postgresql.render.indexes import definition

        sql = definition(index)
        ((number, name),) = self._conn.query(f"SELECT indexrelid, indexname FROM {self._home}.hypopg_create_index(?)", (sql,))
        self._ids[str(name)] = int(number)
        return str(name)

    def remove(self, name: str) -> None:
        self._conn.query(f"SELECT {self._home}.hypopg_drop_index(?::oid)", (self._ids.pop(name),))

    def size_bytes(self, name: str) -> int:
        ((size,),) = self._conn.query(f"SELECT {self._home}.hypopg_relation_size(?::oid)", (self._ids[name],))
        return int(size)

    def clear(self) -> None:
        self._ids.clear()
        self._conn.query(f"SELECT {self._home}.hypopg_reset()")


class PostgresTrials:
    """Fills `engines.base.trial.Trials`."""

    unit = "the planner's cost"
    dialect = "postgres"
    counts_indexes = False
    wants_server = True
    how_to_have_hypothetical = "CREATE EXTENSION hypopg; (a package of the server's machine, such as postgresql-15-hypopg)"

    def forms(self, conn: Connection) -> frozenset[Form]:
        """A scratch has no partitions, so plans of partitioned tables are right on the live database alone."""
        plain: frozenset[Form] = frozenset({"expression", "partial", "include"})
        return plain | {"partitioned"} if conn.query(_HOME) else plain

    def hypothetical(self, conn: Connection) -> HypotheticalIndexes | None:
        found = conn.query(_HOME)
        return HypotheticalIndexes(conn, str(found[0][0])) if found else None

    def explain(self, conn: Connection, sql: str) -> Explained:
        if conn.server.version[0] >= 16:
            rows = conn.query(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}")
        else:
            rows = _generic_plan(conn, sql)
        plan = rows[0][0]
        plan = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
        return Explained(float(plan["Total Cost"]), frozenset(_indexes(plan)))

    def remarks(self, conn: Connection, sql: str, thresholds: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, str]]:
        return ()

    def is_denied(self, error: QueryError) -> bool:
        return error.context.get("sqlstate") == INSUFFICIENT_PRIVILEGE

    def grant_to_read(self, conn: Connection) -> str:
        if conn.server.version[0] < 14:
            return f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {quoted(conn.server.user)};"
        return f"GRANT pg_read_all_data TO {quoted(conn.server.user)};"

    def simplified(self, table: Table) -> Table:
        columns = tuple(replace(column, default=None, identity=None, generated=None, comment=None) for column in table.columns)
        return replace(table, columns=columns, persistence="unlogged", owner=None, grants=None, comment=None, of_type=None)

    def fill(self, live: Connection, scratch: Connection, table: Table, target: Target, rows: int, most: int) -> int:
        if target.scratch is not None:
            raise QueryError("rows are not copied to the other server that scratch.url names")
        source, there = cast(PostgresConnection, live), cast(PostgresConnection, scratch)
        name = f"{quoted(table.schema)}.{quoted(table.name)}"
        columns = ", ".join(quoted(column.name) for column in table.columns)
        sample = f" TABLESAMPLE SYSTEM ({max(0.01, 100 * most / rows):.4f})" if rows > most else ""
        text = source.copy_out(f"COPY (SELECT {columns} FROM ONLY {name}{sample} LIMIT {most}) TO STDOUT")
        there.copy_in(f"COPY {name} ({columns}) FROM STDIN", text)
        return text.count("\n")

    def count(self, scratch: Connection, tables: Sequence[tuple[Table, int, int]]) -> None:
        for table, _, _ in tables:
            scratch.execute(f"VACUUM (ANALYZE) {quoted(table.schema)}.{quoted(table.name)}")

    def index_bytes(self, scratch: Connection, index: Index, rows: int) -> int:
        name, table = (f"{quoted(index.schema)}.{quoted(one)}" for one in (index.name, index.parent))
        ((size, sampled),) = scratch.query(
            "SELECT pg_catalog.pg_relation_size(?::regclass), reltuples FROM pg_catalog.pg_class WHERE oid = ?::regclass",
            (name, table),
        )
        return int(size * max(1.0, rows / max(1.0, sampled)))

    def values(self, scratch: Connection) -> None:
        return None


def _generic_plan(conn: Connection, sql: str) -> Any:
    """Explain a statement with open parameters before 16, which has GENERIC_PLAN: as a prepared one."""
    number = max((int(found) for found in _PARAMETER.findall(sql)), default=0)
    conn.execute("SET plan_cache_mode = force_generic_plan")
    try:
        conn.execute(f"PREPARE dbops_trial AS {sql}")
        try:
            values = f" ({', '.join(['NULL'] * number)})" if number else ""
            return conn.query(f"EXPLAIN (FORMAT JSON) EXECUTE dbops_trial{values}")
        finally:
            conn.execute("DEALLOCATE dbops_trial")
    finally:
        conn.execute("RESET plan_cache_mode")


def _indexes(plan: Mapping[str, Any]) -> Iterator[str]:
    if "Index Name" in plan:
        yield plan["Index Name"]
    for inner in plan.get("Plans", ()):
        yield from _indexes(inner)
