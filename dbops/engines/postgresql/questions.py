"""Questions to live rows that only PostgreSQL has: exclusions, labels of enums, bounds of partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, AlterObject, CatalogChange, CreateObject, DropObject
from dbops.catalog.model import Enum, Exclusion, ForeignKey, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.question import Question
from dbops.engines.postgresql import exclusions
from dbops.engines.postgresql.held import holding, staying, types_of
from dbops.engines.postgresql.misfits import misfits
from dbops.engines.postgresql.render import bounds
from dbops.engines.postgresql.render.names import literal, named, qualified, quote

_HASHED = re.compile(r"FOR VALUES WITH \(modulus (\d+), remainder (\d+)\)", re.IGNORECASE)


def questions(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Yield what has to be asked of tables that are there."""
    yield from misfits(changes, live)
    going = {change.ref for change in changes if isinstance(change, DropObject)}
    moving = {change.ref for change in changes if isinstance(change, DropObject) or _takes_another_place(change)}
    again = {change.ref.table for change in changes if _is_divided_anew(change, live)}
    for change in changes:
        match change:
            case DropObject(Table() as item) if item.partition_of is not None:
                yield from _referred_to(item, live, going, again)
            case AlterObject(Table() as before, Table() as after) if before.partition_of and after.partition_of is None:
                yield from _referred_to(before, live, going, again)
            case CreateObject(Exclusion() as item) | AlterObject(after=Exclusion() as item) if (
                table := _table(live, item.ref.table)
            ) is not None:
                yield from _excluded(item, table)
            case AlterObject(Enum() as before, Enum() as after):
                yield from _labels(before, after, changes, live)
            case CreateObject(Table() as item) if item.partition_of is not None:
                if not again & _above(item, live):
                    yield from _in_default(item, live, moving)
            case AlterObject(Table() as before, Table() as after) if after.partition_of not in (None, before.partition_of):
                if not again & _above(before, live):
                    yield from _out_of_bound(after, live)
            case _:
                pass


def _table(live: Catalog, ref: Ref) -> Table | None:
    found = live.objects.get(ref)
    return found if isinstance(found, Table) else None


def _excluded(item: Exclusion, table: Table) -> Iterator[Question]:
    """Every row is compared with every other, as the exclusion will."""
    if table.partition_by is None and (found := exclusions.parsed(item.definition)) is not None:
        spoken_of = {word for text, _ in found.elements for word in re.findall(r"[\w$]+", text)}
        names = tuple(column.name for column in table.columns if column.name in spoken_of)
        words = f"they exclude each other by {item.name}"
        yield Question(item.ref, table.ref, found.predicate, words, names, alone=True, excludes=found.elements)


def _labels(before: Enum, after: Enum, changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    gone = [label for label in before.labels if label not in after.labels]
    if not gone:
        return
    spelled, types = qualified(before.schema, before.name), types_of(live)
    listed = ", ".join(literal(label) for label in gone)
    for table, column in staying(changes, live):
        held = holding(f"t.{quote(column.name)}", column.type, spelled, types, lambda value: f"{value}::text IN ({listed})")
        if held:
            words = f"{column.name} holds {' or '.join(gone)}, which {after.ref.qualified} loses"
            yield Question(after.ref, table, held, words, (column.name,))


def _takes_another_place(change: CatalogChange) -> bool:
    """Tell whether a table leaves the one that it is a partition of, or gets another bound."""
    match change:
        case AlterObject(Table() as before, Table() as after):
            return before.partition_of != after.partition_of
        case _:
            return False


def _is_divided_anew(change: CatalogChange, live: Catalog) -> bool:
    """Tell whether a table is made again with its partitions, and its rows move: by another key, or one of another type."""
    match change:
        case AlterObject(Table() as before, Table() as after):
            return before.partition_by != after.partition_by
        case AlterColumn(table, old, new) if old.type != new.type and (divided := _table(live, table)) and divided.partition_by:
            return bounds.column_of(divided.partition_by) == new.name
        case _:
            return False


def _referred_to(item: Table, live: Catalog, going: set[Ref], again: set[Ref]) -> Iterator[Question]:
    """A partition does not go while rows of other tables refer to its own, unless these move: a table above is divided anew."""
    above = _above(item, live)
    for key in live.all(ForeignKey) if not above & again else ():
        if key.references in above - going and not {key.ref, key.ref.table} & going:
            pairs = zip(key.referenced_columns, key.columns, strict=True)
            same = " AND ".join(f"r.{quote(there)} = t.{quote(here)}" for there, here in pairs)
            words = f"they refer to rows of {item.ref.qualified}, which goes"
            condition = f"EXISTS (SELECT 1 FROM {named(item.ref)} AS r WHERE {same})"
            yield Question(item.ref, key.ref.table, condition, words, key.columns)


def _above(table: Table, live: Catalog) -> set[Ref]:
    """Return the tables that a partition is one of, directly or not."""
    found: set[Ref] = set()
    while table.partition_of is not None and isinstance(parent := live.objects.get(table.partition_of.parent), Table):
        found.add(parent.ref)
        table = parent
    return found


def _bound(table: Table, live: Catalog) -> tuple[str, str] | None:
    """Return the key column and the condition of a partition's bound."""
    assert table.partition_of is not None
    parent = _table(live, table.partition_of.parent)
    name = bounds.column_of(parent.partition_by) if parent and parent.partition_by else None
    column = parent.column(name) if parent and name else None
    if parent is None or parent.partition_by is None or column is None:
        return None
    if part := _HASHED.fullmatch(table.partition_of.bound):
        arguments = (f"{literal(named(parent.ref))}::regclass", part[1], part[2], f"t.{quote(column.name)}")
        return column.name, f"pg_catalog.satisfies_hash_partition({', '.join(arguments)})"
    found = bounds.condition(column.name, column.type, parent.partition_by.strategy, table.partition_of.bound)
    return (column.name, found) if found else None


def _in_default(item: Table, live: Catalog, moving: set[Ref]) -> Iterator[Question]:
    """Rows that wait in the default partition keep a partition of their own from coming, unless it goes or becomes another."""
    assert item.partition_of is not None
    parent, bound = item.partition_of.parent, _bound(item, live)
    for other in (table for table in live.all(Table) if table.ref not in moving):
        if bound and other.partition_of and other.partition_of.parent == parent and other.partition_of.bound == "DEFAULT":
            words = f"they belong to the new partition {item.name} and are in the default one"
            yield Question(item.ref, other.ref, bound[1], words, (bound[0],))


def _out_of_bound(item: Table, live: Catalog) -> Iterator[Question]:
    table, bound = _table(live, item.ref), _bound(item, live)
    assert item.partition_of is not None
    if bound and table and table.column(bound[0]) is not None:
        words = f"{bound[0]} is outside of {item.partition_of.bound}"
        yield Question(item.ref, table.ref, f"NOT ({bound[1]})", words, (bound[0],))
