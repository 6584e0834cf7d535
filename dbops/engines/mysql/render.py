"""Typed changes into acts, phase by phase, so that each statement finds what it needs.

Code objects leave first; then foreign keys, tables and sequences; then sequences, tables and one ALTER TABLE per table;
then foreign keys; last routines, views in the order of their dependencies, triggers and events. What accounts lose they lose
first, what they get they get at the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import field, replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import (
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
from dbops.dataclass import dataclass
from dbops.engines.base.connect import TableSize
from dbops.engines.base.render import MANY, Act, RenderContext, about
from dbops.engines.mysql import alter, cost, filling, implied, online_keys, spatial, versioning, virtual_columns
from dbops.engines.mysql.alter import TableChange
from dbops.engines.mysql.archive import Archive, LostColumns, copy_rows, restore_rows, stored
from dbops.engines.mysql.code import code_acts, create_code, drop_code, made_anew
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.consequences import with_consequences
from dbops.engines.mysql.cost import Clause, Fact
from dbops.engines.mysql.ddl import (
    create_sequence,
    create_table,
    foreign_key_clause,
    literal,
    sequence_words,
    without_defaults,
)
from dbops.engines.mysql.filling import Filling
from dbops.engines.mysql.flavour import Flavour, flavour_of
from dbops.engines.mysql.folding import folded
from dbops.engines.mysql.grant_acts import grant_acts, without_grants
from dbops.engines.mysql.references import References
from dbops.engines.mysql.renames import rename_acts
from dbops.engines.mysql.statements import ddl, hazards, table_statements, under
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

_CODE = ("view", "trigger", "routine", "event")


def render(changes: ChangeSet, context: RenderContext) -> list[Act]:
    """Return the acts that carry the changes out; see the port."""
    return with_consequences(list(_Renderer(changes, context).acts()), changes, context)


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
    references: References = field(init=False)
    absent: set[Ref] = field(init=False)
    revoking: list[Act] = field(init=False)
    granting: list[Act] = field(init=False)

    def __post_init__(self) -> None:
        self.flavour = flavour_of(self.context.server)
        self.revoking, self.granting = grant_acts(self.changes, self.flavour)
        self.changes = without_grants(self.changes)
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
        self.references = References.of(self.changes, self.by_table)
        self.absent = made_anew(self.changes, self.context, self.flavour)

    def acts(self) -> Iterator[Act]:
        before, after = code_acts(self.changes, self.context, self.flavour)
        yield from rename_acts(self.changes, self.context, self.flavour)
        yield from self.revoking
        yield from before
        coming_back = {key.ref for _, keys in self.references.arriving for key in keys}
        yield from (self._drop_keys(table, keys, coming_back) for table, keys in self.references.leaving)
        yield from self._drop_tables()
        yield from self._drop_sequences(early=True)
        yield from self._sequences()
        yield from self._create_tables()
        yield from self._alter_tables()
        yield from (self._add_keys(table, keys) for table, keys in self.references.arriving)
        yield from self._drop_sequences(early=False)
        yield from after
        yield from self.granting

    # --- foreign keys

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
            do=(ddl(f"ALTER TABLE {quoted(table.name)} {dropped}{self._gently(table)}", [*facts, *self._queue(table)]),),
            undo=self._added(table, keys),
            covers=tuple(key.ref for key in keys[1:]),
            drops=True,
        )

    def _gently(self, table: Ref) -> str:
        """The words for a change of the table's description alone."""
        found = self.changes.before.objects.get(table)
        if not isinstance(found, Table) or not self.context.online or not self.context.rows(table):
            return ""
        speed = cost.Speed.INSTANT if self.flavour.is_mariadb else cost.Speed.INPLACE
        words = cost.online_words([Clause("", speed)], found, self.flavour)
        return f", {words}" if words else ""

    def _queue(self, table: Ref) -> tuple[Hazard, ...]:
        rows = self.context.rows(table)
        return hazards(self._lock_facts([Clause("", cost.Speed.INSTANT)], table), rows)

    def _lock_facts(self, clauses: list[Clause], table: Ref) -> list[Fact]:
        size = self.context.sizes.get(table, TableSize(0, 0))
        return cost.lock_facts(clauses, table.name, size, self.context.server.has_replicas)

    def _add_keys(self, table: Ref, keys: list[ForeignKey]) -> Act:
        rows = self.context.rows(table)
        facts = [
            Fact("MAY_FAIL_ON_DATA", f"rows of {table.name} may have no row of {key.references.name} for {key.name}")
            for key in keys
        ]
        facts.append(Fact("SCANS_TABLE", f"every row of {table.name} is checked: {about(rows)}"))
        is_online = bool(self.context.online and rows) and online_keys.is_possible(table, keys, self.changes.after, self.flavour)
        facts += self._lock_facts([Clause("", cost.Speed.INSTANT if is_online else cost.Speed.COPY)], table)
        found = hazards(facts, rows)
        if is_online:
            claims = self._claims(table, keys)
            added: tuple[Statement, ...] = (ddl(online_keys.added(table, keys, claims, self.flavour), found),)
        else:
            added = self._added(table, keys, found)
        dropped = ", ".join(f"DROP FOREIGN KEY {quoted(key.name)}" for key in keys)
        return Act(
            ref=keys[0].ref,
            title=f"add {_listed('foreign key', [key.name for key in keys])} to {table.name}",
            do=added,
            undo=(ddl(f"ALTER TABLE {quoted(table.name)} {dropped}"),),
            covers=tuple(key.ref for key in keys[1:]),
            creates=True,
        )

    def _claims(self, table: Ref, keys: list[ForeignKey]) -> list[str]:
        after = self.new_children.get(table.name, ())
        staying = [item for item in self.old_children.get(table.name, ()) if isinstance(item, Index) and item in after]
        return implied.claims(staying, keys)

    def _added(self, table: Ref, keys: list[ForeignKey], found: Sequence[Hazard] = ()) -> tuple[Statement, ...]:
        clauses = [*self._claims(table, keys), *(f"ADD {foreign_key_clause(key, self.flavour)}" for key in keys)]
        added = ",\n  ".join(clauses)
        known = self.changes.after.objects
        dangles = any(not key.references.schema and key.references not in known for key in keys)
        return table_statements(f"ALTER TABLE {quoted(table.name)}\n  {added}", found, without_checks=dangles)

    # --- tables that go and come

    def _drop_tables(self) -> Iterator[Act]:
        for ref in self.references.removal:
            table = self.drops[ref]
            if isinstance(table, Table):
                yield self._drop_table(table)

    def _drop_table(self, table: Table) -> Act:
        rows = self.context.rows(table.ref)
        lost = f"{about(rows)} of {table.name}" if 0 < rows < MANY else f"all rows of {table.name}"
        drop = ddl(f"DROP TABLE {quoted(table.name)}", [Hazard("DELETES_DATA", f"{lost} are deleted")])
        everything = self.old_children.get(table.name, [])
        inside = [item for item in everything if item.ref not in self.references.apart]
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
        for ref in self.references.creation:
            table = self.creates[ref]
            if not isinstance(table, Table):
                continue
            children = [
                item for item in self.new_children.get(table.name, []) if item.ref in self.creates and self._stands_inside(item)
            ]
            drop = ddl(f"DROP TABLE {quoted(table.name)}", [Hazard("DELETES_DATA", f"all rows of {table.name} are deleted")])
            yield Act(
                ref=table.ref,
                title=f"create table {table.name}",
                do=(*self._created(table, children), *(folded(table, children) if self._shows_folded else ())),
                undo=(drop,),
                covers=tuple(item.ref for item in children),
                creates=True,
            )

    @property
    def _shows_folded(self) -> bool:
        return self.context.for_reading and self.flavour.folds_checks

    def _stands_inside(self, item: CatalogObject) -> bool:
        return isinstance(item, PrimaryKey | Index | Check) or item.ref in self.references.inline

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
        stages = versioning.stages(change)
        if len(stages) > 1 and not (LostColumns.of(change) or alter.keeps_no_rows(change) or partition_facts):
            yield from self._staged(change, stages, refs)
            return
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

    def _staged(self, change: TableChange, stages: Sequence[TableChange], refs: tuple[Ref, ...]) -> Iterator[Act]:
        """A step for each stage, so that one which fails leaves those before it to be taken back."""
        own = change.after.ref
        for stage in stages:
            do = self._stage_statements(stage, self.context.rows(own))
            undo = [sql for step in versioning.back(stage) for sql in self._stage_statements(step, 0)]
            yield Act(own, _title(stage), tuple(do), tuple(undo), covers=tuple(ref for ref in refs if ref != own))

    def _altered(
        self, change: TableChange, partition_facts: tuple[Hazard, ...]
    ) -> tuple[tuple[Statement, ...], tuple[Statement, ...]]:
        rows = self.context.rows(change.after.ref)
        lost = LostColumns.of(change)
        do: list[Statement] = []
        undo: list[Statement] = []
        if alter.keeps_no_rows(change) and (copy := self.archive.next_name()):
            do.append(copy_rows(change.before, copy, stored(change.before)))
            away, back = self._triggers_aside(change.after, "INSERT")
            undo += [*self._statements(change.reversed(), 0), *away, *restore_rows(change.before, copy), *back]
            return (*do, *self._statements(change, rows, partition_facts)), tuple(undo)
        if lost and (copy := self.archive.next_name()):
            do.append(lost.copy(copy))
            first, second = lost.way_back()
            away, back = self._triggers_aside(change.after, "UPDATE")
            # Rows that an added column gave a value against its own check, as json does, are rows all the same.
            filled = [sql for statement in lost.fill(copy) for sql in under(self.flavour.unchecked, statement)]
            undo += [*away, *self._statements(first, 0), *filled, *self._statements(second, 0), *back]
        else:
            undo += self._statements(change.reversed(), 0)
        doomed = alter.partition_clauses(change)[1]
        if doomed and (copy := self.archive.next_name()):
            do.append(copy_rows(change.before, copy, stored(change.before), doomed))
            away, back = self._triggers_aside(change.after, "INSERT")
            undo += [*away, *restore_rows(change.before, copy), *back]
        do += self._statements(change, rows, partition_facts)
        return tuple(do), tuple(undo)

    def _triggers_aside(self, table: Table, event: str) -> tuple[list[Statement], list[Statement]]:
        """What keeps triggers from running while undo writes rows: they are dropped before and made again, in their order, after.

        Those that the plan drops or makes anew are not back by then, those that it replaces are as they were.
        """
        found = self._triggers(table, event)
        back = [
            sql
            for item in sorted(found, key=lambda trigger: trigger.order)
            for sql in create_code(item, self.context.server.user, self.flavour)
        ]
        return [ddl(drop_code(item)) for item in found], back

    def _triggers(self, table: Table, event: str) -> list[Trigger]:
        return [
            item
            for item in self.old_children.get(table.name, ())
            if isinstance(item, Trigger)
            and dict(item.options)["event"] == event
            and item.ref in self.changes.after
            and item.ref not in self.absent
        ]

    def _statements(self, change: TableChange, rows: int, partition_facts: Sequence[Hazard] = ()) -> list[Statement]:
        result: list[Statement] = []
        for stage in versioning.stages(change):
            result += self._stage_statements(stage, rows, partition_facts)
        return result

    def _stage_statements(self, stage: TableChange, rows: int, partition_facts: Sequence[Hazard] = ()) -> list[Statement]:
        is_divided = self.flavour.refuses_unsafe_defaults or self.context.server.has_replicas
        if filled := filling.divided(stage) if is_divided else None:
            return self._filled(filled, rows, partition_facts)
        result: list[Statement] = []
        for step in spatial.stages(stage):
            for part in self._parts(step, rows):
                result += self._stage(part, rows, partition_facts)
        return result

    def _parts(self, change: TableChange, rows: int) -> tuple[TableChange, ...]:
        """A change in the parts that the server makes each without a copy, where it would copy for the whole of it."""
        if not self.context.online or not rows or self._words(change):
            return (change,)
        parts = virtual_columns.apart(change)
        return parts if all(map(self._words, parts)) else (change,)

    def _words(self, change: TableChange) -> str:
        return cost.online_words(cost.as_kept(alter.clauses(change, self.flavour), change), change.before, self.flavour)

    def _filled(self, filled: Filling, rows: int, partition_facts: Sequence[Hazard]) -> list[Statement]:
        """The statements of one table in whose columns an UPDATE puts values; its triggers are not to hear of that."""
        table = filled.making[-1].after
        away, back = self._triggers_aside(table, "UPDATE")
        triggers = [item.name for item in self._triggers(table, "UPDATE")]
        facts = filled.facts(rows, triggers, has_replicas=self.context.server.has_replicas)
        result = [sql for part in filled.making for sql in self._stage(part, rows, partition_facts)]
        result += [*away, *(replace(sql, hazards=hazards(facts, rows)) for sql in filled.updates()), *back]
        return result + [sql for part in filled.finishing for sql in self._stage(part, rows, partition_facts)]

    def _stage(self, change: TableChange, rows: int, partition_facts: Sequence[Hazard]) -> list[Statement]:
        """The statements of one table: what stands alone, the one ALTER TABLE, then its partitions."""
        table = quoted(change.after.name)
        result: list[Statement] = []
        first, last = alter.parting_clauses(change)
        begin, end = versioning.clauses(change)
        result += (ddl(f"ALTER TABLE {table} {clause}") for clause in begin)
        result += (ddl(f"ALTER TABLE {table} {clause}") for clause in first)
        built = cost.as_kept(alter.clauses(change, self.flavour), change)
        if built:
            result += table_statements(
                f"ALTER TABLE {table}\n  {self._joined(built, change, rows)}",
                self._found(built, change, rows),
                has_history=bool(begin) or versioning.is_versioned(change.before),
                keeps_zeros=alter.begins_to_count(change),
            )
        result += (ddl(f"ALTER TABLE {table} {clause}") for clause in last)
        lost = Hazard("DELETES_DATA", f"the history of {change.after.name} is deleted")
        result += (ddl(f"ALTER TABLE {table} {clause}", [lost]) for clause in end)
        for clause in alter.partition_clauses(change)[0]:
            found = partition_facts if clause.startswith("DROP") else ()
            moves = clause.startswith(("REORGANIZE", "COALESCE", "ADD PARTITION PARTITIONS"))
            facts = self._lock_facts([Clause("", cost.Speed.COPY if moves else cost.Speed.INSTANT)], change.after.ref)
            result.append(ddl(f"ALTER TABLE {table} {clause}", (*found, *hazards(facts, rows))))
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
        return hazards([*facts, *self._lock_facts(built, change.after.ref)], rows)

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
        for item in self.drops.values():
            if isinstance(item, CatalogSequence) and (item.name in taken) == early:
                yield self._drop_sequence(item)

    def _drop_sequence(self, item: CatalogSequence) -> Act:
        """A sequence is read and filled as a table of one row (MariaDB Knowledge Base, CREATE SEQUENCE)."""
        name = quoted(item.name)
        drop = ddl(f"DROP SEQUENCE {name}", [Hazard("DELETES_DATA", f"the counter of sequence {item.name} is lost")])
        do, back = [drop], [ddl(create_sequence(item))]
        if copy := self.archive.next_name():
            do.insert(0, ddl(f"CREATE TABLE {quoted(copy)} AS SELECT * FROM {name}"))
            back.append(Statement(f"INSERT INTO {name} SELECT * FROM {quoted(copy)}"))
        return Act(item.ref, f"drop sequence {item.name}", tuple(do), tuple(back), drops=True)


def _altered_sequence(sequence: CatalogSequence, before: CatalogSequence) -> tuple[Statement, ...]:
    """ALTER SEQUENCE knows numbers alone; engine and comment are those of the table that holds them."""
    name, options = quoted(sequence.name), dict(sequence.options)
    statements = [ddl(f"ALTER SEQUENCE {name} {sequence_words(sequence)}")]
    if sequence.options != before.options and "engine" in options:
        statements.append(ddl(f"ALTER TABLE {name} ENGINE={options['engine']}"))
    if sequence.comment != before.comment:
        statements.append(ddl(f"ALTER TABLE {name} COMMENT={literal(sequence.comment or '')}"))
    return tuple(statements)


def _children(catalog: Catalog) -> dict[str, list[CatalogObject]]:
    found: defaultdict[str, list[CatalogObject]] = defaultdict(list)
    for item in catalog:
        if item.parent:
            found[item.parent].append(item)
    return found


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
