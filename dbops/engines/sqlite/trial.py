"""Trials on SQLite: EXPLAIN QUERY PLAN on a copy in memory, its statistics scaled to the rows of the file.

The planner tells no costs, so what counts is how many rows its plan visits, by the numbers that it plans with itself: those of
sqlite_stat1 (https://www.sqlite.org/eqp.html, https://www.sqlite.org/fileformat2.html#stat1tab).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dbops.catalog.model import Index, IndexKey, Table
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Row, Target
from dbops.engines.base.trial import Explained, Form
from dbops.engines.sqlite.advice_queries import AUTOMATIC, CORRELATED, QUERIES, SCAN, SORT
from dbops.engines.sqlite.counting import unbound
from dbops.engines.sqlite.tokens import quote
from dbops.errors import QueryError

_AT_ONCE = 500
_VISITED = re.compile(
    r"(?P<how>SCAN|SEARCH) (?:TABLE )?(?P<name>\S+)(?: AS \S+)?"
    r"(?: USING (?P<automatic>AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?"
    r"(?:INDEX(?: (?P<index>[^(]+?))?|(?P<key>INTEGER PRIMARY KEY|PRIMARY KEY)))?"
    r"(?: \((?P<terms>.*)\))?(?: LEFT-JOIN)?$"
)
_LIMIT = re.compile(r"\bLIMIT\s+(\d+)(?:\s+OFFSET\s+(\d+))?\s*;?\s*$", re.IGNORECASE)
_WANTS_MORE = re.compile(
    r"\b(?:WHERE|GROUP|HAVING|DISTINCT|UNION|OVER)\b|\b(?:count|sum|total|avg|min|max|group_concat)\s*\(", re.IGNORECASE
)
_RANGE = 4
"""A range is taken to find one row of so many, as the planner takes it (whereRangeAdjust in SQLite's where.c)."""


class SqliteTrials:
    """Fills `engines.base.trial.Trials`."""

    unit = "rows visited, by estimate"
    dialect = "sqlite"
    counts_indexes = True
    wants_server = False
    how_to_have_hypothetical = ""

    def forms(self, conn: Connection) -> frozenset[Form]:
        return frozenset({"expression", "partial"})

    def hypothetical(self, conn: Connection) -> None:
        return None

    def explain(self, conn: Connection, sql: str) -> Explained:
        return _Plan(conn, sql).explained()

    def remarks(self, conn: Connection, sql: str, thresholds: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, str]]:
        large = {rule.id: {**rule.thresholds, **thresholds.get(rule.id, {})}.get("rows", 0.0) for rule in QUERIES}
        return [(id_, seen) for id_, seen, rows in _Plan(conn, sql).remarks() if rows >= large[id_]]

    def is_denied(self, error: QueryError) -> bool:
        return False

    def grant_to_read(self, conn: Connection) -> str:
        return ""

    def simplified(self, table: Table) -> Table:
        columns = tuple(replace(column, default=None, generated=None) for column in table.columns)
        return replace(table, columns=columns, spelling=None)

    def fill(self, live: Connection, scratch: Connection, table: Table, target: Target, rows: int, most: int) -> int:
        columns = [quote(column.name) for column in table.columns]
        names, name = ", ".join(columns), quote(table.name)
        some = f" WHERE rowid % {-(-rows // most)} = 0" if rows > most and not _is_without_rowid(table) else ""
        sample = live.query(f"SELECT {names} FROM {name}{some} LIMIT {most}")
        marks = f"({', '.join('?' * len(columns))})"
        step = max(1, _AT_ONCE // len(columns))
        with scratch.transaction():
            for start in range(0, len(sample), step):
                part = sample[start : start + step]
                values = [value for row in part for value in row]
                scratch.execute(f"INSERT INTO {name} ({names}) VALUES {', '.join([marks] * len(part))}", values)
        return len(sample)

    def count(self, scratch: Connection, tables: Sequence[tuple[Table, int, int]]) -> None:
        scratch.execute("ANALYZE")
        for table, sampled, rows in tables:
            if rows > sampled:
                for index, stat in scratch.query("SELECT idx, stat FROM sqlite_stat1 WHERE tbl = ?", (table.name,)):
                    sql = "UPDATE sqlite_stat1 SET stat = ? WHERE tbl = ? AND idx IS ?"
                    there = int(str(stat).split()[0])  # fewer for an index of some rows alone
                    scratch.execute(sql, (_scaled(str(stat), round(rows * there / max(1, sampled))), table.name, index))
        scratch.execute("ANALYZE sqlite_schema")  # reads the table anew

    def index_bytes(self, scratch: Connection, index: Index, rows: int) -> int:
        lengths = " + ".join(f"coalesce(length(CAST({_part(key)} AS BLOB)), 0) + 1" for key in index.keys)
        some = f" WHERE {index.predicate}" if index.predicate else ""
        ((mean, number),) = scratch.query(f"SELECT avg({lengths}), count(*) FROM {quote(index.parent)}{some}")
        if some:
            ((whole,),) = scratch.query(f"SELECT count(*) FROM {quote(index.parent)}")
            rows = int(rows * number / max(1, whole))
        return int(rows * (float(mean or 0) + 8))  # the row's number, the header and the cell pointer

    def values(self, scratch: Connection) -> None:
        return None


def _part(key: IndexKey) -> str:
    return quote(key.column) if key.column is not None else f"({key.expression})"


def _is_without_rowid(table: Table) -> bool:
    return any(name == "without_rowid" and value not in ("", "0", "false", "off") for name, value in table.options)


def _scaled(stat: str, rows: int) -> str:
    """Return what a line of sqlite_stat1 would say of more rows: columns with few values keep their number."""
    sampled, *means = [int(part) for part in stat.split() if part.isdigit()]
    words = [part for part in stat.split() if not part.isdigit()]
    scaled = [round(mean * rows / sampled) if sampled / mean < sampled / 10 else mean for mean in means]
    return " ".join([str(rows), *map(str, scaled), *words])


@dataclass(slots=True)
class _Node:
    detail: str
    children: list[_Node]


class _Plan:
    """The plan of one statement, and what the planner knows of the tables."""

    def __init__(self, conn: Connection, sql: str) -> None:
        self._sql = sql
        self._used: set[str] = set()
        self._stats: dict[tuple[str, str | None], list[int]] = {}
        for table, index, stat in conn.query("SELECT tbl, idx, stat FROM sqlite_stat1"):
            self._stats[str(table), index] = [int(part) for part in str(stat).split() if part.isdigit()]
        self._tables = {
            str(name).lower(): str(name) for (name,) in conn.query("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }
        self._top = _tree(conn.query(f"EXPLAIN QUERY PLAN {sql}", unbound(sql)))

    def explained(self) -> Explained:
        cost, _ = self._cost(self._top)
        return Explained(cost, frozenset(self._used))

    def remarks(self) -> Iterator[tuple[str, str, float]]:
        """Yield the rules that the plan breaks, with what was seen, and of how many rows."""
        yield from self._remarks(self._top)

    def _remarks(self, nodes: Sequence[_Node]) -> Iterator[tuple[str, str, float]]:
        for place, node in enumerate(nodes):
            if (found := _VISITED.match(node.detail)) is not None:
                rows = self._whole(self._table(found["name"]))
                if found["automatic"]:
                    yield AUTOMATIC, node.detail, rows
                elif found["how"] == "SCAN" and found["index"] is None:
                    rows = min(rows, self._at_most())
                    yield SCAN, f"all of about {rows:,.0f} rows of {self._table(found['name'])}", rows
            elif node.detail.startswith("USE TEMP B-TREE"):
                _, rows = self._cost(nodes[:place])
                yield SORT, f"{node.detail.removeprefix('USE ').lower()}, about {rows:,.0f} rows", rows
            elif node.detail.startswith("CORRELATED"):
                yield CORRELATED, node.detail.lower(), 0.0
            yield from self._remarks(node.children)

    def _at_most(self) -> float:
        """Return after how many rows a statement without conditions, sorts and sums stops, by its LIMIT."""
        found = _LIMIT.search(self._sql)
        if found is None or len(self._top) > 1 or _WANTS_MORE.search(self._sql):
            return math.inf
        return float(found[1]) + float(found[2] or 0)

    def _whole(self, table: str) -> float:
        return float(max((stat[0] for (name, _), stat in self._stats.items() if name == table and stat), default=0))

    def _cost(self, nodes: Sequence[_Node]) -> tuple[float, float]:
        """Return how many rows loops visit, each inside those before it, and how many come out of the innermost."""
        cost, outer = 0.0, 1.0
        for node in nodes:
            if (found := _VISITED.match(node.detail)) is not None:
                rows, once = self._rows(found.groupdict())
                cost += once + outer * rows
                outer *= max(1.0, rows)
            elif node.detail.startswith("MULTI-INDEX OR"):
                rows = sum(self._cost(branch.children)[0] for branch in node.children)
                cost += outer * rows
                outer *= max(1.0, rows)
            elif node.detail.startswith("USE TEMP B-TREE"):
                cost += outer * max(1.0, math.log2(max(outer, 1.0)))
            else:
                inner, _ = self._cost(node.children)
                cost += inner * (outer if node.detail.startswith("CORRELATED") else 1)
        return cost, outer

    def _rows(self, found: Mapping[str, str | None]) -> tuple[float, float]:
        """Return the rows of one visit, and what is visited once before all."""
        index, terms = found["index"], found["terms"] or ""
        table = self._table(str(found["name"]))
        whole = self._whole(table)
        if found["automatic"]:
            return 10.0, whole * max(1.0, math.log2(max(whole, 1.0)))
        if index is not None:
            self._used.add(index)
            if own := self._stats.get((table, index)):
                whole = float(own[0])  # fewer for an index of some rows alone
        if found["how"] == "SCAN":
            return whole, 0.0
        equal = terms.count("=?")
        if found["key"] == "INTEGER PRIMARY KEY" or equal == 0:
            return (1.0 if equal else max(1.0, whole / _RANGE)), 0.0
        stat = self._stats.get((table, index)) or self._stats.get((table, table)) or [int(whole)]
        rows = float(stat[min(equal, len(stat) - 1)])
        return (max(1.0, rows / _RANGE) if re.search("[<>]", terms) else rows), 0.0

    def _table(self, name: str) -> str:
        """Return the table that a plan speaks of, by its own name or by what the statement calls it."""
        if name.lower() in self._tables:
            return self._tables[name.lower()]
        for found in re.finditer(rf'["`\[]?(\w+)["`\]]?\s+(?:AS\s+)?["`\[]?{re.escape(name)}\b', self._sql, re.IGNORECASE):
            if found[1].lower() in self._tables:
                return self._tables[found[1].lower()]
        return name


def _tree(rows: Sequence[Row]) -> list[_Node]:
    nodes = {0: _Node("", [])}
    for number, parent, _, detail in rows:
        nodes[number] = _Node(str(detail), [])
        nodes[parent].children.append(nodes[number])
    return nodes[0].children
