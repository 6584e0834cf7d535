"""Indexes of partitions: an index of the parent table adopts one of every partition, and makes those that are missing.

The catalog leaves out what the server makes under its usual names; an index of a partition that has a name of its own is an
object with `partition_of`. Whichever of parent's index and partition comes later adopts the partition's index by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from dbops.catalog.changes import AlterObject, CatalogChange, ChangeSet, CreateObject, DropObject, RenameObject
from dbops.catalog.model import CatalogObject, Check, Constraint, Exclusion, Index, PrimaryKey, Table
from dbops.catalog.order import dependents
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.made_names import made_name
from dbops.engines.postgresql.render.graph import Graph
from dbops.engines.postgresql.render.parts import Membership
from dbops.engines.postgresql.render.scene import parents_of


def adopted_by(item: CatalogObject, graph: Graph) -> Ref | None:
    """Return the parent's index or constraint that adopts this one."""
    if isinstance(item, Index):
        return item.partition_of
    name = dict(item.options).get("partition_of") if isinstance(item, Constraint) else None
    table = graph.table(item.ref.table) if name else None
    if name is None or table is None or table.partition_of is None:
        return None
    parent = table.partition_of.parent
    return Ref(item.ref.kind, parent.schema, name, parent.name)


def without_adopted_keys(changes: ChangeSet, before: Graph, after: Graph) -> dict[Ref, tuple[Table, frozenset[Ref]]]:
    """Return partitions that stay, with keys and plain indexes of the parent's that adopt these, of which one goes or comes.

    PostgreSQL lets neither of such a pair go while the partition is one, here or on the way back; of two constraints, or of
    two indexes, it does.
    """
    found: dict[Ref, tuple[Table, frozenset[Ref]]] = {}
    for change in changes.changes:
        old = change.item if isinstance(change, DropObject) else change.before if isinstance(change, AlterObject) else None
        new = change.item if isinstance(change, CreateObject) else change.after if isinstance(change, AlterObject) else None
        for item, graph in ((old, before), (new, after)):
            above = adopted_by(item, graph) if isinstance(item, Constraint) else None
            index = graph.objects.get(above._replace(kind="index")) if above else None
            tables = [side.table(item.ref.table) for side in (before, after)] if item else []
            if item is None or index is None or not all(isinstance(table, Table) for table in tables):
                continue
            was, will_be = tables
            if isinstance(will_be, Table) and was is not None and was.partition_of == will_be.partition_of:
                _, others = found.get(will_be.ref, (will_be, frozenset[Ref]()))
                found[will_be.ref] = (will_be, others | {item.ref, index.ref})
    return found


def lets_go_only(change: CatalogChange, apart: Mapping[Ref, object]) -> bool:
    """Tell whether a key of a partition that leaves for a while only stops being adopted, or is from then on, which that does."""
    if not isinstance(change, AlterObject) or change.ref.table not in apart:
        return False
    old, new = change.before, change.after
    if not isinstance(old, Constraint) or not isinstance(new, Constraint):
        return False
    return _free(old) == _free(new)


def _free(item: Constraint) -> Constraint:
    return replace(item, options=tuple(pair for pair in item.options if pair[0] != "partition_of"))


def bringing_their_own(changes: ChangeSet, after: Graph) -> set[Ref]:
    """Return new partitions with an index under a name of its own for an index that the parent has already."""
    new = {change.ref for change in changes.changes if isinstance(change, CreateObject)}
    found = set()
    for change in changes.changes:
        above = adopted_by(change.item, after) if isinstance(change, CreateObject) else None
        if above is not None and above not in new and change.ref.table in new:
            found.add(change.ref.table)
    return found


def renamed_in_place(changes: ChangeSet, before: Graph, after: Graph, apart: Mapping[Ref, object]) -> Iterator[CatalogChange]:
    """Yield the changes; where partition and parent's index stay, the partition's index only changes its name.

    The parent's index lets go of none: what it no longer adopts takes the usual name, and is made anew beside it; what takes
    the place of a like one gives that its name. Partitions that are `apart` for a while are none then.
    """
    leaving, joining = _Places(before), _Places(after)
    for change in changes.changes:
        if isinstance(change, DropObject | AlterObject):
            leaving.add(change.ref, change.item if isinstance(change, DropObject) else change.before)
        if isinstance(change, CreateObject | AlterObject):
            joining.add(change.ref, change.item if isinstance(change, CreateObject) else change.after)
    for change in changes.changes:
        left, joined = leaving.of.get(change.ref), joining.of.get(change.ref)
        left = left if left and _both_stay(leaving.items[change.ref], left[1], before, after) else None
        joined = joined if joined and _both_stay(joining.items[change.ref], joined[1], before, after) else None
        if left == joined or change.ref.table in apart:  # adopted by the same index, or by none
            yield change
            continue
        if left is not None and left not in joining.held:
            item = leaving.items[change.ref]
            yield RenameObject(change.ref, _free_name(item, left[1], before, after))
        if joined is not None:
            if isinstance(change, AlterObject) and left is None:
                yield DropObject(change.before)
            old = leaving.held.get(joined) or _handed_down(*joined, before) or _usual(joining.items[change.ref])
            if old != change.ref:
                yield RenameObject(old, change.ref)
        elif isinstance(change, AlterObject):
            yield CreateObject(change.after)


