"""Typed changes into acts, phase by phase, so that each statement finds what it needs.

Code objects leave first; then foreign keys, tables and sequences; then sequences, tables and one ALTER TABLE per table;
then foreign keys; last routines, views in the order of their dependencies, triggers and events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import (
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
from dbops.catalog.model import CatalogObject, Check, ForeignKey, Index, PrimaryKey, Table, Trigger
from dbops.catalog.model import Sequence as CatalogSequence
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.mysql import alter, cost
from dbops.engines.mysql.alter import TableChange
from dbops.engines.mysql.archive import Archive, LostColumns, copy_rows, restore_rows, stored
from dbops.engines.mysql.code import code_acts, create_code
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.cost import Clause, Fact
from dbops.engines.mysql.ddl import (
    create_sequence,
    create_table,
    foreign_key_clause,
    literal,
    sequence_words,
    without_defaults,
)
from dbops.engines.mysql.flavour import Flavour, flavour_of
from dbops.engines.mysql.renames import rename_acts
from dbops.engines.mysql.show_create import collation_of
from dbops.engines.mysql.statements import ddl, hazards, table_statements
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_CODE = ("view", "trigger", "routine", "event")


def render(changes: ChangeSet, context: RenderContext) -> list[Act]:
    """Return the acts that carry the changes out; see the port."""
    return list(_Renderer(changes, context).acts())


@dataclass(slots=True)
class _Renderer:
    changes: ChangeSet
    context: RenderContext
    flavour: Flavour = field(init=False)
    archive: Archive = field(init=False)
    drops: dict[Ref, CatalogObject] = field(init=False)
    creates: dict[Ref, CatalogObject] = field(init=False)
    alters: dict[Ref, AlterObject] = field(init=False)
    by_table: dict[Ref, list[CatalogChange]] = field(init=False)
    old_children: dict[str, list[CatalogObject]] = field(init=False)
    new_children: dict[str, list[CatalogObject]] = field(init=False)

    def __post_init__(self) -> None:
        self.flavour = flavour_of(self.context.server)
        self.archive = Archive(self.context.archive)
        listed = self.changes.changes
        self.drops = {c.ref: c.item for c in listed if isinstance(c, DropObject)}
        self.creates = {c.ref: c.item for c in listed if isinstance(c, CreateObject)}
        self.alters = {c.ref: c for c in listed if isinstance(c, AlterObject)}
        self.by_table = defaultdict(list)
        for change in listed:
            if not isinstance(change, RenameObject | RenameColumn) and change.ref.kind not in (*_CODE, "foreign_key", "sequence"):
                self.by_table[alter.table_ref(change)].append(change)
        self.old_children = _children(self.changes.before)
        self.new_children = _children(self.changes.after)

    def acts(self) -> Iterator[Act]:
        before, after = code_acts(self.changes, self.context, self.flavour)
        leaving, arriving = self._foreign_keys()
        yield from rename_acts(self.changes, self.context, self.flavour)
        yield from before
        yield from leaving
        yield from self._drop_tables()
        yield from self._drop_sequences(early=True)
        yield from self._sequences()
        yield from self._create_tables()
        yield from self._alter_tables()
        yield from arriving
        yield from self._drop_sequences(early=False)
        yield from after

    # --- foreign keys

    def _foreign_keys(self) -> tuple[list[Act], list[Act]]:
        """Acts that take foreign keys away before tables change, and acts that bring them afterwards."""
        leaving = [i for ref, i in self.drops.items() if isinstance(i, ForeignKey) and ref.table not in self.drops]
        leaving += self._keys_between_dropped_tables()
        arriving = [i for ref, i in self.creates.items() if isinstance(i, ForeignKey) and ref not in self._inline()]
        for change in self.alters.values():
            if isinstance(change.before, ForeignKey) and isinstance(change.after, ForeignKey):
                leaving.append(change.before)
                arriving.append(change.after)
        for key in self._disturbed():
            leaving.append(key)
            arriving.append(key)
        coming_back = {key.ref for key in arriving}
        return (
            [self._drop_keys(table, keys, coming_back) for table, keys in _grouped(leaving)],
            [self._add_keys(table, keys) for table, keys in _grouped(arriving)],
        )

    def _keys_between_dropped_tables(self) -> list[ForeignKey]:
        """Foreign keys that stand in the way of dropping one table after the other: those of a ring."""
        return [key for key in self._keys_of(self.drops) if key.ref in self.drops and key.references in self._ring()]

    def _ring(self) -> set[Ref]:
        dropped = {ref for ref, item in self.drops.items() if isinstance(item, Table)}
        _, ring = _in_order(dropped, {ref: self._referenced(ref, self.drops) & dropped for ref in dropped})
        return ring

    def _keys_of(self, items: dict[Ref, CatalogObject]) -> list[ForeignKey]:
        return [item for item in items.values() if isinstance(item, ForeignKey)]

    def _referenced(self, table: Ref, items: dict[Ref, CatalogObject]) -> set[Ref]:
        return {key.references for key in self._keys_of(items) if key.ref.table == table and key.references != table}

    def _disturbed(self) -> list[ForeignKey]:
        """Unchanged foreign keys over columns that change type or collation, or are made anew (error 1832, 1833)."""
        moved = self._moved_columns()
        if not moved:
            return []
        after = self.changes.after.objects
        return [
            key
            for key in self.changes.before.all(ForeignKey)
            if key.ref not in self.drops and key.ref not in self.alters and key.ref in after
            if any((key.ref.table, name) in moved for name in key.columns)
            or any((key.references, name) in moved for name in key.referenced_columns)
        ]

    def _moved_columns(self) -> set[tuple[Ref, str]]:
        moved: set[tuple[Ref, str]] = set()
        for ref, changes in self.by_table.items():
            old, new = self.changes.before.objects.get(ref), self.changes.after.objects.get(ref)
            if not isinstance(old, Table) or not isinstance(new, Table):
                continue
            for change in changes:
                if isinstance(change, AlterColumn) and _is_retyped(change):
                    moved.add((ref, change.after.name))
                elif isinstance(change, AlterObject) and isinstance(change.after, Table):
                    moved |= {
                        (ref, c.name)
                        for c in new.columns
                        if (o := old.column(c.name)) and collation_of(o, old) != collation_of(c, new)
                    }
        return moved

    def _inline(self) -> set[Ref]:
        """Foreign keys written inside CREATE TABLE: what they refer to is there by then, and stays as it is."""
        order, ring = self._creation_order()
        place = {ref: i for i, ref in enumerate(order)}
        found: set[Ref] = set()
        for key in self._keys_of(self.creates):
            table = key.ref.table
            if table not in place:
                continue
            if (
                key.references == table
                or (key.references in place and place[key.references] < place[table] and table not in ring)
                or (key.references in self.changes.before.objects and key.references not in self.by_table)
            ):
                found.add(key.ref)
        return found

    def _creation_order(self) -> tuple[list[Ref], set[Ref]]:
        created = {ref for ref, item in self.creates.items() if isinstance(item, Table)}
        return _in_order(created, {ref: self._referenced(ref, self.creates) & created for ref in created})

    def _drop_keys(self, table: Ref, keys: list[ForeignKey], coming_back: set[Ref]) -> Act:
        facts = [
            Hazard("DELETES_OBJECT", f"foreign key {key.name} of {table.name} is dropped")
            for key in keys
            if key.ref not in coming_back
        ]
        dropped = ", ".join(f"DROP FOREIGN KEY {quoted(key.name)}" for key in keys)
        return Act(
            ref=keys[0].ref,
            title=f"drop {_listed('foreign key', [key.name for key in keys])} of {table.name}",
            do=(ddl(f"ALTER TABLE {quoted(table.name)} {dropped}", facts),),
            undo=self._added(table, keys),
            covers=tuple(key.ref for key in keys[1:]),
            drops=True,
        )

    def _add_keys(self, table: Ref, keys: list[ForeignKey]) -> Act:
        rows = self.context.rows(table)
        facts = [
            Fact("MAY_FAIL_ON_DATA", f"rows of {table.name} may have no row of {key.references.name} for {key.name}")
            for key in keys
        ]
        facts += [
            Fact("SCANS_TABLE", f"every row of {table.name} is checked, about {rows} rows"),
            Fact("BLOCKS_WRITES", f"writers of {table.name} wait while its rows are checked, about {rows} rows"),
        ]
        dropped = ", ".join(f"DROP FOREIGN KEY {quoted(key.name)}" for key in keys)
        return Act(
            ref=keys[0].ref,
            title=f"add {_listed('foreign key', [key.name for key in keys])} to {table.name}",
            do=self._added(table, keys, hazards(facts, rows)),
            undo=(ddl(f"ALTER TABLE {quoted(table.name)} {dropped}"),),
            covers=tuple(key.ref for key in keys[1:]),
            creates=True,
        )

    def _added(self, table: Ref, keys: list[ForeignKey], found: Sequence[Hazard] = ()) -> tuple[Statement, ...]:
        added = ",\n  ".join(f"ADD {foreign_key_clause(key, self.flavour)}" for key in keys)
        known = self.changes.after.objects
        dangles = any(not key.references.schema and key.references not in known for key in keys)
        return table_statements(f"ALTER TABLE {quoted(table.name)}\n  {added}", found, without_checks=dangles)

    # --- tables that go and come

    def _drop_tables(self) -> Iterator[Act]:
        dropped = {ref for ref, item in self.drops.items() if isinstance(item, Table)}
        order, _ = _in_order(dropped, {ref: self._referenced(ref, self.drops) & dropped for ref in dropped})
        apart = {key.ref for key in self._keys_between_dropped_tables()}
        for ref in reversed(order):
            table = self.drops[ref]
            if isinstance(table, Table):
                yield self._drop_table(table, apart)

    def _drop_table(self, table: Table, apart: set[Ref]) -> Act:
        rows = self.context.rows(table.ref)
        about = f"about {rows} rows of {table.name}" if rows else f"all rows of {table.name}"
        drop = ddl(f"DROP TABLE {quoted(table.name)}", [Hazard("DELETES_DATA", f"{about} are deleted")])
        everything = self.old_children.get(table.name, [])
        inside = [item for item in everything if item.ref not in apart]
        back: tuple[Statement, ...] = self._created(table, [item for item in inside if not isinstance(item, Trigger)])
        do: tuple[Statement, ...] = (drop,)
        columns = stored(table)
        if columns and (copy := self.archive.next_name()):
            do = (copy_rows(table, copy, columns), drop)
            back = (*back, *restore_rows(table, copy))
        for item in inside:
            if isinstance(item, Trigger):
                back = (*back, *create_code(item, self.context.server.user, self.flavour))
        return Act(table.ref, f"drop table {table.name}", do, back, covers=tuple(item.ref for item in inside), drops=True)

    def _create_tables(self) -> Iterator[Act]:
        inline = self._inline()
        for ref in self._creation_order()[0]:
            table = self.creates[ref]
            if not isinstance(table, Table):
                continue
            children = [
                item
                for item in self.new_children.get(table.name, [])
                if item.ref in self.creates and self._stands_inside(item, inline)
            ]
            drop = ddl(f"DROP TABLE {quoted(table.name)}", [Hazard("DELETES_DATA", f"all rows of {table.name} are deleted")])
            yield Act(
                ref=table.ref,
                title=f"create table {table.name}",
                do=self._created(table, children),
                undo=(drop,),
                covers=tuple(item.ref for item in children),
                creates=True,
            )

    def _stands_inside(self, item: CatalogObject, inline: set[Ref]) -> bool:
        return isinstance(item, PrimaryKey | Index | Check) or item.ref in inline

    def _created(self, table: Table, children: Sequence[CatalogObject]) -> tuple[Statement, ...]:
        known = self.changes.after.objects.keys() | self.changes.before.objects.keys()
        dangles = any(
            isinstance(item, ForeignKey) and not item.references.schema and item.references not in known for item in children
        )
        made = table_statements(create_table(table, children, self.flavour), without_checks=dangles)
        bare = without_defaults(table)
        return (*made, ddl(f"ALTER TABLE {quoted(table.name)} {', '.join(bare)}")) if bare else made

    # --- tables that change

    def _alter_tables(self) -> Iterator[Act]:
        for ref, changes in self.by_table.items():
            before, after = self.changes.before.objects.get(ref), self.changes.after.objects.get(ref)
            if isinstance(before, Table) and isinstance(after, Table) and ref not in self.drops and ref not in self.creates:
                yield from self._alter_table(self._table_change(before, after, changes))

    def _table_change(self, before: Table, after: Table, changes: Sequence[CatalogChange]) -> TableChange:
        def inside(children: dict[str, list[CatalogObject]], table: Table) -> tuple[CatalogObject, ...]:
            return tuple(item for item in children.get(table.name, ()) if isinstance(item, PrimaryKey | Index | Check))

        return TableChange(before, after, inside(self.old_children, before), inside(self.new_children, after), tuple(changes))

    def _alter_table(self, change: TableChange) -> Iterator[Act]:
        refs = tuple(dict.fromkeys(c.ref for c in change.changes))
        partition_facts = tuple(
            Hazard("DELETES_DATA", f"the rows in partition {name} of {change.after.name} are deleted")
            for name in alter.partition_clauses(change)[1]
        )
        do, undo = self._altered(change, partition_facts)
        if not do:
            return
        only = change.changes[0] if len(change.changes) == 1 else None
        own = only.ref if only else change.after.ref
        yield Act(
            ref=own,
            title=_title(change),
            do=do,
            undo=undo,
            covers=tuple(ref for ref in refs if ref != own),
            creates=bool(only) and isinstance(only, CreateObject),
            drops=bool(only) and isinstance(only, DropObject),
        )

    def _altered(
        self, change: TableChange, partition_facts: tuple[Hazard, ...]
    ) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
        rows = self.context.rows(change.after.ref)
        lost = LostColumns.of(change)
        do: list[Statement] = []
        undo: list[Statement] = []
        if lost and lost.key and (copy := self.archive.next_name()):
            do.append(lost.copy(copy))
            first, second = lost.way_back()
            undo += [*self._statements(first, 0), *lost.fill(copy), *self._statements(second, 0)]
        else:
            undo += self._statements(change.reversed(), 0)
        doomed = alter.partition_clauses(change)[1]
        if doomed and (copy := self.archive.next_name()):
            do.append(copy_rows(change.before, copy, stored(change.before), doomed))
            undo += restore_rows(change.before, copy)
        do += self._statements(change, rows, partition_facts)
        return tuple(do), tuple(undo)

    def _statements(self, change: TableChange, rows: int, partition_facts: Sequence[Hazard] = ()) -> list[Statement]:
        """The statements of one table: what stands alone, the one ALTER TABLE, then its partitions."""
        table = quoted(change.after.name)
        result: list[Statement] = []
        built = alter.clauses(change, self.flavour)
        if built:
            result += table_statements(
                f"ALTER TABLE {table}\n  {self._joined(built, change, rows)}", self._found(built, change, rows)
            )
        if versioning := alter.versioning_clause(change):
            lost = (
                [Hazard("DELETES_DATA", f"the history of {change.after.name} is deleted")]
                if versioning.startswith("DROP")
                else []
            )
            result.append(ddl(f"ALTER TABLE {table} {versioning}", lost))
        for clause in alter.partition_clauses(change)[0]:
            found = partition_facts if clause.startswith("DROP") else ()
            result.append(ddl(f"ALTER TABLE {table} {clause}", found))
        return result

    def _joined(self, built: list[Clause], change: TableChange, rows: int) -> str:
        plain = [clause.text for clause in built if not clause.is_partitioning]
        if self.context.online and rows and (words := cost.online_words(built, change.before, self.flavour)):
            plain.append(words)
        text = ",\n  ".join(plain)
        division = next((clause.text for clause in built if clause.is_partitioning), "")
        return f"{text}\n{division}".strip()

    def _found(self, built: list[Clause], change: TableChange, rows: int) -> tuple[Hazard, ...]:
        table = change.after.name
        facts = [fact for clause in built for fact in clause.facts]
        facts += [
            Fact("DELETES_DATA", f"the values of {table}.{c.column.name} are deleted", needs_rows=False)
            for c in change.changes
            if isinstance(c, DropColumn)
        ]
        facts += [
            Fact("DELETES_OBJECT", f"{c.item.kind.replace('_', ' ')} {c.item.name} of {table} is dropped", needs_rows=False)
            for c in change.changes
            if isinstance(c, DropObject)
        ]
        return hazards([*facts, *cost.lock_facts(built, table, rows)], rows)

    # --- sequences

    def _sequences(self) -> Iterator[Act]:
        for ref, item in self.creates.items():
            if isinstance(item, CatalogSequence):
                drop = ddl(f"DROP SEQUENCE {quoted(item.name)}", [Hazard("DELETES_DATA", f"the counter of {item.name} is lost")])
                yield Act(ref, f"create sequence {item.name}", (ddl(create_sequence(item)),), (drop,), creates=True)
        for ref, change in self.alters.items():
            if isinstance(change.before, CatalogSequence) and isinstance(change.after, CatalogSequence):
                yield Act(
                    ref,
                    f"alter sequence {ref.name}",
                    _altered_sequence(change.after, change.before),
                    _altered_sequence(change.before, change.after),
                )

    def _drop_sequences(self, *, early: bool) -> Iterator[Act]:
        """A sequence goes last, for columns count with it, unless something else takes its name."""
        taken = {item.name for item in self.creates.values() if not item.parent}
        for ref, item in self.drops.items():
            if isinstance(item, CatalogSequence) and (item.name in taken) == early:
                drop = ddl(
                    f"DROP SEQUENCE {quoted(item.name)}", [Hazard("DELETES_DATA", f"the counter of sequence {item.name} is lost")]
                )
                yield Act(ref, f"drop sequence {item.name}", (drop,), (ddl(create_sequence(item)),), drops=True)


def _altered_sequence(sequence: CatalogSequence, before: CatalogSequence) -> tuple[Statement, ...]:
    """ALTER SEQUENCE knows numbers alone; engine and comment are those of the table that holds them."""
    name, options = quoted(sequence.name), dict(sequence.options)
    statements = [ddl(f"ALTER SEQUENCE {name} {sequence_words(sequence)}")]
    if sequence.options != before.options and "engine" in options:
        statements.append(ddl(f"ALTER TABLE {name} ENGINE={options['engine']}"))
    if sequence.comment != before.comment:
        statements.append(ddl(f"ALTER TABLE {name} COMMENT={literal(sequence.comment or '')}"))
    return tuple(statements)


def _is_retyped(change: AlterColumn) -> bool:
    old, new = change.before, change.after
    return (old.type, old.collation, old.generated, old.nullable) != (new.type, new.collation, new.generated, new.nullable)


def _children(catalog: Catalog) -> dict[str, list[CatalogObject]]:
    found: defaultdict[str, list[CatalogObject]] = defaultdict(list)
    for item in catalog:
        if item.parent:
            found[item.parent].append(item)
    return found


def _grouped(keys: Iterable[ForeignKey]) -> list[tuple[Ref, list[ForeignKey]]]:
    found: dict[Ref, dict[Ref, ForeignKey]] = {}
    for key in keys:
        found.setdefault(key.ref.table, {})[key.ref] = key
    return [(table, list(several.values())) for table, several in found.items()]


def _in_order(refs: set[Ref], needs: dict[Ref, set[Ref]]) -> tuple[list[Ref], set[Ref]]:
    """Return the tables so that each stands behind those it refers to, and those of rings, which stand anywhere."""
    order: list[Ref] = []
    waiting = {ref: set(needs[ref]) for ref in sorted(refs)}
    ring: set[Ref] = set()
    while waiting:
        ready = [ref for ref, needed in waiting.items() if not needed & waiting.keys()]
        if not ready:
            ready = [next(iter(waiting))]
            ring |= waiting.keys()
        for ref in ready:
            del waiting[ref]
        order += ready
    return order, ring


def _listed(word: str, several: Sequence[str]) -> str:
    return f"{word} {several[0]}" if len(several) == 1 else f"{word}s {', '.join(several)}"


def _title(change: TableChange) -> str:
    table = change.after.name
    if len(change.changes) != 1:
        return f"alter table {table}"
    [only] = change.changes
    if only.ref == change.after.ref:
        return f"alter table {table}"
    verb = {"CreateObject": "add", "AddColumn": "add", "DropObject": "drop", "DropColumn": "drop"}.get(
        type(only).__name__, "change"
    )
    return f"{verb} {only.ref.kind.replace('_', ' ')} {only.ref.name} of {table}"
