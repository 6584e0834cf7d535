"""Parts of tables that statements make and remove by themselves: defaults and memberships of partitions and heirs.

The catalog keeps them inside columns and tables. Where one of them has to come later or go earlier than its table, ordering
speaks of it as an object of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import (
    CatalogObject,
    Check,
    Column,
    Constraint,
    Domain,
    Index,
    Options,
    Policy,
    Rule,
    Table,
    Trigger,
)
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.postgresql.render import bounds, hazards, not_null, numbers, routines, types
from dbops.engines.postgresql.render.all_rows import seen, while_seen
from dbops.engines.postgresql.render.conversion import using
from dbops.engines.postgresql.render.leftovers import ancestors, taken_away
from dbops.engines.postgresql.render.names import aside as called_aside
from dbops.engines.postgresql.render.names import designation, literal, named, parent_of, quote
from dbops.engines.postgresql.render.scene import NO_TIMEOUT_S, Scene, parents_of, statement, table_in
from dbops.engines.postgresql.render.sequences import own, release
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDefault(CatalogObject):
    """The default of column `name` of its parent table."""

    kind: ClassVar[str] = "default"
    expression: str
    options: Options = ()

    @classmethod
    def of(cls, table: Ref, column: Column) -> ColumnDefault:
        return cls(schema=table.schema, parent=table.name, name=column.name, expression=column.default or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(CatalogObject):
    """That the parent of this part, a table, is a partition of `of` (with a bound) or inherits from it (without)."""

    kind: ClassVar[str] = "membership"
    of: Ref
    bound: str | None = None

    @classmethod
    def named_after(cls, table: Ref, of: Ref, bound: str | None) -> Membership:
        return cls(schema=table.schema, parent=table.name, name=of.qualified, of=of, bound=bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(CatalogObject):
    """The rows of its parent, a table that is made again: they move when the new table and its partitions are there."""

    kind: ClassVar[str] = "rows"
    before: Table
    after: Table
    staying: tuple[Ref, ...] = ()
    """Heirs of the new table that keep their rows."""
    joining: tuple[Ref, ...] = ()
    """Those among them that were elsewhere: rows that move may come to lie beside their own."""

    @classmethod
    def of(cls, before: Table, after: Table, staying: tuple[Ref, ...], joining: tuple[Ref, ...]) -> Rows:
        name = "rows"
        return cls(
            schema=after.schema, parent=after.name, name=name, before=before, after=after, staying=staying, joining=joining
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaIdentity(CatalogObject):
    """That the index `name` identifies the rows of its parent, a table, to subscribers."""

    kind: ClassVar[str] = "replica_identity"

    @classmethod
    def of(cls, table: Table) -> ReplicaIdentity | None:
        index = (table.replica_identity or "").partition("index ")[2]
        return cls(schema=table.schema, parent=table.name, name=index) if index else None


#: The check under which a table becomes a partition.
_WITHIN = "dbops_within_bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowType(CatalogObject):
    """That its parent, a table, has the columns of the composite type `name`, a name as SQL writes it."""

    kind: ClassVar[str] = "row_type"

    @classmethod
    def of(cls, table: Table) -> RowType | None:
        return cls(schema=table.schema, parent=table.name, name=table.of_type) if table.of_type else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRules(CatalogObject):
    """Default and checks of a domain, which step aside while a function they call is made again."""

    kind: ClassVar[str] = "domain_rules"
    domain: Domain

    @classmethod
    def of(cls, domain: Domain) -> DomainRules:
        return cls(schema=domain.schema, name=domain.name, domain=domain)


Part = ColumnDefault | Membership | Rows | ReplicaIdentity | RowType | DomainRules


def create(item: Part, scene: Scene) -> Iterator[Statement]:
    table = item.ref.table
    if isinstance(item, ColumnDefault):
        sql = f"ALTER TABLE ONLY {parent_of(item.ref)} ALTER COLUMN {quote(item.name)} SET DEFAULT {item.expression}"
        yield statement(sql, *hazards.brief(scene, table), lock_timeout_s=hazards.lock_timeout_s(scene, table))
    elif isinstance(item, ReplicaIdentity):
        yield hazards.exclusively(scene, table, f"ALTER TABLE {named(table)} REPLICA IDENTITY USING INDEX {quote(item.name)}")
    elif isinstance(item, RowType):
        yield hazards.exclusively(scene, table, f"ALTER TABLE {named(table)} OF {item.name}")
    elif isinstance(item, DomainRules):
        yield from types.alter(without_rules(item.domain), item.domain)
    elif isinstance(item, Rows):
        watching = [trigger for ref in item.joining for trigger in _staying_triggers(ref, scene)]
        watching += [
            replace(trigger, schema=item.after.schema, parent=item.after.name)
            for ref in above(item.after, scene.after)
            for trigger in _staying_triggers(ref, scene)
            if routines.is_handed_down(trigger)
        ]
        yield from map(routines.asleep, watching)
        yield from move_rows(item.before, item.after, scene)
        for trigger in watching:
            yield from routines.awake(trigger)
        yield Statement(f"DROP TABLE {aside(item.before)}")
    elif item.bound is not None:
        yield from _missing_checks(item, scene)
        yield from _attach(item, item.bound, scene)
    else:
        yield from _missing_checks(item, scene)
        yield statement(f"ALTER TABLE {named(table)} INHERIT {named(item.of)}", *hazards.brief(scene, table))


def above(table: Table, catalog: Catalog) -> Iterator[Ref]:
    """Yield the tables that a partition is one of, directly or not."""
    while table.partition_of is not None and isinstance(parent := catalog.objects.get(table.partition_of.parent), Table):
        yield parent.ref
        table = parent


def _staying_triggers(table: Ref, scene: Scene) -> Iterator[Trigger]:
    """Yield the triggers that a table has all along, in the state that they are to have."""
    for child in scene.new.children(table):
        if isinstance(child, Trigger) and child.ref in scene.before.objects and child.ref not in scene.renewed:
            yield child


def _attach(item: Membership, bound: str, scene: Scene) -> Iterator[Statement]:
    """Yield ATTACH PARTITION; a big table proves by a validated check that its rows are within the bound."""
    table = item.ref.table
    sql = f"ALTER TABLE {named(item.of)} ATTACH PARTITION {named(table)} {bound}"
    fail = hazards.may_fail(scene, table, "rows may lie outside the bound")
    wait = hazards.lock_timeout_s(scene, table)
    proof = _condition(item, bound, scene) if scene.is_online(table) else None
    if proof is None:
        yield statement(sql, *hazards.scans(scene, table, "ACCESS EXCLUSIVE"), *fail, lock_timeout_s=wait)
        return
    alone = hazards.not_transactional("committed step by step, so that no strong lock is held while rows are read")
    head, lock = f"ALTER TABLE {named(table)}", hazards.brief(scene, table)
    for text, found in (
        (f"{head} DROP CONSTRAINT IF EXISTS {_WITHIN}, ADD CONSTRAINT {_WITHIN} CHECK ({proof}) NOT VALID", (alone, *lock)),
        (f"{head} VALIDATE CONSTRAINT {_WITHIN}", (*fail, *hazards.scans(scene, table, "SHARE UPDATE EXCLUSIVE"))),
        (sql, lock),
        (f"{head} DROP CONSTRAINT {_WITHIN}", lock),
    ):
        yield statement(text, *found, transactional=False, lock_timeout_s=wait)


def _condition(item: Membership, bound: str, scene: Scene) -> str | None:
    parent = scene.after.objects.get(item.of)
    key = parent.partition_by if isinstance(parent, Table) else None
    name = bounds.column_of(key) if key else None
    column = scene.column(item.ref.table, name) if name else None
    return bounds.condition(column.name, column.type, key.strategy, bound) if key and column else None


def without_rules(domain: Domain) -> Domain:
    return replace(domain, default=None, checks=(), check_comments=())


def _missing_checks(item: Membership, scene: Scene) -> Iterator[Statement]:
    """A table joins only with the checks of its parent and of those above it, by name (manual, ALTER TABLE)."""
    table = item.ref.table
    had = [table, *ancestors(table, scene.before)]  # what a parent handed down stays when the table leaves it
    there = {child.name for owner in had for child in scene.old.children(owner) if isinstance(child, Check)}
    there |= {child.name for child in scene.new.children(table) if isinstance(child, Check)}  # its own come before it joins
    parents = list(parents_of(table_in(scene.after, table)))
    for parent in parents[: parents.index(item.of) + 1] if item.of in parents else [item.of]:
        for owner in (parent, *ancestors(parent, scene.after)):
            for check in scene.new.children(owner):
                if not isinstance(check, Check) or check.no_inherit or check.name in there:
                    continue
                there.add(check.name)
                if parent == item.of:
                    sql = f"ALTER TABLE {named(table)} ADD CONSTRAINT {quote(check.name)} CHECK ({check.expression})"
                    yield statement(sql, *hazards.may_fail(scene, table, f"rows may violate {check.name}"))


def drop(item: Part, scene: Scene) -> Iterator[Statement]:
    table = item.ref.table
    if isinstance(item, ColumnDefault):
        sql = f"ALTER TABLE ONLY {parent_of(item.ref)} ALTER COLUMN {quote(item.name)} DROP DEFAULT"
        yield statement(sql, *hazards.brief(scene, table), lock_timeout_s=hazards.lock_timeout_s(scene, table))
    elif isinstance(item, ReplicaIdentity):
        yield hazards.exclusively(scene, table, f"ALTER TABLE {named(table)} REPLICA IDENTITY DEFAULT")
    elif isinstance(item, RowType):
        yield hazards.exclusively(scene, table, f"ALTER TABLE {named(table)} NOT OF")
    elif isinstance(item, DomainRules):
        yield from types.alter(item.domain, without_rules(item.domain))
    elif isinstance(item, Rows):
        others = [f"tableoid <> {literal(named(heir))}::regclass" for heir in item.staying]
        where = f" WHERE {' AND '.join(others)}" if others else ""
        # Types of columns that only the new table has go before the old one is there.
        both = ", ".join(quote(column.name) for column in item.after.columns if item.before.column(column.name))
        yield from seen(item.after)
        yield Statement(f"CREATE TABLE {aside(item.before)} AS SELECT {both} FROM {named(table)}{where}")
        yield from _numbers_kept(item.after, aside(item.before), scene, item.before)
    elif item.bound is not None:
        yield from _detach(item, scene)
        yield from _own_not_nulls(item, scene)
        yield from taken_away(table, item.of, is_partition=True, scene=scene)
    else:
        yield statement(f"ALTER TABLE {named(table)} NO INHERIT {named(item.of)}", *hazards.brief(scene, table))
        yield from _own_not_nulls(item, scene)
        yield from taken_away(table, item.of, is_partition=False, scene=scene)


def _own_not_nulls(item: Membership, scene: Scene) -> Iterator[Statement]:
    """What a parent wanted not to be NULL becomes the table's own wish, under a name of its own."""
    old, new = (table_in(side, item.ref.table) for side in (scene.before, scene.after))
    for column in new.columns if new else ():
        had = old.column(column.name) if old else None
        if had is not None and not had.nullable and "not_null_name" not in dict(had.options):
            yield from not_null.settle_alone(item.ref.table, column, scene)


