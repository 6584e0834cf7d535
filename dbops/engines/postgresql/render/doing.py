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
from dbops.catalog.model import Column, Constraint, Sequence, Table
from dbops.catalog.ref import Ref
from dbops.engines.postgresql.render import columns, hazards, numbers, objects, retype, security, sequences, tables
from dbops.engines.postgresql.render.folding import Unit
from dbops.engines.postgresql.render.names import parent_of, quote, word
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
            drops = (c.item for c in unit.covers if isinstance(c, DropObject))
            going = tuple(item.ref for item in drops if isinstance(item, Sequence))
            yield from columns.alter(table, before, after, scene, tuple(_numbered_by(unit, before, scene)), going)
        case RenameObject(before, after):
            yield from _rename(before, after, scene)
        case RenameColumn(table, old, new):
            yield from columns.rename(table, old, new, scene)


def _numbered_by(unit: Unit, before: Column, scene: Scene) -> Iterator[Statement]:
    """Make the sequences of a column that has been an identity; the identity's own gives up its name and tells its place."""
    table, made = unit.change.ref.table, [c.item for c in unit.covers if isinstance(c, CreateObject)]
    new = [item for item in made if isinstance(item, Sequence)]
    if not new:
        return
    old = numbers.of_identity(table, before)
    yield numbers.give_up_name(old)
    for item in new:
        yield from sequences.create(item, is_owned_now=True, scene=scene, before=(numbers.aside_ref(old),))
        yield from security.new_object(item, scene)


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
