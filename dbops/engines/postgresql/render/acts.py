"""The way from a change set to acts: order, statements, undo, and rows kept before they go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
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
)
from dbops.catalog.model import Column, Enum, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.postgresql.render import archive, hazards, retype, wording
from dbops.engines.postgresql.render.consequences import with_consequences
from dbops.engines.postgresql.render.doing import do
from dbops.engines.postgresql.render.folding import Unit
from dbops.engines.postgresql.render.names import literal
from dbops.engines.postgresql.render.ordering import Ordered, ordered
from dbops.engines.postgresql.render.parts import ColumnDefault, DomainRules, Membership, Part, ReplicaIdentity, Rows, RowType
from dbops.engines.postgresql.render.scene import Scene, parents_of
from dbops.engines.postgresql.render.undo import Kept, Undo
from dbops.sql.statement import Statement


def render(changes: ChangeSet, context: RenderContext) -> list[Act]:
    """Return the acts that carry the changes out, as the engine port says."""
    if not changes.changes:
        return []
    scene = Scene.of(changes.before, changes.after, context)
    work = _Work(ordered(changes, scene), scene)
    done = [work.done(unit) for unit in work.plan.units]
    told = with_consequences([act for _, _, act in done], work.plan, scene)
    done = _committed_first([(unit, kept, act) for (unit, kept, _), act in zip(done, told, strict=True)], changes)
    undo = Undo(replace(work.plan, units=tuple(unit for unit, _, _ in done)), work.scene)
    acts = [replace(act, undo=tuple(undo.of(unit, kept))) for unit, kept, act in done]
    return acts if context.as_shown else [_rereadable(act) for act in acts]


def _rereadable(act: Act) -> Act:
    do, undo = (tuple(map(wording.rereadable, statements or ())) for statements in (act.do, act.undo))
    return act if do == act.do and undo == act.undo else replace(act, do=do, undo=undo)


Done = tuple[Unit, Kept | None, Act]


class _Work:
    """One rendering: what comes back in the same plan, and which archive each loss goes to."""

    def __init__(self, plan: Ordered, scene: Scene) -> None:
        changes = [change for unit in plan.units for change in unit.all]
        self.coming = {change.ref for change in changes if isinstance(change, CreateObject | AddColumn)}
        going = {change.ref for change in changes if isinstance(change, DropObject | DropColumn)}
        moving = frozenset(change.ref for change in changes if isinstance(change, AddColumn | DropColumn))
        self.plan, self.scene = plan, replace(scene, renewed=frozenset(self.coming & going), moving=moving)
        self.dropped: defaultdict[Ref, list[str]] = defaultdict(list)
        for change in changes:
            if isinstance(change, DropColumn):
                self.dropped[change.table].append(change.column.name)
        self.numbers = count(1)

    def done(self, unit: Unit) -> Done:
        """Return what carries a unit out, without the way back, and where rows are kept for that."""
        change = unit.change
        kept = self._archive(change)
        statements = (
            *self._settings(change),
            *self._keep(change, kept),
            *self._without_false_alarms(do(unit, self.scene, self.plan.rebuild), unit),
        )
        act = Act(
            ref=_public_ref(change.ref),
            title=_title_of_all(unit) if len(unit.together) > 1 else _title(change, self.plan.rebuild),
            do=statements,
            undo=(),
            covers=tuple(dict.fromkeys(_public_ref(other.ref) for other in unit.covers)),
            creates=isinstance(change, CreateObject | AddColumn) and not isinstance(_item(change), Part),
            drops=isinstance(change, DropObject | DropColumn) and not isinstance(_item(change), Part),
        )
        return unit, kept, act

    def _settings(self, change: CatalogChange) -> Iterator[Statement]:
        is_unchecked = change.ref in self.plan.unchecked or self.scene.context.is_unchecked(change.ref)
        if is_unchecked and not isinstance(change, DropObject):
            yield Statement("SET LOCAL check_function_bodies = off")
        if change.ref.schema == "pg_catalog" and not isinstance(change, DropObject):
            yield Statement("SET LOCAL allow_system_table_mods = on")

    def _archive(self, change: CatalogChange) -> Kept | None:
        token = self.scene.context.archive
        if token is None:
            return None
        match change:
            case DropObject(Table() as table) if table.ref not in self.coming and table.partition_by is None:
                return Kept(archive.name(token, next(self.numbers)))
            case DropObject(Table() as table) if lost := self._lost(table):
                gone = [column.name for column in lost]
                return Kept(archive.name(token, next(self.numbers)), archive.key_of(table, lost[0], gone, self.scene), lost)
            case CreateObject(Rows(joining=parts)) if parts:
                return Kept(archive.name(token, next(self.numbers)))
            case DropColumn(ref, column) if column.generated is None:
                owner = self.scene.before.objects.get(ref)
                if isinstance(owner, Table):
                    return Kept(archive.name(token, next(self.numbers)), self._key(owner, column))
        return None

    def _key(self, table: Table, column: Column) -> tuple[str, ...]:
        """What tells the rows apart without a column: those that went before it are of no use."""
        names = self.dropped[table.ref]
        return archive.key_of(table, column, names[: names.index(column.name)], self.scene)

    def _lost(self, table: Table) -> tuple[Column, ...]:
        """Return the columns that a table made again leaves behind, whose rows wait by themselves and not with its parent's."""
        new = self.scene.after.objects.get(table.ref)
        if table.ref not in self.scene.renewed or not isinstance(new, Table) or self.scene.renewed & set(parents_of(table)):
            return ()
        return tuple(column for column in table.columns if column.generated is None and new.column(column.name) is None)

    def _keep(self, change: CatalogChange, kept: Kept | None) -> Iterator[Statement]:
        match change:
            case DropObject(Table() as table) if kept is not None and kept.lost:
                yield from archive.keep_values(table, kept.lost, kept.archive, kept.key, self.scene)
            case DropObject(Table() as table) if kept is not None:
                yield from archive.keep_rows(table, kept.archive, self.scene)
            case CreateObject(Rows() as item) if kept is not None:
                yield from archive.keep_own_rows(item.ref.table, _tables(item.joining, self.scene), kept.archive, self.scene)
            case DropColumn(ref, column) if kept is not None:
                owner = self.scene.before.objects[ref]
                assert isinstance(owner, Table)
                yield from archive.keep_values(owner, (column,), kept.archive, kept.key, self.scene)

    def _without_false_alarms(self, found: Iterator[Statement], unit: Unit) -> Iterator[Statement]:
        """What is dropped to come back in the same plan is not lost."""
        back = isinstance(unit.change, DropObject | DropColumn) and unit.change.ref in self.coming
        computed = isinstance(unit.change, DropColumn) and unit.change.column.generated is not None
        for sql in found:
            if back and not isinstance(_item(unit.change), Table) and (not isinstance(unit.change, DropColumn) or computed):
                sql = replace(sql, hazards=tuple(h for h in sql.hazards if h.code not in ("DELETES_OBJECT", "DELETES_DATA")))
            yield sql


