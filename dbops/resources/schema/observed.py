"""What was observed for a Schema manifest, and its typed changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import CatalogChange, RenameColumn, RenameObject
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Server, TableSize
from dbops.errors import Mark
from dbops.reconcile.change import Change, Observation

if TYPE_CHECKING:
    from dbops.resources.schema.data import ReferenceRows

Renaming = RenameObject | RenameColumn


@dataclass(frozen=True, slots=True)
class ObservedSchema:
    """Live, desired and last applied catalogs side by side.

    `live` is None while the database does not exist. `renamed` is `live` as it will be after `renames`. `places` are
    where the sources name objects.
    """

    connection: str
    live: Catalog | None
    renamed: Catalog
    desired: Catalog
    applied: Catalog | None
    renames: tuple[Renaming, ...]
    server: Server
    sizes: Mapping[Ref, TableSize]
    places: Mapping[tuple[str, str], Mark]
    fingerprints: Mapping[str, str]
    has_column_order: bool
    renames_constraints: bool
    grants_by_grantee: bool
    observations: tuple[Observation, ...] = ()
    rows: tuple[ReferenceRows, ...] = ()
    applied_rows: Mapping[Ref, str] = field(default_factory=dict)
    followers: Mapping[Ref, tuple[str, ...]] = field(default_factory=dict)
    """What rows of other tables follow reference rows that go, by the table that these are in."""
    unchecked: frozenset[tuple[str, str]] = frozenset()
    """Routines whose bodies the sources do not want looked into: schema and name, as in `places`."""
    changes: tuple[CatalogChange, ...] | None = None
    """What leads from `renamed` to what apply aims at, None where nobody has asked yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChange(Change):
    """A difference of one catalog object."""

    change: CatalogChange


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChange(Change):
    """Rows of one table that differ from their file."""

    rows: ReferenceRows