class _Places:
    """Which indexes stand where: on which table, adopted by which index of its parent."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.of: dict[Ref, tuple[Ref, Ref]] = {}
        self.held: dict[tuple[Ref, Ref], Ref] = {}
        self.items: dict[Ref, CatalogObject] = {}

    def add(self, ref: Ref, item: CatalogObject) -> None:
        if (above := adopted_by(item, self._graph)) is not None:
            self.of[ref] = (ref.table, above)
            self.held[ref.table, above] = ref
            self.items[ref] = item


def _both_stay(item: CatalogObject, above: Ref, before: Graph, after: Graph) -> bool:
    """Tell whether a partition and the index that adopts there are the same in both; one that is handed down is its parent's."""
    old = before.table(item.ref.table)
    if old is None or old.partition_of is None or after.table(item.ref.table) is None:
        return False
    if above not in before.objects and above not in after.objects:
        parents = set(_above(above.table, before))
        handing = (ref for ref, other in before.objects.items() if ref.table in parents and _look(other) == _look(item))
        above = next(handing, above)
    index = before.objects.get(above)
    return index is not None and index == after.objects.get(above) and not (isinstance(index, Index) and not index.is_valid)


def _handed_down(table: Ref, above: Ref, graph: Graph) -> Ref | None:
    """Return the index that one of a table above has made on a partition: no object, but its dependency is recorded."""
    parent = next(iter(parents_of(graph.table(table))), None)
    if parent is None:
        return None
    if above.table != parent:
        between = (ref for ref, item in graph.objects.items() if ref.table == parent and adopted_by(item, graph) == above)
        handed = next(between, None) or _handed_down(parent, above, graph)
        return _handed_down(table, handed, graph) if handed else None
    made = (ref for ref in graph.needs if ref.kind == "index" and ref.table == table and ref not in graph.objects)
    return next((ref for ref in made if above in graph.needs[ref]), None)


def _free_name(item: CatalogObject, above: Ref, before: Graph, after: Graph) -> Ref:
    """Return what an index is called from now on that loses its name and stays adopted."""
    wanted = _handed_down(item.ref.table, above, after)
    is_free = wanted is not None and wanted not in before.objects and wanted not in before.needs
    return wanted if wanted is not None and is_free else _usual(item, before, after)


def _usual(item: CatalogObject, *taken: Graph) -> Ref:
    """Return the ref under the name the server would choose, with a number where the plain one is taken."""
    assert isinstance(item, Index | Constraint)
    label = "idx"
    names = [key.column or "expr" for key in item.keys] + list(item.include) if isinstance(item, Index) else []
    if isinstance(item, Constraint):
        label = "pkey" if isinstance(item, PrimaryKey) else "excl" if isinstance(item, Exclusion) else "key"
        names = list(getattr(item, "columns", ())) if label == "key" else []
    others = {(ref.schema, ref.name) for graph in taken for ref in (*graph.objects, *graph.needs)}
    number = 0
    while (item.schema, name := made_name(item.parent, "_".join(names), f"{label}{number or ''}")) in others:
        number += 1
    return Ref(item.ref.kind, item.schema, name, item.parent)


def link_adoptions(found: list[CatalogChange], after: Graph) -> list[CatalogChange]:
    """Let an index that is to be adopted come before its parent's, and a like one that is not come after.

    Returns indexes to be made besides: those that a new table's parent would make by itself if no like one stood there.
    """
    new = {change.ref: change.item for change in found if isinstance(change, CreateObject)}
    joining = new | {change.ref: change.after for change in found if isinstance(change, AlterObject)}
    by_table: defaultdict[Ref, list[Ref]] = defaultdict(list)
    for ref in new:
        by_table[ref.table].append(ref)
    adopting: set[Ref] = set()
    for ref, item in joining.items():
        if (above := adopted_by(item, after)) in new and above is not None:
            after.unlink(ref, above)
            after.link(above, ref)
            adopting.add(above)
        elif above is None and isinstance(item, Index) and ref in new:
            for parent in _above(ref.table, after):
                after.link(ref, *by_table[parent], _membership(ref, parent))
        if isinstance(item, Index) and not item.is_valid:  # made alone, which is only told apart where partitions are there
            adopting.add(ref)
    added = list(_spelled_out(new, after))
    for item, above in added:
        after.needs[item.ref] = frozenset()  # where the server made one of that name, it needed the parent's
        after.add(item, item.ref.table)
        after.link(above, item.ref)
        adopting.add(above)
    heirs = dependents({ref: frozenset(parents_of(item)) for ref, item in after.objects.items() if parents_of(item)})
    for above in adopting:  # partitions made in the same plan have to be there for the adoption
        after.link(above, *(heir for heir in heirs.get(above.table, ()) if heir in new))
    return [CreateObject(item) for item, _ in added]


