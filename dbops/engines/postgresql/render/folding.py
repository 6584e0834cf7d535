"""Folding: changes that PostgreSQL carries out together become one unit of work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    CatalogChange,
    ChangeSet,
    CreateObject,
    DropColumn,
    DropObject,
)
from dbops.catalog.model import (
    CatalogObject,
    Check,
    Column,
    Constraint,
    Exclusion,
    ForeignKey,
    Index,
    PrimaryKey,
    Sequence,
    Table,
    Unique,
)
from dbops.catalog.order import needs_of
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.postgresql.render import columns
from dbops.engines.postgresql.render.leftovers import is_usual, shape
from dbops.engines.postgresql.render.parts import Membership
from dbops.engines.postgresql.render.scene import Scene, table_in

#: What a parent table hands down with a change of its column, however the child's looked before (manual, ALTER TABLE).
_HANDED_DOWN = ("type", "collation", "nullable", "default", "generated")
_HANDED_DOWN_OPTIONS = frozenset({"storage", "compression", "statistics"})


@dataclass(frozen=True, slots=True)
class Unit:
    """One change and those that its statements carry out too.

    `owned` are sequences created before, given to their columns when this unit has made those; `waits_for_owner` says of a
    sequence that it is such a one.
    """

    change: CatalogChange
    covers: tuple[CatalogChange, ...] = ()
    owned: tuple[Sequence, ...] = ()
    waits_for_owner: bool = False

    @property
    def together(self) -> tuple[AlterColumn, ...]:
        """The columns of one table that one statement alters: the change's own, and those that share its rewrite."""
        found = (change for change in self.all if isinstance(change, AlterColumn))
        return tuple(change for change in found if change.ref.table == self.change.ref.table)

    @property
    def all(self) -> tuple[CatalogChange, ...]:
        return (self.change, *self.covers)


def fold(changes: Iterable[CatalogChange], catalogs: ChangeSet, scene: Scene) -> tuple[Unit, ...]:
    """Return the units of `changes`, which are in order; a unit stands where its first change stood."""
    folding = _Folding(list(changes), catalogs, scene)
    folding.drop_with_table()
    folding.create_with_table()
    folding.hand_down_columns()
    folding.adopt()
    folding.join_and_leave()
    folding.number()
    folding.write_once()
    return folding.units()


