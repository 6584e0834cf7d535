"""Constraints of tables, with the attributes of the indexes that stand behind keys; constraints of domains."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from dbops.catalog.model import Check, Constraint, Exclusion, ForeignKey, Options, PrimaryKey, Unique, Unmanaged
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.indexes import IndexRow, is_as_the_parent_makes_it
from dbops.engines.postgresql.inspect.reading import CLASS, CONSTRAINT, Reading
from dbops.engines.postgresql.inspect.relations import storage

_QUERY = """
SELECT c.oid, c.conrelid, c.contypid, c.conname, c.contype, c.condeferrable, c.condeferred, c.convalidated, c.conislocal,
       c.connoinherit, c.conparentid, c.conkey, c.confrelid, c.confkey, c.confupdtype, c.confdeltype, c.confmatchtype,
       {set_columns}, c.conindid, {enforced}, {period},
       CASE c.contype WHEN 'c' THEN pg_get_expr(c.conbin, c.conrelid) WHEN 'x' THEN pg_get_constraintdef(c.oid) END
FROM pg_constraint c
WHERE c.oid >= 16384 AND c.contype IN ('c', 'f', 'p', 'u', 'x'{not_null})
ORDER BY c.conname"""

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_MATCHES = {"f": "FULL", "p": "PARTIAL", "s": "SIMPLE"}


class _Row(NamedTuple):
    oid: int
    relation: int
    domain: int
    name: str
    kind: str
    deferrable: bool
    deferred: bool
    is_valid: bool
    is_local: bool
    no_inherit: bool
    parent: int
    key: list[int] | None
    references: int
    referenced_key: list[int] | None
    on_update: str
    on_delete: str
    match: str
    set_columns: list[int] | None
    index_oid: int
    is_enforced: bool | None
    has_period: bool | None
    text: str | None


class DomainConstraint(NamedTuple):
    """A check or (PostgreSQL 18) a named NOT NULL of a domain."""

    oid: int
    name: str
    kind: str
    expression: str
    is_valid: bool


def read_constraints(reading: Reading, indexes: dict[int, IndexRow]) -> dict[int, list[DomainConstraint]]:
    """Add the constraints of tables, and return those of domains by the domain's oid; `indexes` are all rows of pg_index."""
    sql = _QUERY.format(
        set_columns=reading.since(15, "c.confdelsetcols"),
        enforced=reading.since(18, "c.conenforced"),
        period=reading.since(18, "c.conperiod"),
        not_null=reading.since(17, ", 'n'", ""),
    )
    of_domains: defaultdict[int, list[DomainConstraint]] = defaultdict(list)
    for values in reading.conn.query(sql):
        row = _Row._make(values)
        if row.domain:
            of_domains[row.domain].append(DomainConstraint(row.oid, row.name, row.kind, row.text or "", row.is_valid))
        elif row.kind == "n":
            _adopt_not_null(reading, row)
        else:
            _add(reading, row, indexes)
    return of_domains


def _add(reading: Reading, row: _Row, indexes: dict[int, IndexRow]) -> None:
    table = reading.refs.get((CLASS, row.relation))
    if table is None:
        reading.excluded.add((CONSTRAINT, row.oid))
        return
    index = indexes.get(row.index_oid) if row.kind != "f" else None
    item = _build(reading, row, table, index, _options(reading, row, index, indexes))
    ref = reading.refs[CONSTRAINT, row.oid] = item.ref
    if index is not None:
        reading.refs[CLASS, row.index_oid] = ref
    reading.needs_of_its_table(ref, table, row.relation, row.key or ())
    if not _is_handed_down(reading, row, index, indexes):
        reading.place(item, ref)


