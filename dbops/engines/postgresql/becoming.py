"""What values become when their columns change, as SQL."""

from __future__ import annotations

from dbops.catalog.model import Column, Table


def becomes(value: str, before: Column | None, after: Column, tables: tuple[Table, Table]) -> str | None:
    """See the port; what a value of another type is, only the statement that changes it can tell."""
    if before is None:
        return f"CAST({value} AS {after.type})" if value else None
    if before.type != after.type:
        return None
    if before.collation == after.collation:
        return value
    return f"{value} COLLATE {after.collation}" if after.collation else None
