"""Trials on MySQL and MariaDB: EXPLAIN on a scratch, with values of its rows in the place of parameters.

InnoDB looks into an index to see how many rows a value has, so statistics alone would say nothing: rows are needed
(MySQL 8.4 manual, 10.2.1.2 Range Optimization). Costs are the rows that the joins look at; MariaDB tells no others before 11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from dbops.catalog.model import Index, IndexKey, Table
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.trial import Explained, Form, Values
from dbops.engines.mysql.account import own_account
from dbops.engines.mysql.connect import MysqlConnection, quoted
from dbops.engines.mysql.errors import number_of
from dbops.errors import QueryError

_SLICES = 20
"""A sample of a table with a whole number for its key begins at so many places."""
_DENIED = frozenset({1142, 1143})
"""ER_TABLEACCESS_DENIED_ERROR and ER_COLUMNACCESS_DENIED_ERROR."""
_WHOLE = ("tinyint", "smallint", "mediumint", "int", "bigint")
_ENTRY_BYTES = 20
"""Of an entry of an index beside its columns: the header, and the primary key."""


class MysqlTrials:
    """Fills `engines.base.trial.Trials`."""

    unit = "rows looked at, by estimate"
    dialect = "mysql"
    counts_indexes = False
    wants_server = True
    how_to_have_hypothetical = ""

    def forms(self, conn: Connection) -> frozenset[Form]:
        """Key parts that are expressions came with MySQL 8.0.13 (manual, CREATE INDEX); MariaDB has none."""
        return frozenset() if conn.server.flavour == "mariadb" else frozenset({"expression"})

    def hypothetical(self, conn: Connection) -> None:
        return None

    def explain(self, conn: Connection, sql: str) -> Explained:
        extended = "EXTENDED " if conn.server.flavour == "mariadb" else "FORMAT=TRADITIONAL "
        # before the last three columns (rows, filtered, Extra) the two products differ by one column
        rows = conn.query(f"EXPLAIN {extended}{sql}")
        cost, outer, used = 0.0, 1.0, set[str]()
        place: Any = None
        for row in rows:
            number, kind, table, key, looked, filtered, extra = row[0], row[1], row[2], row[-6], row[-3], row[-2], row[-1]
            if number != place:
                first_rows, outer, place = outer, 1.0, number
                times = first_rows if str(kind).startswith("DEPENDENT") else 1.0
            if table is None or looked is None:
                continue
            visited = float(looked)
            cost += times * outer * visited
            outer *= max(1.0, visited * float(filtered if filtered is not None else 100) / 100)
            if "filesort" in str(extra or "") or "temporary" in str(extra or ""):
                cost += outer * max(1.0, math.log2(max(outer, 1.0)))
            used |= {name for name in str(key or "").split(",") if name}
        return Explained(cost, frozenset(used))

    def remarks(self, conn: Connection, sql: str, thresholds: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, str]]:
        return ()

    def is_denied(self, error: QueryError) -> bool:
        return number_of(error) in _DENIED

    def grant_to_read(self, conn: Connection) -> str:
        return f"GRANT SELECT ON {quoted(cast(MysqlConnection, conn).database)}.* TO {own_account(conn)};"

    def simplified(self, table: Table) -> Table:
        columns = tuple(replace(column, default=None, identity=None, generated=None, comment=None) for column in table.columns)
        return replace(table, columns=columns, partition_by=None, comment=None)

    def fill(self, live: Connection, scratch: Connection, table: Table, target: Target, rows: int, most: int) -> int:
        if target.scratch is not None:
            raise QueryError("rows are not copied to the other server that scratch.url names")
        source = f"{quoted(cast(MysqlConnection, live).database)}.{quoted(table.name)}"
        columns = ", ".join(quoted(column.name) for column in table.columns)
        parts = [f"SELECT {columns} FROM {source} LIMIT {most}"]
        if rows > most and (key := _whole_key(live, table)) is not None:
            parts = _slices(live, source, columns, quoted(key), most)
        return sum(scratch.execute(f"INSERT IGNORE INTO {quoted(table.name)} ({columns}) {part}") for part in parts)

    def count(self, scratch: Connection, tables: Sequence[tuple[Table, int, int]]) -> None:
        for table, _, _ in tables:
            scratch.query(f"ANALYZE TABLE {quoted(table.name)}")

    def index_bytes(self, scratch: Connection, index: Index, rows: int) -> int:
        lengths = " + ".join(f"COALESCE(LENGTH({_part(key)}), 0)" for key in index.keys)
        ((mean,),) = scratch.query(f"SELECT AVG({lengths}) FROM {quoted(index.parent)}")
        return int(rows * (float(mean or 0) + _ENTRY_BYTES))

    def values(self, scratch: Connection) -> Values:
        found: dict[tuple[str, str, float], Any] = {}

        def value(table: Table, column: str, share: float) -> Any:
            key = (table.name, column, share)
            if key not in found:
                found[key] = _value(scratch, table, column, share)
            return found[key]

        return value


def _part(key: IndexKey) -> str:
    return quoted(key.column) if key.column is not None else f"({key.expression})"


def _value(scratch: Connection, table: Table, column: str, share: float) -> Any:
    name, source = quoted(column), quoted(table.name)
    ((number,),) = scratch.query(f"SELECT COUNT({name}) FROM {source}")
    if not number:
        return None
    place = min(int(number) - 1, int(int(number) * share))
    ((value,),) = scratch.query(f"SELECT {name} FROM {source} WHERE {name} IS NOT NULL ORDER BY {name} LIMIT 1 OFFSET {place}")
    return str(value) if isinstance(value, bytes | bytearray) else value


def _whole_key(live: Connection, table: Table) -> str | None:
    """Return the first column of the primary key where it is a whole number."""
    rows = live.query(
        "SELECT column_name FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name = ? AND index_name = 'PRIMARY' AND seq_in_index = 1",
        (table.name,),
    )
    column = table.column(str(rows[0][0])) if rows else None
    return column.name if column is not None and column.type.split("(")[0].split(" ")[0] in _WHOLE else None


def _slices(live: Connection, source: str, columns: str, key: str, most: int) -> list[str]:
    ((least, last),) = live.query(f"SELECT MIN({key}), MAX({key}) FROM {source}")
    step = max(1, (int(last) - int(least)) // _SLICES)
    return [
        f"SELECT {columns} FROM {source} WHERE {key} >= {int(least) + number * step} ORDER BY {key} LIMIT {most // _SLICES}"
        for number in range(_SLICES)
    ]
