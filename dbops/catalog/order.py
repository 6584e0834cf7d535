"""The sequence in which changes can be made, from what the engines record about dependencies.

Four questions are the engine's: which alterations it cannot do in place (the object is then dropped and created again),
which changes it refuses while other objects depend on what they change (those are dropped before and created after),
what an unchanged dependent may survive, and which columns can make way like objects do.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping

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
    column_ref,
)
from dbops.catalog.model import CatalogObject, Column, ForeignTable, Table
from dbops.catalog.ref import Ref

Asks = Callable[[CatalogChange], bool]
Survives = Callable[[CatalogObject, CatalogChange], bool]
GivesWay = Callable[[Ref, Column, CatalogChange], bool]
Needs = Mapping[Ref, frozenset[Ref]]

_NOTHING: frozenset[Ref] = frozenset()
_TABLE_LIKE = ("view", "materialized_view", "foreign_table", "virtual_table")


def arrange(
    changes: ChangeSet,
    *,
    replaces: Asks = lambda change: False,
    disturbs: Asks = lambda change: isinstance(change, DropObject),
    survives: Survives = lambda dependent, change: False,
    gives_way: GivesWay = lambda ref, column, change: False,
    hurries: Asks = lambda change: False,
) -> tuple[CatalogChange, ...]:
    """Return the changes, replacements and their dependents included, in an order in which each can run.

    `replaces(change)`: this AlterObject or AlterColumn has to be a drop and a creation. `disturbs(change)`: dependents of
    what this change touches must be away while it runs. `survives(dependent, change)`: this dependent may stay all the
    same. `gives_way(ref, column, change)`: a column that depends on what is disturbed is dropped and added again (computed
    columns).
    `hurries(change)`: what is made again comes as soon as it can, for others use it that nobody knows of.
    A dependent that nobody asked to drop comes back even where the desired catalog does not name it.
    Linear in changes plus the dependencies of both catalogs.
    """
    if not changes.changes:
        return ()
    old_needs = _needs(changes.before)
    new_needs = _needs(changes.after)
    new_needs |= {ref: needs for ref, needs in old_needs.items() if not _is_known(changes.after, ref)}
    aside: frozenset[Ref] = frozenset()
    while True:
        expansion = _Expansion(changes, old_needs, new_needs, survives, gives_way)
        found = expansion.run(_either(aside, replaces), disturbs)
        order, circle = _sorted(found, old_needs, new_needs, disturbs, hurries, changes.before.objects)
        more = {found[i].ref for i in circle if _has_two_places(found[i], old_needs, new_needs)} - aside
        if not more:
            return order
        aside |= more


def _either(refs: frozenset[Ref], replaces: Asks) -> Asks:
    return lambda change: change.ref in refs or replaces(change)


def _has_two_places(change: CatalogChange, old_needs: Needs, new_needs: Needs) -> bool:
    """Tell whether what is altered in place has to be so before something goes and after something comes.

    In a circle of such wishes it is dropped before the one and made again after the other: it holds no rows.
    """
    if not isinstance(change, AlterObject) or change.ref.kind not in ("view", "routine"):
        return False
    return bool(old_needs.get(change.ref, _NOTHING) - new_needs.get(change.ref, _NOTHING))


def needs_of(catalog: Catalog, ref: Ref) -> frozenset[Ref]:
    """Return what `ref` needs, its own table (view, ...) included."""
    recorded = catalog.dependencies.get(ref, _NOTHING)
    return recorded | {owner_of(catalog, ref)} if ref.parent else recorded


def owner_of(catalog: Catalog, ref: Ref) -> Ref:
    """Return the table, view, ... that contains `ref`; a table where the catalog has none of that name."""
    table = ref.table
    if table in catalog.objects:
        return table
    candidates = (Ref(kind, ref.schema, ref.parent) for kind in _TABLE_LIKE)
    return next((owner for owner in candidates if owner in catalog.objects), table)


def dependents(dependencies: Dependencies) -> Mapping[Ref, frozenset[Ref]]:
    """Turn the arrows round: for each ref, who needs it."""
    found: defaultdict[Ref, set[Ref]] = defaultdict(set)
    for ref, needed in dependencies.items():
        for need in needed:
            found[need].add(ref)
    return {ref: frozenset(users) for ref, users in found.items()}


def _needs(catalog: Catalog) -> dict[Ref, frozenset[Ref]]:
    """All dependencies of a catalog; children need their table, and who needs a column needs its table."""
    found: dict[Ref, frozenset[Ref]] = {}
    for ref in {*catalog.objects, *catalog.dependencies}:
        needs = needs_of(catalog, ref)
        owners = {owner_of(catalog, need) for need in needs if need.kind == "column"}
        found[ref] = (needs | owners if owners else needs) - {ref}
    return found


def _is_known(catalog: Catalog, ref: Ref) -> bool:
    """Tell whether the catalog says what `ref` needs: of a column it does by having its table."""
    return ref in catalog.objects or (bool(ref.parent) and owner_of(catalog, ref) in catalog.objects)


class _Expansion:
    """The changes asked for, with replacements and the dependents they push aside."""

    def __init__(self, changes: ChangeSet, old_needs: Needs, new_needs: Needs, survives: Survives, gives_way: GivesWay) -> None:
        self._changes = changes
        self._users = dependents(old_needs)
        self._new_needs = new_needs
        self._survives = survives
        self._gives_way = gives_way
        self._found: dict[tuple[str, Ref], CatalogChange] = {}
        self._queue: deque[CatalogChange] = deque()
        self._goes_for_good = {c.ref for c in changes.changes if isinstance(c, DropObject | DropColumn)}

    def run(self, replaces: Asks, disturbs: Asks) -> list[CatalogChange]:
        for change in self._changes.changes:
            if isinstance(change, AlterObject | AlterColumn) and replaces(change):
                self._put_aside(change.ref)
            else:
                self._add(change)
        while self._queue:
            change = self._queue.popleft()
            if self._is_planned(change) and disturbs(change):
                self._clear_the_way(change)
        recreated = {ref for kind, ref in self._found if kind == "CreateObject"}
        return [change for change in self._found.values() if not _goes_with_its_table(change, recreated)]

    def _add(self, change: CatalogChange) -> None:
        key = (type(change).__name__, change.ref)
        if key not in self._found:
            self._found[key] = change
            self._queue.append(change)

    def _is_planned(self, change: CatalogChange) -> bool:
        return (type(change).__name__, change.ref) in self._found

    def _clear_the_way(self, change: CatalogChange) -> None:
        touched = change.ref if not isinstance(change, RenameObject | RenameColumn) else _old_ref(change)
        for user in sorted(self._users.get(touched, _NOTHING)):
            dependent = self._changes.before.objects.get(user)
            if self._moves_off(user, touched) or (dependent is not None and self._survives(dependent, change)):
                continue
            self._put_aside(user, change)

    def _moves_off(self, user: Ref, touched: Ref) -> bool:
        """Tell whether `user` is altered in place into something that no longer needs `touched`."""
        altered = ("AlterObject", user) in self._found or ("AlterColumn", user) in self._found
        return altered and touched not in self._new_needs.get(user, _NOTHING)

    def _put_aside(self, ref: Ref, change: CatalogChange | None = None) -> None:
        """Drop `ref` now and create it again later, unless it is going anyway; `change` is another's that it is in the way of."""
        if ref.kind == "column":
            self._put_column_aside(ref, change)
            return
        item = self._changes.before.objects.get(ref)
        if item is None:
            return
        self._found.pop(("AlterObject", ref), None)
        self._add(DropObject(item))
        if ref not in self._goes_for_good:
            self._add(CreateObject(self._changes.after.objects.get(ref, item)))

    def _put_column_aside(self, ref: Ref, change: CatalogChange | None) -> None:
        old, new = (_column(catalog, ref) for catalog in (self._changes.before, self._changes.after))
        if old is None or owner_of(self._changes.before, ref) in self._goes_for_good:
            return
        if change is not None and not self._gives_way(ref, old, change):
            return
        self._found.pop(("AlterColumn", ref), None)
        self._add(DropColumn(ref.table, old))
        if ref not in self._goes_for_good:
            self._add(AddColumn(ref.table, new or old, None))


