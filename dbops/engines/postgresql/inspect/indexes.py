"""Indexes from raw arrays: the server's own index texts are asked for only where an expression stands in the key."""

from __future__ import annotations

from typing import NamedTuple

from dbops.catalog.model import Index, IndexKey
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.columns import ColumnRow, Columns
from dbops.engines.postgresql.inspect.made_names import is_made
from dbops.engines.postgresql.inspect.reading import CLASS, MANAGED, Reading, in_catalog, pairs
from dbops.engines.postgresql.inspect.relations import order_of, storage

_QUERY = f"""
SELECT i.indexrelid, i.indrelid, t.relname, x.relnamespace, x.relname, x.relam, i.indisunique,
       {{nulls_not_distinct}}, i.indisvalid, i.indisclustered, i.indisreplident,
       i.indnkeyatts, i.indkey::text, i.indoption::text, i.indclass::text,
       i.indcollation::text, x.reloptions, x.reltablespace,
       CASE WHEN i.indexprs IS NOT NULL
            THEN ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnkeyatts) k) END,
       CASE WHEN i.indexprs IS NOT NULL THEN pg_get_indexdef(i.indexrelid) END, pg_get_expr(i.indpred, i.indrelid),
       CASE WHEN x.relispartition THEN (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = x.oid) END,
       CASE WHEN x.relispartition
            THEN ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = x.oid ORDER BY a.attnum) END,
       i.indisprimary, i.indisexclusion, c.oid IS NOT NULL
FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = x.relnamespace
LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x') AND c.conrelid = i.indrelid
WHERE i.indexrelid >= 16384 AND {MANAGED}
ORDER BY x.relname"""


class IndexRow(NamedTuple):
    """One row of pg_index with its pg_class row; `parent` is the index of the partitioned table it is attached to."""

    oid: int
    table: int
    table_name: str
    namespace: int
    name: str
    method: int
    unique: bool
    nulls_not_distinct: bool | None
    is_valid: bool
    is_clustered: bool
    is_replica_identity: bool
    key_count: int
    key: str
    key_options: str
    key_classes: str
    key_collations: str
    options: list[str] | None
    tablespace: int
    expressions: list[str] | None
    definition: str | None
    predicate: str | None
    parent: int | None
    column_names: list[str] | None
    is_primary: bool
    is_exclusion: bool
    is_of_constraint: bool

    @property
    def key_numbers(self) -> list[int]:
        """Column numbers of key and INCLUDE columns, 0 for an expression."""
        return [int(number) for number in self.key.split()]

    @property
    def has_included(self) -> bool:
        """Whether columns follow the key (INCLUDE)."""
        return self.key.count(" ") >= self.key_count


def read_indexes(reading: Reading) -> dict[int, IndexRow]:
    """Fetch all rows, constraint indexes too, by the index's oid; learn which of them identify rows to replicas."""
    sql = _QUERY.format(nulls_not_distinct=reading.since(15, "i.indnullsnotdistinct", "false"))
    rows = [IndexRow._make(values) for values in reading.conn.query(sql)]
    reading.replica_indexes = {row.table: row.name for row in rows if row.is_replica_identity}
    return {row.oid: row for row in rows}


def build_indexes(reading: Reading, indexes: dict[int, IndexRow], columns: Columns) -> None:
    """Add the indexes no constraint owns; constraints have been read."""
    for row in indexes.values():
        if row.is_of_constraint:
            continue
        table = reading.refs.get((CLASS, row.table))
        if table is None:
            reading.excluded.add((CLASS, row.oid))
            continue
        reading.refs[CLASS, row.oid] = Ref("index", table.schema, row.name, table.name)
    alike: dict[tuple[object, ...], IndexKey] = {}
    for row in indexes.values():
        table = reading.refs.get((CLASS, row.table))
        if not row.is_of_constraint and table is not None:
            item, ref = _index(reading, row, table, columns, alike), reading.refs[CLASS, row.oid]
            if row.expressions is None and row.predicate is None:
                reading.needs_of_its_table(ref, table, row.table, row.key_numbers)
            if not (row.parent and item.comment is None and is_as_the_parent_makes_it(row, indexes.get(row.parent))):
                reading.place(item, ref)


