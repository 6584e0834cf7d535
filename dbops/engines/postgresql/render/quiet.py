"""Values that come back to rows as they were: no trigger or rule sees a change in that, and no publication forbids it, nor does a
check that rows have not had to meet so far.

What sleeps meanwhile is put back into the state it has when the units before are done and all others have been taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Sequence as Several
from dataclasses import replace
from typing import TypeVar

from dbops.catalog.changes import AlterObject, CreateObject, DropObject
from dbops.catalog.model import (
    CatalogObject,
    Check,
    Constraint,
    Defined,
    ForeignKey,
    Index,
    PrimaryKey,
    Rule,
    Table,
    Trigger,
    Unique,
)
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import constraints, publications, routines, security
from dbops.engines.postgresql.render.folding import Unit
from dbops.engines.postgresql.render.names import named, qualified, quote
from dbops.engines.postgresql.render.parts import ReplicaIdentity, above
from dbops.engines.postgresql.render.scene import Scene, parents_of
from dbops.sql.statement import Statement

T = TypeVar("T")


class Quiet:
    """What units do to triggers, rules and replica identities; `made` are the objects that come, go, or come again."""

    def __init__(self, units: Several[Unit], scene: Scene, made: Collection[Ref]) -> None:
        self._scene, self._made = scene, made
        self._places = {id(unit): place for place, unit in enumerate(units)}
        self._altered: defaultdict[Ref, list[tuple[int, CatalogObject]]] = defaultdict(list)
        self._checks: defaultdict[Ref, list[tuple[int, Check | None]]] = defaultdict(list)
        self._identified: defaultdict[Ref, list[tuple[int, str | None]]] = defaultdict(list)
        for place, unit in enumerate(units):
            for change in unit.all:
                match change:
                    case AlterObject(Table() as before, Table() as after):
                        if before.replica_identity != after.replica_identity:
                            self._identified[after.ref].append((place, after.replica_identity))
                    case AlterObject(Check(), Check() as check) | CreateObject(Check() as check):
                        self._checks[check.ref].append((place, check))
                    case DropObject(Check() as check):
                        self._checks[check.ref].append((place, None))
                    case AlterObject(Trigger() | Rule() | Defined(), item):
                        self._altered[item.ref].append((place, item))
                    case CreateObject(ReplicaIdentity() as item):
                        self._identified[item.ref.table].append((place, f"index {item.name}"))
                    case DropObject(ReplicaIdentity() as item):
                        self._identified[item.ref.table].append((place, None))
                    case _:
                        pass
        self._publishes = any(ref.kind == "publication" for side in (scene.before, scene.after) for ref in side.objects)

    def around(self, table: Ref, unit: Unit, restoring: Iterator[Statement]) -> Iterator[Statement]:
        """Yield what changes rows of a table and its heirs while `unit` is taken back, in quiet."""
        place, family = self._places[id(unit)], list(self._family(table))
        awake = [item for ref in family for item in self._awake(ref, place)]
        untold = [(ref, identity) for ref in family for identity in self._untold(ref, place)]
        forbidding = [item for item in self._publications(place) if any(self._is_forbidden(item, ref, place) for ref in family)]
        yield from map(publications.without_changes, forbidding)
        for ref, _ in untold:
            yield Statement(f"ALTER TABLE {named(ref)} REPLICA IDENTITY FULL")
        unmet = self._unmet(table, family, place)
        for item in awake:
            yield routines.asleep(item)
        for check in unmet:
            yield Statement(f"ALTER TABLE {named(check.ref.table)} DROP CONSTRAINT {quote(check.name)}")
        yield from restoring
        yield from self._checked(family)
        for check in unmet:
            adding = f"ADD CONSTRAINT {quote(check.name)} {constraints.definition(check)}"
            yield Statement(f"ALTER TABLE {named(check.ref.table)} {adding}")
            yield from security.comment(check)
        for item in awake:
            yield from routines.awake(item)
        for ref, identity in untold:
            yield Statement(f"ALTER TABLE {named(ref)} REPLICA IDENTITY {(identity or 'default').upper()}")
        yield from map(publications.with_changes, forbidding)

    def from_above(self, table: Table, unit: Unit, filling: Iterable[Statement]) -> Iterator[Statement]:
        """Yield what fills a partition that comes back, unseen by the triggers that tables above hand down to it."""
        found = [item for ref in above(table, self._scene.before) for item in self._awake(ref, self._places[id(unit)])]
        handed_down = [replace(item, schema=table.schema, parent=table.name) for item in found if routines.is_handed_down(item)]
        yield from map(routines.asleep, handed_down)
        yield from filling
        for item in handed_down:
            yield from routines.awake(item)

    def _checked(self, family: Several[Ref]) -> Iterator[Statement]:
        """Let what is checked at the end of a transaction be checked now: ALTER TABLE waits for no check (error 55006).

        A row that the transaction has written before, for a type say, is checked though its key stays.
        """
        names = {
            qualified(item.schema, item.name)
            for item in self._scene.before.all(Constraint)
            if item.initially_deferred
            and item.ref not in self._made
            and (item.ref.table in family or (isinstance(item, ForeignKey) and item.references in family))
        }
        if names:
            yield Statement(f"SET CONSTRAINTS {', '.join(sorted(names))} IMMEDIATE")
            yield Statement(f"SET CONSTRAINTS {', '.join(sorted(names))} DEFERRED")

    def _family(self, table: Ref) -> Iterator[Ref]:
        """Yield a table and the heirs that it has all along."""
        yield table
        for heir in self._scene.heirs.get(table, ()):
            stays = heir in self._scene.before.objects and heir in self._scene.after.objects and heir not in self._made
            if stays and heir.kind == "table":
                yield from self._family(heir)

    def _awake(self, table: Ref, place: int) -> Iterator[Trigger | Rule]:
        for child in self._scene.old.children(table):
            if isinstance(child, Trigger | Rule) and child.ref not in self._made:
                item = _latest(self._altered[child.ref], place, child)
                if isinstance(item, Trigger | Rule) and item.enabled != "disabled":
                    yield item

    def _unmet(self, table: Ref, family: Several[Ref], place: int) -> list[Check]:
        """Return checks that are NOT VALID, those that parents hand down included: a row that is written must meet them again."""
        own = [check for ref in family for check in self._not_valid(ref, place)]
        handed_down = [check for ref in self._ancestors(table) for check in self._not_valid(ref, place) if not check.no_inherit]
        return [*dict.fromkeys((*handed_down, *own))]

    def _ancestors(self, table: Ref) -> Iterator[Ref]:
        for parent in parents_of(self._scene.before.objects.get(table)):
            yield from self._ancestors(parent)
            yield parent

    def _not_valid(self, table: Ref, place: int) -> Iterator[Check]:
        for child in self._scene.old.children(table):
            changes = self._checks[child.ref]
            if isinstance(child, Check) and all(at != place for at, _ in changes):
                check = next((item for at, item in reversed(changes) if at < place), child)
                if check is not None and not check.is_valid:
                    yield check

    def _untold(self, ref: Ref, place: int) -> Iterator[str | None]:
        """Yield the replica identity of a table whose rows nothing tells apart, though a publication may ask (manual, UPDATE)."""
        if self._publishes and isinstance(self._scene.before.objects.get(ref), Table) and self._identity(ref, place) == ():
            yield self._identity_of(ref, place)

    def _publications(self, place: int) -> Iterator[Defined]:
        for item in self._scene.before.all(Defined):
            if item.what == "publication" and item.ref in self._scene.after.objects and item.ref not in self._made:
                now = _latest(self._altered[item.ref], place, item)
                assert isinstance(now, Defined)
                yield now

    def _is_forbidden(self, item: Defined, ref: Ref, place: int) -> bool:
        """Tell whether a publication forbids to change rows of a table; all their columns identify those that none did."""
        table = self._scene.before.objects.get(ref)
        return isinstance(table, Table) and publications.forbids_changes(item, table, self._identity(ref, place) or None)

    def _identity_of(self, ref: Ref, place: int) -> str | None:
        table = self._scene.before.objects[ref]
        assert isinstance(table, Table)
        return _latest(self._identified[ref], place, table.replica_identity)

    def _identity(self, ref: Ref, place: int) -> tuple[str, ...] | None:
        """Return the columns that tell rows of a table apart, None where all do, nothing where none does."""
        identity = self._identity_of(ref, place)
        if identity in ("full", "nothing"):
            return None if identity == "full" else ()
        named_index = (identity or "").removeprefix("index ") if identity not in (None, "default") else None
        for child in self._scene.old.children(ref):
            is_it = isinstance(child, PrimaryKey) if named_index is None else child.name == named_index
            if is_it and child.ref not in self._made and isinstance(child, PrimaryKey | Unique):
                return child.columns
            if is_it and child.ref not in self._made and isinstance(child, Index):
                return tuple(key.column for key in child.keys if key.column)
        return ()


def _latest(changes: list[tuple[int, T]], place: int, first: T) -> T:
    """Return what the last change before a place has made of something."""
    return next((value for at, value in reversed(changes) if at < place), first)