class _Folding:
    def __init__(self, changes: list[CatalogChange], catalogs: ChangeSet, scene: Scene) -> None:
        self.changes, self.scene = changes, scene
        self.before, self.after = catalogs.before, catalogs.after
        self.covers: defaultdict[int, list[int]] = defaultdict(list)
        self.owned: defaultdict[int, list[Sequence]] = defaultdict(list)
        self.gone: set[int] = set()
        self.wholes: dict[int, int] = {}
        self.waiting: set[int] = set()
        self.drops = {c.ref: i for i, c in enumerate(changes) if isinstance(c, DropObject)}
        self.creates = {c.ref: i for i, c in enumerate(changes) if isinstance(c, CreateObject)}
        self.columns: dict[tuple[type[CatalogChange], Ref], int] = {
            (type(c), c.ref): i for i, c in enumerate(changes) if isinstance(c, AddColumn | DropColumn | AlterColumn)
        }
        self.changed = {ref: i for (kind, ref), i in self.columns.items() if kind is not AddColumn}

    def units(self) -> tuple[Unit, ...]:
        return tuple(
            Unit(change, tuple(self.changes[j] for j in self.covers[i]), tuple(self.owned[i]), i in self.waiting)
            for i, change in enumerate(self.changes)
            if i not in self.gone
        )

    def _cover(self, whole: int, part: int) -> None:
        while whole in self.gone:
            whole = self.wholes[whole]
        if part not in self.gone and part != whole:
            self.covers[whole].append(part)
            self.covers[whole].extend(self.covers.pop(part, ()))
            self.gone.add(part)
            self.wholes[part] = whole

    # --- drops

    def drop_with_table(self) -> None:
        """Children and owned sequences go with their table, unless something between needs them to go earlier."""
        for ref, i in self.drops.items():
            item = self._dropped(i)
            if isinstance(item, Table) and (rows := self._rows_taken_along(item)) is not None:
                self._cover(rows, i)
                continue
            if isinstance(item, Index | Constraint) and self._goes_with_parents_index(item, i):
                continue
            if ref.parent and (table := self._drop_of_table(ref)) is not None:
                if not self._is_needed_earlier(item, table):
                    self._cover(table, i)
            elif isinstance(item, Sequence) and item.owned_by:
                self._drop_sequence(item, i)

    def _rows_taken_along(self, item: Table) -> int | None:
        """A partition of a table made again goes with the old table, when the rows have moved; so do its own partitions."""
        parent = item.partition_of.parent if item.partition_of else None
        if parent is None:
            return None
        rows = self.creates.get(Ref("rows", parent.schema, "rows", parent.name))
        above = self.before.objects.get(parent)
        return rows if rows is not None or not isinstance(above, Table) else self._rows_taken_along(above)

    def _dropped(self, i: int) -> CatalogObject:
        change = self.changes[i]
        assert isinstance(change, DropObject)
        return change.item

    def _drop_of_table(self, ref: Ref) -> int | None:
        kinds = ("table", "foreign_table", "view", "materialized_view")
        found = (self.drops.get(Ref(kind, ref.schema, ref.parent)) for kind in kinds)
        return next((i for i in found if i is not None), None)

    def _is_needed_earlier(self, item: CatalogObject, table: int) -> bool:
        """Tell whether something that goes or changes before the table has to be rid of the child first."""
        owner = item.ref.table
        others = (need for need in needs_of(self.before, item.ref) if need.table != owner and need != owner)
        return any(self.drops.get(need, table) < table or self.changed.get(need, table) < table for need in others)

    def _drop_sequence(self, item: Sequence, i: int) -> None:
        assert item.owned_by is not None
        table = self.drops.get(item.owned_by.table)
        column = self.columns.get((DropColumn, item.owned_by))
        altered = self.columns.get((AlterColumn, item.owned_by))
        whole = table if table is not None else column
        if whole is not None:
            self._cover(whole, i)
        elif altered is not None and isinstance(change := self.changes[altered], AlterColumn) and change.after.identity:
            self._cover(altered, i)

    def _goes_with_parents_index(self, item: Index | Constraint, i: int) -> bool:
        """An attached index goes with the index it is attached to."""
        parent = next((self.drops[ref] for ref in _above(item, self.before) if ref in self.drops), None)
        if parent is not None:
            self._cover(parent, i)
        return parent is not None

    # --- creations

    def create_with_table(self) -> None:
        """CREATE TABLE holds the constraints that need nothing made later, and no name given up later.

        Of two keys alike it would keep one (transformIndexConstraints in parser/parse_utilcmd.c).
        """
        released = self._releases()
        held: set[object] = set()
        for ref, i in self.creates.items():
            item = self._created(i)
            table = self.creates.get(ref.table) if ref.parent else None
            if table is None or not _is_inlinable(item) or not isinstance(self._created(table), Table):
                continue
            needs = self.after.dependencies.get(ref, frozenset())
            is_free = released.get((ref.schema, ref.name), -1) < table and _key_look(item) not in held
            if is_free and all(self.creates.get(need, -1) < table or need == ref.table for need in needs):
                held.add(_key_look(item))
                self._cover(table, i)

    def _releases(self) -> dict[tuple[str, str], int]:
        """Where each name is given up: by its own drop, or the one that it goes with."""
        whole = {part: i for i, parts in self.covers.items() for part in parts}
        found: dict[tuple[str, str], int] = {}
        for ref, i in self.drops.items():
            found[ref.schema, ref.name] = max(whole.get(i, i), found.get((ref.schema, ref.name), -1))
        return found

    def _created(self, i: int) -> CatalogObject:
        change = self.changes[i]
        assert isinstance(change, CreateObject)
        return change.item

    # --- columns of parents and children

    def hand_down_columns(self) -> None:
        """A change of a parent's column changes its children's; what they are to have otherwise is set after."""
        for (kind, ref), i in list(self.columns.items()):
            if i in self.gone:
                continue
            for heir in self._heirs(ref.table):
                self._hand_down(kind, i, Ref("column", heir.schema, ref.name, heir.name))

    def _heirs(self, table: Ref) -> Iterator[Ref]:
        for heir in self.scene.heirs.get(table, ()):
            apart = Membership.named_after(heir, table, None).ref in self.drops
            if heir in self.before.objects and heir in self.after.objects and heir not in self.drops and not apart:
                yield heir

    def _hand_down(self, kind: type[CatalogChange], i: int, child: Ref) -> None:
        j = self.columns.get((kind, child))
        change = self.changes[i]
        if j is not None and isinstance(own := self.changes[j], DropColumn):
            apart = self.scene.stays_with_heirs(change.ref.table, child.name)
            if "inherited" in dict(own.column.options) and not apart:  # one of its own stays, and goes by itself
                self._cover(i, j)
        elif j is not None and isinstance(change, AddColumn) and isinstance(added := self.changes[j], AddColumn):
            self._alter_or_cover(i, j, handed_down(change.column, added.column), added.column, child)
        elif isinstance(change, AlterColumn):
            self._hand_down_alteration(i, j, change, child)
        for heir in self._heirs(child.table):
            self._hand_down(kind, i, Ref("column", heir.schema, child.name, heir.name))

    def _hand_down_alteration(self, i: int, j: int | None, change: AlterColumn, child: Ref) -> None:
        old, new = _column(self.before, child), _column(self.after, child)
        if old is None or new is None:
            return
        changed = {name: getattr(change.after, name) for name in _HANDED_DOWN if name in change.attributes}
        if not {"type", "collation"}.isdisjoint(changed):
            changed["default"] = change.after.default  # they give up theirs before
        options = dict(old.options)
        for name in _HANDED_DOWN_OPTIONS:
            if dict(change.before.options).get(name) != dict(change.after.options).get(name):
                options.pop(name, None)
                options.update(pair for pair in change.after.options if pair[0] == name)
        given = replace(old, **changed, options=tuple(sorted(options.items())))
        self._alter_or_cover(i, j, given, new, child)

    def _alter_or_cover(self, i: int, j: int | None, given: Column, wanted: Column, child: Ref) -> None:
        """`given` is what the parent's change makes of the child's column."""
        alike = given == wanted
        if j is None:
            if not alike:
                j = len(self.changes)
                self.changes.append(AlterColumn(child.table, given, wanted))
                self.columns[AlterColumn, child] = j
        elif alike:
            self._cover(i, j)
        else:
            self.changes[j] = AlterColumn(child.table, given, wanted)

    # --- indexes of partitions

    def adopt(self) -> None:
        """What a table brings along when it becomes a partition is adopted by the parent, and its own again when it leaves."""
        for i, change in enumerate(self.changes):
            if isinstance(change, CreateObject | DropObject) and isinstance(change.item, Membership):
                self._adopt_by_membership(i, change)

    def _adopt_by_membership(self, i: int, change: CreateObject | DropObject) -> None:
        item = change.item
        assert isinstance(item, Membership)
        joins = isinstance(change, CreateObject)
        catalog, plan = (self.after, self.drops) if joins else (self.before, self.creates)
        handed = {shape(other) for other in catalog.children(item.of) if isinstance(other, Index | Constraint)}
        for ref, j in list(plan.items()):
            child = self.changes[j]
            assert isinstance(child, CreateObject | DropObject)
            is_of = ref.parent == item.parent and ref.schema == item.schema
            if is_of and shape(child.item) in handed and is_usual(child.item):  # under another name it is one of the table's own
                self._cover(i, j)

    def join_and_leave(self) -> None:
        """Memberships of tables that go or come as wholes need no statement."""
        for table in (self.drops, self.creates):
            for ref, i in list(table.items()):
                change = self.changes[i]
                whole = table.get(ref.table)
                if isinstance(change, DropObject) and isinstance(change.item, Membership) and whole is not None:
                    self._cover(whole, i)

    # --- sequences

    def number(self) -> None:
        """A new sequence becomes the property of its column as soon as both are there."""
        for ref, i in self.creates.items():
            item = self._created(i)
            if not isinstance(item, Sequence) or item.owned_by is None or i in self.gone:
                continue
            owner = item.owned_by
            added = self.columns.get((AddColumn, owner))
            altered = self.columns.get((AlterColumn, owner))
            made = self.creates.get(owner.table)
            later = next((j for j in (made, added) if j is not None and j > i), None)
            if later is not None:
                self.owned[later].append(item)
                self.waiting.add(i)
            elif altered is not None and isinstance(change := self.changes[altered], AlterColumn) and change.before.identity:
                self._cover(altered, self.creates[ref])

    # --- rewrites

    def write_once(self) -> None:
        """Neighbours that each would write the same table again do so together."""
        first: int | None = None
        for i in range(len(self.changes)):
            if i in self.gone:
                continue
            if not self._writes_table_again(i):
                first = None
            elif first is not None and self.changes[first].ref.table == self.changes[i].ref.table:
                self._cover(first, i)
            else:
                first = i

    def _writes_table_again(self, i: int) -> bool:
        change = self.changes[i]
        if not isinstance(change, AlterColumn) or any(not isinstance(self.changes[j], AlterColumn) for j in self.covers[i]):
            return False
        return columns.writes_table_again(change.table, change.before, change.after, self.scene)