def _index(reading: Reading, row: IndexRow, table: Ref, columns: Columns, alike: dict[tuple[object, ...], IndexKey]) -> Index:
    names = reading.columns.get(row.table, {})
    stored = storage(reading, row.options, row.tablespace)
    marks = [("clustered", "true")] if row.is_clustered else []
    marks += [
        (f"statistics:{number}", str(attributes.statistics))
        for number, attributes in columns.of_index(row.oid).items()
        if attributes.statistics is not None
    ]
    return Index(
        schema=table.schema,
        parent=table.name,
        name=row.name,
        comment=reading.comment(CLASS, row.oid),
        keys=_keys(reading, row, columns, alike),
        method=reading.methods[row.method],
        unique=row.unique,
        nulls_not_distinct=bool(row.nulls_not_distinct),
        predicate=row.predicate,
        include=tuple(names[number] for number in row.key_numbers[row.key_count :]) if row.has_included else (),
        options=tuple(sorted([*stored, *marks])) if marks else stored,
        spelling=order_of(row.options),
        is_valid=row.is_valid,
        partition_of=reading.refs.get((CLASS, row.parent)) if row.parent else None,
    )


def _keys(reading: Reading, row: IndexRow, columns: Columns, alike: dict[tuple[object, ...], IndexKey]) -> tuple[IndexKey, ...]:
    """Build the key; parts that look like one of another index, in `alike`, share its object."""
    names = reading.columns.get(row.table, {})
    attributes = columns.of_index(row.oid)
    options, classes, collations = row.key_options.split(), row.key_classes.split(), row.key_collations.split()
    keys = []
    for i, number in enumerate(row.key_numbers[: row.key_count]):
        kind, own_collation = columns.type_and_collation(row.table, number)
        look = (names.get(number), options[i], classes[i], collations[i], kind, own_collation)
        found = alike.get(look) if number and not attributes else None
        if found is None:
            flags = int(options[i])
            descending, nulls_first = bool(flags & 1), bool(flags & 2)
            expression = None if number else (row.expressions or [])[i]
            found = IndexKey(
                column=names[number] if number else None,
                expression=expression,
                descending=descending,
                nulls_first=None if nulls_first == descending else nulls_first,
                collation=_collation(reading, row, int(collations[i]), own_collation, expression),
                operator_class=_operator_class(reading, int(classes[i]), kind, attributes.get(i + 1)),
            )
            if number and not attributes:
                alike[look] = found
        keys.append(found)
    return tuple(keys)


def _collation(reading: Reading, row: IndexRow, oid: int, own: int, expression: str | None) -> str | None:
    """The collation when it is not the one the column or expression has anyway; of an expression only the server's text tells."""
    name = reading.collations.get(oid)
    if name is None or (expression is None and oid == own):
        return None
    if expression is not None and f"{expression} COLLATE {name}" not in (row.definition or ""):
        return None
    return in_catalog(name)


def _operator_class(reading: Reading, oid: int, kind: int, attributes: ColumnRow | None) -> str | None:
    """The operator class when it is not the default of the column's type, or has parameters."""
    name, is_default, accepts, method = reading.opclasses[oid]
    parameters = ", ".join(f"{key}='{value}'" for key, value in pairs(attributes.options)) if attributes else ""
    if parameters:
        return f"{name} ({parameters})"
    is_usual = is_default and (kind in (0, accepts) or (method, kind) not in reading.default_opclasses)
    return None if is_usual else name


def is_as_the_parent_makes_it(row: IndexRow, parent: IndexRow | None) -> bool:
    """Tell whether creating the partition, or the parent's index, makes this index of a partition just so.

    Its name must be one the server chooses  and its storage the parent's.
    """
    if parent is None or row.options != parent.options or row.tablespace != parent.tablespace or row.is_clustered:
        return False
    label = "pkey" if row.is_primary else "excl" if row.is_exclusion else "key" if row.is_of_constraint else "idx"
    columns = "" if row.is_primary else "_".join(row.column_names or ())
    return is_made(row.name, row.table_name, columns, label)
