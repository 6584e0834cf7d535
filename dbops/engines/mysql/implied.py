"""Indexes that a server made for a foreign key by itself, and takes away by itself.

The server remembers of an index that nobody asked for it, does not show that, and drops it as soon as a statement adds a key,
an index or a foreign key whose first columns are its own (MariaDB Knowledge Base, Foreign Keys; MySQL 8.4 manual, 15.1.20.5). An
index that shall stay is therefore given its own name once more within the same statement: nothing is built, and from then on it
counts as asked for (tried on MariaDB 10.11 and MySQL 9.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dbops.catalog.model import CatalogObject, ForeignKey, Index, PrimaryKey
from dbops.engines.mysql.connect import quoted


def claims(staying: Iterable[CatalogObject], coming: Iterable[CatalogObject]) -> list[str]:
    """Return the clauses of ALTER TABLE that keep each index of `staying` which something of `coming` would replace."""
    starts = [columns for item in coming for columns in _columns(item)]
    return [
        f"RENAME INDEX {quoted(item.name)} TO {quoted(item.name)}"
        for item in staying
        if isinstance(item, Index) and _may_be_implied(item)
        for own in _columns(item)
        if any(columns[: len(own)] == own for columns in starts)
    ]


def _may_be_implied(item: Index) -> bool:
    """The server makes them plain: no uniqueness, no length, no order, no options."""
    is_plain = not item.unique and item.method == "btree" and not item.options and item.comment is None
    return is_plain and all(key.column and key.prefix is None and not key.descending for key in item.keys)


def _columns(item: CatalogObject) -> Iterator[tuple[str, ...]]:
    match item:
        case PrimaryKey() | ForeignKey():
            yield item.columns
        case Index() if all(key.column and key.prefix is None for key in item.keys):
            yield tuple(key.column or "" for key in item.keys)
        case _:
            pass
