"""The way back of one unit of work: the inverse changes, and rows from where they were kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as Several
from dataclasses import replace
from functools import cached_property

from dbops.catalog.changes import (
    AddColumn,
    AlterObject,
    CatalogChange,
    ChangeSet,
    CreateObject,
    DropColumn,
    DropObject,
    column_ref,
    inverse,
)
from dbops.catalog.model import (
    CatalogObject,
    Column,
    CompositeType,
    Domain,
    Enum,
    ForeignTable,
    Index,
    RangeType,
    Sequence,
    Table,
)
from dbops.catalog.order import dependents, owner_of
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.postgresql.render import archive, columns, numbers, objects, retype, security, sequences
from dbops.engines.postgresql.render.doing import do
from dbops.engines.postgresql.render.folding import Unit, handed_down
from dbops.engines.postgresql.render.meanwhile import Meanwhile
from dbops.engines.postgresql.render.ordering import Ordered, ordered
from dbops.engines.postgresql.render.parts import Membership, Rows, aside, move_rows
from dbops.engines.postgresql.render.quiet import Quiet
from dbops.engines.postgresql.render.scene import Scene, parents_of, table_in
from dbops.sql.statement import Statement

_TYPES = (Enum, Domain, CompositeType, RangeType)
AnyTable = Table | ForeignTable


@dataclass(frozen=True, slots=True)
class Kept:
    """Where rows or values went before they were deleted, the columns that tell rows apart, and those a new table leaves out."""

    archive: str
    key: tuple[str, ...] = ()
    lost: tuple[Column, ...] = ()


class Undo:
    """The way back of a plan, unit by unit from the last to the first."""

    def __init__(self, plan: Ordered, scene: Scene) -> None:
        changes = [change for unit in plan.units for change in unit.all]
        self._plan, self._scene, self._back = plan, scene, scene.reversed()
        self._made = frozenset(
            {change.ref for change in changes if isinstance(change, CreateObject | DropObject | AddColumn | DropColumn)}
        )
        self._quiet = Quiet(plan.units, scene, self._made)
        self._meanwhile = Meanwhile(plan.units, scene, plan.rebuild)

    def of(self, unit: Unit, kept: Kept | None) -> Iterator[Statement]:
        """Yield what takes a unit back, when all that the plan does after it has been taken back."""
        back, change = self._back, unit.change
        if change.ref.kind == "routine" and not isinstance(change, CreateObject):  # what it mentions may not be back yet
            yield Statement("SET LOCAL check_function_bodies = off")
        match change:
            case CreateObject(Sequence(owned_by=Ref()) as item):
                yield from sequences.drop(item, is_gone_maybe=True)
            case CreateObject(Rows() as item):
                yield from objects.drop(item, back)
                if kept:
                    yield from self._without_strangers(item, unit, kept)
                yield from (sequences.release(owned) for owned in self._scene.new.owned_by(item.ref.table))
            case CreateObject(item):
                yield from objects.drop(item, back)
            case AddColumn(table, column):
                yield from columns.drop(table, column, back)
            case DropObject(item) if item.ref in self._scene.renewed and isinstance(item, Table):
                yield from self._replaced(unit, item, kept)
            case DropObject():
                yield from self._dropped(unit, kept)
            case DropColumn(table, column):
                yield from self._dropped_column(table, column, unit, kept)
            case _:
                yield from self._altered(unit)

    def _inverse(self, unit: Unit, *others: Unit) -> Ordered:
        """Return the way back of a unit, and of `others` that went with it, from what there is by then."""
        changes = tuple(inverse(change) for one in (unit, *others) for change in one.all)
        refs, place = self._concerned(changes), self._meanwhile.place(unit)
        now, then = self._meanwhile.at(place + 1, refs), self._meanwhile.at(place, refs)
        return ordered(ChangeSet(now, then, changes), self._back)

    def _concerned(self, changes: Several[CatalogChange]) -> set[Ref]:
        """Return what the order of the changes can depend on: themselves, who depends on them, and the tables of all these."""
        seen: set[Ref] = set()
        waiting = [change.ref for change in changes]
        spreads = not all(isinstance(change, CreateObject) for change in changes)
        while waiting:
            ref = waiting.pop()
            if ref in seen:
                continue
            seen.add(ref)
            if spreads and ref.kind != "table":
                waiting += [user for users in self._users for user in users.get(ref, ())]
                waiting += [child.ref for survey in (self._scene.old, self._scene.new) for child in survey.children(ref)]
        seen |= {relative for ref in seen for relative in self._relatives(ref)}
        joined = {item.of for change in changes if isinstance(item := _item(change), Membership)}
        surveys = (self._scene.old, self._scene.new)
        seen |= {child.ref for parent in joined for survey in surveys for child in survey.children(parent)}
        return seen | {child for ref in seen if ref.kind == "index" for child in self._indexes_below(ref.table)}

    def _indexes_below(self, table: Ref) -> Iterator[Ref]:
        """Yield the indexes of the heirs of a table, which one that it gets could adopt."""
        for heir in self._scene.heirs.get(table, ()):
            for survey in (self._scene.old, self._scene.new):
                yield from (child.ref for child in survey.children(heir) if isinstance(child, Index))
            yield from self._indexes_below(heir)

    def _relatives(self, ref: Ref) -> Iterator[Ref]:
        """Yield the table of a child, and the parents and heirs of tables."""
        catalogs = (self._scene.before, self._scene.after)
        waiting = [owner_of(catalog, ref) if ref.parent else ref for catalog in catalogs]
        while waiting:
            table = waiting.pop()
            yield table
            yield from (parent for catalog in catalogs for parent in parents_of(catalog.objects.get(table)))
            waiting += self._scene.heirs.get(table, ())

    @cached_property
    def _users(self) -> tuple[Mapping[Ref, frozenset[Ref]], ...]:
        return tuple(dependents(catalog.dependencies) for catalog in (self._scene.before, self._scene.after))

    def _dropped(self, unit: Unit, kept: Kept | None) -> Iterator[Statement]:
        """Make again what went together, and fill a table before what would slow down or refuse its rows is there."""
        plan = self._inverse(unit)
        for other in plan.units:
            yield from do(other, self._back, plan.rebuild)
            item = other.change.item if isinstance(other.change, CreateObject) else None
            if isinstance(item, Table) and kept and item.ref == unit.change.ref:
                yield from self._quiet.from_above(item, unit, archive.restore_rows(item, kept.archive, self._back))
                yield from _continued(other.owned, item)

    def _replaced(self, unit: Unit, table: Table, kept: Kept | None) -> Iterator[Statement]:
        """Make the old table with the partitions that went when its rows had moved, and move them back."""
        moves = [other for other in self._plan.units if other.change.ref == Ref("rows", table.schema, "rows", table.name)]
        partitions = [Unit(change) for other in moves for change in other.covers]
        plan = self._inverse(unit, *partitions)
        for other in plan.units:
            if _holds_rows(other):
                yield from do(other, self._back, plan.rebuild)
        now = self._scene.after.objects[table.ref]
        assert isinstance(now, Table)
        source = archive.rows_with_lost(table, kept.lost, kept.archive, kept.key, aside(now), self._back) if kept else None
        moving = move_rows(now, table, self._back, source, kept.lost if kept else ())
        yield from self._quiet.from_above(table, unit, moving)
        yield Statement(f"DROP TABLE {aside(now)}")
        for other in plan.units:
            if not _holds_rows(other):
                yield from do(other, self._back, plan.rebuild)

    def _without_strangers(self, item: Rows, unit: Unit, kept: Kept) -> Iterator[Statement]:
        """Let partitions that had rows before they joined give the others back."""
        for ref in item.joining:
            part = self._scene.after.objects[ref]
            assert isinstance(part, Table)
            taking = archive.take_strangers(part, item.before, kept.archive, aside(item.before), self._scene)
            yield from self._quiet.around(ref, unit, taking)

    def _dropped_column(self, ref: Ref, column: Column, unit: Unit, kept: Kept | None) -> Iterator[Statement]:
        """Add the column as one that can be filled, fill it, then say the rest.

        Its default is for rows that came since, and not even tried on others: what is a default need not be a value that fits.
        """
        back = self._back
        owned = [c.item for c in unit.covers if isinstance(c, DropObject) and isinstance(c.item, Sequence)]
        for item in owned:
            yield from objects.create(replace(item, owned_by=None), back)
        table = back.after.objects.get(ref)
        fillable = _fillable(column, self._back) if kept else column
        yield from columns.add(ref, fillable, back)
        yield from (sequences.own(item) for item in owned)
        if kept and isinstance(table, Table):
            counting = replace(fillable, default=column.default)
            yield from columns.alter(ref, fillable, counting, back)
            yield from _continued(owned, table, archive.values_of(column, kept.archive))
            yield from self._quiet.around(ref, unit, archive.restore_values(table, counting, kept.archive, kept.key, back))
            if column.identity:
                yield numbers.go_on_identity(ref, column)
            fillable = counting
        yield from columns.alter(ref, fillable, column, back)
        yield from security.column(column_ref(ref, column.name), back)
        strict: set[Ref] = set()
        for heir in (change for change in unit.covers if isinstance(change, DropColumn)):
            given = handed_down(column, heir.column)
            if not heir.column.nullable and strict.intersection(parents_of(back.after.objects.get(heir.table))):
                given = replace(given, nullable=False)  # with its parent's: said once more it would be its own, too
            yield from columns.alter(heir.table, given, heir.column, back)
            yield from security.column(heir.ref, back)
            if not heir.column.nullable and "not_null_no_inherit" not in dict(heir.column.options):
                strict.add(heir.table)
        yield from self._kept_defaults(ref, column, unit)

    def _kept_defaults(self, ref: Ref, column: Column, unit: Unit) -> Iterator[Statement]:
        """Heirs that had the column as their own, too, still have it: a default set above them takes the place of theirs."""
        dropped = [column, *(change.column for change in unit.covers if isinstance(change, DropColumn))]
        if all(other.default is None for other in dropped):
            return
        for heir in self._scene.heirs.get(ref, ()):
            now = table_in(self._meanwhile.at(self._meanwhile.place(unit) + 1, [heir]), heir)
            if own := now.column(column.name) if now else None:
                other = next(other for other in dropped if other.default is not None)
                given = replace(own, default=None if own.default is not None else other.default)
                yield from columns.alter(heir, given, own, self._back)
            yield from self._kept_defaults(heir, column, unit)

    def _altered(self, unit: Unit) -> Iterator[Statement]:
        """Render the inverse change, with what has to make way for it and did not on the way here."""
        change, rebuild = unit.change, self._plan.rebuild
        if rebuild.types and change.ref in rebuild.refs:
            yield from retype.statements(rebuild.reversed(), replace(self._back, renewed=self._scene.renewed))
        elif isinstance(change, AlterObject) and isinstance(change.before, _TYPES):
            yield from self._altered_type(unit)
        elif isinstance(change, AlterObject) and self._is_in_place(change):
            yield from objects.alter(change.after, change.before, self._back)
        else:
            yield from _done(self._inverse(unit), self._back)

    def _altered_type(self, unit: Unit) -> Iterator[Statement]:
        """A type that could grow in place may have to be built again on the way back, under the columns there are by then."""
        place = self._meanwhile.place(unit)
        now, then = self._meanwhile.at(place + 1), self._meanwhile.at(place)
        back = replace(Scene.of(now, then, self._scene.context), is_way_back=True)
        yield from _done(ordered(ChangeSet(now, then, tuple(inverse(change) for change in unit.all)), back), back)

    def _is_in_place(self, change: AlterObject) -> bool:
        return objects.is_in_place(change.after, change.before, self._scene)


def _done(plan: Ordered, scene: Scene) -> Iterator[Statement]:
    """Yield what carries a plan of the way back out; what has to be made again for it keeps its rows."""
    changes = [change for unit in plan.units for change in unit.all]
    coming = {change.ref for change in changes if isinstance(change, CreateObject)}
    going = {change.ref for change in changes if isinstance(change, DropObject)}
    scene = replace(scene, renewed=frozenset(coming & going))
    for unit in plan.units:
        yield from do(unit, scene, plan.rebuild)


def _fillable(column: Column, scene: Scene) -> Column:
    """Without default and NOT NULL, of its own or of a domain, or with an identity that may be overwritten, until values come."""
    if column.identity:
        return replace(column, identity=replace(column.identity, mode="by_default"))
    return replace(column, type=scene.domains.get(column.type, column.type), nullable=True, default=None)


def _continued(owned: Iterable[Sequence], table: Table, source: str | None = None) -> Iterator[Statement]:
    """Let the sequences of a table's columns go on after the numbers that these hold, or that `source` holds."""
    for item in owned:
        column = table.column(item.owned_by.name) if item.owned_by else None
        if item.owned_by and column and numbers.counts(column):
            yield numbers.go_on_sequence(item, item.owned_by, source)


def _holds_rows(unit: Unit) -> bool:
    """Tell whether a unit makes what has to be there before rows come: a table, or a sequence that a default asks."""
    return isinstance(unit.change, CreateObject) and isinstance(unit.change.item, Table | Sequence)


def _item(change: CatalogChange) -> CatalogObject | None:
    return change.item if isinstance(change, CreateObject | DropObject) else None
