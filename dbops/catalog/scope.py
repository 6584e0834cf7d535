"""Which objects of a database are managed: schemas and exclusion patterns, as the manifest says them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dbops.dataclass import dataclass

if TYPE_CHECKING:
    from dbops.catalog.catalog import Catalog
    from dbops.catalog.ref import Ref


@dataclass(frozen=True, slots=True)
class Scope:
    """`schemas` None means all but the engine's own; `exclude` are shell patterns on `name`, `schema.name`, `schema.*`,
    `table.part` or `kind:name`; only one with a dot looks at the schema, only one with a colon at the kind.
    """

    schemas: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    def includes(self, ref: Ref) -> bool:
        """Tell whether an object, or the table it belongs to, is managed."""
        if self.schemas is not None:
            namespace = ref.name if ref.kind == "schema" else ref.schema
            if namespace and namespace not in self.schemas:
                return False
        return not (self.exclude and any(_matches(pattern, ref) for pattern in self.exclude))


def _matches(pattern: str, ref: Ref) -> bool:
    kind, colon, name = pattern.partition(":")
    if colon and fnmatchcase(ref.kind, kind) and fnmatchcase(f"{ref.schema}.{ref.name}" if "." in name else ref.name, name):
        return True
    return any(fnmatchcase(name, pattern) for name in (_dotted(ref) if "." in pattern else _bare(ref)))


def _bare(ref: Ref) -> set[str]:
    """Return what a pattern without a dot means: `*` is no part of a schema's name there."""
    return {ref.parent or ref.name.split("(", 1)[0], ref.name}


def _dotted(ref: Ref) -> set[str]:
    """Return what a pattern with a dot means; a name may have a dot of its own."""
    if ref.kind == "schema":
        return {ref.name, f"{ref.name}.*"}
    own = ref.parent or ref.name.split("(", 1)[0]
    names = {own, ref.name, f"{ref.schema}.{own}", f"{ref.schema}.{ref.name}"}
    return names | {f"{ref.parent}.{ref.name}", f"{ref.schema}.{ref.parent}.{ref.name}"} if ref.parent else names


def restrict(catalog: Catalog, scope: Scope) -> Catalog:
    """Return the managed part of a catalog."""
    if scope.schemas is None and not scope.exclude:
        return catalog
    return catalog.only(ref for ref in catalog.objects if scope.includes(ref))
