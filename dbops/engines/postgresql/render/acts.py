"""The way from a change set to acts: order, statements, undo, and rows kept before they go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    ChangeSet,
    CreateObject,
    DropColumn,
    DropObject,
    RenameColumn,
    RenameObject,
    inverse,
)
from dbops.catalog.model import Column, Constraint, Enum, Sequence, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.postgresql.render import archive, columns, hazards, objects, retype, sequences, tables
from dbops.engines.postgresql.render.folding import Unit
from dbops.engines.postgresql.render.names import literal, named, parent_of, quote, word
from dbops.engines.postgresql.render.ordering import Ordered, ordered
from dbops.engines.postgresql.render.parts import ColumnDefault, Membership, Part, Rows, aside, move_rows, set_aside
from dbops.engines.postgresql.render.scene import Scene, heirs_of, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement


def render(changes: ChangeSet, context: RenderContext) -> list[Act]:
    """Return the acts that carry the changes out, as the engine port says."""
    if not changes.changes:
        return []
    scene = Scene(changes.before, changes.after, context, heirs_of(changes.before, changes.after))
    work = _Work(ordered(changes, scene), scene)
    acts = [work.act(unit) for unit in work.plan.units]
    return _committed_first(acts, changes)


class _Work:
    """One rendering: what comes back in the same plan, and which archive each loss goes to."""

    def __init__(self, plan: Ordered, scene: Scene) -> None:
        changes = [change for unit in plan.units for change in unit.all]
        self.coming = {change.ref for change in changes if isinstance(change, CreateObject | AddColumn)}
        going = {change.ref for change in changes if isinstance(change, DropObject | DropColumn)}
        self.plan, self.scene = plan, replace(scene, renewed=frozenset(self.coming & going))
        self.made = frozenset({change.ref for change in changes if isinstance(change, CreateObject | DropObject)})
        self.numbers = count(1)

    def act(self, unit: Unit) -> Act:
        change = unit.change
        kept = self._archive(change)
        do = (
            *self._settings(change),
            *self._keep(change, kept),
            *self._without_false_alarms(_do(unit, self.scene, self.plan.rebuild), unit),
        )
        return Act(
            ref=_public_ref(change.ref),
            title=_title(change, self.plan.rebuild),
            do=do,
            undo=tuple(_undo(unit, self.scene, self.plan.rebuild, kept, self.made)),
            covers=tuple(dict.fromkeys(_public_ref(other.ref) for other in unit.covers)),
            creates=isinstance(change, CreateObject | AddColumn) and not isinstance(_item(change), Part),
            drops=isinstance(change, DropObject | DropColumn) and not isinstance(_item(change), Part),
        )

    def _settings(self, change: CatalogChange) -> Iterator[Statement]:
        if change.ref in self.plan.unchecked and not isinstance(change, DropObject):
            yield Statement("SET LOCAL check_function_bodies = off")
        if change.ref.schema == "pg_catalog" and not isinstance(change, DropObject):
            yield Statement("SET LOCAL allow_system_table_mods = on")

    def _archive(self, change: CatalogChange) -> str | None:
        token = self.scene.context.archive
        if token is None or not self._loses_values(change):
            return None
        return archive.name(token, next(self.numbers))

    def _loses_values(self, change: CatalogChange) -> bool:
        match change:
            case DropObject(Table() as table):
                parent = table.partition_of.parent if table.partition_of else None
                return table.ref not in self.coming and (parent is None or not self._goes(parent))
            case DropColumn(_, column):
                return column.generated is None
        return False

    def _goes(self, table: Ref) -> bool:
        return any(isinstance(unit.change, DropObject) and unit.change.ref == table for unit in self.plan.units)

    def _keep(self, change: CatalogChange, kept: str | None) -> Iterator[Statement]:
        if kept is None:
            return
        match change:
            case DropObject(Table() as table):
                yield from archive.keep_rows(table, kept)
            case DropColumn(ref, column):
                owner = self.scene.before.objects[ref]
                if isinstance(owner, Table):
                    key = archive.key_of(owner, column, self.scene.before, self.scene.after)
                    yield from archive.keep_values(owner, column, kept, key)

    def _without_false_alarms(self, found: Iterator[Statement], unit: Unit) -> Iterator[Statement]:
        """What is dropped to come back in the same plan is not lost."""
        back = isinstance(unit.change, DropObject | DropColumn) and unit.change.ref in self.coming
        computed = isinstance(unit.change, DropColumn) and unit.change.column.generated is not None
        for sql in found:
            if back and not isinstance(_item(unit.change), Table) and (not isinstance(unit.change, DropColumn) or computed):
                sql = replace(sql, hazards=tuple(h for h in sql.hazards if h.code not in ("DELETES_OBJECT", "DELETES_DATA")))
            yield sql


def _item(change: CatalogChange) -> object:
    return change.item if isinstance(change, CreateObject | DropObject) else None


def _public_ref(ref: Ref) -> Ref:
    """Defaults and memberships are told as changes of their column and table."""
    if ref.kind == "default":
        return Ref("column", *ref[1:])
    return ref.table if ref.kind in ("membership", "rows") else ref


# --- statements -------------------------------------------------------------------------------------------------------------


def _do(unit: Unit, scene: Scene, rebuild: retype.Rebuild) -> Iterator[Statement]:
    change = unit.change
    match change:
        case CreateObject(item):
            inline = tuple(c.item for c in unit.covers if isinstance(c, CreateObject) and isinstance(c.item, Constraint))
            owned_now = not isinstance(item, Sequence) or item.owned_by is None or _exists(item.owned_by, scene)
            yield from objects.create(item, scene, inline if isinstance(item, Table) else (), is_owned_now=owned_now)
        case DropObject(Table() as table) if table.ref in scene.renewed:
            yield from set_aside(table, [c.item for c in unit.covers if isinstance(c, DropObject)], scene)
        case DropObject(item):
            yield from objects.drop(item, scene)
        case AlterObject(before, after):
            if after.ref in rebuild.refs:
                yield from retype.statements(rebuild, scene)
            else:
                yield from objects.alter(before, after, scene)
        case AddColumn(table, column):
            yield from columns.add(table, column, scene)
        case DropColumn(table, column):
            yield from columns.drop(table, column, scene)
        case AlterColumn(table, before, after):
            between = tuple(_numbering(unit, scene))
            yield from columns.alter(table, before, after, scene, between)
        case RenameObject(before, after):
            yield from _rename(before, after, scene)
        case RenameColumn(table, old, new):
            yield from columns.rename(table, old, new, scene)
    for sequence in unit.owned:
        yield sequences.own(sequence)


def _exists(column: Ref, scene: Scene) -> bool:
    table = scene.before.objects.get(column.table)
    return isinstance(table, Table) and table.column(column.name) is not None


def _numbering(unit: Unit, scene: Scene) -> Iterator[Statement]:
    """A serial's sequence goes before the identity takes its name, and comes when the identity is gone."""
    for change in unit.covers:
        if isinstance(change, DropObject) and isinstance(change.item, Sequence):
            yield Statement(f"DROP SEQUENCE {named(change.item.ref)}")
        elif isinstance(change, CreateObject) and isinstance(change.item, Sequence):
            yield from objects.create(change.item, scene)


