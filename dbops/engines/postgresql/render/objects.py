"""Every kind of object by its class: what creates it, drops it, and turns one into another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dbops.catalog.model import (
    CatalogObject,
    CompositeType,
    Constraint,
    Defined,
    Domain,
    Enum,
    Extension,
    ForeignTable,
    Index,
    MaterializedView,
    Policy,
    RangeType,
    Routine,
    Rule,
    Schema,
    Table,
    Trigger,
    View,
)
from dbops.catalog.model import (
    Sequence as SequenceObject,
)
from dbops.engines.postgresql.render import (
    constraints,
    indexes,
    others,
    parts,
    routines,
    security,
    sequences,
    tables,
    types,
    views,
)
from dbops.engines.postgresql.render.parts import ColumnDefault, DomainRules, Membership, Part, ReplicaIdentity, Rows, RowType
from dbops.engines.postgresql.render.scene import Scene
from dbops.sql.statement import Statement

_USER_TYPES = (Enum, Domain, CompositeType, RangeType)


def create(
    item: CatalogObject,
    scene: Scene,
    inline: Sequence[Constraint] = (),
    *,
    is_owned_now: bool = True,
    owned: Sequence[SequenceObject] = (),
) -> Iterator[Statement]:
    """Yield what makes an object, its comment, owner and grants included.

    `inline` are constraints made with their table, `owned` sequences that become its own, before it changes hands.
    """
    yield from _create(item, scene, inline, is_owned_now)
    yield from (sequences.own(other) for other in owned)
    if not isinstance(item, Part):
        yield from security.new_object(item, scene)
    for constraint in inline:
        yield from security.comment(constraint)


def _create(item: CatalogObject, scene: Scene, inline: Sequence[Constraint], is_owned_now: bool) -> Iterator[Statement]:
    match item:
        case Schema():
            return others.create_schema(item)
        case Extension():
            return others.create_extension(item)
        case Table() | ForeignTable():
            return tables.create(item, inline, scene)
        case Constraint():
            return constraints.create(item, scene)
        case Index():
            return indexes.create(item, scene)
        case View():
            return views.create(item)
        case MaterializedView():
            return views.create_materialized(item)
        case SequenceObject():
            return sequences.create(item, is_owned_now=is_owned_now, scene=scene)
        case Enum() | Domain() | CompositeType() | RangeType():
            return types.create(item)
        case Routine():
            return routines.create(item)
        case Trigger():
            return routines.create_trigger(item, scene)
        case Rule():
            return routines.create_rule(item, scene)
        case Policy():
            return routines.create_policy(item, scene)
        case Defined():
            return others.create(item)
        case ColumnDefault() | Membership() | Rows() | ReplicaIdentity() | RowType() | DomainRules():
            return parts.create(item, scene)
    raise TypeError(f"not an object of PostgreSQL: {item.ref}")


def drop(item: CatalogObject, scene: Scene) -> Iterator[Statement]:
    """Yield what drops an object."""
    match item:
        case Schema():
            return others.drop_schema(item)
        case Extension():
            return others.drop_extension(item)
        case Table() | ForeignTable():
            return tables.drop(item, scene)
        case Constraint():
            return constraints.drop(item, scene)
        case Index():
            return indexes.drop(item, scene)
        case View():
            return views.drop(item)
        case MaterializedView():
            return views.drop_materialized(item)
        case SequenceObject():
            return sequences.drop(item)
        case Enum() | Domain() | CompositeType() | RangeType():
            return types.drop(item)
        case Routine():
            return routines.drop(item)
        case Trigger() | Rule() | Policy():
            return routines.drop_attached(item, scene)
        case Defined():
            return others.drop(item, scene)
        case ColumnDefault() | Membership() | Rows() | ReplicaIdentity() | RowType() | DomainRules():
            return parts.drop(item, scene)
    raise TypeError(f"not an object of PostgreSQL: {item.ref}")


def is_in_place(before: CatalogObject, after: CatalogObject, scene: Scene, *, is_stored: bool = False) -> bool:
    """Tell whether ALTER or CREATE OR REPLACE leads from one to the other; `is_stored`: tables have columns of the type."""
    if type(before) is not type(after):
        return False
    before = replace(before, comment=after.comment, owner=after.owner, grants=after.grants)
    if before == after:
        return True
    match before, after:
        case (Table() | ForeignTable(), Table() | ForeignTable()):
            return tables.is_in_place(before, after)
        case Constraint(), Constraint():
            return constraints.is_in_place(before, after)
        case Index(), Index():
            return indexes.is_in_place(before, after)
        case View(), View():
            return views.is_in_place(before, after)
        case MaterializedView(), MaterializedView():
            return views.is_in_place_materialized(before, after)
        case (Enum() | Domain() | CompositeType() | RangeType(), Enum() | Domain() | CompositeType() | RangeType()):
            return types.is_in_place(before, after, is_stored=is_stored)
        case Routine(), Routine():
            return routines.is_in_place(before, after)
        case Trigger(), Trigger():
            return routines.is_in_place_trigger(before, after, scene.version)
        case Policy(), Policy():
            return routines.is_in_place_policy(before, after)
        case Defined(), Defined():
            return others.is_in_place(before, after)
        case Extension(), Extension():
            return others.is_in_place_extension(before, after)
    return True


def alter(before: CatalogObject, after: CatalogObject, scene: Scene) -> Iterator[Statement]:
    """Yield what turns one object into the other, where `is_in_place` allows it."""
    yield from _alter(before, after, scene)
    yield from security.comment(after, before.comment)
    yield from security.owner(after, before.owner)
    had, wanted = security.as_owned(before, after, scene)
    if had != wanted.grants:
        yield from security.grants(wanted, had, scene)


def _alter(before: CatalogObject, after: CatalogObject, scene: Scene) -> Iterator[Statement]:
    match before, after:
        case (Table() | ForeignTable(), Table() | ForeignTable()):
            return tables.alter(before, after, scene)
        case Constraint(), Constraint():
            return constraints.alter(before, after, scene)
        case Index(), Index():
            return indexes.alter(before, after, scene)
        case View(), View():
            return views.alter(before, after)
        case MaterializedView(), MaterializedView():
            return views.alter_materialized(before, after, scene)
        case SequenceObject(), SequenceObject():
            return sequences.alter(before, after, scene)
        case (Enum() | Domain() | CompositeType() | RangeType(), Enum() | Domain() | CompositeType() | RangeType()):
            return types.alter(before, after)
        case Routine(), Routine():
            return routines.alter(before, after)
        case Trigger(), Trigger():
            return routines.alter_trigger(before, after, scene)
        case Rule(), Rule():
            return routines.alter_rule(before, after, scene)
        case Policy(), Policy():
            return routines.alter_policy(before, after, scene)
        case Defined(), Defined():
            return others.alter(before, after)
        case Extension(), Extension():
            return others.alter_extension(before, after)
    return iter(())
