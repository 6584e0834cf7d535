"""An inspected catalog for people: an outline of its objects, a few words each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import (
    CatalogObject,
    Check,
    Column,
    Constraint,
    Domain,
    Enum,
    Exclusion,
    ForeignKey,
    ForeignTable,
    Index,
    IndexKey,
    Policy,
    PrimaryKey,
    Table,
    Unique,
)
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One object or part of one: what it is, its name (empty for a constraint without one), and the rest in a few words."""

    kind: str
    name: str
    detail: str
    parts: tuple[Line, ...] = ()


def outline(catalog: Catalog) -> list[Line]:
    """Return the free-standing objects in the catalog's order, each with its columns, constraints, indexes, triggers, ..."""
    children: defaultdict[Ref, list[CatalogObject]] = defaultdict(list)
    for item in catalog:
        if item.parent:
            children[item.ref.table].append(item)
    lines = []
    for item in catalog:
        if not item.parent:
            inside = [_line(child) for child in sorted(children.get(Ref("table", item.schema, item.name), ()), key=_place)]
            lines.append(_line(item, (*_columns(item), *inside)))
    return lines


_FIRST = ("primary_key", "unique", "foreign_key", "check", "exclusion", "index")


def _place(item: CatalogObject) -> int:
    """Return where an object stands among those of its table: keys first, then constraints, indexes and the rest."""
    return _FIRST.index(item.ref.kind) if item.ref.kind in _FIRST else len(_FIRST)


def _line(item: CatalogObject, parts: tuple[Line, ...] = ()) -> Line:
    words = [detail(item), f"-- {item.comment}" if item.comment else ""]
    name = item.name if item.parent or not item.schema else f"{item.schema}.{item.name}"
    if isinstance(item, Constraint) and not item.is_named:
        name = ""
    return Line(item.ref.kind.replace("_", " "), name, " ".join(word for word in words if word), parts)


_IDENTITIES = {"always": "identity always", "by_default": "identity by default", "auto_increment": "auto increment"}


def _columns(item: CatalogObject) -> Iterable[Line]:
    if isinstance(item, Table | ForeignTable):
        for column in item.columns:
            yield Line("column", column.name, _column(column))


def _column(column: Column) -> str:
    words = [column.type]
    if not column.nullable:
        words.append("not null")
    if filled := filling(column):
        words.append(f"default {filled}" if filled == column.default else filled)
    if column.comment:
        words.append(f"-- {column.comment}")
    return " ".join(words)


def filling(column: Column) -> str:
    """Return what gives a column its value where nobody does: a default, an expression, a numbering; empty for none."""
    if column.generated is not None:
        return f"generated as ({column.generated.expression})"
    if column.identity is not None:
        return _IDENTITIES.get(column.identity.mode, column.identity.mode)
    return column.default or ""


def detail(item: CatalogObject) -> str:
    """Return what an object is beyond kind and name, on one line; empty where that takes more."""
    match item:
        case PrimaryKey() | Unique():
            return f"({', '.join(item.columns)})"
        case ForeignKey():
            there = f" ({', '.join(item.referenced_columns)})" if item.referenced_columns else ""
            return f"({', '.join(item.columns)}) to {item.references.qualified}{there}"
        case Check():
            return item.expression
        case Exclusion():
            return item.definition
        case Index():
            return f"{'unique ' if item.unique else ''}({', '.join(_key(key) for key in item.keys)})" + (
                f" where {item.predicate}" if item.predicate else ""
            )
        case Enum():
            return ", ".join(item.labels)
        case Domain():
            return item.base_type
        case Policy():
            return f"for {item.command}"
        case _:
            return ""


def _key(key: IndexKey) -> str:
    return (key.column or key.expression or "") + (" desc" if key.descending else "")