def link_departures(found: list[CatalogChange], before: Graph, after: Graph) -> None:
    """Let an index go before the parent's that it is like, so that on the way back it is not taken for that one's own.

    Checks that a table has for its own come before it joins a parent, and go when it has left: while it is there they must be.
    """
    going = [change.item for change in found if isinstance(change, DropObject) and isinstance(change.item, Index)]
    by_look: defaultdict[tuple[Ref, object], list[Ref]] = defaultdict(list)
    for item in going:
        by_look[item.ref.table, _look(item)].append(item.ref)
    for item in going:
        if item.partition_of is None:
            for parent in _above(item.ref.table, before):
                before.link(item.ref, *by_look.get((parent, _look(item)), ()))
    for kind, graph in ((DropObject, before), (CreateObject, after)):
        parts = [change.item for change in found if isinstance(change, kind)]
        checks = [part.ref for part in parts if isinstance(part, Check)]
        for part in parts:
            if isinstance(part, Membership):
                graph.link(part.ref, *(ref for ref in checks if ref.table == part.ref.table))


def _above(table: Ref, graph: Graph) -> Iterator[Ref]:
    """Yield the table that a partition is one of, and that which it is one of itself."""
    if (found := graph.table(table)) is not None and found.partition_of is not None:
        yield from (found.partition_of.parent, *_above(found.partition_of.parent, graph))


def _spelled_out(new: Mapping[Ref, CatalogObject], after: Graph) -> Iterator[tuple[Index, Ref]]:
    """Yield indexes of new partitions that like ones would be taken for, each with the parent's index that is to adopt it.

    A source says each object in a file of its own, and then the parent's index may come when all of the partition's are there.
    """
    twins = [item for item in new.values() if isinstance(item, Index) and item.partition_of is None and item.ref.table in new]
    for ref in sorted({item.ref.table for item in twins}):
        parents = list(_above(ref, after))
        own = [item for item in new.values() if isinstance(item, Index) and item.ref.table == ref]
        for look in {_look(item): None for item in twins if item.ref.table == ref}:
            above = sorted(item.ref for item in new.values() if item.ref.table in parents and _look(item) == look)
            adopted = [item for item in own if item.partition_of is not None and _look(item) == look]
            taken = {item.partition_of for item in adopted}
            missing = [one for one in above if one not in taken][: max(len(above) - len(adopted), 0)]
            for one in missing:
                index = after.objects[one]
                assert isinstance(index, Index)
                plain = replace(index, schema=ref.schema, parent=ref.name, partition_of=one, comment=None, owner=None)
                yield replace(plain, name=(_handed_down(ref, one, after) or _usual(plain, after)).name), one


def _look(item: CatalogObject) -> object:
    """What the server compares to find an index to adopt (CompareIndexInfo in catalog/index.c): not how the keys are sorted."""
    if not isinstance(item, Index):
        return None
    keys = tuple(replace(key, descending=False, nulls_first=None) for key in item.keys)
    return (keys, item.method, item.unique, item.nulls_not_distinct, item.predicate, item.include)


def apart_from_new(changes: ChangeSet, before: Graph, after: Graph) -> Iterator[CatalogChange]:
    """Let indexes of partitions make way for a new index of the parent that would take them for its own, and come again."""
    new = [change.item for change in changes.changes if isinstance(change, CreateObject) and isinstance(change.item, Index)]
    looks = {(item.ref.table, _look(item)) for item in new}
    named = {change.ref for change in changes.changes}
    for ref, item in before.objects.items() if looks else ():
        if not isinstance(item, Index) or ref in named or item.partition_of is not None or ref not in after.objects:
            continue
        if any((parent, _look(item)) in looks for parent in _above(ref.table, after)):
            yield from (DropObject(item), CreateObject(item))


def _membership(ref: Ref, parent: Ref) -> Ref:
    return Ref("membership", ref.schema, parent.qualified, ref.parent)
