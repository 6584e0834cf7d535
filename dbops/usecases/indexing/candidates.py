"""Indexes that might help statements: equality first, then the range or the order, never what a present index begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Index, IndexKey, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.usecases.indexing.reading import Use

WIDEST = 3
"""Columns of an index: more rarely pay for the room they take."""
_LONGEST_NAME = 60


def candidates(uses: Sequence[Use], catalog: Catalog, most: int) -> list[Index]:
    """Return indexes that might help, those of the most uses first, `most` at most."""
    wanted: Counter[tuple[Ref, tuple[str, ...]]] = Counter()
    how_often = Counter((use.table.ref, column) for use in uses for column in (*use.equal, *use.joins))
    for use in uses:
        if use.table.partition_by is None:
            wanted.update((use.table.ref, columns) for columns in _of_use(use, how_often))
    present = _present(catalog, {table for table, _ in wanted})
    taken = {ref.name for ref in catalog.objects}
    open_ = [key for key, _ in wanted.most_common() if not any(is_covered(key[1], has) for has in present.get(key[0], ()))]
    return [_index(table, columns, taken) for table, columns in open_[:most]]


def _of_use(use: Use, how_often: Counter[tuple[Ref, str]]) -> set[tuple[str, ...]]:
    """Return the columns of indexes for one use; columns that others look for too stand first, so that indexes are shared."""

    def in_order(columns: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(dict.fromkeys(columns), key=lambda column: (-how_often[use.table.ref, column], column)))

    equal = in_order(use.equal)
    found: set[tuple[str, ...]] = {equal[:WIDEST], *((column,) for column in (*equal, *use.joins))}
    found |= {(*equal[: WIDEST - 1], column) for column in use.ranges}
    found |= {in_order((*equal, column))[:WIDEST] for column in use.joins}
    if use.sorts:
        found |= {(*equal, *use.sorts)[:WIDEST], use.sorts[:WIDEST]}
    return {columns for columns in found if columns}


def is_covered(columns: tuple[str, ...], present: tuple[str, ...]) -> bool:
    """Tell whether an index on `present` serves what one on `columns` would: it begins with them."""
    return present[: len(columns)] == columns


def begun_by(index: Index, catalog: Catalog) -> Iterator[Index]:
    """Yield present indexes that a new one would make redundant: it begins with their columns."""
    columns = tuple(key.column for key in index.keys)
    for other in catalog.all(Index):
        has = tuple(key.column for key in other.keys)
        is_plain = not (other.unique or other.predicate or other.include or None in has) and other.method == index.method
        if other.ref.table == index.ref.table and is_plain and len(has) < len(columns) and columns[: len(has)] == has:
            yield other


def _present(catalog: Catalog, tables: set[Ref]) -> dict[Ref, list[tuple[str, ...]]]:
    """Return the columns of the indexes of each table, up to the first part that is no plain column."""
    found: dict[Ref, list[tuple[str, ...]]] = {}
    for item in catalog:
        if item.ref.table not in tables:
            continue
        if isinstance(item, PrimaryKey | Unique):
            found.setdefault(item.ref.table, []).append(item.columns)
        elif isinstance(item, Index) and item.predicate is None and item.is_valid and item.method.lower() == "btree":
            found.setdefault(item.ref.table, []).append(tuple(_plain(item.keys)))
    return found


def _plain(keys: Sequence[IndexKey]) -> Iterator[str]:
    for key in keys:
        if key.column is None or key.prefix is not None:
            return
        yield key.column


def _index(table: Ref, columns: tuple[str, ...], taken: set[str]) -> Index:
    name = f"{table.name}_{'_'.join(columns)}_idx"
    if len(name.encode()) > _LONGEST_NAME:
        name = f"{table.name.encode()[:30].decode('utf-8', 'ignore')}_{len(columns)}_idx"
    base, number = name, 1
    while name in taken:
        number += 1
        name = f"{base}{number}"
    taken.add(name)
    keys = tuple(IndexKey(column=column) for column in columns)
    return Index(name=name, schema=table.schema, parent=table.name, keys=keys)


def described(index: Index) -> str:
    """Return `shop.orders (customer, at)`."""
    where = ".".join(part for part in (index.schema, index.parent) if part)
    return f"{where} ({', '.join(str(key.column) for key in index.keys)})"


def tables_of(uses: Iterable[Use]) -> list[Table]:
    """Return the tables that are used, each once."""
    return list({use.table.ref: use.table for use in uses}.values())
