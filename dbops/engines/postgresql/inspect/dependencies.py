"""What needs what, from pg_depend; and what exists but was not read by anybody."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from dbops.catalog.model import Unmanaged
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.reading import (
    AMOP,
    AMPROC,
    ATTRDEF,
    CLASS,
    NAMESPACE,
    OPCLASS,
    OPFAMILY,
    PUBLICATION,
    PUBLICATION_SCHEMA,
    PUBLICATION_TABLE,
    TYPE,
    Reading,
)

#: Row types, array types, TOAST tables and indexes of constraints are inner parts (deptype i) of what was read already.
_QUERY = f"""
SELECT d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid, d.refobjsubid, d.deptype, t.typelem, m.rngtypid
FROM pg_depend d
LEFT JOIN pg_type t ON d.refclassid = {TYPE} AND t.oid = d.refobjid
LEFT JOIN pg_range m ON {{multirange}}
WHERE d.objid >= 16384 AND (d.refobjid >= 16384 OR d.refclassid = {NAMESPACE}) AND d.deptype <> 'e'
  AND NOT (d.deptype = 'i' AND d.classid IN ({TYPE}, {CLASS}))"""

_IDENTIFY = """
SELECT i.type, i.schema, i.identity
FROM unnest(?::oid[], ?::oid[]) AS o(catalog, oid), LATERAL pg_identify_object(o.catalog, o.oid, 0) AS i"""

#: Rows that are parts of an object: catalog of the part, catalogs of what it is a part of.
_PARTS = {
    AMOP: (OPCLASS, OPFAMILY),
    AMPROC: (OPCLASS, OPFAMILY),
    PUBLICATION_TABLE: (PUBLICATION,),
    PUBLICATION_SCHEMA: (PUBLICATION,),
}
_INNER = "iPS"
"""Dependency types of objects that live and die with another (manual, pg_depend): internal, partition primary, secondary."""

Key = tuple[int, int]


class _Row(NamedTuple):
    catalog: int
    oid: int
    part: int
    needed_catalog: int
    needed_oid: int
    needed_part: int
    kind: str
    element: int | None
    range: int | None

    @property
    def key(self) -> Key:
        return self.catalog, self.oid

    @property
    def needed(self) -> Key:
        """What is needed, the element instead of an array type, the range instead of its multirange."""
        if self.needed_catalog == TYPE and (self.range or self.element):
            return TYPE, self.range or self.element or 0
        return self.needed_catalog, self.needed_oid


def read_dependencies(reading: Reading) -> dict[Ref, set[Ref]]:
    """Return what each object needs, and add to `reading.unmanaged` what has records but no object."""
    sql = _QUERY.format(multirange=reading.since(14, "d.refclassid = 1247 AND m.rngmultitypid = d.refobjid", "false"))
    rows = [_Row._make(values) for values in reading.conn.query(sql)]
    for row in rows:
        if row.catalog in _PARTS and row.needed_catalog in _PARTS[row.catalog] and row.needed in reading.refs:
            reading.refs[row.key] = reading.refs[row.needed]
    needs: defaultdict[Ref, set[Ref]] = defaultdict(set)
    for row in rows:
        targets = _targets(reading, row)
        for user in _users(reading, row) if targets else ():
            if news := {target for target in targets if _is_news(user, target)}:
                needs[user] |= news
    _name_the_unread(reading, rows)
    return dict(needs)


def _users(reading: Reading, row: _Row) -> list[Ref]:
    """The object that has the need; a column stands for its table too."""
    column: Ref | None = None
    if row.catalog == ATTRDEF and row.oid in reading.attrdefs:
        relation, number = reading.attrdefs[row.oid]
        column = reading.column(relation, number)
        whole = reading.refs.get((CLASS, relation))
    else:
        whole = reading.refs.get(row.key)
        if row.catalog == CLASS and row.part:
            column = reading.column(row.oid, row.part)
    return [ref for ref in (whole, column) if ref is not None]


def _targets(reading: Reading, row: _Row) -> list[Ref]:
    """What is needed: an extension for any part of it, a column together with its relation."""
    key = row.needed
    if key in reading.members:
        return [Ref("extension", "", reading.members[key])]
    whole = reading.refs.get(key)
    if whole is None:
        return []
    column = reading.column(row.needed_oid, row.needed_part) if row.needed_catalog == CLASS and row.needed_part else None
    return [whole, column] if column else [whole]


#: A sequence says which column owns it; the identity sequence of a column stands in the column's schema.
_KNOWN_FROM_ELSEWHERE = {("sequence", "column"), ("sequence", "table"), ("column", "schema")}


def _is_news(user: Ref, target: Ref) -> bool:
    """Nothing needs itself, no table its own columns, no sequence the column that owns it."""
    if user == target or (user.kind, target.kind) in _KNOWN_FROM_ELSEWHERE:
        return False
    is_own = target.kind == "column" and (target.schema, target.parent) == (user.schema, user.name) and not user.parent
    is_own_table = user.kind == "column" and (target.schema, target.name) == (user.schema, user.parent) and not target.parent
    return not (is_own or is_own_table)


def _name_the_unread(reading: Reading, rows: list[_Row]) -> None:
    """Every object with a record of its own is read, a part of another, out of bounds, or named as unmanaged."""
    needs: defaultdict[Key, set[Key]] = defaultdict(set)
    inner: set[Key] = set()
    for row in rows:
        key = row.key
        if key in reading.refs or key in reading.excluded or key in reading.members or row.catalog == ATTRDEF:
            continue
        if row.kind in _INNER:
            inner.add(key)
        else:
            needs[key].add((row.needed_catalog, row.needed_oid))
    beyond = reading.excluded | inner | set(reading.members)
    unread = {key: needed for key, needed in needs.items() if key not in inner}
    while gone := {key for key, needed in unread.items() if needed & beyond}:
        beyond |= gone
        unread = {key: needed for key, needed in unread.items() if key not in gone}
    if unread:
        catalogs = "{" + ",".join(str(catalog) for catalog, _ in unread) + "}"
        oids = "{" + ",".join(str(oid) for _, oid in unread) + "}"
        for kind, schema, identity in reading.conn.query(_IDENTIFY, (catalogs, oids)):
            if kind is not None and not (schema or "").startswith("pg_"):
                reading.unmanaged.add(Unmanaged(kind, identity, "this kind of object is not managed yet"))
