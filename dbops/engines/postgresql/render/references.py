"""Foreign keys to divided tables: they reach into each partition, which cannot be taken away while its rows are referred to.

A partition that is made again, or comes back with another bound, is away for a while: the keys make way for that. One that goes
for good is detached first, where the server looks for rows that refer to it (manual, ALTER TABLE, DETACH PARTITION).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dbops.catalog.changes import AlterObject, CatalogChange, CreateObject, DropObject
from dbops.catalog.model import ForeignKey, ForeignTable, Table
from dbops.catalog.order import dependents
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.graph import Graph
from dbops.engines.postgresql.render.parts import Membership, Rows
from dbops.engines.postgresql.render.renewal import is_made_again
from dbops.engines.postgresql.render.scene import parents_of

_Heirs = Mapping[Ref, frozenset[Ref]]


def link_references(found: list[CatalogChange], before: Graph, after: Graph) -> None:
    """Let keys come after the partitions of the tables they refer to, and make way for those that are away for a while."""
    new = [change.item for change in found if isinstance(change, CreateObject) and isinstance(change.item, ForeignKey)]
    absent = list(_absent(found, before, after))
    _go_first(found, before, after)
    if not new and not absent:
        return
    heirs = dependents({ref: frozenset(parents_of(item)) for ref, item in after.objects.items() if parents_of(item)})
    for key in new:
        after.link(key.ref, *_below(key.references, heirs))
    if absent:
        _make_way(absent, found, before, after, heirs)


def _go_first(found: list[CatalogChange], before: Graph, after: Graph) -> None:
    """A key that goes for good goes before the partitions that it reaches into, and go with it."""
    going = {change.ref for change in found if isinstance(change, DropObject) and isinstance(change.item, Table | ForeignTable)}
    parts = [ref for ref in going if _is_partition(ref, before)]
    keys = (
        [item for item in before.objects.values() if isinstance(item, ForeignKey) and item.ref not in after.objects]
        if parts
        else []
    )
    for key in keys:
        before.link(key.ref, *(part for part in parts if key.references in _above(part, before)))


def _above(ref: Ref, graph: Graph) -> Iterator[Ref]:
    for parent in parents_of(graph.table(ref)):
        yield from (parent, *_above(parent, graph))


def _make_way(
    absent: list[tuple[Ref, Ref, tuple[Ref, ...]]], found: Iterable[CatalogChange], before: Graph, after: Graph, heirs: _Heirs
) -> None:
    had = dependents({ref: frozenset(parents_of(item)) for ref, item in before.objects.items() if parents_of(item)})
    rows = {change.ref for change in found if isinstance(change, CreateObject) and isinstance(change.item, Rows)}
    for key in [item for item in before.objects.values() if isinstance(item, ForeignKey)]:
        were, are = set(_below(key.references, had)), set(_below(key.references, heirs))
        gaps = [(gone, back) for table, gone, back in absent if table in were and table in are]
        if gaps:
            before.link(key.ref, *(gone for gone, _ in gaps))
            moved = (Ref(Rows.kind, table.schema, "rows", table.name) for table in (key.references, *are))
            after.link(key.ref, *are, *(ref for _, back in gaps for ref in back), *(ref for ref in moved if ref in rows))


def _absent(found: Iterable[CatalogChange], before: Graph, after: Graph) -> Iterator[tuple[Ref, Ref, tuple[Ref, ...]]]:
    """Yield partitions that are away for a while, each with what takes it away and what brings it back."""
    joining: dict[Ref, list[Ref]] = {}
    for change in found:
        if isinstance(change, CreateObject) and isinstance(change.item, Membership) and change.item.bound is not None:
            joining.setdefault(change.ref.table, []).append(change.ref)
    for change in found:
        match change:
            case AlterObject() if is_made_again(change, before, after) and _is_partition(change.ref, before):
                yield change.ref, change.ref, (change.ref,)
            case DropObject(Membership(bound=str())) if change.ref.table in joining:
                yield change.ref.table, change.ref, tuple(joining[change.ref.table])
            case _:
                pass


def _is_partition(ref: Ref, graph: Graph) -> bool:
    table = graph.table(ref)
    return table is not None and table.partition_of is not None


def _below(table: Ref, heirs: _Heirs) -> Iterator[Ref]:
    for heir in heirs.get(table, ()):
        yield heir
        yield from _below(heir, heirs)
