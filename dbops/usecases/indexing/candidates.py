"""Indexes that might help statements: equality first, then the range or the order, never what a present index begins with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Index, IndexKey, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.engines.base.trial import Form
from dbops.usecases.indexing.reading import Use

MOST_READ = 6
"""Columns that an index holds at most, where it holds all that a query reads."""
_SMALL = re.compile(
    r"(?:small|big)?int(?:eger)?\b|numeric|decimal|real|double|boolean|date|time|uuid"
    r"|(?:character varying|varchar|char(?:acter)?)\((?:\d{1,2}|1\d\d|200)\)"
)
WIDEST = 3
"""Columns of an index: more rarely pay for the room they take."""
_LONGEST_NAME = 60


def candidates(uses: Sequence[Use], catalog: Catalog, most: int, forms: frozenset[Form] = frozenset()) -> list[Index]:
    """Return indexes that might help, those of the most uses first, `most` at most; of expressions where `forms` has them."""
    wanted: Counter[tuple[Ref, tuple[str, ...]]] = Counter()
    how_often = Counter((use.table.ref, column) for use in uses for column in (*use.equal, *use.joins))
    for use in uses:
        if use.table.partition_by is None or "partitioned" in forms:
            wanted.update((use.table.ref, columns) for columns in _of_use(use, how_often))
    present = _present(catalog, {table for table, _ in wanted})
    taken = {ref.name for ref in catalog.objects}
    open_ = [key for key, _ in wanted.most_common() if not any(is_covered(key[1], has) for has in present.get(key[0], ()))]
    plain = [_index(table, columns, taken) for table, columns in open_[:most]]
    return plain + (list(_of_expressions(uses, catalog, taken)) if "expression" in forms else [])[:most]


def more_candidates(
    uses: Sequence[Use], catalog: Catalog, most: int, forms: frozenset[Form], beside: Sequence[Index]
) -> list[Index]:
    """Return indexes for what plain ones leave costly: of the rows that are wanted alone, and with all columns that are read.

    Their names are not those of the indexes `beside` them.
    """
    taken = {ref.name for ref in catalog.objects} | {index.name for index in beside}
    how_often = Counter((use.table.ref, column) for use in uses for column in (*use.equal, *use.joins))
    found: Counter[tuple[Ref, tuple[str, ...], str | None, tuple[str, ...]]] = Counter()
    for use in uses:
        if use.table.partition_by is not None and "partitioned" not in forms:
            continue
        if "partial" in forms:
            found.update((use.table.ref, keys, condition, ()) for keys, condition in _of_some_rows(use, how_often))
        if "include" in forms:
            found.update((use.table.ref, keys, None, include) for keys, include in _with_all_columns(use, how_often))
    return [
        replace(_index(table, keys, taken), predicate=condition, include=include)
        for (table, keys, condition, include), _ in found.most_common(most)
    ]


def _of_expressions(uses: Sequence[Use], catalog: Catalog, taken: set[str]) -> Iterator[Index]:
    wanted = Counter((use.table.ref, expression) for use in uses for expression in use.expressions)
    present = {
        (item.ref.table, _bare(item.keys[0].expression))
        for item in catalog.all(Index)
        if item.predicate is None and item.is_valid and item.keys[0].expression is not None
    }
    for (table, expression), _ in wanted.most_common():
        if (table, _bare(expression)) not in present:
            words = "_".join(re.findall(r"\w+", expression.lower()))
            index = _index(table, (words,), taken)
            yield replace(index, keys=(IndexKey(expression=expression),))


def _bare(expression: str) -> str:
    """Return an expression as it may be compared with what the engine writes of it."""
    return re.sub(r"[\s()\"`]|::\w+", "", expression).lower()


def _of_some_rows(use: Use, how_often: Counter[tuple[Ref, str]]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield keys and conditions: each filter by itself, and all of them, over what else is looked for."""
    conditions = [(one,) for one in use.filters] + ([use.filters] if len(use.filters) > 1 else [])
    for filters in conditions:
        spoken_of = {one.column for one in filters}
        rest = replace(use, equal=tuple(c for c in use.equal if c not in spoken_of), sorts=_without(use.sorts, spoken_of))
        for keys in _of_use(rest, how_often):
            if not spoken_of & {*keys}:
                yield keys, " AND ".join(one.sql for one in filters)


def _without(columns: tuple[str, ...], others: set[str]) -> tuple[str, ...]:
    return tuple(column for column in columns if column not in others)


def _with_all_columns(use: Use, how_often: Counter[tuple[Ref, str]]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield keys, and the other columns that are read, where they are few and small."""
    if use.reads is None or len(use.reads) > MOST_READ:
        return
    types = {column.name: column.type.lower() for column in use.table.columns}
    for keys in _of_use(use, how_often):
        include = tuple(sorted(use.reads - {*keys}))
        if include and all(_SMALL.match(types.get(column, "")) for column in include):
            yield keys, include


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
    if index.predicate or None in columns:
        return
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
    keys = ", ".join(str(key.column or key.expression) for key in index.keys)
    include = f" INCLUDE ({', '.join(index.include)})" if index.include else ""
    return f"{where} ({keys}){include}" + (f" WHERE {index.predicate}" if index.predicate else "")


def tables_of(uses: Iterable[Use]) -> list[Table]:
    """Return the tables that are used, each once."""
    return list({use.table.ref: use.table for use in uses}.values())
