"""Values inside values: where a column holds what is of some type, in arrays, composites and domains, however deep."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, CompositeType, Domain, Table
from dbops.engines.postgresql.render.names import qualified, quote

Types = Mapping[str, CatalogObject]


def types_of(catalog: Catalog) -> Types:
    """Return what a type's name may stand for that holds other values, by the names that columns use."""
    found: list[CatalogObject] = [*catalog.all(Table), *catalog.all(CompositeType), *catalog.all(Domain)]
    return {qualified(item.schema, item.name): item for item in found}


def holding(expression: str, kind: str, wanted: str, types: Types, condition: Callable[[str], str], depth: int = 0) -> str | None:
    """Return the condition that a value holds one of the type `wanted` that meets `condition`; None where it holds none."""
    if kind == wanted:
        return condition(expression)
    one = kind.removesuffix("[]")
    if one != kind:
        name = f"dbops_held_{depth}"
        inner = holding(name, one, wanted, types, condition, depth + 1)
        return f"EXISTS (SELECT 1 FROM unnest({expression}) AS {name} WHERE {inner})" if inner else None
    match types.get(kind):
        case Domain(base_type=base):
            return holding(expression, base, wanted, types, condition, depth)
        case CompositeType(columns=columns) | Table(columns=columns):
            parts = [
                holding(f"({expression}).{quote(column.name)}", column.type, wanted, types, condition, depth)
                for column in columns
            ]
            found = [part for part in parts if part]
            return f"({' OR '.join(found)})" if found else None
        case _:
            return None
