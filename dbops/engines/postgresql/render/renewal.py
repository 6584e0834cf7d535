"""Tables made again: which these are, which partitions go with them or come back to them, and when their rows move.

A table whose partition key, or whose columns' order, has to change is made anew beside the old one, and takes over its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    DropColumn,
    DropObject,
    column_ref,
)
from dbops.catalog.model import Constraint, ForeignKey, Index, MaterializedView, Routine, Table, Trigger
from dbops.catalog.order import dependents
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import routines
from dbops.engines.postgresql.render.graph import OF_DEFAULTS, AnyTable, Graph
from dbops.engines.postgresql.render.names import quote
from dbops.engines.postgresql.render.parts import Membership, Rows
from dbops.engines.postgresql.render.scene import parents_of
from dbops.engines.postgresql.render.tables import is_in_place


def with_renewed(changes: tuple[CatalogChange, ...], before: Graph, after: Graph) -> tuple[CatalogChange, ...]:
    """Let tables whose columns no ALTER TABLE brings to what is wanted be made again as wholes."""
    whole: dict[Ref, CatalogChange] = {}
    for ref in {change.table: None for change in changes if isinstance(change, AddColumn | DropColumn | AlterColumn)}:
        old, new = before.objects.get(ref), after.objects.get(ref)
        if isinstance(old, Table) and isinstance(new, Table) and not is_in_place(old, new):
            whole[ref] = AlterObject(old, new)
    whole |= {change.ref: change for change in changes if is_made_again(change, before, after)}
    again = [*whole, *_called_in_keys(made_again(changes, before), before)]
    for ref in [*again, *(part for table in again for part in _divided_anew(table, before, after))]:
        if ref in after.objects and ref not in whole:
            whole[ref] = AlterObject(before.objects[ref], before.objects[ref])  # nothing changes but that it is made again
    others = (change for change in changes if not (isinstance(change, AlterObject) and change.ref in whole))
    return (*others, *whole.values())


def _divided_anew(ref: Ref, before: Graph, after: Graph, *, is_whole: bool = False) -> Iterator[Ref]:
    """Yield the partitions of a table made again, and theirs, where a row may come to lie in another one than before."""
    old, new = (side.objects.get(ref) for side in (before, after))
    if not isinstance(old, Table) or not isinstance(new, Table) or not old.partition_by or not new.partition_by:
        return
    was, will_be = (dict(_partitions(ref, side)) for side in (before, after))
    if is_whole or old.partition_by != new.partition_by or was != will_be:
        for part in [part for part in was if part in will_be]:
            yield from (part, *_divided_anew(part, before, after, is_whole=True))


def _partitions(ref: Ref, graph: Graph) -> Iterator[tuple[Ref, str]]:
    """Yield the partitions of a table that keep their rows themselves, each with its bound."""
    for item in graph.objects.values():
        if isinstance(item, Table) and item.partition_of and item.partition_of.parent == ref:
            yield item.ref, item.partition_of.bound


def made_again(changes: Iterable[CatalogChange], before: Graph) -> set[Ref]:
    """Return the functions that are dropped and made again, with those that call them."""
    found = {
        change.ref
        for change in changes
        if isinstance(change, AlterObject)
        and isinstance(change.before, Routine)
        and isinstance(change.after, Routine)
        and not routines.is_in_place(change.before, change.after)
    }
    users = dependents(before.needs) if found else {}
    waiting = list(found)
    while waiting:
        called = {user for user in users.get(waiting.pop(), ()) if user.kind in OF_DEFAULTS} - found
        found |= called
        waiting += called
    return found


def _called_in_keys(functions: set[Ref], before: Graph) -> Iterator[Ref]:
    """Yield the partitioned tables that one of the functions divides: a key cannot be taken away and given back."""
    names = {ref.name.partition("(")[0] for ref in functions}
    for ref, item in before.objects.items() if functions else ():
        key = item.partition_by.expression if isinstance(item, Table) and item.partition_by else ""
        if any(f"{quote(name)}(" in key for name in names) and before.needs.get(ref, frozenset()) & functions:
            yield ref


def is_made_again(change: CatalogChange, before: Graph, after: Graph) -> bool:
    """Tell whether a table is; an alteration of nothing says that it has to be."""
    old, new = (side.objects.get(change.ref) for side in (before, after))
    if not isinstance(change, AlterObject) or not isinstance(old, Table) or not isinstance(new, Table):
        return False
    return change.before == change.after or not is_in_place(old, new)


def rows_of_new_tables(found: list[CatalogChange], before: Graph, after: Graph) -> list[CatalogChange]:
    """The rows of a table made again move when its partitions are there, before anything watches over them."""
    result: list[CatalogChange] = []
    again = {change.ref for change in found if is_made_again(change, before, after)}
    for table in again:
        old, new = before.objects[table], after.objects[table]
        assert isinstance(old, Table) and isinstance(new, Table)
        heirs = [ref for ref, item in after.objects.items() if new.ref in parents_of(item) and ref not in again]
        result += _rejoin(new.ref, [heir for heir in heirs if heir in before.objects], before, after)
        if again & set(parents_of(old)):  # its rows move with its parent's
            continue
        staying = tuple(_staying(new.ref, again, before, after))
        rows = Rows.of(old, new, staying, tuple(ref for ref in staying if _joins(ref, before, after)))
        after.add(rows, new.ref, *_descendants(new.ref, after))
        before.add(rows, *(need for need in _held_by(old, before) if need not in after.objects))
        result.append(CreateObject(rows))
        higher = set(_above(new, after))
        for ref, item in after.objects.items():
            watches = isinstance(item, Trigger | ForeignKey) and ref.table == new.ref
            watches = watches or (isinstance(item, Trigger) and ref.table in higher)
            watches = watches or (isinstance(item, Trigger) and ref.table in rows.joining)
            if watches or isinstance(item, MaterializedView) or (isinstance(item, ForeignKey) and item.references == new.ref):
                after.link(ref, rows.ref)
    return result


def _above(table: Table, graph: Graph) -> Iterator[Ref]:
    while table.partition_of is not None and isinstance(parent := graph.objects.get(table.partition_of.parent), Table):
        yield parent.ref
        table = parent


def _held_by(table: Table, graph: Graph) -> Iterator[Ref]:
    """Yield what a table and its columns need, also while it stands aside."""
    for ref in (table.ref, *(column_ref(table.ref, column.name) for column in table.columns)):
        yield from graph.needs.get(ref, ())


def _staying(table: Ref, again: set[Ref], before: Graph, after: Graph) -> Iterator[Ref]:
    """Yield the heirs that keep their rows: of the table, and of those that are made again with it; and the heirs of these."""
    for ref, item in after.objects.items():
        if table in parents_of(item) and ref in before.objects:
            yield from () if ref in again else (ref,)
            yield from _staying(ref, again, before, after)


def _joins(ref: Ref, before: Graph, after: Graph) -> bool:
    """Tell whether a table has rows of its own and becomes a partition, its own or with those above it: others may come to it."""
    old, new = before.objects.get(ref), after.objects.get(ref)
    if not isinstance(old, Table) or not isinstance(new, Table) or new.partition_by:
        return False
    while isinstance(new, Table) and new.partition_of:
        if not isinstance(old, Table) or old.partition_of != new.partition_of:
            return True
        old, new = (side.objects.get(new.partition_of.parent) for side in (before, after))
    return False


def _descendants(table: Ref, graph: Graph) -> Iterator[Ref]:
    """Yield the heirs of a table, theirs, and what makes them that."""
    for ref, item in graph.objects.items():
        if table in parents_of(item):
            yield from (ref, Membership.named_after(ref, table, None).ref, *_descendants(ref, graph))


def _rejoin(parent: Ref, heirs: list[Ref], before: Graph, after: Graph) -> Iterator[CatalogChange]:
    """Partitions that stay leave the old table and join the new one."""
    for heir in heirs:
        old, new = before.table(heir), after.table(heir)
        if old is None or new is None or (old.partition_of, old.inherits) != (new.partition_of, new.inherits):
            continue
        for item in (member for member in memberships(old) if member.of == parent):
            before.add(item, heir, parent)
            after.add(item, heir, parent)
            with_the_family(item, before, after)
            yield DropObject(item)
            yield CreateObject(item)


def memberships(item: AnyTable) -> Iterator[Membership]:
    """Yield what makes a table a partition or an heir."""
    if item.partition_of:
        yield Membership.named_after(item.ref, item.partition_of.parent, item.partition_of.bound)
    for parent in item.inherits:
        yield Membership.named_after(item.ref, parent, None)


def with_the_family(item: Membership, before: Graph, after: Graph) -> None:
    """Indexes and constraints of a parent go while its partition is there, and come when it is: none is left behind on it."""
    for ref in changed_children(item.of, before, after):
        before.link(ref, item.ref)
    for ref in changed_children(item.of, after, before):
        after.link(ref, item.ref)


def changed_children(parent: Ref, before: Graph, after: Graph) -> Iterator[Ref]:
    """Yield indexes and constraints of a table and those above it that would stay behind on partitions that leave first."""
    for ref, item in before.objects.items():
        if isinstance(item, Index | Constraint) and ref.table == parent and after.objects.get(ref) != item:
            yield ref
    for above in parents_of(before.objects.get(parent)):
        yield from changed_children(above, before, after)
