"""What a schema policy lets live: unmanaged objects, and drift that is tolerated until a date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.declared import is_always_there
from dbops.catalog.model import CatalogObject, Column, Routine, Table
from dbops.catalog.ref import Ref
from dbops.resources.schema.model import DesiredSchema, TolerateDrift, Unmanaged, UnmanagedPolicy


def unmanaged_refs(live: Catalog, desired: Catalog, applied: Catalog | None) -> list[Ref]:
    """Return the objects that the source does not name and that dbops never applied, in catalog order."""
    known = applied.objects if applied else {}
    return [ref for ref in live.objects if ref not in desired.objects and ref not in known and not is_always_there(ref)]


def target_catalog(live: Catalog, desired: Catalog, applied: Catalog | None, schema: DesiredSchema, today: date) -> Catalog:
    """Return what apply aims at: the desired catalog plus what the policy lets live."""
    target = desired
    if not schema.unmanaged.drops_all:
        kept = [ref for ref, word in left_alone(live, desired, applied, schema.unmanaged).items() if word != "drop"]
        target = _with_columns(_with(target, live, [ref for ref in kept if ref.kind != "column"]), live, kept)
    rules = [rule for rule in schema.tolerated if rule.until is None or today <= rule.until]
    for rule in rules:
        target = _tolerating(target, live, rule)
    return target


def left_alone(live: Catalog, desired: Catalog, applied: Catalog | None, policy: UnmanagedPolicy) -> dict[Ref, Unmanaged]:
    """Return what the policy says of each object, and each column, that the source does not name and dbops never applied.

    What belongs to a table that the source does not name shares its fate.
    """
    found: dict[Ref, Unmanaged] = {}
    for ref in unmanaged_refs(live, desired, applied):
        owner = live.objects.get(ref.table) if ref.parent else None
        found[ref] = policy.of(kind_word(owner if owner and owner.ref not in desired.objects else live.objects[ref]))
    for wanted in desired.all(Table):
        table = live.objects.get(wanted.ref)
        before = applied.objects.get(wanted.ref) if applied else None
        known = {column.name for item in (wanted, before) if isinstance(item, Table) for column in item.columns}
        if isinstance(table, Table):
            names = (column.name for column in table.columns if column.name not in known)
            found |= {Ref("column", wanted.schema, name, wanted.name): policy.of("column") for name in names}
    return found


def kind_word(item: CatalogObject) -> str:
    """Return the kind of an object as a policy names it."""
    return item.flavour if isinstance(item, Routine) else item.ref.kind


def _with_columns(target: Catalog, live: Catalog, kept: Sequence[Ref]) -> Catalog:
    """Return the target with live columns that stay, each behind the column that it stands behind."""
    tables: dict[Ref, CatalogObject] = {}
    for ref in (ref for ref in kept if ref.kind == "column"):
        table, source = tables.get(ref.table, target.objects.get(ref.table)), live.objects[ref.table]
        assert isinstance(table, Table) and isinstance(source, Table)
        place = next(number for number, column in enumerate(source.columns) if column.name == ref.name)
        names = [column.name for column in table.columns]
        left = [names.index(column.name) for column in source.columns[:place] if column.name in names]
        at = left[-1] + 1 if left else 0
        tables[ref.table] = replace(table, columns=(*table.columns[:at], source.columns[place], *table.columns[at:]))
    return replace(target, objects={**target.objects, **tables}) if tables else target


def _with(target: Catalog, live: Catalog, refs: list[Ref]) -> Catalog:
    if not refs:
        return target
    return replace(
        target,
        objects={**target.objects, **{ref: live.objects[ref] for ref in refs}},
        dependencies={**{ref: live.dependencies[ref] for ref in refs if ref in live.dependencies}, **target.dependencies},
    )


def _tolerating(target: Catalog, live: Catalog, rule: TolerateDrift) -> Catalog:
    objects: dict[Ref, CatalogObject] = {}
    for ref, item in live.objects.items():
        wanted = target.objects.get(ref)
        if _names(rule.object, ref):
            changed = item if rule.field is None else _field_from(wanted, item, rule.field)
            if changed is not None:
                objects[ref] = changed
        elif isinstance(item, Table) and isinstance(wanted, Table):
            columns = _columns(wanted, item, rule)
            if columns is not None:
                objects[ref] = replace(wanted, columns=columns)
    return replace(target, objects={**target.objects, **objects}) if objects else target


def _field_from(wanted: CatalogObject | None, live: CatalogObject, name: str) -> CatalogObject | None:
    if wanted is None or type(wanted) is not type(live) or name not in {f.name for f in fields(live)}:
        return None
    return replace(wanted, **{name: getattr(live, name)})


def _columns(wanted: Table, live: Table, rule: TolerateDrift) -> tuple[Column, ...] | None:
    """Return the wanted columns with the live attributes that `rule` tolerates, None when it names no column of this table."""
    touched = False
    columns = []
    for column in wanted.columns:
        found = live.column(column.name)
        if found is not None and _names(rule.object, Ref("column", live.schema, column.name, live.name)):
            attributes: dict[str, Any] = {f.name: getattr(found, f.name) for f in fields(found) if rule.field in (None, f.name)}
            column, touched = replace(column, **attributes), True
        columns.append(column)
    return tuple(columns) if touched else None


def _names(pattern: str, ref: Ref) -> bool:
    """Match `name`, `schema.name`, `table.column` and `schema.table.column`, shell patterns allowed."""
    short = f"{ref.parent}.{ref.name}" if ref.parent else ref.name
    return any(fnmatchcase(name, pattern) for name in (short, ref.qualified))
