"""From typed changes to units of work in an order PostgreSQL accepts.

`catalog.order.arrange` finds dependents and sorts; here stands what it asks: what cannot be altered in place, what disturbs
whom, who survives. Then what PostgreSQL does by itself is folded into the statement that does it: children of a dropped
table, constraints that CREATE TABLE can hold, columns and indexes that a parent hands down, sequences that go with a column.
"""

from __future__ import annotations

from dataclasses import replace

from dbops.catalog.catalog import Catalog
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
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    Defined,
    Domain,
    Enum,
    ForeignKey,
    ForeignTable,
    Index,
    RangeType,
    Routine,
    Sequence,
    Table,
)
from dbops.catalog.order import arrange
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.postgresql.render import columns
from dbops.engines.postgresql.render.folding import Unit, fold
from dbops.engines.postgresql.render.graph import OF_DEFAULTS, domain_holders, row_holders
from dbops.engines.postgresql.render.needs import explode
from dbops.engines.postgresql.render.objects import is_in_place
from dbops.engines.postgresql.render.parts import ColumnDefault, DomainRules, Membership, ReplicaIdentity, Rows, RowType
from dbops.engines.postgresql.render.retype import Rebuild, find_rebuild, tightens, without_conversions
from dbops.engines.postgresql.render.scene import Scene
from dbops.engines.postgresql.render.tables import is_written_again

#: What the values of a column are made of.
_OF_VALUES = (Enum, Domain, CompositeType, RangeType, Routine)
_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_TEXTS = ("text", "character varying")


@dataclass(frozen=True, slots=True)
class Ordered:
    """Units in order, the types built anew among them, and functions that mention what comes after them."""

    units: tuple[Unit, ...]
    rebuild: Rebuild
    unchecked: frozenset[Ref] = frozenset()


def ordered(changes: ChangeSet, scene: Scene) -> Ordered:
    """Return everything that has to be done, dependents included, in an order in which each statement can run."""
    rebuild = find_rebuild(changes)
    exploded, unchecked = explode(replace(changes, changes=without_conversions(changes.changes, rebuild)), rebuild)
    judge = _Judge(exploded, rebuild, scene)
    found = arrange(
        exploded,
        replaces=judge.replaces,
        disturbs=judge.disturbs,
        survives=judge.survives,
        gives_way=judge.gives_way,
        hurries=lambda change: change.ref.kind == "routine",
    )
    found = tuple(_types_before_rows(list(found), exploded.after))
    return Ordered(fold(_completed(found, exploded), exploded, scene), _without_defaults(rebuild, found), unchecked)


def _types_before_rows(found: list[CatalogChange], after: Catalog) -> list[CatalogChange]:
    """Let types come before a table that is made of them anew steps aside: on the way back its rows wait in such values.

    What needs something that comes in between, or a name that is given up there, stays where it is.
    """
    coming = {change.ref: change for change in found if isinstance(change, CreateObject)}
    for change in [one for one in found if isinstance(one, DropObject) and isinstance(one.item, Table) and one.ref in coming]:
        first, last = found.index(change), found.index(coming[change.ref])
        wanted = _made_of(change.ref, after) & coming.keys()
        waiting: set[Ref] = set()
        given_up: set[tuple[str, str]] = set()
        early: list[CatalogChange] = []
        for one in found[first:last]:
            is_ready = (
                not after.dependencies.get(one.ref, frozenset()) & waiting and (one.ref.schema, one.ref.name) not in given_up
            )
            if one.ref in wanted and isinstance(one, CreateObject) and isinstance(one.item, _OF_VALUES) and is_ready:
                early.append(one)
            elif isinstance(one, DropObject):
                given_up.add((one.ref.schema, one.ref.name))
            else:
                waiting.add(one.ref)
        found[first:last] = [*early, *(one for one in found[first:last] if one not in early)]
    return found


def _made_of(table: Ref, catalog: Catalog) -> set[Ref]:
    """Return what the columns of a table need, and what that needs."""
    item = catalog.objects.get(table)
    found: set[Ref] = set()
    asked = [table, *(column_ref(table, column.name) for column in item.columns)] if isinstance(item, Table) else []
    while asked:
        needs = catalog.dependencies.get(asked.pop(), frozenset()) - found
        found |= needs
        asked += needs
    return found


