"""Columns of tables, views, foreign tables and composite types, in two queries for all of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from dbops.catalog.model import Column, Generated, Identity, Options, SequenceOptions
from dbops.engines.postgresql.inspect.made_names import is_made
from dbops.engines.postgresql.inspect.reading import CLASS, MANAGED, Reading, in_catalog, pairs
from dbops.engines.postgresql.inspect.sequences import Sequences

#: A default speaks of no column, so the server need not open its relation to write it (manual, pg_get_expr).
_QUERY = """
SELECT a.attrelid, d.oid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attislocal,
       nullif(a.attidentity, ''), nullif(a.attgenerated, ''),
       pg_get_expr(d.adbin, CASE WHEN a.attgenerated = '' THEN 0 ELSE d.adrelid END),
       a.attcollation, CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
       CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END, {compression},
       nullif(a.attstattarget, -1),
       CASE WHEN cardinality(a.attoptions) > 1 OR NOT starts_with(a.attoptions[1], '{version}=') THEN a.attoptions END,
       a.attfdwoptions, {not_null}
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef
{not_null_join}
WHERE a.attnum > 0 AND NOT a.attisdropped AND {managed}
  AND (c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
    OR c.relkind IN ('i', 'I') AND (a.attoptions IS NOT NULL OR a.attstattarget >= 0))
ORDER BY a.attrelid, a.attnum"""

#: From PostgreSQL 18 on NOT NULL is a constraint with a name (pg_constraint, contype n).
_NOT_NULL = """
       CASE WHEN k.conname IS NULL OR NOT k.conislocal THEN NULL
            ELSE ARRAY[k.conname::text, k.connoinherit::text, k.convalidated::text, c.relname::text] END"""
_NOT_NULL_JOIN = "LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum"

_TYPES = "SELECT t, m, format_type(t, m) FROM unnest(?::oid[], ?::int[]) AS x(t, m)"

#: What recent minor releases (15.20 and its like) note of each column, among its options; pg_dump leaves it out too.
_VERSION = "pg_attver"

_STORAGE = {"p": "plain", "e": "external", "m": "main", "x": "extended"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}


class ColumnRow(NamedTuple):
    """One row of pg_attribute with its default; of an index only keys that have parameters or a statistics target."""

    number: int
    name: str
    type: int
    modifier: int
    not_null: bool
    is_local: bool
    identity: str | None
    generated: str | None
    expression: str | None
    collation_oid: int
    collation: str | None
    storage: str | None
    compression: str | None
    statistics: int | None
    options: list[str] | None
    fdw_options: list[str] | None
    not_null_constraint: list[str] | None


class Columns:
    """The columns of every relation by its oid."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._rows: defaultdict[int, list[ColumnRow]] = defaultdict(list)
        self._types: dict[tuple[int, int], str] = {}
        self._alike: dict[tuple[object, ...], Column] = {}
        self._of_rows: dict[int, Column] = {}

    def read(self) -> None:
        """Fetch the rows and learn the columns' names and types."""
        reading = self._reading
        sql = _QUERY.format(
            compression=reading.since(14, "nullif(a.attcompression, '')"),
            not_null=reading.since(18, _NOT_NULL),
            not_null_join=reading.since(18, _NOT_NULL_JOIN, ""),
            managed=MANAGED,
            version=_VERSION,
        )
        alike: dict[tuple[object, ...], ColumnRow] = {}
        last, rows, names = 0, self._rows[0], reading.columns.setdefault(0, {})
        for values in reading.conn.query(sql):
            relation, default_oid, number, name, *_ = values
            if relation != last:
                last, rows, names = relation, self._rows[relation], reading.columns.setdefault(relation, {})
            rows.append(_shared(values[2:], alike))
            names[number] = name
            if default_oid:
                reading.attrdefs[default_oid] = (relation, number)
        kinds = {(row.type, row.modifier) for several in self._rows.values() for row in several}
        self._types = _format_types(reading, kinds)

    def of(self, relation: int, sequences: Sequences) -> tuple[Column, ...]:
        """Build the columns of one relation, left to right."""
        comments = self._reading.comments
        return tuple(
            self._column(
                row,
                sequences.identities.get((relation, row.number)) if row.identity else None,
                comments.get((CLASS, relation, row.number)),
                sequences.identity_name(relation, row.number, row.name) if row.identity else None,
            )
            for row in self._rows.get(relation, ())
        )

    def of_index(self, index: int) -> dict[int, ColumnRow]:
        """The keys of an index that have parameters or a statistics target, by place in the key."""
        rows = self._rows.get(index)
        return {row.number: row for row in rows} if rows else {}

    def names_and_types(self, relation: int) -> tuple[tuple[str, str], ...]:
        """Names and types alone, for views; a type with its collation where that is not the type's own."""
        return tuple((row.name, self._type_in_full(row)) for row in self._rows.get(relation, ()))

    def _type_in_full(self, row: ColumnRow) -> str:
        name = self._types[row.type, row.modifier]
        return f"{name} COLLATE {row.collation}" if row.collation else name

    def defaults(self, relation: int) -> list[tuple[str, str]]:
        """Name and default of the columns that have one, for views."""
        return [(row.name, row.expression) for row in self._rows.get(relation, ()) if row.expression is not None]

    def type_and_collation(self, relation: int, number: int) -> tuple[int, int]:
        """Oids of type and collation of a column; zeros where there is none of that number."""
        rows = self._rows.get(relation, ())
        if 0 < number <= len(rows) and rows[number - 1].number == number:  # no column before it was dropped
            return rows[number - 1].type, rows[number - 1].collation_oid
        return next(((row.type, row.collation_oid) for row in rows if row.number == number), (0, 0))

    def _column(self, row: ColumnRow, identity: SequenceOptions | None, comment: str | None, sequence: str | None) -> Column:
        """Most columns of a schema look like some other one: those share one object."""
        if identity is not None or comment is not None or row.options or row.fdw_options or row.not_null_constraint:
            return self._built(row, identity, comment, sequence)
        found = self._of_rows.get(id(row))
        if found is None:
            found = self._alike.setdefault(row[1:], self._built(row, None, None, None))
            self._of_rows[id(row)] = found
        return found

    def _built(self, row: ColumnRow, identity: SequenceOptions | None, comment: str | None, sequence: str | None) -> Column:
        return Column(
            name=row.name,
            type=self._types[row.type, row.modifier],
            nullable=not row.not_null,
            default=row.expression if not row.generated else None,
            identity=Identity("always" if row.identity == "a" else "by_default", identity) if row.identity else None,
            generated=Generated(row.expression or "", row.generated == "s") if row.generated else None,
            collation=in_catalog(row.collation),
            comment=comment,
            options=_options(row, sequence),
        )


