"""What counts as applied of a schema after an undo: what it left, but for what somebody else had changed before."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.declared import as_declared
from dbops.reconcile.resource import Targets
from dbops.resources.schema.last_applied import last_applied, rows_key
from dbops.resources.schema.model import DesiredSchema

_NO_ROWS = "taken back"
"""The digest of no rows, so that wanted rows are what the manifests ask for and no drift."""


@contextmanager
def taking_back(schema: DesiredSchema, targets: Targets, undo_id: str, addresses: Collection[str]) -> Iterator[None]:
    """Remember as applied what the block makes of the database; the manifests' sources are not needed for it."""
    memory = targets.memory(schema.connection)
    applied = last_applied(schema, memory)
    if applied is None:
        yield
        return
    before = _live(schema, targets, applied)
    yield
    memory.remember(schema.address, codec.to_json(moved(applied, before, _live(schema, targets, applied))), undo_id)
    for ref in applied.objects:
        if rows_key(schema, ref) in addresses:
            memory.remember(rows_key(schema, ref), _NO_ROWS, undo_id)


def _live(schema: DesiredSchema, targets: Targets, applied: Catalog) -> Catalog:
    live = targets.engine(schema.connection).inspect(targets.writer(schema.connection), schema.scope)
    features = targets.engine(schema.connection).features
    return as_declared(live, applied, by_grantee=features.grants_by_grantee)


def moved(applied: Catalog, before: Catalog, after: Catalog) -> Catalog:
    """Return `applied` with every object as it is in `after` that has changed since `before`, when it was as applied. Pure."""
    mine = {ref for ref in {*before.objects, *after.objects} if before.objects.get(ref) != after.objects.get(ref)}
    drifted = {ref for ref in mine if applied.objects.get(ref) != before.objects.get(ref)}
    taken = mine - drifted
    kept = {ref: item for ref, item in applied.objects.items() if ref not in taken}
    found = {ref: item for ref, item in after.objects.items() if ref in taken}
    needs = [(applied.dependencies, kept), (after.dependencies, found)]
    dependencies = {ref: need for side, objects in needs for ref, need in side.items() if ref in objects}
    return replace(applied, objects={**kept, **found}, dependencies=dependencies).in_order()
