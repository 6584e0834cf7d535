"""What a database contains in the middle of a plan: when its first units are done and all others have been taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Several
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    DropColumn,
    DropObject,
    RenameObject,
    column_ref,
)
from dbops.catalog.model import CatalogObject, Column, Domain, ForeignTable, PartitionOf, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.folding import Unit
from dbops.engines.postgresql.render.parts import (
    ColumnDefault,
    DomainRules,
    Membership,
    Part,
    ReplicaIdentity,
    Rows,
    RowType,
    aside_ref,
    without_rules,
)
from dbops.engines.postgresql.render.retype import Rebuild
from dbops.engines.postgresql.render.scene import Scene

AnyTable = Table | ForeignTable


class Meanwhile:
    """The states between the units of a plan; finding a part of one costs what it looks at, not the length of the plan."""

    def __init__(self, units: Several[Unit], scene: Scene, rebuild: Rebuild) -> None:
        self._scene = scene
        self._places = {id(unit): place for place, unit in enumerate(units)}
        self._changes: defaultdict[Ref, list[tuple[int, CatalogChange]]] = defaultdict(list)
        for place, unit in enumerate(units):
            whole = _carried_out(rebuild) if unit.change.ref in rebuild.refs else ()
            for change in dict.fromkeys((*unit.all, *whole)):
                for ref in self._touched(change):
                    self._changes[ref].append((place, change))

    def place(self, unit: Unit) -> int:
        return self._places[id(unit)]

    def at(self, place: int, refs: Collection[Ref] | None = None) -> Catalog:
        """Return the catalog before the unit at `place`, or the part of it that holds `refs`, with what that needs."""
        before = self._scene.before
        wanted = sorted({*before.objects, *self._changes} if refs is None else refs)
        objects = {ref: before.objects[ref] for ref in wanted if ref in before.objects}
        done = [(ref, change) for ref in wanted for at, change in self._changes.get(ref, ()) if at < place]
        for ref, change in done:
            self._do(change, ref, objects)
        held = [ref for item in objects.values() for ref in (item.ref, *_columns_of(item))]
        needs = {ref: before.dependencies[ref] for ref in held if ref in before.dependencies}
        needs = needs if refs is not None else {**before.dependencies, **needs}
        for ref, change in done:
            needs |= dict(self._new_needs(ref, change, objects))
        return replace(before, objects=objects, dependencies=needs)

    def _new_needs(
        self, ref: Ref, change: CatalogChange, objects: dict[Ref, CatalogObject]
    ) -> Iterator[tuple[Ref, frozenset[Ref]]]:
        """Yield what an object that was changed needs from then on, each of its columns with it."""
        after = self._scene.after.dependencies
        aside = isinstance(change, DropObject) and change.ref != ref
        for part in dict.fromkeys((ref, change.ref, *_columns_of(objects.get(ref)))):
            known_as = column_ref(change.ref, part.name) if aside and part.kind == "column" else part
            if known_as in after:
                yield part, after[known_as]

    def _touched(self, change: CatalogChange) -> Iterator[Ref]:
        """Yield the objects that a change makes, removes or alters."""
        match change:
            case AddColumn(table) | DropColumn(table) | AlterColumn(table):
                yield self._table(table)
            case CreateObject(Rows() as item):
                yield aside_ref(item.before)
            case CreateObject(DomainRules() as item) | DropObject(DomainRules() as item):
                yield item.domain.ref
            case CreateObject(item) | DropObject(item) if isinstance(item, Part):
                yield self._table(item.ref.table)
            case RenameObject(before, after):
                yield from (before, after)
            case DropObject(Table() as item) if item.ref in self._scene.renewed:
                yield from (item.ref, aside_ref(item))
            case _:
                yield change.ref

    def _table(self, ref: Ref) -> Ref:
        found = self._scene.table(ref)
        return found.ref if found else ref

    def _do(self, change: CatalogChange, ref: Ref, objects: dict[Ref, CatalogObject]) -> None:
        """Do to `ref`, one of the objects that the change touches, what it does."""
        now = objects.get(ref)
        match change:
            case RenameObject(_, after):
                renamed = self._scene.after.objects.get(after) if ref == after else None
                now = renamed
            case DropObject(Table() as item) if ref != item.ref:
                now = self._put_aside(item.ref)
            case CreateObject(Rows()):
                now = None
            case CreateObject(item) | DropObject(item) if isinstance(item, Part):
                now = _with_part(now, item, is_there=isinstance(change, CreateObject))
            case DropObject():
                now = None
            case CreateObject(item):
                now = item
            case AlterObject(_, item):
                now = _with_columns(item, now.columns) if isinstance(now, AnyTable) else item
            case AddColumn() | AlterColumn() | DropColumn() if isinstance(now, AnyTable):
                now = _with_columns(now, _changed(now.columns, change))
            case _:
                pass
        objects.pop(ref, None)
        if now is not None:
            objects[ref] = now

    def _put_aside(self, ref: Ref) -> Table:
        """On the way back the rows of a table made again wait in a plain copy of the table that it was."""
        table = self._scene.after.objects[ref]
        assert isinstance(table, Table)
        columns = tuple(Column(name=column.name, type=column.type, collation=column.collation) for column in table.columns)
        return Table(schema=table.schema, name=aside_ref(table).name, columns=columns)


def _carried_out(rebuild: Rebuild) -> Iterator[CatalogChange]:
    """Yield what is done together where types are built again, of which one change stands in the plan."""
    yield from (AlterObject(old, new) for old, new in rebuild.types)
    yield from (AlterColumn(one.table, one.before, one.after) for one in rebuild.conversions)


def _with_columns(item: CatalogObject, columns: tuple[Column, ...]) -> CatalogObject:
    return replace(item, columns=columns) if isinstance(item, AnyTable) else item


def _changed(columns: tuple[Column, ...], change: AddColumn | AlterColumn | DropColumn) -> tuple[Column, ...]:
    if isinstance(change, DropColumn):
        return tuple(column for column in columns if column.name != change.column.name)
    new = change.column if isinstance(change, AddColumn) else change.after
    if any(column.name == new.name for column in columns):
        return tuple(new if column.name == new.name else column for column in columns)
    return (*columns, new)


def _with_part(item: CatalogObject | None, part: Part, *, is_there: bool) -> CatalogObject | None:
    """Return an object with a part of it that came or went."""
    match item, part:
        case Domain(), DomainRules(domain=rules):
            back = replace(item, default=rules.default, checks=rules.checks, check_comments=rules.check_comments)
            return back if is_there else without_rules(item)
        case (Table() | ForeignTable(), ColumnDefault(name=name, expression=text)):
            found = (column for column in item.columns if column.name == name)
            new = [AlterColumn(item.ref, column, replace(column, default=text if is_there else None)) for column in found]
            return _with_columns(item, _changed(item.columns, new[0])) if new else item
        case (Table() | ForeignTable(), Membership(of=parent, bound=None)):
            others = tuple(other for other in item.inherits if other != parent)
            return replace(item, inherits=(*others, parent) if is_there else others)
        case (Table() | ForeignTable(), Membership(of=parent, bound=str() as bound)):
            return replace(item, partition_of=PartitionOf(parent, bound) if is_there else None)
        case Table(), ReplicaIdentity(name=name):
            return replace(item, replica_identity=f"index {name}" if is_there else None)
        case Table(), RowType(name=name):
            return replace(item, of_type=name if is_there else None)
    return item


def _columns_of(item: CatalogObject | None) -> list[Ref]:
    return [column_ref(item.ref, column.name) for column in item.columns] if isinstance(item, AnyTable) else []
