"""Values that a new type would refuse: labels that an enum has not, what a domain forbids, texts that are no numbers.

What a condition can tell is counted and named. Where only the type itself can tell, every value is converted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, AlterObject, CatalogChange, CreateObject
from dbops.catalog.model import CatalogObject, Domain, Enum, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.question import Question
from dbops.engines.postgresql.render.conversion import can_fail, using
from dbops.engines.postgresql.render.names import literal, qualified, quote

_TEXT = re.compile(r"text|(?:character varying|character)(?:\(\d+\))?")
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
                    if found.partition_of is None and not found.inherits:
                        yield from _converted(change.ref, table, before.type, after.type)
            case AlterObject(Domain() as before, Domain() as after):
                yield from _of_domain(before, after, live)
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
    elif isinstance(wanted, Domain) and wanted.base_type == old:
        yield from _breaking(wanted, table, ref.name, ref, dict(wanted.checks))
    elif is_text and (look := _LOOKS.get(new.partition("(")[0])):
        yield Question(ref, table, f"t.{name} !~* {literal(look)}", f"{ref.name} is no {new}", (ref.name,))


def _converted(ref: Ref, table: Ref, old: str, new: str) -> Iterator[Question]:
    """Let every value be converted where the server knows both types by itself, and some may not fit."""
    if "." in new or "." in old or not can_fail(old, new):
        return
    value = using(f"t.{quote(ref.name)}", old, new, {}) or f"t.{quote(ref.name)}::{new}"
    yield Question(ref, table, value, f"{ref.name} does not become {new}", (ref.name,), is_tried=True)


def _of_domain(before: Domain, after: Domain, live: Catalog) -> Iterator[Question]:
    checks = {name: text for name, text in after.checks if (name, text) not in before.checks}
    is_stricter = before.nullable and not after.nullable
    if before.base_type != after.base_type or not (checks or is_stricter):
        return
    spelled = qualified(before.schema, before.name)
    for table in live.all(Table):
        for column in table.columns:
            if column.type == spelled and table.partition_of is None and not table.inherits and column.generated is None:
                yield from _breaking(after, table.ref, column.name, after.ref, checks, nulls=is_stricter)


def _breaking(
    domain: Domain, table: Ref, column: str, ref: Ref, checks: Mapping[str, str], *, nulls: bool | None = None
) -> Iterator[Question]:
    """Ask for values that checks of a domain forbid, and for NULL."""
    name = f"t.{quote(column)}"
    for check, text in checks.items():
        condition = f"NOT ({_about(name, text)})"
        yield Question(ref, table, condition, f"{column} breaks {check} of {domain.ref.qualified}", (column,))
    if not domain.nullable if nulls is None else nulls:
        yield Question(ref, table, f"{name} IS NULL", f"{column} is NULL", (column,))


def _about(name: str, check: str) -> str:
    """Return the check of a domain with a column in VALUE's place."""
    parts = re.split(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")", check)
    return "".join(
        part if place % 2 else re.sub(r"\bVALUE\b", name.replace("\\", r"\\"), part) for place, part in enumerate(parts)
    )
