"""The statements of one unit of work."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CreateObject,
    DropColumn,
    DropObject,
    RenameColumn,
    RenameObject,
)
from dbops.catalog.model import Constraint, Sequence, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import columns, hazards, objects, retype, security, sequences, tables
from dbops.engines.postgresql.render.folding import Unit
from dbops.engines.postgresql.render.names import named, parent_of, quote, word
from dbops.engines.postgresql.render.parts import set_aside
from dbops.engines.postgresql.render.scene import Scene, statement
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement


def do(unit: Unit, scene: Scene, rebuild: retype.Rebuild) -> Iterator[Statement]:
    """Yield what carries a unit out."""
    change = unit.change
    match change:
        case CreateObject(item):
            inline = tuple(c.item for c in unit.covers if isinstance(c, CreateObject) and isinstance(c.item, Constraint))
            inline = inline if isinstance(item, Table) else ()
            yield from objects.create(item, scene, inline, is_owned_now=not unit.waits_for_owner, owned=unit.owned)
        case DropObject(Table() as table) if table.ref in scene.renewed:
            yield from set_aside(table, [c.item for c in unit.covers if isinstance(c, DropObject)], scene)
        case DropObject(item):
            yield from objects.drop(item, scene)
        case AlterObject(before, after):
            if after.ref in rebuild.refs:
                yield from retype.statements(rebuild, scene)
            else:
                yield from objects.alter(before, after, scene)
        case AddColumn(table, column):
            yield from columns.add(table, column, scene)
            for sequence in unit.owned:
                yield from sequences.join_new(sequence, scene)
            yield from security.column(change.ref, scene)
        case DropColumn(table, column):
            yield from columns.drop(table, column, scene)
        case AlterColumn(table) if len(unit.together) > 1:
            yield from columns.alter_together(table, [(c.before, c.after) for c in unit.together], scene)
        case AlterColumn(table, before, after):
            between = tuple(_numbering(unit, scene))
            yield from columns.alter(table, before, after, scene, between)
        case RenameObject(before, after):
            yield from _rename(before, after, scene)
        case RenameColumn(table, old, new):
            yield from columns.rename(table, old, new, scene)


def _numbering(unit: Unit, scene: Scene) -> Iterator[Statement]:
    """A serial's sequence goes before the identity takes its name, and comes when the identity is gone."""
    for change in unit.covers:
        if isinstance(change, DropObject) and isinstance(change.item, Sequence):
            yield Statement(f"DROP SEQUENCE {named(change.item.ref)}")
        elif isinstance(change, CreateObject) and isinstance(change.item, Sequence):
            yield from objects.create(change.item, scene)


def _rename(before: Ref, after: Ref, scene: Scene) -> Iterator[Statement]:
    item = scene.after.objects.get(after) or scene.before.objects.get(before)
    found = Hazard("RENAMES", f"programs that use {before.qualified} by this name break")
    if item is None:
        return
    if isinstance(item, Constraint):
        yield statement(f"ALTER TABLE {parent_of(after)} RENAME CONSTRAINT {quote(before.name)} TO {quote(after.name)}", found)
    elif after.parent and after.kind != "index":
        yield statement(f"ALTER {word(item)} {quote(before.name)} ON {parent_of(after)} RENAME TO {quote(after.name)}", found)
    else:
        yield from tables.renamed(word(item), before, after, hazards.brief(scene, before))
