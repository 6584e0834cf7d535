"""Types built anew under their columns: enums that lose or reorder labels, domains over another type, other collations.

PostgreSQL cannot take a label from an enum. The old type steps aside under another name, its successor is made, every
column is converted through its text, and the old type goes. A collation is exchanged the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeGuard

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterObject, CatalogChange, ChangeSet
from dbops.catalog.model import CatalogObject, Column, CompositeType, Defined, Domain, Enum, ForeignTable, RangeType, Table
from dbops.catalog.order import dependents, owner_of
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.postgresql.render import columns, hazards, parts, types
from dbops.engines.postgresql.render import others as others_sql
from dbops.engines.postgresql.render.conversion import element, from_one, using
from dbops.engines.postgresql.render.names import aside as called_aside
from dbops.engines.postgresql.render.names import designation, named, quote
from dbops.engines.postgresql.render.reassembly import Reassembly
from dbops.engines.postgresql.render.scene import Scene, parents_of, statement
from dbops.engines.postgresql.render.security import new_object
from dbops.engines.postgresql.render.types import UserType
from dbops.errors import PlanError
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_TYPES = (Enum, Domain, CompositeType, RangeType)
Rebuilt = UserType | Defined


@dataclass(frozen=True, slots=True)
class Conversion:
    """One column that keeps the name of its type while the type behind the name changes."""

    table: Ref
    before: Column
    after: Column

    @property
    def ref(self) -> Ref:
        return Ref("column", self.table.schema, self.after.name, self.table.name)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """All types built anew together, users after what they are made of, and the columns that have them."""

    types: tuple[tuple[Rebuilt, Rebuilt], ...] = ()
    conversions: tuple[Conversion, ...] = ()

    @property
    def refs(self) -> frozenset[Ref]:
        return frozenset(after.ref for _, after in self.types)

    @property
    def spellings(self) -> set[str]:
        """How columns name the types that are there afterwards."""
        return _spellings(after for _, after in self.types)

    def reversed(self) -> Rebuild:
        """Return the way back."""
        conversions = (Conversion(c.table, c.after, c.before) for c in self.conversions)
        return Rebuild(tuple((new, old) for old, new in self.types), tuple(conversions))


def find_rebuild(changes: ChangeSet) -> Rebuild:
    """Return what has to be built anew: types that ALTER cannot change and that tables store, with all types made of them."""
    altered = [change for change in changes.changes if isinstance(change, AlterObject)]
    wanted = [change for change in altered if _cannot_stay(change) or tightens(change)]
    if not wanted:
        return Rebuild()
    users = dependents(changes.before.dependencies)
    found: dict[Ref, None] = {}
    for change in wanted:
        made_of_it: dict[Ref, None] = {}
        _add_with_users(change.ref, changes.before, users, made_of_it)
        stored = (column.type for _, column in _stored_columns(changes.before, users, made_of_it))
        if any(_cannot_stay(change) or kind != named(change.ref) for kind in stored):
            _add_with_users(change.ref, changes.before, users, found)
    pairs = [(_type(changes.before, ref), _type(changes.after, ref)) for ref in _users_last(found, changes)]
    conversions = [
        Conversion(table, column, new)
        for table, column in _stored_columns(changes.before, users, found)
        if (new := _column(changes.after.objects.get(table), column.name))
        and {new.type, new.collation} & _spellings(_type(changes.after, ref) for ref in found)
        if column.generated is None and new.generated is None  # else it makes way, and is computed again
    ]
    kept = tuple((old, new) for old, new in pairs if old is not None and new is not None)
    return Rebuild(kept, tuple(sorted(conversions, key=lambda conversion: conversion.ref)))


def _users_last(found: Iterable[Ref], changes: ChangeSet) -> list[Ref]:
    """Sort types so that each comes after what it is made of, before and after the changes."""
    waiting = list(found)
    done: list[Ref] = []
    while waiting:
        sides = (changes.before.dependencies, changes.after.dependencies)
        free = [ref for ref in waiting if not any(side.get(ref, frozenset()) & set(waiting) - {ref} for side in sides)]
        done += free or waiting
        waiting = [ref for ref in waiting if ref not in done]
    return done


def _is_rebuilt(item: CatalogObject | None) -> TypeGuard[Rebuilt]:
    return isinstance(item, _TYPES) or (isinstance(item, Defined) and item.what == "collation")


def _cannot_stay(change: AlterObject) -> bool:
    before, after = change.before, change.after
    if isinstance(before, _TYPES) and isinstance(after, _TYPES):
        return not types.is_in_place(before, after, is_stored=True)
    if not isinstance(before, Defined) or not isinstance(after, Defined):
        return False
    return before.what == "collation" and before.definition != after.definition


def tightens(change: AlterObject) -> bool:
    """Tell whether values are checked again, which PostgreSQL cannot do inside arrays and composites (manual, ALTER DOMAIN)."""
    before, after = change.before, change.after
    if not isinstance(before, Domain) or not isinstance(after, Domain):
        return False
    added = {text for pair in set(after.checks) - set(before.checks) for text in pair[1:] if not text.endswith(" NOT VALID")}
    return bool(added) or (before.nullable and not after.nullable)


def _add_with_users(ref: Ref, catalog: Catalog, users: Mapping[Ref, frozenset[Ref]], found: dict[Ref, None]) -> None:
    """Add a type, then the domains, composite types and ranges made of it."""
    found.pop(ref, None)
    found[ref] = None
    for user in sorted(users.get(ref, frozenset())):
        if _is_rebuilt(catalog.objects.get(user)):
            _add_with_users(user, catalog, users, found)


def _type(catalog: Catalog, ref: Ref) -> Rebuilt | None:
    found = catalog.objects.get(ref)
    return found if _is_rebuilt(found) else None


def _stored_columns(
    catalog: Catalog, users: Mapping[Ref, frozenset[Ref]], found: Mapping[Ref, None]
) -> Iterator[tuple[Ref, Column]]:
    """Yield table and column wherever one of the types is the type of a column, as an array too, or its collation."""
    spellings = _spellings(_type(catalog, ref) for ref in found)
    for ref in found:
        for user in sorted(users.get(ref, frozenset())):
            table = catalog.objects.get(owner_of(catalog, user)) if user.kind == "column" else None
            column = _column(table, user.name)
            if table is not None and column is not None and {column.type, column.collation} & spellings:
                yield table.ref, column


def _spellings(items: Iterable[Rebuilt | None]) -> set[str]:
    """Return how columns name types, the multiranges of ranges, or arrays of them."""
    names = {name for item in items if item is not None for name in _names(item)}
    return names | {f"{name}{brackets}" for name in names for brackets in ("[]", "[][]")}


def _names(item: Rebuilt) -> Iterator[str]:
    yield named(item.ref)
    if isinstance(item, RangeType):
        yield types.multirange(item)


def _column(table: CatalogObject | None, name: str) -> Column | None:
    columns = table.columns if isinstance(table, Table | ForeignTable) else ()
    return next((column for column in columns if column.name == name), None)


def statements(rebuild: Rebuild, scene: Scene) -> Iterator[Statement]:
    """Yield the whole exchange."""
    for old, new in rebuild.types:
        why = Hazard("ENUM_REBUILD", f"{new.ref.qualified} is built again under its columns: {_difference(old, new)}")
        first, *others = _rename_away(old, rebuild, scene)
        yield statement(first.sql, why, *_losses(old, new))
        yield from others
    for old, new in rebuild.types:
        yield from others_sql.create(new) if isinstance(new, Defined) else types.create(new)
        yield from new_object(_with_live_grants(old, new), scene)
    reassembly = Reassembly(rebuild.types)
    converting = list(_converted(rebuild, reassembly, scene))
    yield from reassembly.functions()
    yield from converting
    yield from reassembly.functions_gone()
    for old, _ in reversed(rebuild.types):
        yield Statement(f"DROP {designation(_aside(old))}")


def _converted(rebuild: Rebuild, reassembly: Reassembly, scene: Scene) -> Iterator[Statement]:
    for conversion in rebuild.conversions:
        if conversion.table not in scene.renewed and not _is_inherited(conversion, rebuild, scene):
            _refuse_keys_of_partitions(conversion, rebuild, scene)
            yield from _convert(conversion, rebuild, reassembly, scene)
    for conversion in rebuild.conversions:
        if (default := _own_default(conversion, rebuild, scene)) is not None:
            column = quote(conversion.after.name)
            yield Statement(f"ALTER TABLE {named(conversion.table)} ALTER COLUMN {column} SET DEFAULT {default}")
    for ref in sorted(scene.renewed):
        table = scene.before.objects.get(ref)
        if isinstance(table, Table) and not scene.renewed & set(parents_of(table)):  # else its rows wait with its parent's
            yield from _convert_aside(table, rebuild, reassembly, scene)


def _refuse_keys_of_partitions(conversion: Conversion, rebuild: Rebuild, scene: Scene) -> None:
    """The server does not convert a column that a table is divided by.

    Raises:
        PlanError: the column is one.
    """
    table, name = scene.before.objects.get(conversion.table), conversion.after.name
    for divided in (table, *(scene.before.objects.get(heir) for heir in scene.heirs.get(conversion.table, ()))):
        key = divided.partition_by.expression if isinstance(divided, Table) and divided.partition_by else ""
        if quote(name) in re.findall(r'"(?:[^"]|"")+"|[\w$]+', key):
            found = conversion.before.type.removesuffix("[]")
            raise PlanError(
                f"{found} would have to be built again, but {divided.ref.qualified if divided else name} is divided by {name},"
                " and PostgreSQL does not convert such a column",
                fix="leave its attributes in their places, new ones at the end"
                if any(isinstance(old, CompositeType) and named(old.ref) == found for old, _ in rebuild.types)
                else f"make a type of another name, and give it to {name}: the table is divided anew, and its rows move;"
                " a plan after that can rename the type",
            )


def _own_default(conversion: Conversion, rebuild: Rebuild, scene: Scene) -> str | None:
    """Return the default that an heir has beside its parent's: it went when that changed its type."""
    if conversion.table in scene.renewed or not _is_inherited(conversion, rebuild, scene):
        return None
    above = [other for other in rebuild.conversions if other.table in parents_of(scene.before.objects.get(conversion.table))]
    given = {other.after.default for other in above if other.after.name == conversion.after.name}
    return conversion.after.default if given != {conversion.after.default} else None