def _tables(refs: Iterable[Ref], scene: Scene) -> list[Table]:
    return [table for ref in refs if isinstance(table := scene.after.objects.get(ref), Table)]


def _item(change: CatalogChange) -> object:
    return change.item if isinstance(change, CreateObject | DropObject) else None


def _public_ref(ref: Ref) -> Ref:
    """Defaults, rules and memberships are told as changes of their column, domain and table."""
    if ref.kind == "domain_rules":
        return Ref("domain", *ref[1:])
    if ref.kind == "default":
        return Ref("column", *ref[1:])
    return ref.table if ref.kind in ("membership", "rows", "replica_identity", "row_type") else ref


# --- titles -----------------------------------------------------------------------------------------------------------------


def _title_of_all(unit: Unit) -> str:
    return f"alter columns {', '.join(change.after.name for change in unit.together)} of table {unit.change.ref.table.qualified}"


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
        case CreateObject(ReplicaIdentity() | RowType() | DomainRules()) | DropObject(
            ReplicaIdentity() | RowType() | DomainRules()
        ):
            return f"alter {what}"
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


def _committed_first(done: list[Done], changes: ChangeSet) -> list[Done]:
    """A label may not be used in the transaction that adds it (manual, ALTER TYPE): such additions are committed first."""
    acts = [act for _, _, act in done]
    early = {change.ref for change in changes.changes if isinstance(change, AlterObject) and _is_used(change, acts)}
    if not early:
        return done
    first = [(unit, kept, _alone(act)) for unit, kept, act in done if act.ref in early]
    return first + [item for item in done if item[2].ref not in early]


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
