"""What a statement is written for: the two catalogs, the server's version, and how big the tables are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from functools import cached_property

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Column, Defined, Domain, ForeignKey, ForeignTable, Sequence, Table
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.render import RenderContext
from dbops.engines.postgresql.render.names import qualified
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

#: Fewer rows are changed in one transaction: locking them for the blink of an eye is safer than many small commits.
ONLINE_ROWS = 1_000
#: How long a statement may wait for ACCESS EXCLUSIVE on a table in use before it gives way to the queue behind it.
LOCK_TIMEOUT_S = 3.0
#: CONCURRENTLY waits for transactions that are older than it, and nobody waits behind it meanwhile: it takes what it takes.
NO_TIMEOUT_S = 0.0

Heirs = Mapping[Ref, tuple[Ref, ...]]


class Survey:
    """What a catalog contains, grouped once for many questions."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @cached_property
    def _children(self) -> Mapping[tuple[str, str], list[CatalogObject]]:
        found: defaultdict[tuple[str, str], list[CatalogObject]] = defaultdict(list)
        for item in self._catalog:
            if item.parent:
                found[item.schema, item.parent].append(item)
        return found

    @cached_property
    def _owned(self) -> Mapping[Ref, list[Sequence]]:
        found: defaultdict[Ref, list[Sequence]] = defaultdict(list)
        for item in self._catalog.all(Sequence):
            if item.owned_by is not None:
                found[item.owned_by.table].append(item)
        return found

    @cached_property
    def domains(self) -> Mapping[str, str]:
        """The base types of domains, by the names that column types use."""
        return {qualified(item.schema, item.name): item.base_type for item in self._catalog.all(Domain)}

    @cached_property
    def keys_to(self) -> Mapping[Ref, list[Ref]]:
        """The foreign keys that refer to each table."""
        found: defaultdict[Ref, list[Ref]] = defaultdict(list)
        for item in self._catalog.all(ForeignKey):
            found[item.references].append(item.ref)
        return found

    @cached_property
    def default_privileges(self) -> list[Defined]:
        return [item for item in self._catalog.all(Defined) if item.what == "default_privileges"]

    def children(self, table: Ref) -> list[CatalogObject]:
        """Return constraints, indexes, triggers, ... of a table."""
        return self._children.get((table.schema, table.name), [])

    def owned_by(self, table: Ref) -> list[Sequence]:
        """Return the sequences that live and die with a column of a table."""
        return self._owned.get(table, [])


