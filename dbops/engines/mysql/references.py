"""Foreign keys around the changes of tables: which go before, which come after, and in what order tables go and come."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping

from dbops.catalog.changes import AlterColumn, AlterObject, CatalogChange, ChangeSet, CreateObject, DropObject
from dbops.catalog.model import CatalogObject, ForeignKey, Table
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.mysql.show_create import collation_of

Items = Mapping[Ref, CatalogObject]
Keys = list[tuple[Ref, list[ForeignKey]]]


@dataclass(frozen=True, slots=True)
class References:
    """`creation` and `removal` are tables in order. Foreign keys in `inline` stand inside CREATE TABLE, those in `apart` go
    before their dropped tables do; `leaving` and `arriving` are by table, with statements of their own.
    """

    creation: tuple[Ref, ...]
    removal: tuple[Ref, ...]
    inline: frozenset[Ref]
    apart: frozenset[Ref]
    leaving: Keys
    arriving: Keys

    @classmethod
    def of(cls, changes: ChangeSet, by_table: Mapping[Ref, list[CatalogChange]]) -> References:
        """Work it out; linear in changes and, where columns change their type, in the foreign keys of the catalog."""
        drops: Items = {c.ref: c.item for c in changes.changes if isinstance(c, DropObject)}
        creates: Items = {c.ref: c.item for c in changes.changes if isinstance(c, CreateObject)}
        creation, new_ring = _in_order(creates)
        removal, old_ring = _in_order(drops)
        place = {ref: i for i, ref in enumerate(creation)}
        inline = {
            key.ref
            for key in _keys(creates)
            if (table := key.ref.table) in place
            if key.references == table
            or (key.references in place and place[key.references] < place[table] and table not in new_ring)
            or (key.references not in place and key.references in changes.before.objects and key.references not in by_table)
        }
        apart = {key.ref for key in _keys(drops) if key.references in old_ring and key.ref.table in drops}
        leaving = [key for key in _keys(drops) if key.ref.table not in drops or key.ref in apart]
        arriving = [key for key in _keys(creates) if key.ref not in inline]
        for change in changes.changes:
            if isinstance(change, AlterObject) and isinstance(change.before, ForeignKey) and isinstance(change.after, ForeignKey):
                leaving.append(change.before)
                arriving.append(change.after)
        disturbed = _disturbed(changes, by_table, {key.ref for key in leaving})
        return cls(
            tuple(creation),
            tuple(reversed(removal)),
            frozenset(inline),
            frozenset(apart),
            _grouped([*leaving, *disturbed]),
            _grouped([*arriving, *disturbed]),
        )


def _keys(items: Items) -> list[ForeignKey]:
    return [item for item in items.values() if isinstance(item, ForeignKey)]


def _disturbed(changes: ChangeSet, by_table: Mapping[Ref, list[CatalogChange]], leaving: set[Ref]) -> list[ForeignKey]:
    """Unchanged foreign keys over columns that change type or collation, or are made anew (error 1832, 1833)."""
    moved = _moved_columns(changes, by_table)
    if not moved:
        return []
    return [
        key
        for key in changes.before.all(ForeignKey)
        if key.ref not in leaving and key.ref in changes.after.objects
        if any((key.ref.table, name) in moved for name in key.columns)
        or any((key.references, name) in moved for name in key.referenced_columns)
    ]


def _moved_columns(changes: ChangeSet, by_table: Mapping[Ref, list[CatalogChange]]) -> set[tuple[Ref, str]]:
    moved: set[tuple[Ref, str]] = set()
    for ref, several in by_table.items():
        old, new = changes.before.objects.get(ref), changes.after.objects.get(ref)
        if not isinstance(old, Table) or not isinstance(new, Table):
            continue
        for change in several:
            if isinstance(change, AlterColumn) and _is_retyped(change):
                moved.add((ref, change.after.name))
            elif isinstance(change, AlterObject) and isinstance(change.after, Table):
                moved |= {
                    (ref, c.name)
                    for c in new.columns
                    if (o := old.column(c.name)) and collation_of(o, old) != collation_of(c, new)
                }
    return moved


def _is_retyped(change: AlterColumn) -> bool:
    old, new = change.before, change.after
    return (old.type, old.collation, old.generated, old.nullable) != (new.type, new.collation, new.generated, new.nullable)


def _grouped(keys: Iterable[ForeignKey]) -> Keys:
    found: dict[Ref, dict[Ref, ForeignKey]] = {}
    for key in keys:
        found.setdefault(key.ref.table, {})[key.ref] = key
    return [(table, list(several.values())) for table, several in found.items()]


def _in_order(items: Items) -> tuple[list[Ref], set[Ref]]:
    """Return the tables among `items` so that each stands behind those it refers to, and those of rings, which stand last."""
    waits: dict[Ref, set[Ref]] = {ref: set() for ref, item in items.items() if isinstance(item, Table)}
    for key in _keys(items):
        if key.ref.table in waits and key.references in waits and key.references != key.ref.table:
            waits[key.ref.table].add(key.references)
    users: defaultdict[Ref, list[Ref]] = defaultdict(list)
    for ref, needed in waits.items():
        for need in needed:
            users[need].append(ref)
    ready = [ref for ref, needed in waits.items() if not needed]
    heapq.heapify(ready)
    order: list[Ref] = []
    while ready:
        ref = heapq.heappop(ready)
        order.append(ref)
        for user in users[ref]:
            waits[user].discard(ref)
            if not waits[user]:
                heapq.heappush(ready, user)
    ring = waits.keys() - set(order)
    return [*order, *sorted(ring)], set(ring)
