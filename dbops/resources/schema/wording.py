"""Words that differ and mean the same.

An engine that reads its own text of a view or a check may show it in other words afterwards: a dump of `state IN ('a', 'b')`
on varchar, read again, casts each element instead of the list. Whether two texts mean the same the engine is asked: both are
made on a scratch database and read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, AlterObject, CatalogChange, diff
from dbops.catalog.closure import Closure
from dbops.catalog.declared import as_declared
from dbops.catalog.model import CatalogObject, Column, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.errors import QueryError
from dbops.resources.schema.copying import build

Scratch = Callable[[Target], AbstractContextManager[Connection]]
"""Opens an empty temporary database."""

_TEXTS = frozenset({"definition", "expression", "predicate", "using", "check", "checks", "keys"})
_COLUMN_TEXTS = frozenset({"default", "generated"})


def in_words_of(wanted: Catalog, live: Catalog, engine: Engine, target: Target, scratch: Scratch | None = None) -> Catalog:
    """Return `live` with the texts of `wanted` wherever the engine reads both as the same.

    `scratch` opens the databases where that is not for the engine to do on the target's server. Costs nothing where no object
    differs in its texts alone; else two scratch databases with these objects and what they need.
    """
    changes = diff(as_declared(live, wanted, by_grantee=engine.features.grants_by_grantee), wanted)
    doubtful = [change for change in changes if _differs_in_words(change)]
    if not doubtful:
        return live
    refs = {change.ref for change in doubtful}
    ours, theirs = (_read_back(catalog, refs, engine, target, scratch or engine.scratch) for catalog in (live, wanted))
    if ours is None or theirs is None:
        return live
    objects = dict(live.objects)
    for change in doubtful:
        if _part(ours, change) is not None and _texts(_part(ours, change)) == _texts(_part(theirs, change)):
            owner = change.table if isinstance(change, AlterColumn) else change.ref
            objects[owner] = _reworded(objects[owner], change)
    return replace(live, objects=objects)


def _differs_in_words(change: CatalogChange) -> bool:
    match change:
        case AlterObject(before, after):
            return bool(_texts(before)) and _but_texts(before) == _but_texts(after)
        case AlterColumn(_, before, after, moved):
            return not moved and _but_texts(before) == _but_texts(after)
    return False


def _texts(item: CatalogObject | Column | None) -> dict[str, Any]:
    names = _COLUMN_TEXTS if isinstance(item, Column) else _TEXTS
    return {} if item is None else {f.name: getattr(item, f.name) for f in fields(item) if f.name in names}


def _but_texts(item: CatalogObject | Column) -> dict[str, Any]:
    texts = _texts(item)
    return {f.name: getattr(item, f.name) for f in fields(item) if f.compare and f.name not in texts}


def _read_back(catalog: Catalog, refs: Iterable[Ref], engine: Engine, target: Target, scratch: Scratch) -> Catalog | None:
    """Return the objects as the engine reads them again; None when they cannot be made by themselves."""
    closure = Closure(catalog)
    part = catalog.only(closure.needed(closure.whole(ref) if ref.kind == "column" else ref for ref in refs)[0])
    for attempt in (part, catalog):  # what a body of SQL mentions is recorded by nobody
        with scratch(target) as conn:
            try:
                build(attempt, engine, conn, for_reading=True)
            except QueryError:
                continue
            return engine.inspect(conn)
    return None


def _part(catalog: Catalog, change: CatalogChange) -> CatalogObject | Column | None:
    if isinstance(change, AlterColumn):
        table = catalog.get(change.table)
        return table.column(change.after.name) if isinstance(table, Table) else None
    return catalog.get(change.ref)


def _reworded(item: CatalogObject, change: CatalogChange) -> CatalogObject:
    if isinstance(change, AlterColumn) and isinstance(item, Table):
        texts = _texts(change.after)
        columns = (replace(column, **texts) if column.name == change.after.name else column for column in item.columns)
        return replace(item, columns=tuple(columns))
    return replace(item, **_texts(change.after)) if isinstance(change, AlterObject) else item
