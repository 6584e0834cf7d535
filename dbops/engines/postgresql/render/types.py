"""Enums, domains, composite types and ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dbops.catalog.model import Column, CompositeType, Domain, Enum, RangeType
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.names import aside, designation, literal, named, qualified, quote
from dbops.engines.postgresql.render.scene import statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

UserType = Enum | Domain | CompositeType | RangeType


def create(item: UserType) -> Iterator[Statement]:
    name = named(item.ref)
    match item:
        case Enum():
            labels = ",\n    ".join(literal(label) for label in item.labels)
            yield Statement(f"CREATE TYPE {name} AS ENUM (\n    {labels}\n)" if labels else f"CREATE TYPE {name} AS ENUM ()")
        case Domain():
            yield Statement(f"CREATE DOMAIN {name} AS {_domain_body(item)}")
            yield from (_add_check(item, check, text) for check, text in item.checks if text.endswith(" NOT VALID"))
            yield from _check_comments(item, {})
        case CompositeType():
            lines = ",\n    ".join(_attribute(column) for column in item.columns)
            yield Statement(f"CREATE TYPE {name} AS (\n    {lines}\n)" if lines else f"CREATE TYPE {name} AS ()")
            for column in item.columns:
                yield from _attribute_comment(item, column, None)
        case RangeType():
            options = ",\n    ".join(
                f"{key} = {value}" for key, value in sorted(item.options, key=lambda pair: pair[0] != "subtype")
            )
            yield Statement(f"CREATE TYPE {name} AS RANGE (\n    {options}\n)")


def _attribute(column: Column) -> str:
    collation = f" COLLATE {column.collation}" if column.collation else ""
    return f"{quote(column.name)} {column.type}{collation}"


def _attribute_comment(item: CompositeType, column: Column, before: str | None) -> Iterator[Statement]:
    if column.comment != before:
        text = literal(column.comment) if column.comment is not None else "NULL"
        yield Statement(f"COMMENT ON COLUMN {named(item.ref)}.{quote(column.name)} IS {text}")


def _domain_body(item: Domain) -> str:
    parts = [item.base_type]
    if item.collation:
        parts.append(f"COLLATE {item.collation}")
    if item.default is not None:
        parts.append(f"DEFAULT {item.default}")
    if not item.nullable:
        parts.append((f"CONSTRAINT {quote(item.not_null_name)} " if item.not_null_name else "") + "NOT NULL")
    checks = [f"CONSTRAINT {quote(name)} CHECK ({text})" for name, text in item.checks if not text.endswith(" NOT VALID")]
    return " ".join(parts) + "".join(f"\n    {check}" for check in checks)


def _add_check(item: Domain, name: str, text: str) -> Statement:
    body = f"({text.removesuffix(' NOT VALID')}) NOT VALID" if text.endswith(" NOT VALID") else f"({text})"
    found = Hazard("MAY_FAIL_ON_DATA", f"values of {item.ref.qualified} already stored may violate {name}")
    return statement(f"ALTER DOMAIN {named(item.ref)} ADD CONSTRAINT {quote(name)} CHECK {body}", found)


def _check_comments(item: Domain, had: Mapping[str, str]) -> Iterator[Statement]:
    """Yield the comments on a domain's checks, where those that stay `had` others."""
    wanted = dict(item.check_comments)
    for name, _ in item.checks:
        if wanted.get(name) != had.get(name):
            text = literal(wanted[name]) if name in wanted else "NULL"
            yield Statement(f"COMMENT ON CONSTRAINT {quote(name)} ON DOMAIN {named(item.ref)} IS {text}")


def drop(item: UserType) -> Iterator[Statement]:
    word = "DOMAIN" if isinstance(item, Domain) else "TYPE"
    yield statement(f"DROP {word} {named(item.ref)}", hazards.deletes_object(item))


def is_in_place(before: UserType, after: UserType, *, is_stored: bool) -> bool:
    """Tell whether ALTER reaches `after`; `is_stored` says whether a table has columns of the type."""
    if isinstance(before, Enum) and isinstance(after, Enum):
        return _is_within(before.labels, after.labels)
    if isinstance(before, Domain) and isinstance(after, Domain):
        return before.base_type == after.base_type and before.collation == after.collation
    if isinstance(before, CompositeType) and isinstance(after, CompositeType):
        return _is_composite_in_place(before, after, is_stored)
    return isinstance(before, RangeType) and isinstance(after, RangeType) and before.options == after.options


def _is_within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    """Tell whether `part` is left when some labels are taken out of `whole`."""
    rest = iter(whole)
    return all(label in rest for label in part)


def _is_composite_in_place(before: CompositeType, after: CompositeType, is_stored: bool) -> bool:
    """Attributes are added at the end; those in stored rows keep their type (ALTER TYPE refuses to rewrite tables)."""
    old = {column.name: column for column in before.columns}
    kept = [column.name for column in before.columns if any(column.name == other.name for other in after.columns)]
    added = [column.name for column in after.columns if column.name not in old]
    if [column.name for column in after.columns] != kept + added:
        return False
    retyped = any((old[c.name].type, old[c.name].collation) != (c.type, c.collation) for c in after.columns if c.name in old)
    return not (retyped and is_stored)


