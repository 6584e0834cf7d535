"""Values inside values: where a column holds what is of some type, in arrays, ranges, composites and domains, however deep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, CatalogChange, DropColumn, DropObject, column_ref
from dbops.catalog.model import CatalogObject, Column, CompositeType, Domain, RangeType, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.names import named, qualified, quote
from dbops.engines.postgresql.render.types import multirange

Types = Mapping[str, CatalogObject]


def types_of(catalog: Catalog) -> Types:
    """Return what a type's name may stand for that holds other values, by the names that columns use.

    That of a multirange stands for its range.
    """
    ranges = list(catalog.all(RangeType))
    found: list[CatalogObject] = [*catalog.all(Table), *catalog.all(CompositeType), *catalog.all(Domain), *ranges]
    return {**{multirange(item): item for item in ranges}, **{qualified(item.schema, item.name): item for item in found}}


def staying(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[tuple[Ref, Column]]:
    """Yield the columns, but for those of partitions and heirs, that keep their values and their type."""
    gone: set[Ref] = set()
    for change in changes:
        if isinstance(change, DropObject | DropColumn) or (
            isinstance(change, AlterColumn)
            and (change.before.type, change.before.generated) != (change.after.type, change.after.generated)
        ):
            gone.add(change.ref)
    for table in live.all(Table):
        if table.ref not in gone and table.partition_of is None and not table.inherits:
            yield from ((table.ref, column) for column in table.columns if column_ref(table.ref, column.name) not in gone)


def holding(expression: str, kind: str, wanted: str, types: Types, condition: Callable[[str], str], depth: int = 0) -> str | None:
    """Return the condition that a value holds one of the type `wanted` that meets `condition`; None where it holds none."""
    if kind == wanted:
        return condition(expression)
    one = kind.removesuffix("[]")
    item = types.get(kind)
    several = named(item.ref) if isinstance(item, RangeType) and kind != named(item.ref) else one
    if several != kind:
        name = f"dbops_held_{depth}"
        inner = holding(f"{name}.v", several, wanted, types, condition, depth + 1)
        # in FROM, unnest would make rows of composites, and a row of NULLs of one that is NULL
        return f"EXISTS (SELECT 1 FROM (SELECT unnest({expression}) AS v) AS {name} WHERE {inner})" if inner else None
    match item:
        case RangeType(options=options):
            values = [f"pg_catalog.{end}({expression})" for end in ("lower", "upper")]
            ends = [(value, holding(value, dict(options)["subtype"], wanted, types, condition, depth)) for value in values]
            found = [f"{value} IS DISTINCT FROM NULL AND {part}" for value, part in ends if part]  # NULL is no end
            return f"({' OR '.join(found)})" if found else None
        case Domain(base_type=base):
            return holding(expression, base, wanted, types, condition, depth)
        case CompositeType(columns=columns) | Table(columns=columns):
            parts = [
                holding(f"({expression}).{quote(column.name)}", column.type, wanted, types, condition, depth)
                for column in columns
            ]
            found = [part for part in parts if part]
            # where all of it is NULL there are no values in it; IS NOT NULL would ask every attribute
            return f"({expression} IS DISTINCT FROM NULL AND ({' OR '.join(found)}))" if found else None
        case _:
            return None