def _rename(before: Ref, after: Ref, scene: Scene) -> Iterator[Statement]:
    item = scene.after.objects.get(after) or scene.before.objects.get(before)
    found = Hazard("RENAMES", f"programs that use {before.qualified} by this name break")
    if item is None:
        return
    if isinstance(item, Constraint):
        yield statement(f"ALTER TABLE {parent_of(after)} RENAME CONSTRAINT {quote(before.name)} TO {quote(after.name)}", found)
    elif after.parent and after.kind != "index":
        yield statement(f"ALTER {word(item)} {quote(before.name)} ON {parent_of(after)} RENAME TO {quote(after.name)}", found)
    else:
        yield from tables.renamed(word(item), before, after, hazards.brief(scene, before))


# --- undo -------------------------------------------------------------------------------------------------------------------


def _undo(unit: Unit, scene: Scene, rebuild: retype.Rebuild, kept: str | None, made: frozenset[Ref]) -> Iterator[Statement]:
    """Yield what takes a unit back; `made` are objects that the plan drops or makes, so that they are not there meanwhile."""
    back = scene.reversed()
    change = unit.change
    match change:
        case CreateObject(Sequence(owned_by=Ref()) as item):
            yield from sequences.drop(item, is_gone_maybe=True)
        case CreateObject(Rows() as item):
            yield from objects.drop(item, back)
            yield from (sequences.release(owned) for owned in sequences.owned_by(item.ref.table, scene.after))
        case CreateObject(item):
            yield from objects.drop(item, back)
        case AddColumn(table, column):
            yield from columns.drop(table, column, back)
        case DropObject():
            yield from _bring_back(unit, scene, kept, made)
        case DropColumn(table, column):
            yield from _bring_column_back(table, column, unit, back, kept)
        case _:
            yield from _turn_back(unit, scene, rebuild, made)


def _bring_back(unit: Unit, scene: Scene, kept: str | None, made: frozenset[Ref]) -> Iterator[Statement]:
    """Make again what went together, and fill a table before what would slow down or refuse its rows is there."""
    back = scene.reversed()
    plan = ordered(ChangeSet(scene.after, scene.before, tuple(inverse(change) for change in unit.all)), back, made)
    for other in plan.units:
        yield from _do(other, back, plan.rebuild)
        item = other.change.item if isinstance(other.change, CreateObject) else None
        if isinstance(item, Table) and item.ref in scene.renewed and item.ref == unit.change.ref:
            now = scene.after.objects[item.ref]
            assert isinstance(now, Table)
            yield from move_rows(now, item, back)
            yield Statement(f"DROP TABLE {aside(now)}")
        elif isinstance(item, Table) and kept and item.ref == unit.change.ref:
            yield from archive.restore_rows(item, kept)
            yield from (sequences.continue_numbers(owned, owned.owned_by) for owned in other.owned if owned.owned_by)


