"""What values become when their columns change, as SQL."""

from __future__ import annotations

from dbops.catalog.model import Column, Table
from dbops.engines.postgresql.render.conversion import can_merge, using


def becomes(value: str, before: Column | None, after: Column, tables: tuple[Table, Table]) -> str | None:
    """See the port; what a value of a type of the user's is, only the statement that changes it can tell."""
    if before is None:
        return f"CAST({value} AS {after.type})" if value else None
    result = value
    if before.type != after.type:
        if "." in before.type or "." in after.type:
            return None
        # an explicit cast cuts texts off; which ones are too long is another question
        kind = {"character varying": "text", "character": "bpchar"}.get(after.type.partition("(")[0], after.type)
        result = f"({value})::{kind}" if kind != after.type else using(value, before.type, after.type, {}) or f"({value})::{kind}"
    if before.collation == after.collation:
        return result
    return f"{result} COLLATE {after.collation}" if after.collation else None


def merges(before: Column, after: Column) -> bool:
    """See the port."""
    if before.collation != after.collation or "." in before.type or "." in after.type:
        return True
    return before.type != after.type and can_merge(before.type, after.type)
