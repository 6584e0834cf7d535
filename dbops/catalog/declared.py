"""Compare only what was declared, and what can be changed.

Owners, grants and versions that a source does not name are left as they are; so is where a column or check of a child table came
from, and what the sequence of an identity column is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Check, Column, Extension, ForeignTable, Grant, Options, Table
from dbops.catalog.order import owner_of
from dbops.catalog.ref import Ref


def as_declared(live: Catalog, desired: Catalog, *, by_grantee: bool = False) -> Catalog:
    """Return `live` without the owners, grants and extension versions that `desired` says nothing about.

    `by_grantee` says that a source speaks for the accounts that it names alone; else its grants on an object are all there are.
    """
    objects = {
        ref: _masked(item, desired.objects.get(ref), by_grantee)
        for ref, item in live.objects.items()
        if not (isinstance(item, Check) and ref not in desired.objects and _is_of_a_parent(item, live, desired))
        and not (is_always_there(item.ref) and ref not in desired.objects)
    }
    for ref, item in desired.objects.items():
        if is_always_there(ref) and ref not in objects:
            objects[ref] = replace(item, grants=_of_named((), item.grants or ()))
    return replace(live, objects=objects)


def is_always_there(ref: Ref) -> bool:
    """Tell whether an object comes and goes with nothing a source can say: the database itself, which has grants alone."""
    return ref.kind == "database"


def _of_named(grants: tuple[Grant, ...], wanted: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """The grants of those whom `wanted` names; who has none has USAGE, which is nothing (MySQL 8.4 manual, 15.7.1.6)."""
    found = {grant for grant in grants if any(grant.grantee == named.grantee for named in wanted)}
    return tuple(
        sorted(found | {Grant(named.grantee, "USAGE") for named in wanted if not any(g.grantee == named.grantee for g in found)})
    )


def _is_of_a_parent(check: Check, live: Catalog, desired: Catalog) -> bool:
    """A check that a table had before it became a child stays its own, beside an ancestor's (PostgreSQL, as for columns)."""
    for ancestor in _ancestors(owner_of(live, check.ref), live):
        above = replace(check, schema=ancestor.schema, parent=ancestor.name, comment=None)
        if all(
            isinstance(item := side.get(above.ref), Check) and replace(item, comment=None) == above for side in (live, desired)
        ):
            return True
    return False


def _ancestors(table: Ref, live: Catalog) -> Iterator[Ref]:
    """Yield the tables that one inherits from, directly or not."""
    item = live.objects.get(table)
    for parent in item.inherits if isinstance(item, Table | ForeignTable) else ():
        yield from (parent, *_ancestors(parent, live))


def _masked(item: CatalogObject, wanted: CatalogObject | None, by_grantee: bool) -> CatalogObject:
    silent: dict[str, Any] = {}
    if item.owner is not None and (wanted is None or wanted.owner is None):
        silent["owner"] = None
    if item.grants is not None and (wanted is None or wanted.grants is None):
        silent["grants"] = None
    elif by_grantee and wanted is not None and wanted.grants is not None:
        silent["grants"] = _of_named(item.grants or (), wanted.grants)
    if isinstance(item, Extension) and (not isinstance(wanted, Extension) or wanted.version is None):
        silent["version"] = None
    if isinstance(item, Table | ForeignTable) and isinstance(wanted, type(item)) and item.columns != wanted.columns:
        known = {column.name: column for column in wanted.columns}
        silent["columns"] = tuple(_same_column(column, known.get(column.name)) for column in item.columns)
    return replace(item, **silent) if silent else item


def _same_column(column: Column, wanted: Column | None) -> Column:
    """What the sequence of an identity is called is left alone where the source has the identity and lets the server choose."""
    if wanted is None or column.options == wanted.options:
        return column
    silent = wanted.identity is not None and _SEQUENCE not in dict(wanted.options)
    options = tuple(pair for pair in column.options if pair[0] != _SEQUENCE) if silent else column.options
    return replace(column, options=_of_one_origin(options, wanted.options))


def _of_one_origin(options: Options, wanted: Options) -> Options:
    """A column that a table had before it became a child stays the table's own (PostgreSQL manual, ALTER TABLE, INHERIT)."""
    own, others = ([pair for pair in side if pair[0] != _INHERITED] for side in (options, wanted))
    return wanted if own == others else options


_INHERITED, _SEQUENCE = "inherited", "identity_sequence"