def _rename_away(item: Rebuilt, rebuild: Rebuild, scene: Scene) -> Iterator[Statement]:
    if isinstance(item, Defined):
        yield Statement(f"ALTER {designation(item)} RENAME TO {quote(_aside(item).name)}")
    else:
        before = rebuild.types[: [old for old, _ in rebuild.types].index(item)]
        yield from types.rename_away(item, scene.version, {named(old.ref): named(_aside(old).ref) for old, _ in before})


def _aside(item: Rebuilt) -> Rebuilt:
    return replace(item, name=called_aside(item.name)) if isinstance(item, Defined) else types.set_aside(item)


def _with_live_grants(old: Rebuilt, new: Rebuilt) -> Rebuilt:
    return replace(
        new, owner=new.owner if new.owner is not None else old.owner, grants=new.grants if new.grants is not None else old.grants
    )


def _difference(old: Rebuilt, new: Rebuilt) -> str:
    if isinstance(old, Enum) and isinstance(new, Enum):
        gone = [label for label in old.labels if label not in new.labels]
        return f"labels {', '.join(gone)} are taken out" if gone else "labels are put in another order"
    return "its definition changes"


def _losses(old: Rebuilt, new: Rebuilt) -> list[Hazard]:
    if isinstance(old, Enum) and isinstance(new, Enum) and set(old.labels) - set(new.labels):
        gone = ", ".join(label for label in old.labels if label not in new.labels)
        return [
            hazards.deletes_data(f"labels {gone} of {new.ref.qualified} are removed"),
            Hazard("MAY_FAIL_ON_DATA", f"rows that hold {gone} of {new.ref.qualified} stop the change"),
        ]
    if isinstance(old, CompositeType) and isinstance(new, CompositeType):
        lost = {column.name for column in old.columns} - {column.name for column in new.columns}
        return [hazards.deletes_data(f"attributes {', '.join(sorted(lost))} of {new.ref.qualified} are removed")] if lost else []
    return []


