"""What needs what, from pg_depend; and what exists but was not read by anybody."""

from __future__ import annotations

from collections import defaultdict

from dbops.catalog.model import Unmanaged
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.reading import (
    AMOP,
    AMPROC,
    ATTRDEF,
    CLASS,
    CONSTRAINT,
    NAMESPACE,
    OPCLASS,
    OPFAMILY,
    PUBLICATION,
    PUBLICATION_SCHEMA,
    PUBLICATION_TABLE,
    TRIGGER,
    TYPE,
    Reading,
)

#: Row types, array types, TOAST tables, indexes of constraints and triggers behind foreign keys are inner parts (deptype i) of
#: what was read already, a default belongs to its own column, and of its own table a constraint or plain index
#: needs the columns of its key (`Reading.needs_of_its_table`). An array type stands for its elements, a multirange for its range.
_QUERY = f"""
SELECT d.classid, d.objid, d.objsubid, d.refclassid, coalesce({{multirange}}nullif(t.typelem, 0), d.refobjid), d.refobjsubid,
       d.deptype
FROM pg_depend d
LEFT JOIN pg_type t ON d.refclassid = {TYPE} AND t.oid = d.refobjid
{{multirange_join}}
WHERE d.objid >= 16384 AND (d.refobjid >= 16384 OR d.refclassid = {NAMESPACE}) AND d.deptype <> 'e'
  AND NOT (d.deptype = 'i' AND (d.classid IN ({TYPE}, {CLASS}) OR d.classid = {TRIGGER} AND d.refclassid = {CONSTRAINT}))
  AND NOT (d.deptype = 'a' AND (d.classid = {ATTRDEF} OR d.classid = {CONSTRAINT} AND d.refclassid = {CLASS}
    OR d.classid = {CLASS} AND d.refclassid = {CLASS}
      AND d.objid IN (SELECT indexrelid FROM pg_index WHERE indexprs IS NULL AND indpred IS NULL)))"""

#: The array type of a domain is recorded to need the collation that the domain names.
_IDENTIFY = f"""
SELECT i.type, i.schema, i.identity
FROM unnest(?::oid[], ?::oid[]) AS o(catalog, oid), LATERAL pg_identify_object(o.catalog, o.oid, 0) AS i
WHERE NOT (o.catalog = {TYPE} AND EXISTS (SELECT FROM pg_type e WHERE e.typarray = o.oid))"""

#: Rows that are parts of an object: catalog of the part, catalogs of what it is a part of.
_PARTS = {
    AMOP: (OPCLASS, OPFAMILY),
    AMPROC: (OPCLASS, OPFAMILY),
    PUBLICATION_TABLE: (PUBLICATION,),
    PUBLICATION_SCHEMA: (PUBLICATION,),
}
_INNER = "iPS"
"""Dependency types of objects that live and die with another (manual, pg_depend): internal, partition primary, secondary."""

#: A sequence says which column owns it; the identity sequence of a column stands in the column's schema.
_KNOWN_FROM_ELSEWHERE = {("sequence", "column"), ("sequence", "table"), ("column", "schema")}

Key = tuple[int, int]
_Row = tuple[int, int, int, int, int, int, str]
"""Catalog, oid and part of the user; of what it needs; dependency type."""


