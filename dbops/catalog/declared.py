"""Compare only what was declared: owners, grants and versions that a source does not name are left as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Extension


def as_declared(live: Catalog, desired: Catalog) -> Catalog:
    """Return `live` without the owners, grants and extension versions that `desired` says nothing about."""
    objects = {ref: _masked(item, desired.objects.get(ref)) for ref, item in live.objects.items()}
    return replace(live, objects=objects)


def _masked(item: CatalogObject, wanted: CatalogObject | None) -> CatalogObject:
    silent: dict[str, Any] = {}
    if item.owner is not None and (wanted is None or wanted.owner is None):
        silent["owner"] = None
    if item.grants is not None and (wanted is None or wanted.grants is None):
        silent["grants"] = None
    if isinstance(item, Extension) and (not isinstance(wanted, Extension) or wanted.version is None):
        silent["version"] = None
    return replace(item, **silent) if silent else item
