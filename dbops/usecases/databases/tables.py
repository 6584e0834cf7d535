"""The rows of a table, read and written in batches, whatever the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dbops.engines.base.driver import TableColumn
from dbops.errors import QueryError
from dbops.usecases.databases.database import Database


def rows_of(database: Database, table: str, size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a table, `size` at a time along its primary key; all at once where it has none, or rows without it.

    Raises:
        MissingTableError: there is no such table.
    """
    columns = database.columns(table)
    names = [column.name for column in columns]
    chosen = ", ".join(database.identifier(name) for name in names)
    key = [column.name for column in columns if column.is_in_primary_key]
    select = f"SELECT {chosen} FROM {database.table_name(table)}"
    if not key or _has_empty_keys(database, table, [one for one in columns if one.is_in_primary_key]):
        rows = database.run(select).rows
        for start in range(0, len(rows), size):
            yield [dict(zip(names, row, strict=True)) for row in rows[start : start + size]]
        return
    listed = ", ".join(database.identifier(name) for name in key)
    last: tuple[Any, ...] | None = None
    while True:
        behind = f" WHERE ({listed}) > ({', '.join('?' * len(key))})" if last is not None else ""
        rows = database.run(f"{select}{behind} ORDER BY {listed} LIMIT {int(size)}", last).rows
        if not rows:
            return
        found = [dict(zip(names, row, strict=True)) for row in rows]
        last = tuple(found[-1][name] for name in key)
        yield found


def _has_empty_keys(database: Database, table: str, key: Sequence[TableColumn]) -> bool:
    """Tell whether rows have NULL in their key, as SQLite lets them (https://www.sqlite.org/lang_createtable.html, 3.5)."""
    maybe = " OR ".join(f"{database.identifier(one.name)} IS NULL" for one in key if not one.is_required)
    return bool(maybe and database.run(f"SELECT 1 FROM {database.table_name(table)} WHERE {maybe} LIMIT 1").rows)


def write_rows(database: Database, table: str, rows: Sequence[dict[str, Any]]) -> int:
    """Insert rows that all have the same columns; return how many.

    Raises:
        MissingTableError: there is no such table.
        QueryError: a row has a column that the table has not, or others than the first row; or the database refuses one.
    """
    if not rows:
        return 0
    names = list(rows[0])
    known = {column.name for column in database.columns(table)}
    if unknown := [name for name in names if name not in known]:
        raise QueryError(f"the table {table} has no column {unknown[0]!r}", expected=f"one of {', '.join(sorted(known))}")
    for place, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise QueryError(f"row {place} has other columns than the first: {', '.join(sorted(row.keys() ^ rows[0].keys()))}")
    columns, marks = ", ".join(database.identifier(name) for name in names), ", ".join("?" * len(names))
    sql = f"INSERT INTO {database.table_name(table)} ({columns}) VALUES ({marks})"
    database.run_many(sql, [[row[name] for name in names] for row in rows])
    return len(rows)