def _detach(item: Membership, scene: Scene) -> Iterator[Statement]:
    sql = f"ALTER TABLE {named(item.of)} DETACH PARTITION {named(item.ref.table)}"
    if scene.is_online(item.of) and scene.version >= 14 and not scene.has_default_partition(item.of):
        alone = hazards.not_transactional("a concurrent detach runs outside a transaction")
        yield statement(f"{sql} CONCURRENTLY", alone, transactional=False, lock_timeout_s=NO_TIMEOUT_S)
        rest = hazards.exclusively(scene, item.ref.table, _without_copied_bound(item, scene))
        yield replace(rest, transactional=False)
        return
    found = []
    if scene.rows(item.of):
        text = f"ACCESS EXCLUSIVE on {item.of.qualified} while {item.parent} is detached"
        found.append(Hazard("DETACH_BLOCKS", text))
        found += hazards.brief(scene, item.ref.table)
    yield statement(sql, *found, lock_timeout_s=hazards.lock_timeout_s(scene, item.of))


def _without_copied_bound(item: Membership, scene: Scene) -> str:
    """A concurrent detach leaves the bound behind as a check under a name the server chooses (manual, ALTER TABLE)."""
    tables = (item.ref.table, item.of)
    known = {c.name for table in tables for c in scene.old.children(table) if isinstance(c, Check)}
    names = ", ".join(literal(name) for name in sorted(known))
    name = named(item.ref.table)
    return (
        "DO $$\nDECLARE left_behind name;\nBEGIN\n"
        f"  SELECT conname INTO left_behind FROM pg_catalog.pg_constraint\n"
        f"  WHERE conrelid = {literal(name)}::regclass AND contype = 'c' AND conname::text <> ALL (ARRAY[{names}]::text[]);\n"
        f"  IF FOUND THEN EXECUTE pg_catalog.format({literal(f'ALTER TABLE {name} DROP CONSTRAINT %I')}, left_behind); END IF;\n"
        "END\n$$"
    )