def alter(before: UserType, after: UserType) -> Iterator[Statement]:
    if isinstance(before, Enum) and isinstance(after, Enum):
        yield from _add_labels(before, after)
    elif isinstance(before, Domain) and isinstance(after, Domain):
        yield from _alter_domain(before, after)
    elif isinstance(before, CompositeType) and isinstance(after, CompositeType):
        yield from _alter_composite(before, after)


def _add_labels(before: Enum, after: Enum) -> Iterator[Statement]:
    present = list(before.labels)
    for position, label in enumerate(after.labels):
        if label in before.labels:
            continue
        place = ""
        if position:
            place = f" AFTER {literal(after.labels[position - 1])}" if present[-1:] != [after.labels[position - 1]] else ""
        elif present:
            place = f" BEFORE {literal(present[0])}"
        present.insert(position, label)
        yield Statement(f"ALTER TYPE {named(after.ref)} ADD VALUE {literal(label)}{place}")


def _alter_domain(before: Domain, after: Domain) -> Iterator[Statement]:
    head = f"ALTER DOMAIN {named(after.ref)}"
    old, new = dict(before.checks), dict(after.checks)
    for name, text in before.checks:
        if new.get(name) != text:
            if text == f"{new.get(name)} NOT VALID":
                found = Hazard("MAY_FAIL_ON_DATA", f"values of {after.ref.qualified} already stored may violate {name}")
                yield statement(f"{head} VALIDATE CONSTRAINT {quote(name)}", found)
                old[name] = new[name]
            else:
                yield Statement(f"{head} DROP CONSTRAINT {quote(name)}")
    if before.default != after.default:
        yield Statement(f"{head} SET DEFAULT {after.default}" if after.default is not None else f"{head} DROP DEFAULT")
    if before.nullable and not after.nullable:
        found = Hazard("MAY_FAIL_ON_DATA", f"values of {after.ref.qualified} already stored may be NULL")
        yield statement(f"{head} SET NOT NULL", found)
    elif after.nullable and not before.nullable:
        yield Statement(f"{head} DROP NOT NULL")
    for name, text in after.checks:
        if old.get(name) != text:
            yield _add_check(after, name, text)
    yield from _check_comments(after, {name: text for name, text in before.check_comments if old[name] == new.get(name)})


def _alter_composite(before: CompositeType, after: CompositeType) -> Iterator[Statement]:
    head = f"ALTER TYPE {named(after.ref)}"
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in after.columns}
    for name in old:
        if name not in new:
            lost = f"attribute {name} of {after.ref.qualified} and its values are dropped"
            found = (hazards.deletes_data(lost), Hazard("IRREVERSIBLE", f"{lost}: no undo brings these values back"))
            yield statement(f"{head} DROP ATTRIBUTE {quote(name)} CASCADE", *found)
    for name, column in new.items():
        if name not in old:
            yield Statement(f"{head} ADD ATTRIBUTE {_attribute(column)} CASCADE")
        elif (old[name].type, old[name].collation) != (column.type, column.collation):
            collation = f" COLLATE {column.collation}" if column.collation else ""
            yield Statement(f"{head} ALTER ATTRIBUTE {quote(name)} TYPE {column.type}{collation} CASCADE")
        yield from _attribute_comment(after, column, old[name].comment if name in old else None)


def set_aside(item: UserType) -> UserType:
    """Return the type under the name it bears while its successor takes its place."""
    return replace(item, name=aside(item.name), comment=None, owner=None, grants=None)


def rename_away(item: UserType, version: int, spelled: Mapping[str, str]) -> Iterator[Statement]:
    """Yield what gives up the names of a type; a range has a multirange beside it from PostgreSQL 14 on.

    `spelled` are the names that other types have had to give up so far, and what they are called meanwhile.
    """
    stand_in = set_aside(item)
    yield Statement(f"ALTER {designation(item)} RENAME TO {quote(stand_in.name)}")
    if isinstance(item, RangeType):
        yield from _rename_range_away(item, stand_in, version, spelled)


def _rename_range_away(item: RangeType, stand_in: UserType, version: int, spelled: Mapping[str, str]) -> Iterator[Statement]:
    """Constructors keep the name that a range had, and so does its multirange from PostgreSQL 14 on."""
    options = dict(item.options)
    subtype, kind = spelled.get(options["subtype"], options["subtype"]), named(stand_in.ref)
    for arguments in (f"{subtype}, {subtype}", f"{subtype}, {subtype}, text"):
        yield Statement(f"ALTER FUNCTION {named(item.ref)}({arguments}) RENAME TO {quote(stand_in.name)}")
    if version >= 14:
        name = multirange(item)
        other = quote(_usual_multirange(stand_in.name))
        yield Statement(f"ALTER TYPE {name} RENAME TO {other}")
        for arguments in ("", kind, f"VARIADIC {kind}[]"):
            yield Statement(f"ALTER FUNCTION {name}({arguments}) RENAME TO {other}")


def multirange(item: RangeType) -> str:
    """Return the name of the multirange beside a range, as statements spell it."""
    return dict(item.options).get("multirange_type_name") or qualified(item.schema, _usual_multirange(item.name))


def multirange_aside(item: RangeType) -> str:
    """Return what the multirange of a type is called while the type is set aside."""
    return qualified(item.schema, _usual_multirange(set_aside(item).name))


def _usual_multirange(name: str) -> str:
    """The name the server chooses (makeMultirangeTypeName in catalog/pg_type.c)."""
    return name.replace("range", "multirange", 1) if "range" in name else f"{name}_multirange"
