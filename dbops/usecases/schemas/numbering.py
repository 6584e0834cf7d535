"""Columns that sequences of their own number, said as columns that the engine numbers: what other engines have for both."""

from __future__ import annotations

from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Column, Identity, Sequence, Table
from dbops.catalog.ref import Ref


def numbered(catalog: Catalog) -> Catalog:
    """Return a catalog in which a column whose default comes of the sequence that lives with it (`serial`) is an identity."""
    owned = {item.owned_by: item for item in catalog.all(Sequence) if item.owned_by is not None}
    used: set[Ref] = set()

    def column_of(table: Table, column: Column) -> Column:
        own = owned.get(Ref("column", table.schema, column.name, table.name))
        if own is None or column.default is None or own.name not in column.default:
            return column
        used.add(own.ref)
        return replace(column, default=None, identity=Identity("by_default"))

    changed = [
        replace(item, columns=tuple(column_of(item, one) for one in item.columns)) if isinstance(item, Table) else item
        for item in catalog
    ]
    return Catalog.of([item for item in changed if item.ref not in used], options=catalog.options) if used else catalog