def _shared(values: tuple[Any, ...], alike: dict[tuple[object, ...], ColumnRow]) -> ColumnRow:
    """Return one object for all rows that say the same; one with lists in it stands alone."""
    try:
        found = alike.get(values)
    except TypeError:
        return ColumnRow._make(values)
    if found is None:
        found = alike[values] = ColumnRow._make(values)
    return found


def _options(row: ColumnRow, sequence: str | None) -> Options:
    found = [*(pair for pair in pairs(row.options) if pair[0] != _VERSION), *pairs(row.fdw_options, "fdw:")]
    if sequence is not None:
        found.append(("identity_sequence", sequence))
    if row.storage:
        found.append(("storage", _STORAGE[row.storage]))
    if row.compression:
        found.append(("compression", _COMPRESSION[row.compression]))
    if row.statistics is not None:
        found.append(("statistics", str(row.statistics)))
    if not row.is_local:
        found.append(("inherited", "true"))
    if row.not_null_constraint is not None:
        found += _not_null_options(row.name, *row.not_null_constraint)
    return tuple(sorted(found))


def _not_null_options(column: str, constraint: str, no_inherit: str, validated: str, table: str) -> list[tuple[str, str]]:
    found = [] if is_made(constraint, table, column, "not_null") else [("not_null_name", constraint)]
    found += [("not_null_no_inherit", "true")] if no_inherit == "true" else []
    return found + ([("not_null_not_valid", "true")] if validated == "false" else [])


def _format_types(reading: Reading, kinds: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """Ask for the text of each type once, however many columns have it."""
    if not kinds:
        return {}
    oids = "{" + ",".join(str(oid) for oid, _ in kinds) + "}"
    modifiers = "{" + ",".join(str(modifier) for _, modifier in kinds) + "}"
    return {(oid, modifier): text for oid, modifier, text in reading.conn.query(_TYPES, (oids, modifiers))}
