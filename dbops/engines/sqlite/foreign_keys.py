"""Rows that refer to nothing: found before and after a schema change, so that it brings no new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from dbops.engines.base.connect import Row
from dbops.engines.sqlite.errors import REBUILD_PREFIX
from dbops.engines.sqlite.tokens import literal
from dbops.errors import QueryError

Violations = Counter[tuple[str, object, str]]
"""How many rows of a table refer to nothing: `(table, rowid, parent)`, the tables in lower case."""

Query = Callable[[str], list[Row]]


def violations(query: Query) -> Violations:
    """Return the rows that violate a foreign key; reads every table that has one."""
    try:
        rows = query("PRAGMA foreign_key_check")
    except QueryError:  # one key that refers to no unique columns ends the whole check, so ask table by table
        rows = [row for (table,) in query(_WITH_FOREIGN_KEYS) for row in _violations_of(query, table)]
    return Counter((str(table).lower(), rowid, str(parent).lower()) for table, rowid, parent, _ in rows)


_WITH_FOREIGN_KEYS = """
SELECT DISTINCT name FROM sqlite_schema, pragma_foreign_key_list(name) WHERE type = 'table' AND sql LIKE '%REFERENCES%'"""


def _violations_of(query: Query, table: str) -> list[Row]:
    try:
        return query(f"PRAGMA foreign_key_check({literal(table)})")
    except QueryError as error:
        return [(table, None, error.message, 0)]


def refuse_new(before: Violations, after: Violations) -> None:
    """Complain about violations that a change brought.

    Raises:
        QueryError: names the first of the rows.
    """
    new = after - before
    if not new or after.total() <= before.total():  # a renamed table shows its old violations under its new name
        return
    shown = ", ".join(f"{table} row {rowid} → {parent}" for table, rowid, parent in list(new)[:5])
    raise QueryError(
        f"the change would leave {new.total()} rows that refer to nothing: {shown.replace(REBUILD_PREFIX, '')}",
        {"sqlstate": "SQLITE_CONSTRAINT_FOREIGNKEY", "rows": new.total()},
        fix="correct or delete these rows first",
    )