@dataclass(frozen=True, slots=True)
class Scene:
    """`heirs` are the partitions and inheritance children that every table has before and after the changes.

    `renewed` are objects of `before` that are dropped and made again, `moving` the columns that come or go. `is_way_back`
    says that `after` is what was read from the live database, whose silence on grants means that there are none.
    """

    before: Catalog
    after: Catalog
    context: RenderContext
    old: Survey
    new: Survey
    heirs: Heirs = field(default_factory=dict)
    renewed: frozenset[Ref] = frozenset()
    moving: frozenset[Ref] = frozenset()
    is_way_back: bool = False

    @classmethod
    def of(cls, before: Catalog, after: Catalog, context: RenderContext) -> Scene:
        return cls(before, after, context, Survey(before), Survey(after), heirs_of(before, after))

    @property
    def version(self) -> int:
        """The server's major version."""
        return self.context.server.version[0]

    def rows(self, table: Ref) -> int:
        """Return the estimated rows of a live table with its partitions and heirs, 0 for a new one."""
        return self.context.rows(table) + sum(self.rows(heir) for heir in self.heirs.get(table, ()))

    def size_bytes(self, table: Ref) -> int:
        size = self.context.sizes.get(table)
        return (size.size_bytes if size else 0) + sum(self.size_bytes(heir) for heir in self.heirs.get(table, ()))

    def is_online(self, table: Ref) -> bool:
        """Tell whether statements on this table should avoid blocking others, at the price of a transaction."""
        return self.context.online and self.rows(table) > ONLINE_ROWS

    def table(self, ref: Ref) -> Table | ForeignTable | None:
        """Return a table as it is to be, or as it was when it goes."""
        return table_in(self.after, ref) or table_in(self.before, ref)

    def column(self, table: Ref, name: str) -> Column | None:
        found = self.table(table)
        return found.column(name) if found else None

    def stays_with_heirs(self, table: Ref, name: str) -> bool:
        """Tell whether an heir keeps as its own a column that it had from its parent alone, which gives it up."""
        for heir in self.heirs.get(table, ()):
            old, new = (found.column(name) if (found := table_in(side, heir)) else None for side in (self.before, self.after))
            if old and new and "inherited" in dict(old.options) and "inherited" not in dict(new.options):
                return True
            if old and self.stays_with_heirs(heir, name):
                return True
        return False

    def has_default_partition(self, table: Ref) -> bool:
        """DETACH CONCURRENTLY is refused beside a default partition (manual, ALTER TABLE)."""
        heirs = (self.before.objects.get(heir) for heir in self.heirs.get(table, ()))
        bounds = (heir.partition_of for heir in heirs if isinstance(heir, Table | ForeignTable))
        return any(part is not None and part.bound == "DEFAULT" for part in bounds)

    def stored_in(self, table: Ref) -> tuple[Ref, ...]:
        """Return the tables that hold a table's rows all along, itself first, where others are on other servers; else none."""
        family = self.family(table)
        return tuple(ref for ref in family if ref.kind == "table") if any(ref.kind != "table" for ref in family) else ()

    def family(self, table: Ref) -> list[Ref]:
        """Return a table and those that inherit from it all along, directly or not."""
        family = [table]
        for ref in family:
            heirs = (heir for heir in self.heirs.get(ref, ()) if heir in self.before.objects and heir in self.after.objects)
            family += [heir for heir in heirs if heir not in family and heir not in self.renewed]
        return family

    @property
    def domains(self) -> Mapping[str, str]:
        """The types that the domains of both catalogs are made of in the end."""
        found = {**self.old.domains, **self.new.domains}
        return {name: _root(name, found) for name in found}

    def where_it_is_new(self) -> Scene:
        """Return the scene of something that is being made: nobody uses it yet."""
        return Scene(self.after, self.after, replace(self.context, sizes={}), self.new, self.new, self.heirs)

    def reversed(self) -> Scene:
        """Return the scene of the way back."""
        scene = Scene(self.after, self.before, self.context, self.new, self.old, self.heirs, is_way_back=True)
        return replace(scene, moving=self.moving)


def _root(name: str, bases: Mapping[str, str]) -> str:
    seen = {name}
    while (name := bases[name]) in bases and name not in seen:
        seen.add(name)
    return name


def table_in(catalog: Catalog, ref: Ref) -> Table | ForeignTable | None:
    """Return the table of that name, foreign or not."""
    for kind in ("table", "foreign_table"):
        found = catalog.objects.get(Ref(kind, ref.schema, ref.name))
        if isinstance(found, Table | ForeignTable):
            return found
    return None


def parents_of(item: CatalogObject | None) -> tuple[Ref, ...]:
    """Return the tables whose columns a table inherits."""
    if not isinstance(item, Table | ForeignTable):
        return ()
    return (item.partition_of.parent,) if item.partition_of else item.inherits


def heirs_of(before: Catalog, after: Catalog) -> Heirs:
    """Return, for every table, the tables that inherit from it in both catalogs (in one, where the other lacks the table)."""
    found: defaultdict[Ref, list[Ref]] = defaultdict(list)
    for ref in dict.fromkeys((*before.objects, *after.objects)):
        old, new = before.objects.get(ref), after.objects.get(ref)
        for parent in parents_of(old or new):
            if old is None or new is None or parent in parents_of(new):
                found[parent].append(ref)
    return {ref: tuple(heirs) for ref, heirs in found.items()}


def statement(sql: str, *hazards: Hazard, transactional: bool = True, lock_timeout_s: float | None = None) -> Statement:
    """Return a statement with its hazards, each once."""
    return Statement(sql, (), tuple(dict.fromkeys(hazards)), transactional, lock_timeout_s)


def plain(*texts: str) -> Iterator[Statement]:
    """Yield statements that threaten nothing."""
    for text in texts:
        yield Statement(text)
