"""Indexes of partitions: an index of the parent table adopts one of every partition, and makes those that are missing.

The catalog leaves out what the server makes under its usual names; an index of a partition that has a name of its own is an
object with `partition_of`. Whichever of parent's index and partition comes later adopts the partition's index by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from dbops.catalog.changes import CatalogChange, ChangeSet, CreateObject, DropObject, RenameObject
from dbops.catalog.model import CatalogObject, Constraint, Exclusion, Index, PrimaryKey
from dbops.catalog.order import dependents
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.made_names import made_name
from dbops.engines.postgresql.render.graph import Graph
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


def bringing_their_own(changes: ChangeSet, after: Graph) -> set[Ref]:
    """Return new partitions with an index under a name of its own for an index that the parent has already."""
    new = {change.ref for change in changes.changes if isinstance(change, CreateObject)}
    found = set()
    for change in changes.changes:
        above = adopted_by(change.item, after) if isinstance(change, CreateObject) else None
        if above is not None and above not in new and change.ref.table in new:
            found.add(change.ref.table)
    return found


def renamed_in_place(changes: ChangeSet, before: Graph, after: Graph) -> Iterator[CatalogChange]:
    """Yield the changes; where partition and parent's index stay, an index that goes or comes is one that changes its name."""
    went = {_place(change.item, before): change for change in changes.changes if isinstance(change, DropObject)}
    came = {_place(change.item, after): change for change in changes.changes if isinstance(change, CreateObject)}
    for change in changes.changes:
        item = change.item if isinstance(change, CreateObject | DropObject) else None
        place = _place(item, before if isinstance(change, DropObject) else after) if item is not None else None
        if item is None or place is None or not _both_stay(item.ref.table, place[1], before, after):
            yield change
        elif isinstance(change, CreateObject):
            old = went[place].ref if place in went else _usual(item)
            yield RenameObject(old, change.ref)
        elif place not in came:
            yield RenameObject(change.ref, _usual(item))


def _place(item: CatalogObject, graph: Graph) -> tuple[Ref, Ref] | None:
    above = adopted_by(item, graph)
    return (item.ref.table, above) if above is not None else None


def _both_stay(table: Ref, above: Ref, before: Graph, after: Graph) -> bool:
    old, index = before.table(table), before.objects.get(above)
    if old is None or old.partition_of is None or after.table(table) is None or above not in after.objects:
        return False
    return index == after.objects[above] and not (isinstance(index, Index) and not index.is_valid)


def _usual(item: CatalogObject) -> Ref:
    """Return the ref under the name the server would choose."""
    assert isinstance(item, Index | Constraint)
    label = "idx"
    names = [key.column or "expr" for key in item.keys] + list(item.include) if isinstance(item, Index) else []
    if isinstance(item, Constraint):
        label = "pkey" if isinstance(item, PrimaryKey) else "excl" if isinstance(item, Exclusion) else "key"
        names = list(getattr(item, "columns", ())) if label == "key" else []
    return Ref(item.ref.kind, item.schema, made_name(item.parent, "_".join(names), label), item.parent)


def link_adoptions(found: list[CatalogChange], after: Graph) -> None:
    """Let an index that is to be adopted come before its parent's, and a like one that is not come after."""
    new = {change.ref: change.item for change in found if isinstance(change, CreateObject)}
    by_table: defaultdict[tuple[str, str], list[Ref]] = defaultdict(list)
    for ref in new:
        by_table[ref.schema, ref.parent].append(ref)
    adopting: set[Ref] = set()
    for ref, item in new.items():
        if (above := adopted_by(item, after)) in new and above is not None:
            after.unlink(ref, above)
            after.link(above, ref)
            adopting.add(above)
        elif above is None and isinstance(item, Index):
            table = after.table(ref.table)
            for parent in parents_of(table):
                after.link(ref, *by_table[parent.schema, parent.name], _membership(ref, parent))
    heirs = dependents({ref: frozenset(parents_of(item)) for ref, item in after.objects.items() if parents_of(item)})
    for above in adopting:  # partitions made in the same plan have to be there for the adoption
        after.link(above, *(heir for heir in heirs.get(above.table, ()) if heir in new))


def _membership(ref: Ref, parent: Ref) -> Ref:
    return Ref("membership", ref.schema, parent.qualified, ref.parent)
