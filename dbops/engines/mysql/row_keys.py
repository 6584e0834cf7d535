"""Keys that tell the rows of a table apart: a primary key, or a unique index over whole columns without NULLs.

InnoDB keeps the rows in the order of one of them (MySQL 8.4 manual, 17.6.2.1; MariaDB Knowledge Base, "InnoDB Online DDL
Operations with the INPLACE Alter Algorithm").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dbops.catalog.model import CatalogObject, Column, Index, PrimaryKey, Table
from dbops.engines.mysql.flavour import Flavour

if TYPE_CHECKING:
    from dbops.engines.mysql.alter import TableChange


def row_keys(table: Table, children: Iterable[CatalogObject]) -> Iterator[tuple[CatalogObject, tuple[str, ...]]]:
    """Yield such keys with their columns, a primary key first."""
    for item in sorted(children, key=lambda item: not isinstance(item, PrimaryKey)):
        match item:
            case PrimaryKey():
                yield item, item.columns
            case Index(unique=True, method="btree"):
                whole = [
                    column for key in item.keys if key.column and key.prefix is None and (column := table.column(key.column))
                ]
                if len(whole) == len(item.keys) and all(map(_is_certain, whole)):
                    yield item, tuple(column.name for column in whole)
            case _:
                pass


def loses_order(change: TableChange, flavour: Flavour) -> bool:
    """Tell whether the key that gave the rows their order goes and none takes over, for which InnoDB copies them (error 1846)."""
    had, has = (
        _orders(table, children)
        for table, children in ((change.before, change.before_children), (change.after, change.after_children))
    )
    if all(item in has for item in had):
        return False
    return not (has if flavour.lets_keys_take_over else [item for item in has if item not in change.before_children])


def _orders(table: Table, children: Iterable[CatalogObject]) -> list[CatalogObject]:
    """The keys one of which gives the rows of a table their order: the primary key, else any."""
    found = [item for item, _ in row_keys(table, children)]
    return found[:1] if found and isinstance(found[0], PrimaryKey) else found


def _is_certain(column: Column) -> bool:
    return not column.nullable and (column.generated is None or column.generated.is_stored)