class _Judge:
    """The answers to what `arrange` asks."""

    def __init__(self, changes: ChangeSet, rebuild: Rebuild, scene: Scene) -> None:
        self.rebuild, self.scene = rebuild, scene
        self.before, self.after = changes.before, changes.after
        self.holders = row_holders(changes.before.objects) | domain_holders(changes.before.objects)

    def replaces(self, change: CatalogChange) -> bool:
        if isinstance(change, AlterColumn):
            return not columns.is_in_place(change.before, change.after, self.scene.version)
        if not isinstance(change, AlterObject) or change.ref in self.rebuild.refs:
            return False
        return change.before == change.after or not is_in_place(change.before, change.after, self.scene)

    def disturbs(self, change: CatalogChange) -> bool:
        match change:
            case DropObject() | DropColumn():
                return True
            case AlterColumn(_, before, after):
                return (before.type, before.collation) != (after.type, after.collation)
            case AddColumn(table, column):
                return table in self.holders and columns.fills_every_row(column, self.scene)
            case AlterObject(before, after):
                is_heavy = is_written_again(before, after) or tightens(change)
                return change.ref in self.rebuild.refs or (change.ref in self.holders and is_heavy)
        return False

    def gives_way(self, ref: Ref, column: Column, change: CatalogChange) -> bool:
        """A computed column does; not where whole rows alone are in the way."""
        return column.generated is not None and not self._concerns_holders(change)

    def _concerns_holders(self, change: CatalogChange) -> bool:
        """Tell whether a table is written again, or a domain gets stricter, which none but those with whole rows forbid."""
        return isinstance(change, AlterObject) and change.ref in self.holders and change.ref not in self.rebuild.refs

    def survives(self, dependent: CatalogObject, change: CatalogChange) -> bool:
        if isinstance(dependent, Table | ForeignTable):
            return self._table_survives(dependent, change)
        if isinstance(dependent, ColumnDefault):
            return self._default_survives(dependent, change)
        if isinstance(dependent, Sequence | Membership | Rows):
            return True
        if isinstance(dependent, DomainRules) and change.ref == dependent.domain.ref:
            return True
        if isinstance(dependent, DomainRules) and dependent.domain.ref not in self.after.objects:
            return True
        if isinstance(dependent, Domain) and change.ref.kind in OF_DEFAULTS:
            return dependent.ref in self.after.objects  # its rules step aside
        if isinstance(dependent, ReplicaIdentity | RowType) and dependent.ref.table not in self.after.objects:
            return True  # it goes with its table
        match change:
            case AlterColumn():
                return self._survives_retyping(dependent, change)
            case AlterObject() if self._concerns_holders(change):
                return dependent.ref not in self.holders[change.ref]
            case AlterObject():
                return dependent.ref in self.rebuild.refs or self._survives_rebuild(dependent)
            case DropObject(item):
                return self._survives_drop(dependent, item)
        return False

    def _table_survives(self, dependent: Table | ForeignTable, change: CatalogChange) -> bool:
        """A table needs what its columns need; only its server makes it go."""
        if not isinstance(change, DropObject):
            return True
        return not (isinstance(dependent, ForeignTable) and change.ref == Ref("server", "", dependent.server))

    def _default_survives(self, dependent: ColumnDefault, change: CatalogChange) -> bool:
        """Only a default whose function or sequence is made again has to be away; others change with their column."""
        if not isinstance(change, DropObject):
            return True
        return change.ref not in self.after.dependencies.get(dependent.ref, frozenset())

    def _survives_drop(self, dependent: CatalogObject, item: CatalogObject) -> bool:
        """A table dropped for good leaves its publications by itself."""
        is_publication = isinstance(dependent, Defined) and dependent.what == "publication"
        return is_publication and isinstance(item, Table) and item.ref not in self.after.objects

    def _survives_rebuild(self, dependent: CatalogObject) -> bool:
        """What only stands on a column of the type is built again with the column; an expression that names the type is not."""
        if isinstance(dependent, ForeignKey):
            return False
        recorded = self.scene.before.dependencies.get(dependent.ref, frozenset())
        return isinstance(dependent, Index | Constraint) and not _has_targets(dependent) and not recorded & self.rebuild.refs

    def _survives_retyping(self, dependent: CatalogObject, change: AlterColumn) -> bool:
        """PostgreSQL builds indexes, constraints and statistics again when a type changes, and loses some of what they had."""
        if isinstance(dependent, ForeignKey):
            is_own = (change.table, change.after.name) in _columns_compared(dependent)  # or its target includes the column
            return is_own and self._stays_comparable(dependent)
        if isinstance(dependent, Defined) and dependent.what == "statistics":
            return not dependent.options and dependent.owner in (None, self.scene.context.server.user)
        if isinstance(dependent, Defined):
            return dependent.what == "publication" and " WHERE (" not in dependent.definition
        return isinstance(dependent, Index | Constraint) and not _has_targets(dependent)

    def _stays_comparable(self, key: ForeignKey) -> bool:
        """One side changes before the other: types of one family can be compared meanwhile."""
        types = {
            column.type
            for catalog in (self.before, self.after)
            for table, name in _columns_compared(key)
            if isinstance(found := catalog.objects.get(table), Table) and (column := found.column(name))
        }
        return types <= _INTEGERS or all(kind.startswith(_TEXTS) and not kind.endswith("]") for kind in types)


