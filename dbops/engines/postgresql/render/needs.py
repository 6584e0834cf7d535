"""The catalogs as ordering sees them: with defaults and memberships as objects, and with dependencies PostgreSQL does not record.

Recorded dependencies say what an object needs to exist. Statements need more: a partition is attached when its columns fit,
a sequence gives up its column before the column goes, a child's index is there before the parent's adopts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace

from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    ChangeSet,
    CreateObject,
    DropColumn,
    DropObject,
    column_ref,
)
from dbops.catalog.model import (
    Constraint,
    Defined,
    Extension,
    ForeignKey,
    ForeignTable,
    Index,
    PrimaryKey,
    Sequence,
    Table,
    Unique,
)
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.adoption import (
    adopted_by,
    apart_from_new,
    bringing_their_own,
    lets_go_only,
    link_adoptions,
    link_departures,
    renamed_in_place,
    without_adopted_keys,
)
from dbops.engines.postgresql.render.bodies import link_bodies, link_bodies_that_go
from dbops.engines.postgresql.render.defaults import cyclic_defaults_apart, defaults_apart
from dbops.engines.postgresql.render.graph import AnyTable, Graph, domain_holders, row_holders
from dbops.engines.postgresql.render.names import quote
from dbops.engines.postgresql.render.parts import Membership, ReplicaIdentity
from dbops.engines.postgresql.render.persistence import order_persistence
from dbops.engines.postgresql.render.references import link_references
from dbops.engines.postgresql.render.renewal import (
    changed_children,
    is_made_again,
    made_again,
    memberships,
    rows_of_new_tables,
    with_renewed,
    with_the_family,
)
from dbops.engines.postgresql.render.retype import Rebuild, anchor
from dbops.engines.postgresql.render.row_types import row_types_apart
from dbops.engines.postgresql.render.scene import parents_of
from dbops.engines.postgresql.render.watchers import watchers_apart


def explode(changes: ChangeSet, rebuild: Rebuild) -> tuple[ChangeSet, frozenset[Ref]]:
    """Return the changes with memberships apart, on catalogs that hold defaults and all dependencies.

    Also return the functions whose bodies cannot be checked when they are made: what they mention needs them.
    """
    before, after = Graph(changes.before), Graph(changes.after)
    for graph in (before, after):
        graph.add_defaults()
        graph.add_replica_identities()
        graph.add_row_types()
        graph.add_domain_rules()
    _rows_held(before, after)
    _columns_of_keys(before, after)
    _reach_through_columns(before, after, rebuild)
    _reach_through_casts(before, after, rebuild.refs | made_again(changes.changes, before))
    _exchange_defaults(anchor(changes.changes, rebuild), before, after, rebuild)
    changes = replace(changes, changes=with_renewed(changes.changes, before, after))
    changes = replace(changes, changes=(*changes.changes, *apart_from_new(changes, before, after)))
    found = list(watchers_apart(tuple(row_types_apart(_split(changes, before, after), before, after)), before))
    found = cyclic_defaults_apart(found, before, after)
    found += defaults_apart(found, before, after)
    found += rows_of_new_tables(found, before, after)
    _sequences(found, before, after)
    _shared_sequences(found, before, after)
    _inherited_columns(found, after)
    _children_first(found, before)
    found += order_persistence(found, before, after)
    found += link_adoptions(found, after)
    link_departures(found, before, after)
    link_references(found, before, after)
    link_bodies_that_go(found, before.needs)
    circular = link_bodies(found, after.needs)
    _without_their_columns(found, before, after)
    return ChangeSet(before.catalog(), after.catalog(), tuple(_by_kind(_last_column_first(found)))), circular


def _last_column_first(found: list[CatalogChange]) -> list[CatalogChange]:
    """Columns go from the right to the left, so that on the way back they come from the left to the right."""
    places = [place for place, change in enumerate(found) if isinstance(change, DropColumn)]
    for place, change in zip(places, [found[place] for place in reversed(places)], strict=True):
        found[place] = change
    return found


def _reach_through_columns(before: Graph, after: Graph, rebuild: Rebuild) -> None:
    """What needs one of the types that are built anew together, or a column that has one, needs all of them.

    One change stands for the whole rebuild, and everything that has to make way for it must be found from there.
    """
    if not rebuild.types:
        return
    converted = {conversion.ref for conversion in rebuild.conversions}
    for graph in (before, after):
        for user, needs in list(graph.needs.items()):
            stands_on = needs & converted and (user.kind not in ("table", "column", "sequence") or _is_computed(user, graph))
            if user not in rebuild.refs and (stands_on or needs & rebuild.refs):
                graph.link(user, *rebuild.refs)


def _reach_through_casts(before: Graph, after: Graph, again: Set[Ref]) -> None:
    """Who casts needs the cast: PostgreSQL records its function alone. Only casts count that go with what is made `again`."""
    for graph in (before, after) if again else ():
        casts = [ref for ref in graph.objects if ref.kind == "cast" and graph.needs.get(ref, frozenset()) & again]
        found = {need: cast for cast in casts for need in graph.needs[cast] if need.kind == "routine"}
        for user, needs in list(graph.needs.items()) if found else ():
            if user.kind != "cast":
                graph.link(user, *(found[need] for need in needs & found.keys()))


def _exchange_defaults(whole: Ref | None, before: Graph, after: Graph, rebuild: Rebuild) -> None:
    """A default changes with its column's type: what the old one needs goes after the rebuild `whole`, the new before.

    One that steps aside goes before the rebuild, and comes back after it.
    """
    if whole is None:
        return
    for conversion in rebuild.conversions:
        default = Ref("default", *conversion.ref[1:])
        old, new = (graph.needs.get(default, frozenset()) - rebuild.refs for graph in (before, after))
        for graph in (before, after):
            if default in graph.objects:
                graph.link(default, *rebuild.refs)
        before.link(whole, *old - new)
        after.link(whole, *new - old)


def _rows_held(before: Graph, after: Graph) -> None:
    """A materialized view with whole rows of a table depends on every column that the table has or gets, and on their domains."""
    for graph in (before, after):
        for table, holders in row_holders(graph.objects).items():
            sides = [side.table(table) for side in (before, after)]
            columns = {column_ref(table, column.name) for side in sides if side for column in side.columns}
            for holder in holders:
                graph.link(holder, *columns)
        for domain, holders in domain_holders(graph.objects).items():
            for holder in holders:
                graph.link(holder, domain)


def _columns_of_keys(before: Graph, after: Graph) -> None:
    """A foreign key needs what its target includes besides: an index is built again when such a column changes its type."""
    for graph in (before, after):
        for ref in [ref for ref, item in graph.objects.items() if isinstance(item, ForeignKey)]:
            for need in graph.needs.get(ref, frozenset()):
                target = graph.objects.get(need)
                if isinstance(target, Index | PrimaryKey | Unique):
                    graph.link(ref, *(column_ref(need.table, name) for name in target.include))


def _is_computed(ref: Ref, graph: Graph) -> bool:
    column = graph.column(ref) if ref.kind == "column" else None
    return column is not None and column.generated is not None


def _split(changes: ChangeSet, before: Graph, after: Graph) -> Iterator[CatalogChange]:
    """Take memberships out of alterations of tables, and out of partitions whose own indexes have to be there first."""
    early = bringing_their_own(changes, after) | set(_unlike_their_parents(changes, after))
    moved = _moved_extensions(changes)
    apart = without_adopted_keys(changes, before, after)
    yield from _left_for_a_while(apart.values(), before, after)
    changes = replace(changes, changes=tuple(change for change in changes.changes if not lets_go_only(change, apart)))
    for change in _identities_apart(renamed_in_place(changes, before, after, apart), after):
        if is_made_again(change, before, after):
            yield change
        elif moved and isinstance(change, AlterObject | AlterColumn) and _moves_along(change, moved):
            continue
        elif isinstance(change, AlterObject) and isinstance(change.after, Table | ForeignTable):
            yield from _split_alteration(change, before, after)
        elif isinstance(change, CreateObject) and change.ref in early and isinstance(change.item, Table):
            yield from _split_creation(change.item, after)
        elif not (isinstance(change, AlterColumn) and _differs_in_origin_only(change)):
            yield change


def _moved_extensions(changes: ChangeSet) -> list[tuple[re.Pattern[str], str]]:
    """Return how names change when extensions move to another schema; whoever uses them needs no change of its own."""
    found = []
    for change in changes.changes:
        if (
            isinstance(change, AlterObject)
            and isinstance(change.after, Extension)
            and change.before.schema != change.after.schema
        ):
            old, new = quote(change.before.schema), quote(change.after.schema)
            found.append((re.compile(rf"(?<![\w.\"]){re.escape(old)}\."), f"{new}."))
    return found


def _moves_along(change: AlterObject | AlterColumn, moved: list[tuple[re.Pattern[str], str]]) -> bool:
    if isinstance(change, AlterObject) and isinstance(change.after, Extension):
        return False
    text = repr(change.before)
    for pattern, name in moved:
        text = pattern.sub(name, text)
    return text == repr(change.after)


def _identities_apart(changes: Iterable[CatalogChange], graph: Graph) -> Iterator[CatalogChange]:
    """An index becomes the replica identity when it is there, and stops being it before it goes."""
    for change in changes:
        old, new = _tables(change)
        if old is not None and old == new and isinstance(wanted := graph.objects.get(old.ref), Table):
            new = wanted
        was, will_be = (ReplicaIdentity.of(table) if table else None for table in (old, new))
        if was is not None and was != will_be and new is not None:
            yield DropObject(was)
        if will_be is not None and was != will_be:
            yield CreateObject(will_be)
        match change:
            case AlterObject(Table() as before, Table() as after) if was or will_be:
                before, after = (_without_index(table) for table in (before, after))
                if before != after:
                    yield AlterObject(before, after)
            case CreateObject(Table() as table) if will_be:
                yield CreateObject(_without_index(table))
            case _:
                yield change


def _tables(change: CatalogChange) -> tuple[Table | None, Table | None]:
    match change:
        case AlterObject(Table() as old, Table() as new):
            return old, new
        case CreateObject(Table() as new):
            return None, new
    return None, None


def _without_index(table: Table) -> Table:
    return replace(table, replica_identity=None) if ReplicaIdentity.of(table) else table


def _differs_in_origin_only(change: AlterColumn) -> bool:
    """Whether a column is inherited changes with the membership, not by itself."""
    old, new = (tuple(pair for pair in column.options if pair[0] != "inherited") for column in (change.before, change.after))
    return replace(change.before, options=old) == replace(change.after, options=new)


def _split_alteration(change: AlterObject, before: Graph, after: Graph) -> Iterator[CatalogChange]:
    old, new = change.before, change.after
    assert isinstance(old, Table | ForeignTable) and isinstance(new, Table | ForeignTable)
    if (old.partition_of, old.inherits) == (new.partition_of, new.inherits):
        yield change
        return
    was, will_be = list(memberships(old)), list(memberships(new))
    kept = _kept_in_order(was, will_be)
    leaving, joining = ([item for item in items if item not in kept] for items in (was, will_be))
    for item, *earlier in (leaving[place::-1] for place in reversed(range(len(leaving)))):
        before.add(item, new.ref, item.of, *(other.ref for other in earlier))
        if not any(other.of == item.of for other in joining):
            before.link(item.ref, *changed_children(item.of, before, after))
        yield DropObject(item)
    for item, *earlier in (joining[place::-1] for place in range(len(joining))):
        after.add(item, *_fits_before(item, new, after), *(other.ref for other in earlier))
        if item.bound is not None and any(other.of == item.of for other in leaving):
            with_the_family(item, before, after)
        yield CreateObject(item)
    rest = replace(old, partition_of=new.partition_of, inherits=new.inherits)
    if rest != new:
        yield AlterObject(rest, new)


def _left_for_a_while(tables: Iterable[tuple[Table, frozenset[Ref]]], before: Graph, after: Graph) -> Iterator[CatalogChange]:
    """Let partitions leave while keys go that hold them to indexes of their parents, and join again."""
    for table, keys in tables:
        for item in memberships(table):
            before.add(item, table.ref, item.of, *(key for key in keys if key in before.objects))
            after.add(item, *_fits_before(item, table, after), *(key for key in keys if key in after.objects))
            yield DropObject(item)
            yield CreateObject(item)


def _kept_in_order(was: list[Membership], will_be: list[Membership]) -> list[Membership]:
    """Parents stand in the order in which the table joined them: those stay that stand before all that it joins now."""
    kept = [item for item in was if item in will_be]
    while kept != will_be[: len(kept)]:
        kept.pop()
    return kept


def _unlike_their_parents(changes: ChangeSet, after: Graph) -> Iterator[Ref]:
    """Yield new partitions and heirs that cannot be made as such: these have the columns of their parents, and in that order.

    A computed column that an heir has of its own may stand in CREATE TABLE since PostgreSQL 16.
    """
    for change in changes.changes:
        item = change.item if isinstance(change, CreateObject) else None
        if isinstance(item, Table) and (parents := [after.table(parent) for parent in parents_of(item)]):
            above = {column.name: column for parent in parents if parent for column in parent.columns}
            own = {column.name: column for column in item.columns}
            if not item.partition_of and any("inherited" in dict(column.options) for column in own.values()):
                continue  # what it has only from a parent comes with the parent
            is_computed = any(own[name].generated is not None for name in above.keys() & own)
            if [*dict.fromkeys((*above, *own))] != [*own] or (item.inherits and is_computed):
                yield item.ref


def _split_creation(item: Table, after: Graph) -> Iterator[CatalogChange]:
    joining = list(memberships(item))
    own = tuple(replace(c, options=tuple(pair for pair in c.options if pair[0] != "inherited")) for c in item.columns)
    for membership in joining:
        after.add(membership, *_fits_before(membership, item, after))
    yield CreateObject(replace(item, partition_of=None, inherits=(), columns=own))
    yield from (CreateObject(membership) for membership in joining)


def _fits_before(item: Membership, table: AnyTable, after: Graph) -> Iterator[Ref]:
    """A table joins its parent when both have the columns they are to have, and it has the indexes and checks it brings along."""
    yield from (table.ref, item.of)
    parent = after.table(item.of)
    for owner in (table, parent):
        if owner is not None:
            yield from (column_ref(owner.ref, column.name) for column in owner.columns)
    for ref, held in after.objects.items():
        is_own = held.parent == table.name and held.schema == table.schema
        if is_own and (isinstance(held, Constraint) or adopted_by(held, after) is not None):
            yield ref


def _sequences(found: list[CatalogChange], before: Graph, after: Graph) -> None:
    """A sequence gives up its column before the column goes, takes another when that is there, and goes after its default.

    It is given to a column when the table has the owner that it is to have, for both must have one.
    """
    moving = {change.ref for change in found if isinstance(change, AlterObject) and change.before.owner != change.after.owner}
    going = {change.ref for change in found if isinstance(change, DropObject | DropColumn)}
    for change in found:
        if isinstance(change, DropObject) and isinstance(change.item, Sequence) and (owner := change.item.owned_by):
            if owner in going or owner.table in going:
                before.unlink(owner.table, change.ref)
                before.unlink(owner, change.ref)
                before.unlink(Ref("default", *owner[1:]), change.ref)
                before.link(change.ref, owner, owner.table)
        elif isinstance(change, AlterObject) and isinstance(change.before, Sequence) and isinstance(change.after, Sequence):
            old, new = change.before.owned_by, change.after.owned_by
            if old is not None and old != new:
                for user in (old, old.table, Ref("default", *old[1:])):
                    before.unlink(user, change.ref)
                before.link(change.ref, old, old.table)
            if new is not None and old != new:
                for user in (new, new.table, Ref("default", *new[1:])):
                    after.unlink(user, change.ref)
                after.link(change.ref, new, new.table)
        elif (
            isinstance(change, CreateObject)
            and isinstance(change.item, Sequence)
            and (owner := change.item.owned_by)
            and owner.table in moving
        ):
            after.unlink(owner.table, change.ref)
            after.link(change.ref, owner.table)


def _shared_sequences(found: list[CatalogChange], before: Graph, after: Graph) -> None:
    """A sequence goes with the column that owns it: others that count by it let go of it before, and take it when that is there.

    `CREATE TABLE ... (LIKE ... INCLUDING DEFAULTS)` makes such tables.
    """
    for change in found:
        if (
            isinstance(change, CreateObject | DropObject)
            and isinstance(change.item, Sequence)
            and (owner := change.item.owned_by)
        ):
            graph = before if isinstance(change, DropObject) else after
            for user in [user for user, needs in graph.needs.items() if change.ref in needs]:
                if user != change.ref and user.table != owner.table:
                    graph.link(user, owner, owner.table)


def _inherited_columns(found: list[CatalogChange], after: Graph) -> None:
    """A child's columns follow its parent's, but one that the child has already is made like the parent's before that comes."""
    changed = {change.table for change in found if isinstance(change, AddColumn | AlterColumn)}
    added = {change.ref for change in found if isinstance(change, AddColumn)}
    fitted = {change.ref for change in found if isinstance(change, AlterColumn)}
    for ref, item in list(after.objects.items()):
        for parent in parents_of(item):
            table = after.table(parent) if parent in changed else None
            for column in table.columns if table else ():
                own, parents = column_ref(ref, column.name), column_ref(parent, column.name)
                if parents in added and own in fitted:
                    after.link(parents, own)
                    continue
                after.link(own, parents)
                after.link(ref, parents)


