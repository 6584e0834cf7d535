"""In which order single rows are deleted, updated and inserted, so that foreign keys and unique keys hold after each statement.

A row comes after the rows it refers to and goes before them, in whatever table they are; a value of a unique key is freed
before it is given away. Circles are left to constraints that are checked at the end of the transaction; where there are none,
a reference or a unique value is NULL for a while.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from heapq import heapify, heappop, heappush
from itertools import chain
from typing import Literal

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import ForeignKey, Index, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.errors import SchemaError
from dbops.resources.schema.data import ReferenceRows
from dbops.resources.schema.data_file import Row

Verb = Literal["delete", "update", "insert"]


@dataclass(frozen=True, slots=True, eq=False)
class RowChange:
    """One row before and after one statement; `rank` is the row's own, for all statements about it."""

    rows: ReferenceRows
    rank: tuple[int, ...]
    before: Row | None
    after: Row | None

    @property
    def verb(self) -> Verb:
        return "insert" if self.before is None else "delete" if self.after is None else "update"


@dataclass(frozen=True, slots=True)
class _Need:
    """`later` waits for `earlier` because of what `bearer` has in `columns`: a reference through `key`, else a unique value."""

    later: RowChange
    earlier: RowChange
    bearer: RowChange | None = None
    columns: tuple[str, ...] = ()
    key: ForeignKey | None = None


def ordered_rows(tables: Sequence[ReferenceRows], catalog: Catalog, *, deletes_self_references: bool = True) -> list[RowChange]:
    """Return every change of a row in an order that works; `tables` are parents first, which decides where nothing else does.

    Where the engine does not delete a row that refers to itself, the reference is taken away first, and comes after the row.

    Raises:
        SchemaError: rows wait for each other in a circle, and nothing lets one go first.
    """
    changes = list(_changes(tables))
    if not deletes_self_references:
        changes = [part for change in changes for part in _apart(change, catalog)]
    deferred: set[Ref] = set()
    while True:
        needs = [need for need in _needs(changes, catalog) if need.key is None or need.key.ref not in deferred]
        found = _sorted(changes, needs)
        if len(found) == len(changes):
            return found
        circle = _circle(set(changes).difference(found), needs)
        if at_end := {need.key.ref for need in circle if need.key and need.key.initially_deferred}:
            deferred |= at_end
        else:
            changes = _split(changes, circle, catalog)


def _changes(tables: Sequence[ReferenceRows]) -> Iterator[RowChange]:
    """Yield the changes by rank: what goes, children first; then what stays and what comes, parents first."""
    for place, rows in enumerate(tables):
        for number, row in enumerate(rows.surplus):
            yield RowChange(rows, (0, -place, 0, number), row, None)
        for number, (before, after) in enumerate(rows.changed):
            yield RowChange(rows, (1, place, 0, number), before, after)
        for number, row in enumerate(rows.missing):
            yield RowChange(rows, (1, place, 1, number), None, row)


def _apart(change: RowChange, catalog: Catalog) -> Sequence[RowChange]:
    """Return the arrival or departure of a row apart from that of its references to itself."""
    if change.verb == "update":
        return (change,)
    row = change.after or change.before
    for key in catalog.all(ForeignKey):
        if not (key.ref.table == key.references == change.rows.table and key.on_delete in ("NO ACTION", "RESTRICT")):
            continue
        value = _values(change, row, key.columns)
        if value is not None and value == _values(change, row, key.referenced_columns):
            need = _Need(change, change, change, key.columns, key)
            if halves := _halves(change, need, catalog):
                return halves
            if change.verb == "delete":
                raise _refusal([need])
    return (change,)


@dataclass(frozen=True, slots=True)
class _Moves:
    """Who gives rows the values of some columns, and who takes these values away."""

    come: dict[Row, RowChange] = field(default_factory=dict)
    go: dict[Row, RowChange] = field(default_factory=dict)


def _moves(changes: Sequence[RowChange], columns: Sequence[str]) -> _Moves:
    moves = _Moves()
    for change in changes:
        before, after = _values(change, change.before, columns), _values(change, change.after, columns)
        if before != after:
            if before:
                moves.go[before] = change
            if after:
                moves.come[after] = change
    return moves


def _values(change: RowChange, row: Row | None, columns: Sequence[str]) -> Row | None:
    """Return the row's values of some columns; None where there is no row, one is NULL, or the file leaves one out."""
    if row is None or not set(columns) <= set(change.rows.columns):
        return None
    values = tuple(row[change.rows.columns.index(name)] for name in columns)
    return None if None in values else values


def _needs(changes: Sequence[RowChange], catalog: Catalog) -> Iterator[_Need]:
    by_table: dict[Ref, list[RowChange]] = defaultdict(list)
    latest: dict[tuple[int, ...], RowChange] = {}
    for change in changes:
        by_table[change.rows.table].append(change)
        if change.rank in latest:
            yield _Need(change, latest[change.rank])
        latest[change.rank] = change
    keys = {item.ref.table: item.columns for item in catalog.all(PrimaryKey)}
    for key in catalog.all(ForeignKey):
        if key.ref.table in by_table and key.references in by_table:
            columns = key.referenced_columns or keys.get(key.references, ())
            yield from _references(key, columns, by_table[key.ref.table], by_table[key.references])
    for table, columns in _unique_columns(catalog):
        moves = _moves(by_table.get(table, ()), columns)
        for value, change in moves.come.items():
            if (freed := moves.go.get(value)) and freed is not change:
                yield _Need(change, freed, change, columns)