def _column(catalog: Catalog, ref: Ref) -> Column | None:
    table = table_in(catalog, ref.table)
    return table.column(ref.name) if table else None


def handed_down(parents: Column, own: Column) -> Column:
    """What ADD COLUMN on the parent gives the child: all but what is said of the parent alone."""
    options = tuple(pair for pair in parents.options if pair[0] in ("storage", "compression"))
    origin = tuple(pair for pair in own.options if pair[0] == "inherited")
    return replace(parents, comment=None, options=tuple(sorted(options + origin)))


def _above(item: Index | Constraint, catalog: Catalog) -> Iterator[Ref]:
    """Yield the refs under which the adopting index may be known."""
    if isinstance(item, Index):
        if item.partition_of is not None:
            yield item.partition_of
        return
    name = dict(item.options).get("partition_of")
    table = catalog.objects.get(item.ref.table)
    if name and isinstance(table, Table) and table.partition_of:
        parent = table.partition_of.parent
        yield Ref(item.kind, parent.schema, name, parent.name)


def _is_inlinable(item: CatalogObject) -> bool:
    if isinstance(item, ForeignKey) or not isinstance(item, Constraint):
        return False
    return not (isinstance(item, Check) and not item.is_valid)


def _key_look(item: CatalogObject) -> object:
    """What makes two keys or exclusions of one table the same to CREATE TABLE; of other constraints the constraint itself."""
    if isinstance(item, PrimaryKey | Unique):
        distinct = isinstance(item, Unique) and item.nulls_not_distinct
        return (item.ref.table, item.columns, item.include, distinct, item.deferrable, item.initially_deferred)
    return replace(item, name="", comment=None, options=()) if isinstance(item, Exclusion) else item
