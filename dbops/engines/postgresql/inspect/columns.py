"""Columns of tables, views, foreign tables and composite types, in two queries for all of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from dbops.catalog.model import Column, Generated, Identity, Options
from dbops.engines.postgresql.inspect.reading import CLASS, MANAGED, Reading, in_catalog, pairs
from dbops.engines.postgresql.inspect.sequences import Sequences

_QUERY = """
SELECT a.attrelid, a.attnum, d.oid, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attislocal,
       nullif(a.attidentity, ''), nullif(a.attgenerated, ''), pg_get_expr(d.adbin, d.adrelid),
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
       CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END, {compression},
       nullif(a.attstattarget, -1), a.attoptions, a.attfdwoptions, {not_null}
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef
{not_null_join}
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {managed}
ORDER BY a.attrelid, a.attnum"""

#: From PostgreSQL 18 on NOT NULL is a constraint with a name (pg_constraint, contype n).
_NOT_NULL = """
       CASE WHEN k.conname IS NULL THEN NULL
            ELSE ARRAY[k.conname::text, k.connoinherit::text, k.convalidated::text, c.relname::text] END"""
_NOT_NULL_JOIN = "LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum"

_TYPES = "SELECT t, m, format_type(t, m) FROM unnest(?::oid[], ?::int[]) AS x(t, m)"

_STORAGE = {"p": "plain", "e": "external", "m": "main", "x": "extended"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}


class Columns:
    """The columns of every relation by its oid."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._rows: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        self._types: dict[tuple[int, int], str] = {}
        self._alike: dict[tuple[Any, ...], Column] = {}

    def read(self) -> None:
        """Fetch the rows and learn the columns' names and types."""
        reading = self._reading
        sql = _QUERY.format(
            compression=reading.since(14, "nullif(a.attcompression, '')"),
            not_null=reading.since(18, _NOT_NULL),
            not_null_join=reading.since(18, _NOT_NULL_JOIN, ""),
            managed=MANAGED,
        )
        kinds: set[tuple[int, int]] = set()
        for relation, number, default_oid, *row in reading.conn.query(sql):
            self._rows[relation].append((number, *row))
            reading.columns.setdefault(relation, {})[number] = row[0]
            kinds.add((row[1], row[2]))
            if default_oid:
                reading.attrdefs[default_oid] = (relation, number)
        self._types = _format_types(reading, kinds)

    def of(self, relation: int, sequences: Sequences) -> tuple[Column, ...]:
        """Build the columns of one relation, left to right."""
        reading = self._reading
        return tuple(
            self._column(
                row[1:],
                sequences.identities.get((relation, row[0])) if row[5] is not None or row[6] is not None else None,
                reading.comments.get((CLASS, relation, row[0])),
            )
            for row in self._rows.get(relation, ())
        )

    def names_and_types(self, relation: int) -> tuple[tuple[str, str], ...]:
        """Names and types alone, for views."""
        return tuple((row[1], self._types[row[2], row[3]]) for row in self._rows.get(relation, ()))

    def defaults(self, relation: int) -> list[tuple[str, str]]:
        """Name and default of the columns that have one, for views."""
        return [(row[1], row[8]) for row in self._rows.get(relation, ()) if row[8] is not None]

    def collation_and_type(self, relation: int) -> dict[str, tuple[int, str | None]]:
        """Type oid and own collation by column name."""
        return {row[1]: (row[2], row[9]) for row in self._rows.get(relation, ())}

    def _column(self, row: tuple[Any, ...], identity: Any, comment: str | None) -> Column:
        """Most columns of a schema look like some other one: those share one object."""
        if identity is not None or comment is not None or row[11] is not None or row[13] is not None or row[14] is not None:
            return self._built(row, identity, comment)
        key = tuple(tuple(part) if isinstance(part, list) else part for part in row)
        found = self._alike.get(key)
        if found is None:
            found = self._alike[key] = self._built(row, None, None)
        return found

    def _built(self, row: tuple[Any, ...], identity: Any, comment: str | None) -> Column:
        name, type_oid, modifier, not_null, _, by, generated, expression, collation, *_ = row
        return Column(
            name=name,
            type=self._types[type_oid, modifier],
            nullable=not not_null,
            default=expression if not generated else None,
            identity=Identity("always" if by == "a" else "by_default", identity) if by else None,
            generated=Generated(expression, generated == "s") if generated else None,
            collation=in_catalog(collation),
            comment=comment,
            options=_options(row),
        )


def _options(row: tuple[Any, ...]) -> Options:
    name, _, _, _, is_local, _, _, _, _, storage, compression, statistics, options, fdw_options, not_null = row
    found = [*pairs(options), *pairs(fdw_options, "fdw:")]
    if storage:
        found.append(("storage", _STORAGE[storage]))
    if compression:
        found.append(("compression", _COMPRESSION[compression]))
    if statistics is not None:
        found.append(("statistics", str(statistics)))
    if not is_local:
        found.append(("inherited", "true"))
    if not_null is not None:
        found += _not_null_options(name, *not_null)
    return tuple(sorted(found))


def _not_null_options(column: str, constraint: str, no_inherit: str, validated: str, table: str) -> list[tuple[str, str]]:
    found = [("not_null_name", constraint)] if constraint != f"{table}_{column}_not_null" else []
    found += [("not_null_no_inherit", "true")] if no_inherit == "true" else []
    return found + ([("not_null_not_valid", "true")] if validated == "false" else [])


def _format_types(reading: Reading, kinds: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """Ask for the text of each type once, however many columns have it."""
    if not kinds:
        return {}
    oids = "{" + ",".join(str(oid) for oid, _ in kinds) + "}"
    modifiers = "{" + ",".join(str(modifier) for _, modifier in kinds) + "}"
    return {(oid, modifier): text for oid, modifier, text in reading.conn.query(_TYPES, (oids, modifiers))}