def _has_targets(item: CatalogObject) -> bool:
    """Tell whether an index has statistics targets for its expressions."""
    return isinstance(item, Index) and any(name.startswith("statistics") for name, _ in item.options)


def _columns_compared(key: ForeignKey) -> list[tuple[Ref, str]]:
    return [*((key.ref.table, name) for name in key.columns), *((key.references, name) for name in key.referenced_columns)]


def _completed(found: tuple[CatalogChange, ...], changes: ChangeSet) -> tuple[CatalogChange, ...]:
    """Give what goes or is made again the owner and grants it had, and let a default come back as it is wanted."""
    return tuple(_as_it_was(change, changes.before) for change in _toast_apart(_without_split_defaults(found, changes)))


def _toast_apart(found: list[CatalogChange]) -> list[CatalogChange]:
    """Parameters of a TOAST table need one: they go while it is surely there, and come with the column that brings it.

    Where there is none they are ignored, on the way back too.
    """
    earlier: list[CatalogChange] = []
    result: list[CatalogChange] = []
    later: list[CatalogChange] = []
    for change in found:
        if isinstance(change, AlterObject) and isinstance(change.before, Table) and isinstance(change.after, Table):
            old, new = change.before, change.after
            stays = _with_toast(old, [pair for pair in _toast(old) if pair[0] in dict(_toast(new))])
            comes = _with_toast(new, _toast(stays))
            earlier += [AlterObject(old, stays)] if old != stays else []
            result += [AlterObject(stays, comes)] if stays != comes else []
            later += [AlterObject(comes, new)] if comes != new else []
        else:
            result.append(change)
    return earlier + result + later


def _toast(table: Table) -> list[tuple[str, str]]:
    return [pair for pair in table.options if pair[0].startswith("toast.")]


def _with_toast(table: Table, pairs: list[tuple[str, str]]) -> Table:
    others = [pair for pair in table.options if not pair[0].startswith("toast.")]
    return replace(table, options=tuple(sorted(others + pairs)))


def _as_it_was(change: CatalogChange, before: Catalog) -> CatalogChange:
    if not isinstance(change, CreateObject | DropObject) or (old := before.objects.get(change.ref)) is None:
        return change
    if isinstance(change, DropObject):
        return DropObject(old)
    item = change.item
    owner = item.owner if item.owner is not None else old.owner
    grants = item.grants if item.grants is not None else old.grants
    return CreateObject(replace(item, owner=owner, grants=grants)) if (owner, grants) != (item.owner, item.grants) else change


def _without_split_defaults(found: tuple[CatalogChange, ...], changes: ChangeSet) -> list[CatalogChange]:
    """A column whose default steps aside is altered without it, and a domain without its rules; a new one brings them along."""
    aside = _stepping_aside(found)
    made = {change.ref for change in found if isinstance(change, CreateObject)}
    result: list[CatalogChange] = []
    for change in found:
        if isinstance(change, AlterColumn) and Ref("default", *change.ref[1:]) in aside:
            change = replace(change, before=replace(change.before, default=None), after=replace(change.after, default=None))
            if change.before == change.after:
                continue
        if isinstance(change, CreateObject) and isinstance(change.item, DomainRules) and change.item.domain.ref in made:
            continue
        if isinstance(change, AlterObject) and Ref(DomainRules.kind, change.ref.schema, change.ref.name) in aside:
            if (rest := _without_rules(change)) is None:
                continue
            change = rest
        result.append(change)
    return result


def _without_defaults(rebuild: Rebuild, found: tuple[CatalogChange, ...]) -> Rebuild:
    """Let a type be built anew under columns whose defaults step aside without these, as such columns are altered."""
    aside = _stepping_aside(found)
    conversions = (
        replace(one, before=replace(one.before, default=None), after=replace(one.after, default=None))
        if Ref("default", *one.ref[1:]) in aside
        else one
        for one in rebuild.conversions
    )
    return replace(rebuild, conversions=tuple(conversions))


def _stepping_aside(found: tuple[CatalogChange, ...]) -> set[Ref]:
    parts = (ColumnDefault, DomainRules)
    return {change.ref for change in found if isinstance(change, DropObject) and isinstance(change.item, parts)}


def _without_rules(change: AlterObject) -> AlterObject | None:
    before, after = change.before, change.after
    if isinstance(before, Domain) and isinstance(after, Domain):
        before = replace(before, default=after.default, checks=after.checks, check_comments=after.check_comments)
    return AlterObject(before, after) if before != after else None