# --- tables made again --------------------------------------------------------------------------------------------------------


def aside_ref(table: Table) -> Ref:
    """Return what a table is called while its successor takes its place."""
    return Ref("table", table.schema, called_aside(table.name))


def aside(table: Table) -> str:
    """Return that name as SQL writes it."""
    return named(aside_ref(table))


def set_aside(table: Table, children: Iterable[CatalogObject], scene: Scene) -> Iterator[Statement]:
    """Yield what moves a table out of the way: what hangs on it goes, sequences lose their owner, the table gives up its name.

    Only its rows stay where more would be in the way: a partition cannot stand beside its successor in the parent they share,
    partitions that are made again too give up their names with it, and an expression that divides it holds on to functions.
    """
    yield from seen(table)
    staying = [owned for owned in scene.old.owned_by(table.ref) if owned.ref in scene.after.objects]
    is_between = table.partition_of is not None and table.partition_of.parent not in scene.renewed
    is_above = any(heir in scene.renewed for heir in scene.heirs.get(table.ref, ()))
    if is_between or is_above or (table.partition_by and "(" in table.partition_by.expression[1:]):
        yield from (release(owned) for owned in staying)
        yield Statement(f"CREATE TABLE {aside(table)} AS SELECT * FROM {named(table.ref)}")
        yield from _numbers_kept(table, aside(table), scene, table)
        yield statement(f"DROP TABLE {named(table.ref)}", *_losses(table, scene))
        return
    for child in (child for child in children if (child.schema, child.parent) == (table.schema, table.name)):
        if isinstance(child, Constraint):
            yield Statement(f"ALTER TABLE {named(table.ref)} DROP CONSTRAINT {quote(child.name)}")
        elif isinstance(child, Index):
            yield Statement(f"DROP INDEX {named(Ref('index', child.schema, child.name))}")
        elif isinstance(child, Trigger | Rule | Policy):
            yield Statement(f"DROP {designation(child)}")
    yield from (release(owned) for owned in staying)
    yield from map(numbers.give_up_name, _numbered_by(table, scene))
    if table.of_type:
        yield Statement(f"ALTER TABLE {named(table.ref)} NOT OF")
    yield statement(f"ALTER TABLE {named(table.ref)} RENAME TO {quote(aside_ref(table).name)}", *_losses(table, scene))