def _references(
    key: ForeignKey, columns: Sequence[str], children: Sequence[RowChange], parents: Sequence[RowChange]
) -> Iterator[_Need]:
    moves = _moves(parents, columns)
    for child in children:
        before, after = _values(child, child.before, key.columns), _values(child, child.after, key.columns)
        if before == after:
            continue
        if after and (parent := moves.come.get(after)) and parent is not child:
            yield _Need(child, parent, child, key.columns, key)
        if before and (parent := moves.go.get(before)) and parent is not child:
            yield _Need(parent, child, child, key.columns, key)


def _unique_columns(catalog: Catalog) -> Iterator[tuple[Ref, tuple[str, ...]]]:
    for constraint in chain[PrimaryKey | Unique](catalog.all(PrimaryKey), catalog.all(Unique)):
        if not constraint.initially_deferred:
            yield constraint.ref.table, constraint.columns
    for index in catalog.all(Index):
        names = tuple(item.column for item in index.keys if item.column and item.prefix is None)
        if index.unique and not index.predicate and len(names) == len(index.keys):
            yield index.ref.table, names


def _sorted(changes: Sequence[RowChange], needs: Sequence[_Need]) -> list[RowChange]:
    """Return as many changes as can be ordered, the lowest rank first among those that wait for nothing."""
    waiting: dict[RowChange, int] = defaultdict(int)
    releases: dict[RowChange, list[RowChange]] = defaultdict(list)
    for need in needs:
        waiting[need.later] += 1
        releases[need.earlier].append(need.later)
    ready = [(change.rank, number, change) for number, change in enumerate(changes) if not waiting[change]]
    numbers = {change: number for number, change in enumerate(changes)}
    heapify(ready)
    found = []
    while ready:
        change = heappop(ready)[2]
        found.append(change)
        for later in releases[change]:
            waiting[later] -= 1
            if not waiting[later]:
                heappush(ready, (later.rank, numbers[later], later))
    return found


def _circle(stuck: set[RowChange], needs: Sequence[_Need]) -> list[_Need]:
    """Return what holds up changes that wait for each other, without those that merely wait for them."""
    left = [need for need in needs if need.later in stuck and need.earlier in stuck]
    while True:
        holding = {need.earlier for need in left}
        fewer = [need for need in left if need.later in holding]
        if len(fewer) == len(left):
            return left
        left = fewer


def _split(changes: Sequence[RowChange], circle: Sequence[_Need], catalog: Catalog) -> list[RowChange]:
    """Make two changes of each that waits, or is waited for, because of some columns of the circle: NULL stands there in between.

    Raises:
        SchemaError: no columns of the circle can be NULL.
    """
    parts: dict[tuple[Ref, tuple[str, ...]], dict[RowChange, tuple[RowChange, RowChange]]] = defaultdict(dict)
    for need in circle:
        if need.bearer and (halves := _halves(need.bearer, need, catalog)):
            parts[need.bearer.rows.table, need.columns][need.bearer] = halves
    if not parts:
        raise _refusal(circle)
    chosen = next(iter(parts.values()))
    return [part for change in changes for part in chosen.get(change, (change,))]


def _halves(change: RowChange, need: _Need, catalog: Catalog) -> tuple[RowChange, RowChange] | None:
    """Return the change with NULL in between; None where the columns take no NULL, or it would be the same change again."""
    table = catalog.objects[change.rows.table]
    assert isinstance(table, Table)
    can_be_null = {column.name for column in table.columns if column.nullable} - set(change.rows.key)
    blank = [name for name in need.columns if name in can_be_null]
    row = change.before if change.after is None else change.after
    needs_all = need.key is not None and need.key.match == "FULL"
    if row is None or not blank or (needs_all and len(blank) < len(need.columns)):
        return None
    between = tuple(None if name in blank else value for name, value in zip(change.rows.columns, row, strict=True))
    if between in (change.before, change.after):
        return None
    return replace(change, after=between), replace(change, before=between)


def _refusal(circle: Sequence[_Need]) -> SchemaError:
    bearers = {(need.bearer.rows.table.qualified, need.columns) for need in circle if need.bearer}
    tables = " and ".join(sorted({table for table, _ in bearers}))
    columns = ", ".join(f"{table} ({', '.join(names)})" for table, names in sorted(bearers))
    return SchemaError(
        f"rows of {tables} wait for each other in a circle, and none can go first: there is no NULL for {columns}",
        at=circle[0].later.rows.at,
        fix="let one of these be NULL, or make its constraint DEFERRABLE INITIALLY DEFERRED where the engine has that",
    )
