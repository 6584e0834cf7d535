"""Observed against desired: renames first, then what the catalogs say, each with its cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import CatalogChange, CreateObject, DropObject, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.model import Table
from dbops.catalog.ref import Ref
from dbops.errors import Mark
from dbops.reconcile.change import Cause
from dbops.resources.schema.describe import action, reason
from dbops.resources.schema.leniency import target_catalog
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.observed import ObservedSchema, SchemaChange


def catalog_changes(schema: DesiredSchema, observed: ObservedSchema, today: date) -> tuple[CatalogChange, ...]:
    """Return the differences between the (renamed) live catalog and what apply aims at."""
    if observed.changes is not None:
        return observed.changes
    target = target_catalog(observed.renamed, observed.desired, observed.applied, schema, today)
    return diff(
        as_declared(observed.renamed, target, by_grantee=observed.grants_by_grantee),
        target,
        column_order=observed.has_column_order,
        constraint_renames=observed.renames_constraints,
    )


def schema_changes(schema: DesiredSchema, observed: ObservedSchema, today: date) -> list[SchemaChange]:
    """Return the typed changes of one Schema manifest, renames first."""
    found = (*observed.renames, *catalog_changes(schema, observed, today))
    return [to_schema_change(change, schema, observed) for change in found]


def to_schema_change(change: CatalogChange, schema: DesiredSchema, observed: ObservedSchema) -> SchemaChange:
    return SchemaChange(
        address=f"{schema.address}/{change.ref}",
        action=action(change),
        cause=cause(change.ref, observed.applied, observed.desired),
        reason=reason(change),
        at=place(change.ref, observed.places) or schema.at,
        change=change,
    )


def cause(ref: Ref, applied: Catalog | None, desired: Catalog) -> Cause:
    """Tell whether the database moved (the source says what was last applied) or the manifests did."""
    if applied is None:
        return "desired"
    return "drift" if _part(applied, ref) == _part(desired, ref) else "desired"


def _part(catalog: Catalog, ref: Ref) -> object:
    if ref.kind != "column":
        return catalog.get(ref)
    table = catalog.get(ref.table)
    return table.column(ref.name) if isinstance(table, Table) else None


def place(ref: Ref, places: Mapping[tuple[str, str], Mark]) -> Mark | None:
    """Return where the source names an object, or else its table."""
    own = ref.name.split("(", 1)[0]
    for schema, name in ((ref.schema, own), ("", own), (ref.schema, ref.parent), ("", ref.parent)):
        if name and (mark := places.get((schema.lower(), name.lower()))):
            return mark
    return None


def is_part_of_another(change: CatalogChange, whole: set[Ref]) -> bool:
    """Tell whether a child is made or dropped together with its table, so that it needs no line of its own."""
    return isinstance(change, CreateObject | DropObject) and bool(change.ref.parent) and change.ref.table in whole


def whole_tables(changes: list[SchemaChange]) -> set[Ref]:
    """Return the tables made or dropped as a whole."""
    return {
        change.change.ref
        for change in changes
        if isinstance(change.change, CreateObject | DropObject) and not change.change.ref.parent
    }