def _losses(table: Table, scene: Scene) -> Iterator[Hazard]:
    if scene.rows(table.ref):
        yield from hazards.rewrites(scene, table.ref)
    if lost := [column.name for column in table.columns if not _has(scene.after, table.ref, column.name)]:
        yield hazards.deletes_data(f"columns {', '.join(lost)} of {table.ref.qualified} are left out of the new table")


def _has(catalog: Catalog, table: Ref, column: str) -> bool:
    found = catalog.objects.get(table)
    return isinstance(found, Table) and found.column(column) is not None


def move_rows(
    before: Table, after: Table, scene: Scene, source: str | None = None, found: Iterable[Column] = ()
) -> Iterator[Statement]:
    """Yield what fills the new table from the old, computed columns left to the server.

    `source` is where the rows are read from, if it is not the old table, and `found` are columns that it has besides.
    """
    domains = scene.domains
    names = [quote(column.name) for column in found]
    values = list(names)
    for column in after.columns:
        old = before.column(column.name)
        if old is not None and column.generated is None:
            name = quote(column.name)
            names.append(name)
            values.append(using(name, old.type, column.type, domains) or name)
    if names:
        target = f"INSERT INTO {named(after.ref)} ({', '.join(names)}) OVERRIDING SYSTEM VALUE"
        filling = Statement(f"{target}\nSELECT {', '.join(values)} FROM {source or aside(before)}")
        yield from while_seen(after, [filling], scene)
    counted = {name: (numbers.aside_ref(sequence),) for sequence, name in _numbered_by(before, scene).items()}
    for column in after.columns:
        if column.identity:
            yield numbers.go_on_identity(after.ref, column, counted.get(column.name, ()))
    for owned in scene.new.owned_by(after.ref):
        if owned.ref in scene.before.objects:
            yield own(owned)
        elif owned.owned_by and (new := after.column(owned.owned_by.name)) and numbers.counts(new):
            yield numbers.go_on_sequence(owned, owned.owned_by, before=counted.get(new.name, ()))


def _numbered_by(table: Table, scene: Scene) -> dict[Ref, str]:
    """Return the sequences that count for a table and go with it, each with its column."""
    found = {numbers.of_column(table, column, scene.old): column.name for column in table.columns}
    stays = {ref for ref in found if ref in scene.before.objects and ref in scene.after.objects}
    return {ref: name for ref, name in found.items() if ref is not None and ref not in stays}


def _numbers_kept(table: Table, owner: str, scene: Scene, holding: Table) -> Iterator[Statement]:
    """Yield what keeps the places of a table's sequences beside its rows, as far as the columns are there that own them."""
    for sequence, name in _numbered_by(table, scene).items():
        if (column := holding.column(name)) is not None:
            yield from numbers.keep(sequence, owner, column)
