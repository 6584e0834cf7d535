"""What must be there for an object to be there: the part of a catalog that can stand alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import CatalogChange, CreateObject, column_ref
from dbops.catalog.model import ForeignKey, ForeignTable, Sequence, Table, Trigger
from dbops.catalog.order import owner_of
from dbops.catalog.ref import Ref

NAMED = frozenset(
    {
        *("table", "view", "materialized_view", "foreign_table", "virtual_table", "sequence", "routine", "event"),
        *("enum", "domain", "composite_type", "range_type"),
    }
)
"""Kinds that others rely on by name. What is of another kind and of no table, such as a cast, may be relied on unnamed."""
BYSTANDERS = frozenset({"publication", "subscription", "statistics", "event_trigger", "user_mapping", "database"})
"""Kinds that nothing relies on."""
_WITH_TABLE = frozenset({"primary_key", "unique", "exclusion", "check", "index"})
"""What of a table others may rely on."""


class Closure:
    """The objects of one catalog, grouped for questions about what they need."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._children: defaultdict[tuple[str, str], list[Ref]] = defaultdict(list)
        self.ambient: list[Ref] = []
        """What may be relied on without being named."""
        for ref in catalog.objects:
            if ref.parent:
                self._children[ref.schema, ref.parent].append(ref)
            elif ref.kind not in NAMED and ref.kind not in BYSTANDERS:
                self.ambient.append(ref)

    def children(self, table: Ref) -> list[Ref]:
        return self._children.get((table.schema, table.name), [])

    def whole(self, ref: Ref) -> Ref:
        """Return the table (view, ...) that an object or column belongs to, itself when it belongs to none."""
        return owner_of(self._catalog, ref) if ref.parent else ref

    def needed(self, starts: Iterable[Ref], stop: Callable[[Ref], bool] = lambda ref: False) -> tuple[set[Ref], set[Ref]]:
        """Return `starts` with all they need, tables with their keys, checks and indexes; nothing for which `stop` holds.

        The second set are those among them that need something for which `stop` holds.
        """
        found: set[Ref] = set()
        entangled: set[Ref] = set()
        queue = [ref for ref in starts if not stop(ref)]
        while queue:
            ref = queue.pop()
            if ref in found or ref not in self._catalog.objects:
                continue
            found.add(ref)
            for need in map(self.whole, (*self._catalog.dependencies.get(ref, ()), *self._owners(ref))):
                if stop(need):
                    entangled.add(ref)
                else:
                    queue.append(need)
            if ref.parent:
                queue.append(self.whole(ref))
            else:
                queue += [child for child in self.children(ref) if child.kind in _WITH_TABLE]
        return found, entangled

    def _owners(self, ref: Ref) -> tuple[Ref, ...]:
        """A sequence that lives and dies with a column is made for it."""
        item = self._catalog.objects[ref]
        return (item.owned_by,) if isinstance(item, Sequence) and item.owned_by is not None else ()

    def owned(self, tables: set[Ref]) -> set[Ref]:
        """Return the sequences that live and die with columns of `tables`."""
        sequences = self._catalog.all(Sequence)
        return {item.ref for item in sequences if item.owned_by is not None and self.whole(item.owned_by) in tables}


def narrowed(changes: Iterable[CatalogChange], before: Catalog, after: Catalog) -> tuple[Catalog, Catalog]:
    """Return the parts of two catalogs that changes from one to the other may touch or trip over, with all that those need."""
    refs = concerned(changes, before, after)
    return before.only(refs), after.only(refs)


def concerned(changes: Iterable[CatalogChange], before: Catalog, after: Catalog) -> set[Ref]:
    """Return the refs of both catalogs that changes may touch or trip over, with all that those need.

    That is what the changes are about, what depends on it, and what has the name of something new. A foreign key of another
    table counts only where the key or columns that it stands on change, or a partition that it reaches into.
    """
    changes = list(changes)
    exact = {change.ref for change in changes}
    sides = [(catalog, Closure(catalog)) for catalog in (before, after)]
    found: set[Ref] = set()
    names = {(ref.schema, ref.name) for ref in exact if ref.kind != "column"}
    names |= {(c.ref.schema, c.ref.parent) for c in changes if isinstance(c, CreateObject)}
    for catalog, closure in sides:
        wholes = {closure.whole(ref) for ref in exact}
        reached = _users(catalog, {part for whole in wholes for part in _parts(whole, catalog, closure)}, exact, wholes, closure)
        wholes |= {closure.whole(ref) for ref in reached if ref.kind != "foreign_key"}
        keys = {ref for ref in reached if ref.kind == "foreign_key"} | _reaching_into(exact, catalog)
        wholes |= {closure.whole(ref) for ref in catalog.objects if (ref.schema, ref.name) in names}
        wholes |= closure.owned(wholes)
        starts = {*wholes, *keys, *closure.ambient, *(child for whole in wholes for child in closure.children(whole))}
        found |= closure.needed(starts)[0]
    return found


def _reaching_into(exact: set[Ref], catalog: Catalog) -> set[Ref]:
    """Return what reaches into partitions among `exact`: foreign keys to a table above them, and triggers of such a table."""
    above: set[Ref] = set()
    waiting = [catalog.objects.get(ref) for ref in exact]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Table | ForeignTable) and item.partition_of and item.partition_of.parent not in above:
            above.add(item.partition_of.parent)
            waiting.append(catalog.objects.get(item.partition_of.parent))
    keys = (item.ref for item in catalog.all(ForeignKey) if item.references in above)
    return {*keys, *(item.ref for item in catalog.all(Trigger) if item.ref.table in above)} if above else set()


def _users(catalog: Catalog, starts: set[Ref], exact: set[Ref], wholes: set[Ref], closure: Closure) -> set[Ref]:
    """Return `starts` with all that depends on them; a pass over the dependencies for each step away, of which there are few."""
    reached, latest = set(starts), starts
    while latest:
        found = {ref for ref, needs in catalog.dependencies.items() if ref not in reached and not needs.isdisjoint(latest)}
        latest = {
            ref
            for ref in found
            if ref.kind != "foreign_key"
            or closure.whole(ref) in wholes
            or not catalog.dependencies[ref].isdisjoint(latest & exact)
        }
        reached |= latest
    return reached


def _parts(whole: Ref, catalog: Catalog, closure: Closure) -> list[Ref]:
    item = catalog.objects.get(whole)
    columns = [column_ref(whole, column.name) for column in item.columns] if isinstance(item, Table | ForeignTable) else []
    return [whole, *columns, *closure.children(whole)]