def _children_first(found: list[CatalogChange], before: Graph) -> None:
    """A child that goes is kept with the columns that its parent handed down, before these go.

    A column that it has besides goes after its parent's, for as long as it is inherited it stays.
    """
    dropped = [change for change in found if isinstance(change, DropColumn)]
    going_by_name = {change.ref for change in dropped}
    for change in dropped:
        for parent in parents_of(before.table(change.table)):
            above = column_ref(parent, change.column.name)
            if above in going_by_name:
                before.link(above, change.ref)
    going = [change.item for change in found if isinstance(change, DropObject) and isinstance(change.item, AnyTable)]
    for child in going:
        for change in dropped:
            if change.table in parents_of(child):
                before.link(child.ref, change.ref)


def _without_their_columns(found: list[CatalogChange], before: Graph, after: Graph) -> None:
    """A table that is altered as such, and not made again, has nothing to do with what its columns need."""
    for change in found:
        if isinstance(change, AlterObject) and isinstance(change.after, AnyTable) and not is_made_again(change, before, after):
            for graph in (before, after):
                table = graph.table(change.ref)
                for column in table.columns if table else ():
                    graph.unlink(change.ref, *graph.needs.get(column_ref(change.ref, column.name), ()))


#: Made last and dropped first: what acts when other objects are made or dropped, or speaks of objects to come.
_LATE = {"default_privileges": 1, "publication": 2, "event_trigger": 3}


def _by_kind(found: list[CatalogChange]) -> list[CatalogChange]:
    """Sort by what PostgreSQL does not know to depend on each other; otherwise keep the order."""
    drops = [change for change in found if isinstance(change, DropObject)]
    others = [change for change in found if not isinstance(change, DropObject)]
    return [*sorted(drops, key=lambda change: -_lateness(change)), *sorted(others, key=_lateness)]


def _lateness(change: CatalogChange) -> int:
    item = change.item if isinstance(change, CreateObject | DropObject) else None
    return _LATE.get(item.what, 0) if isinstance(item, Defined) else 0
