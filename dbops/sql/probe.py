"""Questions asked of rows before a change relies on them: how many offend, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from dbops.sql.dialect import Dialect

#: Counting stops here: it is enough to know that there are many.
MOST = 1000
SHOWN = 5
EVERY = "1 = 1"


def count(table: str, condition: str) -> str:
    """Return a SELECT of the number of rows of `table` (known as t) that meet `condition`, `MOST` at most."""
    return f"SELECT count(*) FROM (SELECT 1 AS hit FROM {table} AS t WHERE {condition} LIMIT {MOST}) AS hits"


def keys(table: str, condition: str, columns: Sequence[str], dialect: Dialect) -> str:
    """Return a SELECT of `columns` of the first few rows that meet `condition`."""
    listed = ", ".join(f"t.{dialect.identifier(name)}" for name in columns)
    return f"SELECT {listed} FROM {table} AS t WHERE {condition} LIMIT {SHOWN}"


def is_null(column: str, dialect: Dialect) -> str:
    return f"t.{dialect.identifier(column)} IS NULL"


def breaks(expression: str) -> str:
    """Return the condition of rows that a CHECK refuses: NULL passes."""
    return f"NOT ({expression})"


def longer_than(column: str, length: int, dialect: Dialect) -> str:
    return f"char_length(t.{dialect.identifier(column)}) > {length}"


def outside(column: str, low: int, high: int, dialect: Dialect) -> str:
    name = f"t.{dialect.identifier(column)}"
    return f"({name} < {low} OR {name} > {high})"


def reaches(column: str, limit: int, dialect: Dialect) -> str:
    return f"abs(t.{dialect.identifier(column)}) >= {limit}"


def duplicated(
    table: str,
    columns: Sequence[str],
    predicate: str | None,
    dialect: Dialect,
    collations: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the condition of rows that share all of `columns` with another row; rows with a NULL share nothing.

    `collations` are those by which some of them are compared, in place of their own.
    """

    def compared(name: str) -> str:
        return dialect.identifier(name) + (f" COLLATE {collations[name]}" if name in collations else "")

    names = [compared(name) for name in columns]
    filled = " AND ".join(f"{name} IS NOT NULL" for name in names) + (f" AND ({predicate})" if predicate else "")
    row = ", ".join(f"t.{name}" for name in names)
    # named, for MySQL's ONLY_FULL_GROUP_BY knows an expression again by its name alone
    keys = ", ".join(f"k{number}" for number in range(len(names)))
    valued = ", ".join(f"{name} AS k{number}" for number, name in enumerate(names))
    values = f"SELECT {valued} FROM {table} AS s WHERE {filled}"
    return f"({row}) IN (SELECT {keys} FROM ({values}) AS held GROUP BY {keys} HAVING count(*) > 1)"


def orphaned(columns: Sequence[str], parent: str | None, parent_columns: Sequence[str], dialect: Dialect) -> str:
    """Return the condition of rows whose reference leads nowhere; `parent` is None while the table does not exist."""
    names = [f"t.{dialect.identifier(name)}" for name in columns]
    filled = " AND ".join(f"{name} IS NOT NULL" for name in names)
    if parent is None:
        return filled
    same = " AND ".join(f"p.{dialect.identifier(there)} = {here}" for here, there in zip(names, parent_columns, strict=True))
    return f"{filled} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {same})"
