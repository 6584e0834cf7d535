"""Values that a new type would refuse: labels that an enum has not, what a domain forbids, texts that are no numbers.

What a condition can tell is counted and named. Where only the type itself can tell, every value is converted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, AlterObject, CatalogChange, CreateObject
from dbops.catalog.model import CatalogObject, Domain, Enum, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.question import Question
from dbops.engines.postgresql.held import Types, holding, staying, types_of
from dbops.engines.postgresql.render.conversion import can_fail, using
from dbops.engines.postgresql.render.names import literal, qualified, quote
from dbops.sql import probe

_TEXT = re.compile(r"text|(?:character varying|character)(?:\(\d+\))?")
_SHORT = re.compile(r"(?P<name>character varying|character|bit varying|bit)\((?P<length>\d+)\)(?P<array>\[\])?")
_NUMBER = r"^\s*[-+]?[0-9.][0-9a-zA-Z_.+-]*\s*$"
#: What texts of a type look like, told so widely that nothing is missed which any version reads (manual, "Data Types").
_LOOKS = {
    "smallint": _NUMBER,
    "integer": _NUMBER,
    "bigint": _NUMBER,
    "numeric": rf"{_NUMBER}|^\s*[-+]?(inf|infinity|nan)\s*$",
    "boolean": r"^\s*(t|tr|tru|true|y|ye|yes|on|1|f|fa|fal|fals|false|n|no|of|off|0)\s*$",
    "uuid": r"^\s*\{?[0-9a-f-]{32,}\}?\s*$",
}


def misfits(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Yield what has to be asked of live columns that get another type, or whose domain gets other rules."""
    types = _types(changes, live)
    for change in changes:
        match change:
            case AlterColumn(table, before, after) if before.type != after.type and after.generated is None:
                if isinstance(found := live.objects.get(table), Table) and found.column(after.name):
                    yield from _of_column(change.ref, table, before.type, after.type, types)
                    yield from _lengths(change.ref, table, before.type, after.type)
                    if found.partition_of is None and not found.inherits:
                        yield from _converted(change.ref, table, before.type, after.type)
            case AlterObject(Domain() as before, Domain() as after):
                yield from _of_domain(before, after, changes, live)
            case _:
                pass


def _types(changes: Sequence[CatalogChange], live: Catalog) -> Mapping[str, CatalogObject]:
    """Return enums and domains as they are to be, by the names that columns use."""
    found: list[CatalogObject] = [*live.all(Enum), *live.all(Domain)]
    for change in changes:
        item = change.item if isinstance(change, CreateObject) else change.after if isinstance(change, AlterObject) else None
        found += [item] if isinstance(item, Enum | Domain) else []
    return {qualified(item.schema, item.name): item for item in found}


def _of_column(ref: Ref, table: Ref, old: str, new: str, types: Mapping[str, CatalogObject]) -> Iterator[Question]:
    name, wanted, was = quote(ref.name), types.get(new), types.get(old)
    is_text = _TEXT.fullmatch(old) is not None
    is_text_array = _TEXT.fullmatch(old.removesuffix("[]")) is not None and old.endswith("[]")
    if isinstance(wanted, Enum) and (is_text or isinstance(was, Enum)):
        labels = ", ".join(literal(label) for label in wanted.labels)
        condition = f"t.{name}::text <> ALL (ARRAY[{labels}]::text[])"
        yield Question(ref, table, condition, f"{ref.name} is no label of {wanted.ref.qualified}", (ref.name,))
    elif isinstance(labelled := types.get(new.removesuffix("[]")), Enum) and is_text_array:
        labels = ", ".join(literal(label) for label in labelled.labels)
        condition = f"EXISTS (SELECT 1 FROM unnest(t.{name}::text[]) AS held (v) WHERE held.v <> ALL (ARRAY[{labels}]::text[]))"
        yield Question(ref, table, condition, f"{ref.name} holds what is no label of {labelled.ref.qualified}", (ref.name,))
    elif isinstance(wanted, Domain):
        yield from _becoming_domain(ref, table, old, wanted, types)
    elif is_text and (look := _LOOKS.get(new.partition("(")[0])):
        yield Question(ref, table, f"t.{name} !~* {literal(look)}", f"{ref.name} is no {new}", (ref.name,))


