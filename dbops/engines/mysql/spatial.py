"""Spatial indexes whose column gets another SRID: they go before, by a statement of their own (MySQL 9.7, error 3644)."""

from __future__ import annotations

from dataclasses import replace

from dbops.catalog.changes import AlterColumn, CatalogChange, CreateObject, DropObject
from dbops.catalog.model import Column, Index
from dbops.engines.mysql.alter import TableChange, columns_of


def stages(change: TableChange) -> tuple[TableChange, ...]:
    """Return the change in one part, or in two where spatial indexes leave first."""
    columns = {c.ref.name for c in change.changes if isinstance(c, AlterColumn) and _srid(c.before) != _srid(c.after)}
    indexes = (item for item in change.before_children if isinstance(item, Index) and item.method == "spatial")
    stuck = [item for item in indexes if columns_of(item) & columns]
    if not stuck:
        return (change,)
    refs = {item.ref for item in stuck}
    freed = tuple(item for item in change.before_children if item.ref not in refs)
    leaving = tuple(DropObject(item) for item in stuck)
    rest: list[CatalogChange] = [c for c in change.changes if c.ref not in refs]
    rest += (CreateObject(item) for item in change.after_children if item.ref in refs)
    return (
        TableChange(change.before, change.before, change.before_children, freed, leaving),
        replace(change, before_children=freed, changes=tuple(rest)),
    )


def _srid(column: Column) -> str | None:
    return dict(column.options).get("srid")