def _adopt_not_null(reading: Reading, row: _Row) -> None:
    """NOT NULL is read with its column, all but a comment on it."""
    column = reading.column(row.relation, (row.key or [0])[0])
    if column is None:
        reading.excluded.add((CONSTRAINT, row.oid))
        return
    reading.refs[CONSTRAINT, row.oid] = column
    if reading.comment(CONSTRAINT, row.oid) is not None:
        reason = "comments on NOT NULL constraints are not managed yet"
        reading.unmanaged.add(Unmanaged("comment", f"{column.qualified} NOT NULL", reason))


def _is_handed_down(reading: Reading, row: _Row, index: IndexRow | None, indexes: dict[int, IndexRow]) -> bool:
    """The parent table makes it: an inherited check, the foreign key of a partition, a key under its usual name."""
    if row.is_local:
        return False
    if index is None:
        return True
    is_remarked = reading.comment(CONSTRAINT, row.oid) is not None or reading.comment(CLASS, row.index_oid) is not None
    return not is_remarked and is_as_the_parent_makes_it(index, indexes.get(index.parent or 0))


def _build(reading: Reading, row: _Row, table: Ref, index: IndexRow | None, options: Options) -> Constraint:
    comment = reading.comment(CONSTRAINT, row.oid)
    columns = _names(reading, row.relation, row.key)
    match row.kind:
        case "p":
            return PrimaryKey(
                schema=table.schema, parent=table.name, name=row.name, comment=comment, columns=columns,
                include=_included(reading, index), deferrable=row.deferrable, initially_deferred=row.deferred, options=options,
            )  # fmt: skip
        case "u":
            return Unique(
                schema=table.schema, parent=table.name, name=row.name, comment=comment, columns=columns,
                include=_included(reading, index), nulls_not_distinct=bool(index and index.nulls_not_distinct),
                deferrable=row.deferrable, initially_deferred=row.deferred, options=options,
            )  # fmt: skip
        case "f":
            return ForeignKey(
                schema=table.schema, parent=table.name, name=row.name, comment=comment, columns=columns,
                references=reading.refs.get((CLASS, row.references), table),
                referenced_columns=_names(reading, row.references, row.referenced_key),
                on_delete=_ACTIONS[row.on_delete], on_update=_ACTIONS[row.on_update], match=_MATCHES[row.match],
                set_columns=_names(reading, row.relation, row.set_columns), is_valid=row.is_valid,
                deferrable=row.deferrable, initially_deferred=row.deferred, options=options,
            )  # fmt: skip
        case "x":
            return Exclusion(
                schema=table.schema, parent=table.name, name=row.name, comment=comment, definition=row.text or "",
                deferrable=row.deferrable, initially_deferred=row.deferred, options=options,
            )  # fmt: skip
    return Check(
        schema=table.schema, parent=table.name, name=row.name, comment=comment, expression=row.text or "",
        no_inherit=row.no_inherit, is_valid=row.is_valid, options=options,
    )  # fmt: skip


def _names(reading: Reading, relation: int, numbers: list[int] | None) -> tuple[str, ...]:
    if not numbers:
        return ()
    names = reading.columns.get(relation, {})
    return tuple([names[number] for number in numbers if number in names])


def _included(reading: Reading, index: IndexRow | None) -> tuple[str, ...]:
    return _names(reading, index.table, index.key_numbers[index.key_count :]) if index and index.has_included else ()


def _options(reading: Reading, row: _Row, index: IndexRow | None, indexes: dict[int, IndexRow]) -> Options:
    found: list[tuple[str, str]] = []
    if index is not None:
        found += storage(reading, index.options, index.tablespace)
        found += [("clustered", "true")] if index.is_clustered else []
        if (comment := reading.comment(CLASS, row.index_oid)) is not None:
            found.append(("index_comment", comment))
        if (parent := indexes.get(index.parent or 0)) is not None:
            found.append(("partition_of", parent.name))
    if row.is_enforced is False:
        found.append(("enforced", "false"))
    if row.has_period:
        found.append(("period", "true"))
    return tuple(sorted(found)) if found else ()