def _is_inherited(conversion: Conversion, rebuild: Rebuild, scene: Scene) -> bool:
    """A column handed down is converted with the parent's."""
    tables = {other.table for other in rebuild.conversions if other.after.name == conversion.after.name}
    parents = parents_of(scene.before.objects.get(conversion.table))
    return "inherited" in dict(conversion.before.options) and any(parent in tables for parent in parents)


def _convert(conversion: Conversion, rebuild: Rebuild, reassembly: Reassembly, scene: Scene) -> Iterator[Statement]:
    name, was, kind = quote(conversion.before.name), conversion.before.type, conversion.after.type
    is_elsewhere = conversion.table.kind == "foreign_table"  # its values are, and need no conversion
    expression = name if is_elsewhere else _expression(name, was, kind, rebuild, reassembly, scene)
    yield from columns.alter(conversion.table, conversion.before, conversion.after, scene, through=expression)


def _convert_aside(table: Table, rebuild: Rebuild, reassembly: Reassembly, scene: Scene) -> Iterator[Statement]:
    """Rows that wait for their table to be made again wait in values of the types by then; on the way back no others wait."""
    successor = scene.after.objects.get(table.ref)
    for column in table.columns:
        if scene.is_way_back and isinstance(successor, Table) and successor.column(column.name) is None:
            continue
        if not {column.type, column.collation} & rebuild.spellings:
            continue
        name, collation = quote(column.name), f" COLLATE {column.collation}" if column.collation else ""
        value = _expression(name, column.type, column.type, rebuild, reassembly, scene)
        yield Statement(
            f"ALTER TABLE {parts.aside(table)} ALTER COLUMN {name} DROP DEFAULT,"
            f" ALTER COLUMN {name} TYPE {column.type}{collation} USING {value}"
        )


