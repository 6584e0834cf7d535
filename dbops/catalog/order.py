"""The sequence in which changes can be made, from what the engines record about dependencies.

Three questions are the engine's: which alterations it cannot do in place (the object is then dropped and created again),
which changes it refuses while other objects depend on what they change (those are dropped before and created after),
and what an unchanged dependent may survive.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping

from dbops.catalog.catalog import Catalog, Dependencies
from dbops.catalog.changes import (
    AddColumn,
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
from dbops.catalog.model import CatalogObject
from dbops.catalog.ref import Ref

Asks = Callable[[CatalogChange], bool]
Survives = Callable[[CatalogObject, CatalogChange], bool]


def arrange(
    changes: ChangeSet,
    *,
    replaces: Asks = lambda change: False,
    disturbs: Asks = lambda change: isinstance(change, DropObject),
    survives: Survives = lambda dependent, change: False,
) -> tuple[CatalogChange, ...]:
    """Return the changes, replacements and their dependents included, in an order in which each can run.

    `replaces(change)`: this AlterObject has to be a drop and a create. `disturbs(change)`: dependents of what this change
    touches must be away while it runs. `survives(dependent, change)`: this dependent may stay all the same.
    Linear in changes plus the dependencies of both catalogs.
    """
    expanded = _with_dependents(changes, replaces, disturbs, survives)
    return _sorted(expanded, changes.before, changes.after)


def needs_of(catalog: Catalog, ref: Ref) -> frozenset[Ref]:
    """Return what `ref` needs, its own table included."""
    recorded = catalog.dependencies.get(ref, frozenset())
    if not ref.parent:
        return recorded
    owner = next((kind for kind in _TABLE_LIKE if Ref(kind, ref.schema, ref.parent) in catalog.objects), "table")
    return recorded | {Ref(owner, ref.schema, ref.parent)}


_TABLE_LIKE = ("table", "view", "materialized_view", "foreign_table", "virtual_table")


def dependents(dependencies: Dependencies) -> Mapping[Ref, frozenset[Ref]]:
    """Turn the arrows round: for each ref, who needs it."""
    found: defaultdict[Ref, set[Ref]] = defaultdict(set)
    for ref, needed in dependencies.items():
        for need in needed:
            found[need].add(ref)
    return {ref: frozenset(users) for ref, users in found.items()}


def _needs(catalog: Catalog) -> dict[Ref, frozenset[Ref]]:
    """All dependencies of a catalog, with the table of each child added."""
    refs = {*catalog.objects, *catalog.dependencies}
    return {ref: needs_of(catalog, ref) for ref in refs}


def _with_dependents(changes: ChangeSet, replaces: Asks, disturbs: Asks, survives: Survives) -> list[CatalogChange]:
    before, after = changes.before, changes.after
    users = dependents(_needs(before))
    result: dict[tuple[str, Ref], CatalogChange] = {}
    queue: deque[CatalogChange] = deque()

    def add(change: CatalogChange) -> None:
        key = (type(change).__name__, change.ref)
        if key not in result:
            result[key] = change
            queue.append(change)

    def away(ref: Ref) -> None:
        """Drop `ref` now and create it again later, unless it is going anyway."""
        item = before.objects.get(ref)
        if item is None:
            return
        result.pop(("AlterObject", ref), None)
        add(DropObject(item))
        wanted = after.objects.get(ref)
        if wanted is not None:
            add(CreateObject(wanted))

    for change in changes.changes:
        if isinstance(change, AlterObject) and replaces(change):
            away(change.ref)
        else:
            add(change)
    while queue:
        change = queue.popleft()
        if (type(change).__name__, change.ref) not in result or not disturbs(change):
            continue
        touched = change.ref if not isinstance(change, RenameObject | RenameColumn) else _old_ref(change)
        for user in sorted(users.get(touched, frozenset())):
            dependent = before.objects.get(user)
            if dependent is not None and not survives(dependent, change):
                away(user)
    recreated = {ref for kind, ref in result if kind == "CreateObject"}
    return [change for change in result.values() if not _goes_with_its_table(change, recreated)]


def _goes_with_its_table(change: CatalogChange, recreated: set[Ref]) -> bool:
    """A column change of a table that is made anew is part of making it."""
    return isinstance(change, AddColumn | DropColumn | AlterColumn) and change.table in recreated


def _old_ref(change: RenameObject | RenameColumn) -> Ref:
    if isinstance(change, RenameObject):
        return change.before
    return Ref("column", change.table.schema, change.before, change.table.name)


_RANK = {RenameObject: 0, RenameColumn: 1, DropObject: 2, AlterObject: 4, DropColumn: 3, AlterColumn: 5, AddColumn: 6, CreateObject: 7}


def _sorted(changes: list[CatalogChange], before: Catalog, after: Catalog) -> tuple[CatalogChange, ...]:
    """Topological order; among those that may run next, drops come first and creations last, in catalog order."""
    leaving = {change.ref: i for i, change in enumerate(changes) if isinstance(change, DropObject | DropColumn)}
    arriving = {change.ref: i for i, change in enumerate(changes) if isinstance(change, CreateObject | AddColumn)}
    altering = {change.ref: i for i, change in enumerate(changes) if isinstance(change, AlterObject | AlterColumn)}
    first: defaultdict[int, set[int]] = defaultdict(set)  # first[i]: what must run before i

    def needed(needs: Mapping[Ref, frozenset[Ref]], ref: Ref) -> Iterable[Ref]:
        for need in needs.get(ref, frozenset()):
            yield need
            if need.kind == "column":
                yield need.table

    old_needs, new_needs = _needs(before), _needs(after)
    for ref, i in leaving.items():
        for need in needed(old_needs, ref):
            for table in (leaving, altering):
                if need in table and table[need] != i:
                    first[table[need]].add(i)
        if ref in arriving:
            first[arriving[ref]].add(i)
    for ref, i in (*arriving.items(), *altering.items()):
        for need in needed(new_needs, ref):
            for table in (arriving, altering):
                if need in table and table[need] != i:
                    first[i].add(table[need])
    for ref, i in altering.items():
        for need in needed(old_needs, ref):
            if need in leaving and need not in arriving:
                first[leaving[need]].add(i)
    _release_names(changes, first)
    return _kahn(changes, first)


def _release_names(changes: list[CatalogChange], first: defaultdict[int, set[int]]) -> None:
    """A name must be given up before another object takes it, whatever their kinds."""
    given_up: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for i, change in enumerate(changes):
        if isinstance(change, DropObject):
            given_up[change.ref.schema, change.ref.name].append(i)
    for i, change in enumerate(changes):
        if isinstance(change, CreateObject):
            first[i].update(given_up.get((change.ref.schema, change.ref.name), ()))


def _kahn(changes: list[CatalogChange], first: Mapping[int, set[int]]) -> tuple[CatalogChange, ...]:
    waits = {i: set(first.get(i, ())) for i in range(len(changes))}
    followers: defaultdict[int, list[int]] = defaultdict(list)
    for i, needed in waits.items():
        for need in needed:
            followers[need].append(i)
    rank = [(_RANK[type(change)], i) for i, change in enumerate(changes)]
    ready = [rank[i] for i, needed in waits.items() if not needed]
    heapq.heapify(ready)
    done: list[int] = []
    placed: set[int] = set()
    while len(done) < len(changes):
        if not ready:  # a cycle that engines record but do not enforce: take the one that waits for fewest
            stuck = min((len(waits[i]), rank[i]) for i in waits if i not in placed)
            heapq.heappush(ready, stuck[1])
        _, i = heapq.heappop(ready)
        if i in placed:
            continue
        placed.add(i)
        done.append(i)
        for follower in followers[i]:
            waits[follower].discard(i)
            if not waits[follower] and follower not in placed:
                heapq.heappush(ready, rank[follower])
    return tuple(changes[i] for i in done)
