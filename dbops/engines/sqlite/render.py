"""Typed changes as acts, in an order in which SQLite can run them.

Views and triggers bind their tables late, so the order is simple: renames; what goes, code before tables; tables in place;
what comes, tables before code. A change set holds renames or other changes, not both (the catalogs of the others would
already bear the new names).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

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
from dbops.catalog.model import CatalogObject, Index, Table, Trigger, View, VirtualTable
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act, RenderContext, about
from dbops.engines.sqlite import hazards, tables, virtual
from dbops.engines.sqlite.archive import Archive
from dbops.engines.sqlite.ddl import create_index, create_trigger, create_view, create_virtual
from dbops.engines.sqlite.features import FEATURES
from dbops.engines.sqlite.renames import rename_acts
from dbops.engines.sqlite.state import Belongings, TableState
from dbops.engines.sqlite.tables import Surroundings, plain
from dbops.engines.sqlite.tokens import quote
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_PARTS = frozenset(("primary_key", "unique", "foreign_key", "check"))


def render(changes: ChangeSet, context: RenderContext) -> list[Act]:
    """Return the acts of a change set."""
    renames = [
        change for change in changes.changes if isinstance(change, RenameObject | RenameColumn) and not _is_of_part(change)
    ]
    others = [change for change in changes.changes if not isinstance(change, RenameObject | RenameColumn) or _is_of_part(change)]
    acts = rename_acts(renames, changes.before)
    return [*acts, *_Rendering(changes, others, context).acts()] if others else acts


def _is_of_part(change: CatalogChange) -> bool:
    """A constraint stands in the text of its table, which is written again for it whatever its change."""
    return change.ref.kind in _PARTS


class _Rendering:
    """The changes of one set, sorted by what has to be done."""

    def __init__(self, changes: ChangeSet, others: Sequence[CatalogChange], context: RenderContext) -> None:
        self._before, self._after = Belongings(changes.before), Belongings(changes.after)
        self._context = context
        self._archive = Archive(FEATURES, context.archive)
        self._drops: dict[Ref, CatalogObject] = {}
        self._creates: dict[Ref, CatalogObject] = {}
        self._altered: defaultdict[str, list[CatalogChange]] = defaultdict(list)
        for change in others:
            self._sort(change)
        self._recased = self._find_recased()
        self._coming = {_known(item) for item in self._creates.values()}

    def _sort(self, change: CatalogChange) -> None:
        match change:
            case AddColumn() | DropColumn() | AlterColumn():
                self._altered[change.table.name].append(change)
            case AlterObject(before, after):
                if isinstance(after, Table):
                    self._altered[after.name].append(change)
                elif after.kind in _PARTS:
                    self._altered[after.parent].append(change)
                else:
                    self._drops[before.ref] = before
                    self._creates[after.ref] = after
            case CreateObject(item) | DropObject(item):
                if item.kind in _PARTS:
                    self._altered[item.parent].append(change)
                elif isinstance(change, CreateObject):
                    self._creates[item.ref] = item
                else:
                    self._drops[item.ref] = item
            case RenameObject() if _is_of_part(change):
                self._altered[change.ref.parent].append(change)
            case RenameObject() | RenameColumn():
                raise AssertionError("renames are rendered before")

    def _find_recased(self) -> dict[str, Table]:
        """Return, by the old name, the tables whose name changes in case only: one name to SQLite, so their rows stay."""
        created = {item.name.lower(): item for item in self._creates.values() if isinstance(item, Table)}
        gone = [item.name for item in self._drops.values() if isinstance(item, Table)]
        return {name: created[name.lower()] for name in gone if name.lower() in created}

    def acts(self) -> list[Act]:
        return [
            *self._drop_code(Trigger),
            *self._drop_virtual_tables(),
            *self._drop_code(View),
            *self._drop_indexes(),
            *self._drop_tables(),
            *self._change_tables(),
            *self._create_tables(),
            *self._create_indexes(),
            *self._create_code(View),
            *self._create_virtual_tables(),
            *self._create_code(Trigger),
        ]

    # --- what goes

    def _goes_with_its_parent(self, item: CatalogObject) -> bool:
        """A table takes its indexes and triggers with it, a view its triggers."""
        return Ref("table", "", item.parent) in self._drops and item.parent not in self._recased

    def _drop_code(self, kind: type[Trigger] | type[View]) -> Iterator[Act]:
        for item in reversed(self._drops.values()):
            if isinstance(item, kind) and not self._goes_with_its_parent(item):
                word = item.kind.upper()
                undo = self._made(item, self._before)
                do = Statement(f"DROP {word} {quote(item.name)}", hazards=self._gone(item))
                yield Act(item.ref, f"drop {item.kind} {item.name}", (do,), plain(undo), drops=True)

    def _gone(self, item: CatalogObject) -> tuple[Hazard, ...]:
        if _known(item) in self._coming:
            return ()
        lost = Hazard("DELETES_OBJECT", f"{item.kind.replace('_', ' ')} {item.name} is dropped")
        return (lost, *hazards.breaks(item.ref, self._before.catalog, self._after.catalog))

    def _drop_indexes(self) -> Iterator[Act]:
        for item in self._drops.values():
            if isinstance(item, Index) and not self._goes_with_its_parent(item):
                held = self._gone(item)
                if held and self._context.rows(item.ref.table):
                    held = (*held, Hazard("INDEX_DROPPED", f"queries on {item.parent} that used {item.name} may slow down"))
                do = Statement(f"DROP INDEX {quote(item.name)}", hazards=held)
                undo = create_index(item, self._names(item, self._before))
                yield Act(item.ref, f"drop index {item.name}", (do,), plain([undo]), drops=True)

    def _drop_virtual_tables(self) -> Iterator[Act]:
        """Before the tables and views that they may take their text from, and so, in the undo, after them."""
        for item in self._drops.values():
            if isinstance(item, VirtualTable) and not self._can_be_rewritten(item):
                yield self._drop_virtual(item)

    def _drop_virtual(self, table: VirtualTable) -> Act:
        archive = self._archive.name() if virtual.keeps_rows(table) else None
        lost = hazards.of_table_drop(table.name, self._context.rows(table.ref))
        if virtual.content_of(table):
            lost = Hazard("DELETES_OBJECT", f"virtual table {table.name}, an index over {virtual.content_of(table)}, is dropped")
        do = [Statement(virtual.keep(table, archive))] if archive else []
        do.append(Statement(f"DROP TABLE {quote(table.name)}", hazards=(lost, *self._gone(table)[1:])))
        undo = [create_virtual(table)]
        if virtual.content_in(table, self._before.catalog):  # else under a name that a rename takes away, and its undo refills
            undo.append(virtual.refill(table))
        undo += virtual.restore(table, archive) if archive else ()
        return Act(table.ref, f"drop virtual table {table.name}", tuple(do), plain(undo), drops=True)

    def _drop_tables(self) -> Iterator[Act]:
        for item in self._drops.values():
            if isinstance(item, Table) and item.name not in self._recased:
                triggers = self._before.triggers(item.name)
                around = self._around(item.ref, tuple(create_trigger(trigger, self._before.catalog) for trigger in triggers))
                act = tables.drop(self._before.state(item), around, self._breaks(item.ref))
                yield replace(act, covers=(*act.covers, *(trigger.ref for trigger in triggers)))

    # --- what changes

    def _change_tables(self) -> Iterator[Act]:
        for name, wanted in self._recased.items():
            yield self._recase(name, wanted)
        for name, changes in self._altered.items():
            table = self._before.catalog.table("", name)
            target = self._after.catalog.table("", name)
            if table is None or Ref("table", "", name) in self._drops:
                continue  # parts of a table that is made or dropped as a whole
            before = self._without_changed_indexes(self._before.state(table))
            breaking = [hazard for change in changes if isinstance(change, DropColumn) for hazard in self._breaks(change.ref)]
            around = self._around(table.ref, self._staying_triggers(name))
            yield from tables.change(before, self._after.state(target) if target else None, changes, around, breaking)

    def _breaks(self, ref: Ref) -> list[Hazard]:
        return hazards.breaks(ref, self._before.catalog, self._after.catalog)

    def _recase(self, name: str, wanted: Table) -> Act:
        old = self._before.catalog.table("", name)
        assert old is not None
        before, after = self._bare(self._before.state(old)), self._bare(self._after.state(wanted))
        refs = [after.ref, before.ref, *(item.ref for state in (before, after) for item in state.constraints)]
        return tables.rebuilt(before, after, refs, self._around(old.ref, ()), ())

    @staticmethod
    def _bare(state: TableState) -> TableState:
        return TableState(state.table, state.constraints, ())

    def _without_changed_indexes(self, state: TableState) -> TableState:
        staying = tuple(index for index in state.indexes if index.ref not in self._drops)
        return TableState(state.table, state.constraints, staying)

    def _staying_triggers(self, table: str) -> tuple[str, ...]:
        staying = (trigger for trigger in self._before.triggers(table) if trigger.ref not in self._drops)
        return tuple(create_trigger(trigger, self._before.catalog) for trigger in staying)

    def _around(self, table: Ref, triggers: tuple[str, ...]) -> Surroundings:
        users = self._users.get(table, frozenset()) if self._users is not None else None
        return Surroundings(self._context.rows(table), triggers, users, self._archive)

    @cached_property
    def _users(self) -> dict[Ref, frozenset[str]] | None:
        """The columns, by table, that staying views and triggers use; None when one of them does not compile.

        Neither does what stands on a view that makes way, until that is there again.
        """
        catalog = self._before.catalog
        away = {ref for ref in self._drops if ref.kind == "view"}
        found: defaultdict[Ref, set[str]] = defaultdict(set)
        for item in catalog:
            if isinstance(item, View | Trigger) and item.ref not in self._drops:
                if item.ref not in catalog.dependencies:
                    return None
                for need in catalog.dependencies[item.ref]:
                    if need in away:
                        return None
                    if need.kind == "column":
                        found[need.table].add(need.name.lower())
        return {table: frozenset(columns) for table, columns in found.items()}

    # --- what comes

    def _create_tables(self) -> Iterator[Act]:
        recased = {table.name for table in self._recased.values()}
        for item in self._creates.values():
            if isinstance(item, Table) and item.name not in recased:
                yield tables.create(self._after.state(item))

    def _create_virtual_tables(self) -> Iterator[Act]:
        for item in self._creates.values():
            if isinstance(item, VirtualTable):
                yield self._rewrite(item) if self._can_be_rewritten(item) else self._create_virtual(item)

    def _create_virtual(self, table: VirtualTable) -> Act:
        content = virtual.content_in(table, self._after.catalog)
        do = [create_virtual(table)]
        if content is not None and (isinstance(content, View) or not self._is_new(content)):  # an estimate of no rows may lie
            do.append(virtual.refill(table))
        undo = Statement(f"DROP TABLE {quote(table.name)}", hazards=(hazards.of_table_drop(table.name, 0),))
        return Act(table.ref, f"create virtual table {table.name}", plain(do), (undo,), creates=True)

    def _is_new(self, table: CatalogObject) -> bool:
        return table.ref in self._creates and table not in self._recased.values()

    def _can_be_rewritten(self, table: VirtualTable) -> bool:
        """Tell whether a virtual table changes and its rows can go over; otherwise it is dropped and made again."""
        before, after = self._drops.get(table.ref), self._creates.get(table.ref)
        return isinstance(before, VirtualTable) and isinstance(after, VirtualTable) and virtual.rewrite(before, after) is not None

    def _rewrite(self, after: VirtualTable) -> Act:
        before = self._drops[after.ref]
        assert isinstance(before, VirtualTable)
        do = [Statement(sql) for sql in virtual.rewrite(before, after) or ()]
        undo = virtual.rewrite(after, before) or ()
        if virtual.loses_columns(before, after):
            lost = hazards.of_table_drop(before.name, self._context.rows(before.ref))
            do = [replace(statement, hazards=(lost,)) if statement.sql.startswith("DROP") else statement for statement in do]
            if archive := self._archive.name():
                do.insert(0, Statement(virtual.keep(before, archive)))
                undo = [f"DROP TABLE {quote(after.name)}", create_virtual(before), *virtual.restore(before, archive)]
        return Act(after.ref, f"rebuild virtual table {after.name}", tuple(do), plain(undo))

    def _create_indexes(self) -> Iterator[Act]:
        recased = self._recased.values()
        whole = {item.name for item in self._creates.values() if isinstance(item, Table) and item not in recased}
        for item in self._creates.values():
            if not isinstance(item, Index) or item.parent in whole:
                continue
            rows = self._context.rows(item.ref.table)
            held: tuple[Hazard, ...] = ()
            if rows:
                held = (
                    Hazard(
                        "INDEX_BUILD",
                        f"index {item.name} is built over {about(rows)} of {item.parent}; other writers wait",
                    ),
                )
            if rows and item.unique:
                held = (*held, Hazard("MAY_FAIL_ON_DATA", f"unique index {item.name}: fails when {item.parent} has rows alike"))
            do = Statement(create_index(item, self._names(item, self._after)), hazards=held)
            yield Act(item.ref, f"create index {item.name}", (do,), plain([f"DROP INDEX {quote(item.name)}"]), creates=True)

    def _create_code(self, kind: type[Trigger] | type[View]) -> Iterator[Act]:
        for item in self._creates.values():
            if isinstance(item, kind):
                undo = f"DROP {item.kind.upper()} {quote(item.name)}"
                yield Act(
                    item.ref, f"create {item.kind} {item.name}", plain(self._made(item, self._after)), plain([undo]), creates=True
                )

    def _made(self, item: View | Trigger, side: Belongings) -> list[str]:
        """Return the statements that make it; triggers on a view that nobody asked to change come back with it."""
        if isinstance(item, Trigger):
            return [create_trigger(item, side.catalog)]
        staying = [trigger for trigger in self._before.triggers(item.name) if trigger.ref not in self._drops]
        if side is self._after:
            staying = [trigger for trigger in staying if trigger.ref in side.catalog]
        return [create_view(item, side.catalog), *(create_trigger(trigger, self._before.catalog) for trigger in staying)]

    def _names(self, index: Index, side: Belongings) -> dict[str, str]:
        table = side.catalog.table("", index.parent)
        return dict(side.state(table).names) if table else {}


def _known(item: CatalogObject) -> tuple[str, str, str]:
    """What makes an object the same to SQLite, whatever the case of its names."""
    return item.kind, item.name.lower(), item.parent.lower()