def _bring_column_back(ref: Ref, column: Column, unit: Unit, back: Scene, kept: str | None) -> Iterator[Statement]:
    """Add the column without NOT NULL, fill it, then say the rest."""
    owned = [c.item for c in unit.covers if isinstance(c, DropObject) and isinstance(c.item, Sequence)]
    for item in owned:
        yield from objects.create(replace(item, owned_by=None), back)
    table = back.after.objects.get(ref)
    later = kept is not None and not column.nullable and column.default is None and column.identity is None
    yield from columns.add(ref, replace(column, nullable=True) if later else column, back)
    for item in owned:
        yield sequences.own(item)
    if kept and isinstance(table, Table):
        key = archive.key_of(table, column, back.after, back.before)
        yield from archive.restore_values(table, column, kept, key, back.after)
    if later:
        yield from columns.alter(ref, replace(column, nullable=True), column, back)


def _turn_back(unit: Unit, scene: Scene, rebuild: retype.Rebuild, made: frozenset[Ref]) -> Iterator[Statement]:
    """Render the inverse changes on their own, with what has to make way for them and did not on the way here."""
    if rebuild.types and unit.change.ref in rebuild.refs:
        rebuilt = retype.Rebuild(
            tuple((new, old) for old, new in rebuild.types),
            tuple(retype.Conversion(c.table, c.after, c.before) for c in rebuild.conversions),
        )
        yield from retype.statements(rebuilt, scene.reversed())
        return
    changes = tuple(inverse(change) for change in reversed(unit.all))
    change = unit.change
    simple = isinstance(change, AlterObject) and not _is_enum_growth(change)
    if simple and isinstance(change, AlterObject) and objects.is_in_place(change.after, change.before, scene):
        yield from objects.alter(change.after, change.before, scene.reversed())
        return
    back = Scene(scene.after, scene.before, scene.context, scene.heirs)
    plan = ordered(ChangeSet(scene.after, scene.before, changes), back, made)
    for other in plan.units:
        yield from _do(other, back, plan.rebuild)


def _is_enum_growth(change: AlterObject) -> bool:
    return isinstance(change.before, Enum) and isinstance(change.after, Enum) and change.before.labels != change.after.labels


# --- titles -----------------------------------------------------------------------------------------------------------------


def _title(change: CatalogChange, rebuild: retype.Rebuild) -> str:
    ref = _public_ref(change.ref)
    what = f"{ref.kind.replace('_', ' ')} {ref.qualified}"
    match change:
        case CreateObject(ColumnDefault()):
            return f"set default of {what}"
        case DropObject(ColumnDefault()):
            return f"drop default of {what}"
        case CreateObject(Membership(of=parent)):
            return f"add {what} to {parent.qualified}"
        case CreateObject(Rows()):
            return f"move rows of {what}"
        case DropObject(Membership(of=parent)):
            return f"take {what} from {parent.qualified}"
        case CreateObject():
            return f"create {what}"
        case AddColumn():
            return f"add {what}"
        case DropObject() | DropColumn():
            return f"drop {what}"
        case AlterObject() | AlterColumn():
            return f"build {what} again" if ref in rebuild.refs else f"alter {what}"
        case RenameObject(before, _):
            return f"rename {before.kind.replace('_', ' ')} {before.qualified} to {ref.name}"
        case RenameColumn(table, old, new):
            return f"rename column {table.qualified}.{old} to {new}"


# --- enum labels ------------------------------------------------------------------------------------------------------------


def _committed_first(acts: list[Act], changes: ChangeSet) -> list[Act]:
    """A label may not be used in the transaction that adds it (manual, ALTER TYPE): such additions are committed first."""
    early = {change.ref for change in changes.changes if isinstance(change, AlterObject) and _is_used(change, acts)}
    if not early:
        return acts
    first = [_alone(act) for act in acts if act.ref in early]
    return first + [act for act in acts if act.ref not in early]


def _is_used(change: AlterObject, acts: list[Act]) -> bool:
    before, after = change.before, change.after
    if not isinstance(before, Enum) or not isinstance(after, Enum):
        return False
    new = [literal(label)[:-1].lstrip("E'") for label in after.labels if label not in before.labels]
    texts = [s.sql for act in acts if act.ref != change.ref for s in act.do]
    grows = any(" ADD VALUE " in s.sql for act in acts if act.ref == change.ref for s in act.do)
    return grows and any(label in text and after.name in text for label in new for text in texts)


def _alone(act: Act) -> Act:
    alone = hazards.not_transactional("a new label can be used only after its addition is committed")
    do = tuple(replace(s, transactional=False, hazards=(*s.hazards, alone)) for s in act.do)
    return replace(act, do=do)
