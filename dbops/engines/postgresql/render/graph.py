"""A catalog that ordering may add to: defaults and other parts as objects, and dependencies PostgreSQL does not record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Column, Domain, ForeignTable, MaterializedView, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render.names import named
from dbops.engines.postgresql.render.parts import ColumnDefault, DomainRules, ReplicaIdentity, RowType

#: What a default can need that may be made again while the column stays.
OF_DEFAULTS = frozenset({"routine", "sequence", "operator", "cast", "operator_class"})

AnyTable = Table | ForeignTable


def row_holders(objects: Mapping[Ref, CatalogObject]) -> dict[Ref, list[Ref]]:
    """Return the materialized views that store whole rows of a table, by table: it may not be written again under them."""
    views = [item for item in objects.values() if isinstance(item, MaterializedView)]
    tables = {named(ref): ref for ref, item in objects.items() if isinstance(item, Table)} if views else {}
    found: dict[Ref, list[Ref]] = {}
    for view in views:
        for _, kind in view.columns:
            if (table := tables.get(kind.removesuffix("[]"))) is not None:
                found.setdefault(table, []).append(view.ref)
    return found


def domain_holders(objects: Mapping[Ref, CatalogObject]) -> dict[Ref, list[Ref]]:
    """Return the materialized views that store such rows with values of a domain, by domain: it gets no stricter under them."""
    holders = row_holders(objects)
    domains = {named(ref): item for ref, item in objects.items() if isinstance(item, Domain)} if holders else {}
    found: dict[Ref, list[Ref]] = {}
    for ref, views in holders.items():
        table = objects[ref]
        for kind in {column.type for column in table.columns} if isinstance(table, Table) else ():
            while (domain := domains.get(kind)) is not None:
                found.setdefault(domain.ref, []).extend(views)
                kind = domain.base_type
    return found


class Graph:
    """A catalog whose objects and dependencies may be added to; the catalog itself stays as it is."""

    def __init__(self, catalog: Catalog) -> None:
        self.objects: dict[Ref, CatalogObject] = dict(catalog.objects)
        self.needs: dict[Ref, frozenset[Ref]] = dict(catalog.dependencies)
        self._catalog = catalog

    def catalog(self) -> Catalog:
        return replace(self._catalog, objects=self.objects, dependencies=self.needs)

    def add(self, item: CatalogObject, *needs: Ref) -> None:
        self.objects[item.ref] = item
        self.link(item.ref, *needs)

    def link(self, ref: Ref, *needs: Ref) -> None:
        self.needs[ref] = self.needs.get(ref, frozenset()) | set(needs)

    def unlink(self, ref: Ref, *needs: Ref) -> None:
        if ref in self.needs:
            self.needs[ref] = self.needs[ref] - set(needs)

    def table(self, ref: Ref) -> AnyTable | None:
        for kind in ("table", "foreign_table"):
            found = self.objects.get(Ref(kind, ref.schema, ref.name))
            if isinstance(found, Table | ForeignTable):
                return found
        return None

    def column(self, ref: Ref) -> Column | None:
        table = self.table(ref.table)
        return table.column(ref.name) if table else None

    def add_replica_identities(self) -> None:
        """Add what makes an index the replica identity of its table, apart from the table."""
        for table in [item for item in self.objects.values() if isinstance(item, Table)]:
            if identity := ReplicaIdentity.of(table):
                names = (Ref(kind, table.schema, identity.name, table.name) for kind in ("index", "primary_key", "unique"))
                index = next((ref for ref in names if ref in self.objects), table.ref)
                columns = (Ref("column", table.schema, column.name, table.name) for column in table.columns)
                self.add(identity, table.ref, index, *columns)

    def add_domain_rules(self) -> None:
        """Add what domains say of their values, apart from the domains, where it calls something."""
        for domain in [item for item in self.objects.values() if isinstance(item, Domain)]:
            if needs := [need for need in self.needs.get(domain.ref, ()) if need.kind in OF_DEFAULTS]:
                self.add(DomainRules.of(domain), domain.ref, *needs)

    def add_row_types(self) -> None:
        """Add what ties typed tables to their types, apart from the tables."""
        for table in [item for item in self.objects.values() if isinstance(item, Table)]:
            if kind := RowType.of(table):
                needs = self.needs.get(table.ref, frozenset())
                of_type = (need for need in needs if need.kind == "composite_type" and named(need) == kind.name)
                columns = (Ref("column", table.schema, column.name, table.name) for column in table.columns)
                self.add(kind, table.ref, *of_type, *columns)

    def add_defaults(self) -> None:
        """Add each default that needs something, apart from its column."""
        for ref in [ref for ref in self.needs if ref.kind == "column"]:
            column = self.column(ref)
            if column is None or column.default is None:
                continue
            if needs := [need for need in self.needs[ref] if need.kind in OF_DEFAULTS]:
                self.add(ColumnDefault.of(ref.table, column), *needs)