def read_dependencies(reading: Reading) -> dict[Ref, frozenset[Ref]]:
    """Return what each object needs, and add to `reading.unmanaged` what has records but no object."""
    rows: list[_Row] = reading.conn.query(
        _QUERY.format(
            multirange=reading.since(14, "m.rngtypid, ", ""),
            multirange_join=reading.since(
                14, f"LEFT JOIN pg_range m ON d.refclassid = {TYPE} AND m.rngmultitypid = d.refobjid", ""
            ),
        )
    )
    _adopt_parts(reading, rows)
    needs: defaultdict[Ref, set[Ref]] = defaultdict(set, reading.needs)
    unread: list[_Row] = []
    last: tuple[int, int, int] | None = None
    users: list[tuple[Ref, set[Ref]]] = []
    targets_of: dict[tuple[int, int, int], tuple[Ref, ...]] = {}
    for row in rows:  # some six for each table, those of one object mostly together
        user = row[:3]
        if user != last:
            users, last = [(ref, needs[ref]) for ref in _users(reading, *user)], user
        if not users:
            unread.append(row)
            continue
        needed = row[3:6]
        targets = targets_of.get(needed)
        if targets is None:
            targets = targets_of[needed] = _targets(reading, *needed)
        for ref, found in users:
            if ref.parent and ref.kind != "column":
                found.update(targets)
            else:
                found.update([target for target in targets if _is_news(ref, target)])
    _name_the_unread(reading, unread)
    return {ref: frozenset(needed - {ref} if ref in needed else needed) for ref, needed in needs.items() if needed}


def _adopt_parts(reading: Reading, rows: list[_Row]) -> None:
    for catalog, oid, _, needed_catalog, needed_oid, _, _ in rows:
        if catalog in _PARTS and needed_catalog in _PARTS[catalog] and (needed_catalog, needed_oid) in reading.refs:
            reading.refs[catalog, oid] = reading.refs[needed_catalog, needed_oid]


def _users(reading: Reading, catalog: int, oid: int, part: int) -> tuple[Ref, ...]:
    """The object that has the need; a column stands for its table too."""
    if catalog == ATTRDEF:
        oid, part = reading.attrdefs.get(oid, (0, 0))
        catalog = CLASS
    whole = reading.refs.get((catalog, oid))
    if whole is None:
        return ()
    if catalog == CLASS and part:
        column = reading.column(oid, part)
        return (whole, column) if column else (whole,)
    return (whole,)


def _targets(reading: Reading, catalog: int, oid: int, part: int) -> tuple[Ref, ...]:
    """What is needed: an extension for any part of it, a column together with its relation."""
    whole = reading.refs.get((catalog, oid))
    if whole is None:
        extension = reading.members.get((catalog, oid))
        return (Ref("extension", "", extension),) if extension else ()
    if part and catalog == CLASS:
        column = reading.column(oid, part)
        return (whole, column) if column else (whole,)
    return (whole,)


def _is_news(user: Ref, target: Ref) -> bool:
    """Nothing needs itself, no table its own columns, no column its own table."""
    if user == target or (user.kind, target.kind) in _KNOWN_FROM_ELSEWHERE:
        return False
    if target.kind == "column":
        return not (target.parent == user.name and target.schema == user.schema and not user.parent)
    return not (user.kind == "column" and user.parent == target.name and user.schema == target.schema and not target.parent)


def _name_the_unread(reading: Reading, rows: list[_Row]) -> None:
    """Every object with a record of its own is read, a part of another, out of bounds, or named as unmanaged.

    Relations nobody read are TOAST tables or stand in a schema that is out of bounds.
    """
    needs: defaultdict[Key, set[Key]] = defaultdict(set)
    inner: set[Key] = set()
    for catalog, oid, _, needed_catalog, needed_oid, _, kind in rows:
        if kind in _INNER or (needed_catalog == CLASS and (CLASS, needed_oid) not in reading.refs):
            inner.add((catalog, oid))
        needs[catalog, oid].add((needed_catalog, needed_oid))
    beyond = reading.excluded | inner | reading.members.keys()
    unread = {key: needed for key, needed in needs.items() if key not in beyond and key[0] != ATTRDEF}
    while gone := {key for key, needed in unread.items() if needed & beyond}:
        beyond |= gone
        unread = {key: needed for key, needed in unread.items() if key not in gone}
    if unread:
        catalogs = "{" + ",".join(str(catalog) for catalog, _ in unread) + "}"
        oids = "{" + ",".join(str(oid) for _, oid in unread) + "}"
        for kind, schema, identity in reading.conn.query(_IDENTIFY, (catalogs, oids)):
            if kind is not None and not (schema or "").startswith("pg_"):
                reading.unmanaged.add(Unmanaged(kind, identity, "this kind of object is not managed yet"))
