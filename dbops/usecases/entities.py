"""Tables as the entities of a diagram, and foreign keys as its relationships with their cardinalities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Column, ForeignKey, ForeignTable, Index, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass

Parts = Mapping[Ref, list[CatalogObject]]


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column; `keys` are PK, FK and UK, as far as they hold for this column (UK: unique by itself).

    Columns of a primary key are not `nullable`, though SQLite lets some hold NULL (manual, CREATE TABLE, 3.5).
    """

    name: str
    type: str
    nullable: bool
    keys: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    ref: Ref
    attributes: tuple[Attribute, ...]
    comment: str | None = None

    @property
    def title(self) -> str:
        return self.ref.qualified


@dataclass(frozen=True, slots=True)
class Relationship:
    """One foreign key from `child` to `parent`.

    `needs_parent`: no column of it may be NULL, so every child has a parent. `is_single`: a parent has one child at most,
    because the columns hold a key of the child. `is_identifying`: they are part of the child's primary key.
    """

    child: Ref
    parent: Ref
    name: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    needs_parent: bool
    is_single: bool
    is_identifying: bool


def by_table(catalog: Catalog) -> Parts:
    """Return keys, constraints, indexes, triggers, ... by the table they belong to."""
    parts: defaultdict[Ref, list[CatalogObject]] = defaultdict(list)
    for item in catalog:
        if item.parent:
            parts[item.ref.table].append(item)
    return parts


def entities(catalog: Catalog) -> list[Entity]:
    """Return the tables in the catalog's order; partitions stand behind the table they divide and are left out."""
    parts = by_table(catalog)
    return [
        Entity(item.ref, tuple(_attributes(item.columns, parts.get(_owner(item.ref), ()))), item.comment)
        for item in catalog
        if isinstance(item, Table | ForeignTable) and item.partition_of is None
    ]


def relationships(catalog: Catalog) -> list[Relationship]:
    """Return the foreign keys between the tables of `entities`, in the catalog's order."""
    parts = by_table(catalog)
    shown = {item.ref for item in catalog if isinstance(item, Table) and item.partition_of is None}
    return [
        _relationship(key, table, parts[key.ref.table])
        for key in catalog.all(ForeignKey)
        if key.references in shown and key.ref.table in shown and isinstance(table := catalog.get(key.ref.table), Table)
    ]


def attribute_keys(parts: Iterable[CatalogObject]) -> Mapping[str, tuple[str, ...]]:
    """Return PK, FK and UK by the names of the columns they hold for."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for part in parts:
        match part:
            case PrimaryKey():
                for name in part.columns:
                    found[name].add("PK")
            case ForeignKey():
                for name in part.columns:
                    found[name].add("FK")
            case Unique() | Index():
                columns = _unique_columns(part)
                if columns and len(columns) == 1:
                    found[columns[0]].add("UK")
            case _:
                pass
    return {name: tuple(key for key in ("PK", "FK", "UK") if key in keys) for name, keys in found.items()}


def _owner(ref: Ref) -> Ref:
    """Return the ref under which parts know their table: that of a table, whatever it is a table of."""
    return Ref("table", ref.schema, ref.name)


def _attributes(columns: Iterable[Column], parts: Iterable[CatalogObject]) -> Iterable[Attribute]:
    keys = attribute_keys(parts)
    for column in columns:
        own = keys.get(column.name, ())
        yield Attribute(column.name, column.type, column.nullable and "PK" not in own, own, column.comment)


def _unique_columns(part: CatalogObject) -> tuple[str, ...] | None:
    """Return the columns no two rows share, None where the part says nothing of the kind about whole rows and columns."""
    match part:
        case PrimaryKey() | Unique():
            return part.columns
        case Index(unique=True, predicate=None):
            columns = tuple(key.column for key in part.keys if key.column is not None and key.prefix is None)
            return columns if len(columns) == len(part.keys) else None
        case _:
            return None


def _relationship(key: ForeignKey, table: Table, parts: Iterable[CatalogObject]) -> Relationship:
    own = set(key.columns)
    uniques = [set(columns) for part in parts if (columns := _unique_columns(part))]
    primary = next((set(part.columns) for part in parts if isinstance(part, PrimaryKey)), set())
    nullable = {column.name for column in table.columns if column.nullable}
    return Relationship(
        child=table.ref,
        parent=key.references,
        name=key.name if key.is_named else "",
        columns=key.columns,
        parent_columns=key.referenced_columns,
        needs_parent=own.isdisjoint(nullable - primary),
        is_single=any(columns <= own for columns in uniques),
        is_identifying=own <= primary,
    )