def _column(catalog: Catalog, ref: Ref) -> Column | None:
    table = catalog.objects.get(owner_of(catalog, ref))
    return table.column(ref.name) if isinstance(table, Table | ForeignTable) else None


def _goes_with_its_table(change: CatalogChange, recreated: set[Ref]) -> bool:
    """A column change of a table that is made anew is part of making it."""
    return isinstance(change, AddColumn | DropColumn | AlterColumn) and change.table in recreated


def _old_ref(change: RenameObject | RenameColumn) -> Ref:
    if isinstance(change, RenameObject):
        return change.before
    return column_ref(change.table, change.before)


_RANK = {
    RenameObject: 0,
    RenameColumn: 1,
    DropObject: 2,
    DropColumn: 3,
    AlterObject: 4,
    AlterColumn: 5,
    AddColumn: 6,
    CreateObject: 7,
}


def _sorted(
    changes: list[CatalogChange],
    old_needs: Needs,
    new_needs: Needs,
    disturbs: Asks,
    hurries: Asks,
    had: Collection[Ref],
) -> tuple[tuple[CatalogChange, ...], Collection[int]]:
    """Topological order; among those that may run next, drops come first and creations last, in the given order.

    What arrives although the old catalog `had` it takes from there: what it needed goes after that. Also return which changes
    wait for each other in a circle.
    """
    leaving = {change.ref: i for i, change in enumerate(changes) if isinstance(change, DropObject | DropColumn)}
    arriving = {change.ref: i for i, change in enumerate(changes) if isinstance(change, CreateObject | AddColumn)}
    altering = {change.ref: i for i, change in enumerate(changes) if isinstance(change, AlterObject | AlterColumn)}
    first: defaultdict[int, set[int]] = defaultdict(set)  # first[i]: what must run before i

    def meets(needs: Needs, ref: Ref, *tables: Mapping[Ref, int]) -> Iterator[tuple[Ref, int]]:
        for need in needs.get(ref, _NOTHING):
            for table in tables:
                if need in table:
                    yield need, table[need]

    strict = {ref: i for ref, i in altering.items() if isinstance(changes[i], AlterColumn) or disturbs(changes[i])}
    for ref, i in leaving.items():
        for _, j in meets(old_needs, ref, leaving, strict):
            first[j].add(i)
        if ref in arriving:
            first[arriving[ref]].add(i)
    for ref, i in (*arriving.items(), *altering.items()):
        first[i].update(j for _, j in meets(new_needs, ref, arriving, altering))
    for ref, i in (*altering.items(), *((ref, i) for ref, i in arriving.items() if ref in had and ref not in leaving)):
        stays = new_needs.get(ref, _NOTHING)
        for need, j in meets(old_needs, ref, leaving, altering):
            if need not in stays:
                first[j].add(i)
    _release_names(changes, old_needs, leaving, first)
    again = {i for ref, i in arriving.items() if ref in leaving and hurries(changes[i])}
    order, circle = _kahn(changes, first, again)
    return tuple(changes[i] for i in order), circle