def _becoming_domain(ref: Ref, table: Ref, old: str, domain: Domain, types: Mapping[str, CatalogObject]) -> Iterator[Question]:
    """Ask what the domain, and those that it is made of, say of values as they will be."""
    nullable, checks, base = domain.nullable, {**dict(domain.checks)}, domain.base_type
    while isinstance(inner := types.get(base), Domain):
        nullable, base = nullable and inner.nullable, inner.base_type
        checks |= dict(inner.checks)
    was, value = types.get(old), f"t.{quote(ref.name)}"
    while isinstance(was, Domain):
        old, was = was.base_type, types.get(was.base_type)
    if old != base:
        if "." in old or "." in base:
            return
        yield from _converted(ref, table, old, base)
        value = using(value, old, base, {}) or f"{value}::{base}"
    for check, text in checks.items():
        words = f"{ref.name} breaks {check} of {domain.ref.qualified}"
        yield Question(ref, table, probe.breaks(probe.about(f"({value})", text)), words, (ref.name,))
    if not nullable:
        yield Question(ref, table, f"t.{quote(ref.name)} IS NULL", f"{ref.name} is NULL", (ref.name,))


def _lengths(ref: Ref, table: Ref, old: str, new: str) -> Iterator[Question]:
    """Ask for what is too long: an explicit cast cuts it off, ALTER TABLE refuses it (manual, "Character Types")."""
    name, found = f"t.{quote(ref.name)}", _SHORT.fullmatch(new)
    if found is None or "." in old:
        return
    length, is_bits, one = int(found["length"]), found["name"].startswith("bit"), old.removesuffix("[]")
    if is_bits and (not one.startswith("bit") or (one == old) != (not found["array"])):
        return
    words = f"{ref.name} is longer than {length}"
    if found["name"] == "bit":
        words, differs = f"{ref.name} has not {length} bits", "<>"
    else:
        differs = ">"
    if found["array"] and one != old:
        value = "char_length(held.v::text)" if not is_bits else "length(held.v)"
        condition = f"EXISTS (SELECT 1 FROM unnest({name}) AS held (v) WHERE {value} {differs} {length})"
    elif found["array"] or (_TEXT.fullmatch(old) and not is_bits):
        return  # everybody asks it of texts
    else:
        condition = f"{'length(' + name if is_bits else f'char_length({name}::text'}) {differs} {length}"
    yield Question(ref, table, condition, words, (ref.name,))


def _converted(ref: Ref, table: Ref, old: str, new: str) -> Iterator[Question]:
    """Let every value be converted where the server knows both types by itself, and some may not fit."""
    if "." in new or "." in old or not can_fail(old, new):
        return
    value = using(f"t.{quote(ref.name)}", old, new, {}) or f"t.{quote(ref.name)}::{new}"
    yield Question(ref, table, value, f"{ref.name} does not become {new}", (ref.name,), is_tried=True)


def _of_domain(before: Domain, after: Domain, changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    checks = {name: text for name, text in after.checks if (name, text) not in before.checks and not text.endswith(" NOT VALID")}
    is_stricter = before.nullable and not after.nullable
    if before.base_type != after.base_type or not (checks or is_stricter):
        return
    spelled, held = qualified(before.schema, before.name), types_of(live)
    for table, column in staying(changes, live):
        yield from _breaking(after, table, column.name, after.ref, checks, column.type, spelled, held, nulls=is_stricter)


def _breaking(
    domain: Domain,
    table: Ref,
    column: str,
    ref: Ref,
    checks: Mapping[str, str],
    kind: str,
    spelled: str,
    held: Types,
    *,
    nulls: bool,
) -> Iterator[Question]:
    """Ask for values that checks of a domain forbid, and for NULL, in a column of a type that is it or holds it."""
    name = f"t.{quote(column)}"
    for check, text in checks.items():
        condition = holding(name, kind, spelled, held, partial(_broken, text))
        if condition:
            words = f"{column} breaks {check} of {domain.ref.qualified}"
            yield Question(ref, table, condition, words, (column,))
    if nulls and (condition := holding(name, kind, spelled, held, lambda value: f"{value} IS NULL")):
        yield Question(ref, table, condition, f"{column} is NULL", (column,))


def _broken(check: str, value: str) -> str:
    return probe.breaks(probe.about(value, check))
