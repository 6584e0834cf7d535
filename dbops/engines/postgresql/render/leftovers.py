"""What a table keeps when it leaves its parent: checks, keys and indexes that were the parent's are its own from then on.

The catalog does not name them on the child while they are handed down, so nothing else would take away those it is not to have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import CatalogObject, Check, Constraint, Exclusion, ForeignKey, Index, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.inspect.made_names import is_made, made_name
from dbops.engines.postgresql.render import hazards
from dbops.engines.postgresql.render.names import named, quote
from dbops.engines.postgresql.render.scene import Scene, parents_of, statement, table_in
from dbops.sql.statement import Statement


def shape(item: CatalogObject) -> object:
    """What makes two indexes or constraints of parent and child alike: everything but whose they are and what they are called."""
    if isinstance(item, Check):
        return ("check", item.name)
    if isinstance(item, Index):
        return replace(item, name="", parent="", schema="", partition_of=None, options=(), comment=None)
    if isinstance(item, ForeignKey):
        return replace(item, name="", parent="", schema="", comment=None)
    return replace(item, name="", parent="", schema="", options=(), comment=None) if isinstance(item, Constraint) else item


def is_usual(item: CatalogObject) -> bool:
    """Tell whether a key or an index may be called as the server calls one that it hands down; of expressions nobody asks."""
    match item:
        case PrimaryKey():
            return is_made(item.name, item.parent, "", "pkey")
        case Unique():
            return is_made(item.name, item.parent, "_".join(item.columns), "key")
        case Index() if all(key.column for key in item.keys):
            return is_made(item.name, item.parent, "_".join([*(key.column or "" for key in item.keys), *item.include]), "idx")
        case _:
            return True


def taken_away(table: Ref, parent: Ref, *, is_partition: bool, scene: Scene) -> Iterator[Statement]:
    """Yield what drops, of a table that just left its parent, what that had handed down and nobody wants there."""
    if table_in(scene.after, table) is None:
        return  # it goes itself
    kept = [child for ref in (table, *ancestors(table, scene.after)) for child in scene.new.children(ref)]
    wanted = {
        shape(item) for item in kept if isinstance(item, Index | Constraint) and (item.ref.table != table or is_usual(item))
    }
    own = {shape(child) for child in scene.old.children(table) if isinstance(child, Index | Constraint)}
    joining = _adopting(scene.new.children(table)) - _adopting(scene.old.children(table))
    for item in _handed_down(parent, is_partition, scene):
        if shape(item) not in wanted | own or item.name in joining:
            name = quote(_name(item, table, scene))
            what = f"INDEX IF EXISTS {quote(table.schema)}.{name}" if isinstance(item, Index) else ""
            sql = f"DROP {what}" if what else f"ALTER TABLE {named(table)} DROP CONSTRAINT IF EXISTS {name}"
            yield statement(sql, *hazards.brief(scene, table), lock_timeout_s=hazards.lock_timeout_s(scene, table))


def _adopting(children: Iterable[CatalogObject]) -> set[str]:
    """Return the names of what adopts keys of a partition's own: an index that the server made would be adopted first."""
    names = (dict(child.options).get("partition_of") for child in children if isinstance(child, Constraint))
    return {name for name in names if name}


def ancestors(table: Ref, catalog: Catalog) -> Iterator[Ref]:
    """Yield the parents of a table, each followed by its own."""
    for parent in parents_of(table_in(catalog, table)):
        yield from (parent, *ancestors(parent, catalog))


def _handed_down(parent: Ref, is_partition: bool, scene: Scene) -> Iterator[Index | Constraint]:
    """Yield what a table and those above it give to their heirs: checks to all, keys and indexes to partitions alone."""
    for item in scene.old.children(parent):
        if isinstance(item, Check):
            if not item.no_inherit:
                yield item
        elif is_partition and isinstance(item, Index | Constraint):
            yield item
    above = scene.before.objects.get(parent)
    for other in parents_of(above):
        yield from _handed_down(other, is_partition and isinstance(above, Table) and above.partition_of is not None, scene)


def _name(item: Index | Constraint, table: Ref, scene: Scene) -> str:
    """Return what the server called it on the child: what the dependencies say, or else the usual name."""
    if isinstance(item, Check | ForeignKey):
        return item.name
    made = (ref for ref in scene.before.dependencies if ref.kind == item.kind and ref.table == table)
    if found := next((ref.name for ref in made if item.ref in scene.before.dependencies[ref]), None):
        return found
    if isinstance(item, Index):
        return made_name(table.name, "_".join([*(key.column or "expr" for key in item.keys), *item.include]), "idx")
    if isinstance(item, PrimaryKey):
        return made_name(table.name, "", "pkey")
    label = "excl" if isinstance(item, Exclusion) else "key"
    return made_name(table.name, "_".join(getattr(item, "columns", ())), label)
