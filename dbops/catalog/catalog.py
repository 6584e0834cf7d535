"""A whole database as data: its objects, what depends on what, and what was seen but is not managed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import TypeVar

from dbops.catalog.model import CatalogObject, Table, Unmanaged
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass

T = TypeVar("T", bound=CatalogObject)

Dependencies = Mapping[Ref, frozenset[Ref]]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything an inspector saw.

    `dependencies[a]` are the refs that `a` needs, from the engine's own records; columns appear as refs of kind
    `column`. `options` are attributes of the database itself (character set, collation, ...).
    """

    objects: Mapping[Ref, CatalogObject] = field(default_factory=lambda: MappingProxyType({}))
    dependencies: Dependencies = field(default_factory=lambda: MappingProxyType({}))
    unmanaged: tuple[Unmanaged, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls,
        objects: Iterable[CatalogObject],
        dependencies: Mapping[Ref, Iterable[Ref]] | None = None,
        unmanaged: Iterable[Unmanaged] = (),
        options: tuple[tuple[str, str], ...] = (),
    ) -> Catalog:
        """Build a catalog from objects; two objects of one ref are a programming error."""
        by_ref: dict[Ref, CatalogObject] = {}
        for item in objects:
            ref = item.ref
            if ref in by_ref:
                raise ValueError(f"two objects are called {ref}")
            by_ref[ref] = item
        needs = {ref: frozenset(needed) for ref, needed in (dependencies or {}).items()}
        return cls(by_ref, needs, tuple(sorted(unmanaged)), options)

    def __iter__(self) -> Iterator[CatalogObject]:
        return iter(self.objects.values())

    def __len__(self) -> int:
        return len(self.objects)

    def __contains__(self, ref: Ref) -> bool:
        return ref in self.objects

    def get(self, ref: Ref) -> CatalogObject | None:
        return self.objects.get(ref)

    def all(self, kind: type[T]) -> list[T]:
        """Return the objects of one class, in the catalog's order."""
        return [item for item in self.objects.values() if isinstance(item, kind)]

    def children(self, table: Ref) -> list[CatalogObject]:
        """Return constraints, indexes, triggers, ... whose parent is `table`; linear in the catalog, group once for many."""
        return [item for item in self.objects.values() if item.parent == table.name and item.schema == table.schema]

    def table(self, schema: str, name: str) -> Table | None:
        found = self.objects.get(Ref("table", schema, name))
        return found if isinstance(found, Table) else None

    def spelled(self, kind: str, schema: str, name: str) -> Ref | None:
        """Return the one object whose name is this in another case, also where it belongs to a table; None where many are."""
        found = [ref for ref in self.objects if ref.kind == kind and ref.schema == schema and ref.name.lower() == name.lower()]
        return found[0] if len(found) == 1 else None

    def in_order(self) -> Catalog:
        """Return the same catalog with its objects in the order of their refs."""
        return replace(self, objects={ref: self.objects[ref] for ref in sorted(self.objects)})

    def only(self, refs: Iterable[Ref]) -> Catalog:
        """Return the catalog restricted to `refs`; dependencies on anything else stay, they are harmless."""
        keep = set(refs)
        tables = {(ref.schema, ref.name) for ref in keep if not ref.parent}  # or foreign tables, or views
        return replace(
            self,
            objects={ref: item for ref, item in self.objects.items() if ref in keep},
            dependencies={
                ref: needs for ref, needs in self.dependencies.items() if ref in keep or (ref.schema, ref.parent) in tables
            },
        )


EMPTY = Catalog()
