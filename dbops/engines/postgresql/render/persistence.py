"""Tables that become unlogged or logged: one whose rows are kept may never refer to one whose rows may be lost.

So who refers becomes unlogged first, and logged last (ATPrepChangePersistence in commands/tablecmds.c refuses anything else).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from dbops.catalog.changes import AlterObject, CatalogChange, CreateObject, DropObject
from dbops.catalog.model import ForeignKey, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.graph import Graph


def order_persistence(found: list[CatalogChange], before: Graph, after: Graph) -> list[CatalogChange]:
    """Put the changes in the order that foreign keys ask for; return keys that go and come again, for they close a circle."""
    changed = {
        change.ref: change.after.persistence
        for change in found
        if isinstance(change, AlterObject) and isinstance(change.before, Table) and isinstance(change.after, Table)
        if change.before.persistence != change.after.persistence
    }
    if len(changed) < 2:
        return []
    asked = {change.ref for change in found}
    keys = [
        item
        for ref, item in before.objects.items()
        if isinstance(item, ForeignKey) and ref in after.objects and ref not in asked and _share_a_change(item, changed)
    ]
    referred: defaultdict[Ref, set[Ref]] = defaultdict(set)
    apart: list[CatalogChange] = []
    for key in keys:
        if _reaches(key.references, key.ref.table, referred):
            apart += [DropObject(key), CreateObject(after.objects[key.ref])]
            continue
        referred[key.ref.table].add(key.references)
        first, then = key.ref.table, key.references
        if changed[then] != "unlogged":
            first, then = then, first
        after.link(then, first)
    return apart


def _share_a_change(key: ForeignKey, changed: dict[Ref, str]) -> bool:
    table = key.ref.table
    return table != key.references and table in changed and changed[table] == changed.get(key.references)


def _reaches(start: Ref, goal: Ref, referred: dict[Ref, set[Ref]]) -> bool:
    return any(goal == ref for ref in _reached(start, referred, set()))


def _reached(start: Ref, referred: dict[Ref, set[Ref]], seen: set[Ref]) -> Iterator[Ref]:
    if start not in seen:
        seen.add(start)
        yield start
        for further in referred.get(start, ()):
            yield from _reached(further, referred, seen)
