"""Enums, domains and ranges; composite types are relations and are read there."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.catalog.model import Domain, Enum, RangeType, Unmanaged
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.constraints import DomainConstraint
from dbops.engines.postgresql.inspect.made_names import is_made
from dbops.engines.postgresql.inspect.reading import CONSTRAINT, MANAGED, TYPE, Reading, in_catalog

_QUERY = f"""
SELECT t.oid, t.typnamespace, t.typname, t.typtype, t.typowner,
       CASE t.typtype WHEN 'e' THEN ARRAY(
         SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) END,
       CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END, t.typnotnull,
       coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)),
       CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text END,
       CASE t.typtype WHEN 'r' THEN {{range}} END, {{multirange}}
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type b ON b.oid = t.typbasetype
WHERE t.oid >= 16384 AND {MANAGED} AND t.typtype NOT IN ('c', 'm')
  AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
ORDER BY n.nspname, t.typname"""

#: Options of CREATE TYPE ... AS RANGE that are not what it would choose, as name and value in turn.
_RANGE = """(
    SELECT array_remove(ARRAY['subtype', format_type(r.rngsubtype, NULL),
      CASE WHEN NOT o.opcdefault THEN 'subtype_opclass' END,
      CASE WHEN NOT o.opcdefault THEN format('%I.%I', os.nspname, o.opcname) END,
      CASE WHEN r.rngcollation <> st.typcollation THEN 'collation' END,
      CASE WHEN r.rngcollation <> st.typcollation THEN r.rngcollation::regcollation::text END,
      CASE WHEN r.rngcanonical <> 0 THEN 'canonical' END, CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::regproc::text END,
      CASE WHEN r.rngsubdiff <> 0 THEN 'subtype_diff' END, CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::regproc::text END,
      {multirange}], NULL)
    FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc JOIN pg_namespace os ON os.oid = o.opcnamespace
    JOIN pg_type st ON st.oid = r.rngsubtype {multirange_join}
    WHERE r.rngtypid = t.oid)"""
_MULTIRANGE = "'multirange_type_name', format('%I.%I', mn.nspname, mt.typname)"
_MULTIRANGE_OID = "CASE t.typtype WHEN 'r' THEN (SELECT rngmultitypid FROM pg_range r WHERE r.rngtypid = t.oid) END"
_MULTIRANGE_JOIN = "LEFT JOIN pg_type mt ON mt.oid = r.rngmultitypid LEFT JOIN pg_namespace mn ON mn.oid = mt.typnamespace"


def read_types(reading: Reading, constraints: dict[int, list[DomainConstraint]]) -> None:
    """Add the user's types; those with C functions behind them, and shells, are named as unmanaged."""
    options_sql = _RANGE.format(
        multirange=reading.since(14, _MULTIRANGE), multirange_join=reading.since(14, _MULTIRANGE_JOIN, "")
    )
    sql = _QUERY.format(range=options_sql, multirange=reading.since(14, _MULTIRANGE_OID))
    for oid, namespace, name, kind, owner, labels, base, not_null, default, collation, options, multirange in reading.conn.query(
        sql
    ):
        if namespace not in reading.schemas or reading.is_member(TYPE, oid):
            reading.excluded.add((TYPE, oid))
            continue
        schema, comment = reading.schemas[namespace], reading.comment(TYPE, oid)
        owned, grants = reading.owner(owner), reading.grants.get((TYPE, oid))
        match kind:
            case "e":
                item: Enum | Domain | RangeType = Enum(
                    schema=schema, name=name, comment=comment, owner=owned, grants=grants, labels=tuple(labels)
                )
            case "d":
                checks = [c for c in constraints.get(oid, ()) if c.kind == "c"]
                item = Domain(
                    schema=schema, name=name, comment=comment, owner=owned, grants=grants, base_type=base, nullable=not not_null,
                    default=default, collation=in_catalog(collation), checks=tuple((c.name, _check(c)) for c in checks),
                    not_null_name=_not_null_name(name, constraints.get(oid, ())),
                    check_comments=tuple(_comments(reading, checks)),
                )  # fmt: skip
            case "r":
                item = RangeType(
                    schema=schema, name=name, comment=comment, owner=owned, grants=grants, options=_range(schema, name, options)
                )
            case _:
                reading.excluded.add((TYPE, oid))
                reason = "a shell type without definition" if kind == "p" else "a base type made of C functions"
                reading.unmanaged.add(Unmanaged("type", f"{schema}.{name}", reason))
                continue
        reading.add(TYPE, oid, item)
        if multirange:
            reading.refs[TYPE, multirange] = item.ref
        _children(reading, item.ref, constraints.get(oid, ()))


def _children(reading: Reading, ref: Ref, constraints: list[DomainConstraint] | tuple[()]) -> None:
    for constraint in constraints:
        reading.refs[CONSTRAINT, constraint.oid] = ref
        if constraint.kind != "c" and reading.comment(CONSTRAINT, constraint.oid) is not None:
            reason = "comments on NOT NULL constraints are not managed yet"
            reading.unmanaged.add(Unmanaged("comment", f"{ref.qualified}.{constraint.name}", reason))


def _comments(reading: Reading, checks: list[DomainConstraint]) -> Iterator[tuple[str, str]]:
    for check in checks:
        if (text := reading.comment(CONSTRAINT, check.oid)) is not None:
            yield check.name, text


def _check(constraint: DomainConstraint) -> str:
    return constraint.expression if constraint.is_valid else f"{constraint.expression} NOT VALID"


def _not_null_name(domain: str, constraints: list[DomainConstraint] | tuple[()]) -> str | None:
    """PostgreSQL 17 gives NOT NULL of a domain a name; None when it is the usual one."""
    names = [c.name for c in constraints if c.kind == "n"]
    return names[0] if names and not is_made(names[0], domain, "", "not_null") else None


def _range(schema: str, name: str, options: list[str]) -> tuple[tuple[str, str], ...]:
    """Pair names with values; the multirange's name is left out when it is the one the server chooses."""
    found = dict(zip(options[::2], options[1::2], strict=True))
    usual = name.replace("range", "multirange", 1) if "range" in name else f"{name}_multirange"
    if found.get("multirange_type_name") in (f"{schema}.{usual}", f'"{schema}".{usual}'):
        del found["multirange_type_name"]
    if "collation" in found:
        found["collation"] = in_catalog(found["collation"]) or found["collation"]
    return tuple(sorted(found.items()))