def _release_names(
    changes: list[CatalogChange], old_needs: Needs, leaving: Mapping[Ref, int], first: defaultdict[int, set[int]]
) -> None:
    """A name must be given up before another object takes it, whatever their kinds; so must the place of a primary key.

    A child gives up its name when it goes, and that may be when its table goes, or when it is called otherwise.
    """
    given_up: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, change in enumerate(changes):
        if isinstance(change, RenameObject) and change.before.parent:
            given_up[change.before.schema, change.before.name].append(i)
        if isinstance(change, DropObject):
            owners = [
                leaving[need] for need in old_needs.get(change.ref, _NOTHING) if need in leaving and _owns(need, change.ref)
            ]
            for place in _places(change.ref):
                given_up[place] += [i, *owners]
    for i, change in enumerate(changes):
        if isinstance(change, CreateObject) or (isinstance(change, RenameObject) and change.ref.parent):
            for place in _places(change.ref):
                first[i].update(given_up.get(place, ()))


def _owns(table: Ref, child: Ref) -> bool:
    return bool(child.parent) and not table.parent and (table.schema, table.name) == (child.schema, child.parent)


def _places(ref: Ref) -> Iterator[tuple[str, ...]]:
    yield ref.schema, ref.name
    if ref.kind == "primary_key":
        yield "primary_key", ref.schema, ref.parent


def _kahn(changes: list[CatalogChange], first: Mapping[int, set[int]], hurried: Collection[int]) -> tuple[list[int], set[int]]:
    waits = {i: set(first.get(i, ())) - {i} for i in range(len(changes))}
    followers: defaultdict[int, list[int]] = defaultdict(list)
    for i, needed in waits.items():
        for need in needed:
            followers[need].append(i)
    rank = [(-1 if i in hurried else _RANK[type(change)], i) for i, change in enumerate(changes)]
    ready = [rank[i] for i, needed in waits.items() if not needed]
    heapq.heapify(ready)
    done: list[int] = []
    placed: set[int] = set()
    circle: set[int] = set()
    while len(done) < len(changes):
        if not ready:  # a cycle that engines record but do not enforce: take the one that waits for fewest
            circle = circle or _circle({i: needed for i, needed in waits.items() if i not in placed}, followers)
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
    return done, circle


def _circle(waits: Mapping[int, set[int]], followers: Mapping[int, list[int]]) -> set[int]:
    """Return those that wait, but for the ones for which nobody in a circle waits."""
    found = set(waits)
    awaited = {i: sum(follower in found for follower in followers.get(i, ())) for i in found}
    free = [i for i, count in awaited.items() if not count]
    while free:
        i = free.pop()
        found.discard(i)
        for need in waits[i]:
            awaited[need] -= 1
            if not awaited[need]:
                free.append(need)
    return found