def _expression(name: str, was: str, kind: str, rebuild: Rebuild, reassembly: Reassembly, scene: Scene) -> str:
    """Return what a value of a type becomes when that is built again, or its column gets another type."""
    if kind == f"{was}[]":
        one = _expression(name, was, was, rebuild, reassembly, scene)
        return f"CASE WHEN {name} IS DISTINCT FROM NULL THEN ARRAY[{one}]::{kind} END"
    if was == f"{kind}[]":
        return from_one(name, _expression(element(name), kind, kind, rebuild, reassembly, scene), kind)
    if kind != was and kind not in rebuild.spellings:
        return using(name, was, kind, scene.domains) or name
    if all(isinstance(new, Defined) for _, new in rebuild.types):
        return name
    if kind == was and (found := reassembly.value(name, kind)):
        return found
    for old, new in rebuild.types:
        if kind == named(new.ref) and isinstance(old, Domain) and isinstance(new, Domain) and old.base_type != new.base_type:
            return using(name, old.base_type, new.base_type, scene.domains) or f"{name}::{kind}"
    return f"{name}::text::{kind}"


def anchor(changes: tuple[CatalogChange, ...], rebuild: Rebuild) -> Ref | None:
    """Return the type whose change stands for the whole rebuild in the order of changes."""
    return next((change.ref for change in changes if isinstance(change, AlterObject) and change.ref in rebuild.refs), None)


def without_conversions(changes: tuple[CatalogChange, ...], rebuild: Rebuild) -> tuple[CatalogChange, ...]:
    """Return the changes that the rebuild does not carry out by itself, and the one that stands for it."""
    done = {conversion.ref for conversion in rebuild.conversions} | rebuild.refs
    kept = anchor(changes, rebuild)
    return tuple(change for change in changes if change.ref not in done or change.ref == kept)
