"""The rows of a database, and whether another holds them still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.databases import Database


@dataclass(frozen=True, slots=True)
class Column:
    """A column as its table declares it; `literals` are what its checks and enum speak of."""

    name: str
    type: str
    is_nullable: bool
    has_default: bool = False
    is_generated: bool = False
    literals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """A foreign key."""

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table that rows can be put into; `name` is quoted for its engine."""

    name: str
    columns: tuple[Column, ...]
    keys: tuple[Key, ...] = ()


Rows = Mapping[str, tuple[Table, Counter[tuple[object, ...]]]]
Refusal = Callable[[Table, Mapping[str, object]], str | None]


def contents(database: Database, tables: list[Table]) -> Rows:
    """Return the rows of each table, a row being the values of its columns that are not generated, as text."""
    return {table.name: (table, Counter(tuple(row) for row in database.rows(_select(database, table)))) for table in tables}


def _select(database: Database, table: Table) -> str:
    quote = "`" if database.engine == "mysql" else '"'
    columns = [f"{quote}{column.name}{quote}" for column in table.columns if not column.is_generated]
    if database.engine == "postgresql":
        columns = [f"{column}::text" for column in columns]
    return f"SELECT {', '.join(columns) or '1'} FROM {table.name}"


def lost(before: Rows, after: Rows, *, is_same_schema: bool = False, refusal: Refusal = lambda table, row: None) -> list[str]:
    """Say which rows or values of `before` are not in `after`, though a table and columns of the same type are there for them.

    `refusal` tells why a table cannot hold a row, given as values by column; None when it can.
    """
    found = []
    for name, (table, rows) in before.items():
        if name not in after:
            found += [f"{name} is gone"] if is_same_schema else []
            continue
        other, left = after[name]
        kept = [c.name for c in table.columns if not c.is_generated and _is_kept(c, other)]
        gone = list((_only(rows, table, kept) - _only(left, other, kept)).elements())
        if rows.total() != left.total():
            fits = [row for row in gone if refusal(other, dict(zip(kept, row, strict=True))) is None]
            if fits or rows.total() - len(gone) != left.total():
                found.append(f"{name}: {rows.total()} rows before, {left.total()} after")
        elif gone:
            found.append(f"{name} ({', '.join(kept)}): values differ, such as {gone[:2]}")
    return found


def _is_kept(column: Column, table: Table) -> bool:
    return any(c.name == column.name and c.type == column.type and not c.is_generated for c in table.columns)


def _only(rows: Counter[tuple[object, ...]], table: Table, names: list[str]) -> Counter[tuple[object, ...]]:
    stored = [column.name for column in table.columns if not column.is_generated]
    places = [stored.index(name) for name in names]
    found: Counter[tuple[object, ...]] = Counter()
    for row, count in rows.items():
        found[tuple(row[place] for place in places)] += count
    return found
