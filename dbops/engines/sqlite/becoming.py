"""What values become when their columns change, and what they are compared by, as SQL.

https://www.sqlite.org/datatype3.html, sections 3 and 7.
"""

from __future__ import annotations

from dbops.catalog.model import Column, Table
from dbops.engines.sqlite.rebuild import default_for_nulls
from dbops.engines.sqlite.types import affinity


def becomes(value: str, before: Column | None, after: Column, tables: tuple[Table, Table]) -> str | None:
    """See the port. Numbers keep the affinity of their column, so text that is none and blobs count as NULL there."""
    if before is not None and (default := default_for_nulls(before, after)) is not None:
        return becomes(f"coalesce({value}, {default})", None, after, tables)  # which has neither affinity nor collation
    old, new = (affinity(column.type) if column is not None else "BLOB" for column in (before, after))
    if before is not None and old == new and before.collation == after.collation:
        return value
    result = value if old == new else _converted(value, new)
    if before is None or before.collation != after.collation:
        result = f"{result} COLLATE {after.collation or 'BINARY'}"
    return result


def _converted(value: str, kind: str) -> str:
    match kind:
        case "TEXT":
            return f"CAST({value} AS TEXT)"
        case "BLOB":
            return value
        case _:
            number = "REAL" if kind == "REAL" else "NUMERIC"
            strange = f"typeof({value}) = 'blob' OR typeof({value}) = 'text' AND {value} <> CAST({value} AS NUMERIC)"
            return f"CAST(CASE WHEN {strange} THEN NULL ELSE {value} END AS {number})"


def folded(text: str, column: Column, table: Table) -> str | None:
    """See the port (https://www.sqlite.org/datatype3.html, section 7)."""
    match (column.collation or "").upper():
        case "NOCASE":
            return f"lower({text})"
        case "RTRIM":
            return f"rtrim({text}, ' ')"
        case _:
            return None
