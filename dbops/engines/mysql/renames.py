"""Renames the manifest asks for: each keeps rows, keys and privileges where the server can rename at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter

from dbops.catalog.changes import ChangeSet, RenameColumn, RenameObject
from dbops.catalog.model import CatalogObject, Check, Event, ForeignKey, Grant, Routine, Table, Trigger
from dbops.catalog.ref import Ref
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.mysql.code import create_code, drop_code
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.ddl import child_clause
from dbops.engines.mysql.flavour import Flavour
from dbops.engines.mysql.grant_acts import moved, moved_column, place_of
from dbops.engines.mysql.renamed_columns import Speaking, speaking_of
from dbops.engines.mysql.renamed_triggers import row_of, triggers_over
from dbops.engines.mysql.renamed_views import views_over
from dbops.engines.mysql.statements import ddl
from dbops.engines.mysql.tokens import unquoted
from dbops.errors import SchemaError
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement


def rename_acts(changes: ChangeSet, context: RenderContext, flavour: Flavour) -> Iterator[Act]:
    """Yield renames of objects, then of columns, in the order asked for; the undo of the first ends with the views and
    triggers that speak of them.
    """
    acts = list(_acts(changes, context, flavour))
    if acts:
        first = acts[0]
        code = (*_views_made_again(changes, context, flavour), *_triggers_made_again(changes, context, flavour))
        yield replace(first, undo=(*(first.undo or ()), *code))
        yield from acts[1:]


def _views_made_again(changes: ChangeSet, context: RenderContext, flavour: Flavour) -> Iterator[Statement]:
    before = changes.before
    views = views_over(_renames(changes), before)
    needs = {ref: views.intersection(before.dependencies.get(ref, ())) for ref in sorted(views)}
    for ref in TopologicalSorter(needs).static_order():
        yield from create_code(before.objects[ref], context.server.user, flavour, replace=True)


def _triggers_made_again(changes: ChangeSet, context: RenderContext, flavour: Flavour) -> Iterator[Statement]:
    """They are gone by then, unless somebody applied the rename alone."""
    late = triggers_over(_renames(changes), changes.before)
    yield from (ddl(drop_code(item).replace("DROP TRIGGER ", "DROP TRIGGER IF EXISTS ", 1)) for item in late)
    for place, item in enumerate(late):
        row = [other for other in row_of(item, changes.before) if other not in late[place + 1 :]]
        at = row.index(item)
        beside = f"FOLLOWS {quoted(row[at - 1].name)}" if at else f"PRECEDES {quoted(row[1].name)}" if row[1:] else ""
        yield from create_code(item, context.server.user, flavour, place=beside)


def _renames(changes: ChangeSet) -> list[RenameObject | RenameColumn]:
    return [change for change in changes.changes if isinstance(change, RenameObject | RenameColumn)]


def _acts(changes: ChangeSet, context: RenderContext, flavour: Flavour) -> Iterator[Act]:
    tables: dict[str, str] = {}
    held = {ref: item.grants for ref, item in changes.before.objects.items() if item.grants}
    for change in changes.changes:
        if isinstance(change, RenameObject):
            if change.before.kind in ("table", "view", "sequence"):
                tables[change.before.name] = change.after.name
            grants = held.pop(change.before, ())
            held[change.after] = grants
            yield _with_grants(_object(change, changes, context, flavour, tables), change, changes, grants, flavour)
    earlier: dict[str, dict[str, str]] = {}
    for change in changes.changes:
        if isinstance(change, RenameColumn):
            names = earlier.setdefault(change.table.name, {})
            act = _column(change, tables, flavour, speaking_of(change, changes, tables), names)
            yield _with_column_grants(act, change, tables, held, flavour)
            names[change.before] = change.after


def _object(change: RenameObject, changes: ChangeSet, context: RenderContext, flavour: Flavour, tables: dict[str, str]) -> Act:
    old, new = change.before, change.after
    found = Hazard("RENAMES", f"programs that use {old.kind.replace('_', ' ')} {old.qualified} must know it as {new.name}")
    table = tables.get(old.parent, old.parent)  # as it is called then, on the way there and back
    do = _renamed(old, new, table, changes, context, flavour, tables)
    if old in views_over(_renames(changes), changes.before):  # made again under its old name
        undo: tuple[Statement, ...] = (ddl(f"DROP VIEW IF EXISTS {quoted(new.name)}"),)
    else:
        undo = _renamed(new, old, table, changes, context, flavour, tables)
    first = replace(do[0], hazards=(found, *do[0].hazards))
    if old.kind == "sequence":
        do = (*do, *_counting(old.name, changes, tables))
        undo = (*undo, *_counting(old.name, changes, {name: now for name, now in tables.items() if name != old.name}))
    return Act(new, f"rename {old.kind.replace('_', ' ')} {old.name} to {new.name}", (first, *do[1:]), undo)


def _counting(sequence: str, changes: ChangeSet, names: Mapping[str, str]) -> Iterator[Statement]:
    """Say again the defaults that count with a sequence, which the server leaves with a name that is gone (MariaDB 10.11)."""

    def renamed(call: re.Match[str]) -> str:
        name = unquoted(call[2])
        return f"{call[1]}{quoted(names.get(name, name))})"

    for table in changes.before.all(Table):
        moved = [
            f"ALTER COLUMN {quoted(column.name)} SET DEFAULT {_COUNTS.sub(renamed, column.default)}"
            for column in table.columns
            if column.default and any(unquoted(call[2]) == sequence for call in _COUNTS.finditer(column.default))
        ]
        if moved:
            yield ddl(f"ALTER TABLE {quoted(table.name)} {', '.join(moved)}")


_COUNTS = re.compile(r"((?:nextval|lastval)\()(`(?:[^`]|``)+`)\)")


def _with_grants(act: Act, change: RenameObject, changes: ChangeSet, grants: Iterable[Grant], flavour: Flavour) -> Act:
    """Grants stay with the old name of a table or view, and go with a routine that is dropped for its new name."""
    item = _item(changes, (change.before, change.after), {}) if grants else None
    old, new = (place_of(replace(item, name=ref.name)) if item else None for ref in (change.before, change.after))
    if old is None or new is None:
        return act
    survive = not isinstance(item, Routine)
    do = (*act.do, *moved(old, new, grants, flavour, survive=survive))
    return replace(act, do=do, undo=(*(act.undo or ()), *moved(new, old, grants, flavour, survive=survive)))


def _with_column_grants(
    act: Act, change: RenameColumn, tables: Mapping[str, str], held: Mapping[Ref, Iterable[Grant]], flavour: Flavour
) -> Act:
    table = _known_as(change.table.name, tables)
    grants = tuple(held.get(change.table._replace(name=table), ()))
    there = moved_column(table, change.before, change.after, grants, flavour)
    renamed = [replace(grant, column=change.after) for grant in grants if grant.column == change.before]
    back = moved_column(table, change.after, change.before, renamed, flavour)
    return replace(act, do=(*act.do, *there), undo=(*(act.undo or ()), *back)) if there else act


def _renamed(
    old: Ref, new: Ref, parent: str, changes: ChangeSet, context: RenderContext, flavour: Flavour, tables: dict[str, str]
) -> tuple[Statement, ...]:
    if old.kind in ("table", "view", "sequence"):
        return (ddl(f"RENAME TABLE {quoted(old.name)} TO {quoted(new.name)}"),)
    table = quoted(parent)
    if old.kind == "index":
        return (ddl(f"ALTER TABLE {table} RENAME INDEX {quoted(old.name)} TO {quoted(new.name)}"),)
    item = _item(changes, (old, new), tables)
    if isinstance(item, Event):
        return (ddl(f"ALTER EVENT {quoted(old.name)} RENAME TO {quoted(new.name)}"),)
    if isinstance(item, ForeignKey | Check):
        gone = f"DROP {'FOREIGN KEY' if isinstance(item, ForeignKey) else 'CONSTRAINT'} {quoted(old.name)}"
        return (ddl(f"ALTER TABLE {table} {gone}, ADD {child_clause(_named(item, new), flavour)}"),)
    if isinstance(item, Trigger | Routine):
        return (ddl(drop_code(_named(item, old))), *create_code(_named(item, new), context.server.user, flavour))
    raise SchemaError(
        f"a {old.kind.replace('_', ' ')} cannot be renamed: {old.qualified}", fix="take the rename out of the manifest"
    )


def _item(changes: ChangeSet, refs: tuple[Ref, Ref], tables: dict[str, str]) -> CatalogObject | None:
    """The object as it was, whether its table is called by its old name or its new one."""
    old_names = {new: old for old, new in tables.items()}
    known = [*refs, *(ref._replace(parent=old_names.get(ref.parent, ref.parent)) for ref in refs)]
    return next((changes.before.objects[ref] for ref in known if ref in changes.before.objects), None)


def _named(item: CatalogObject, ref: Ref) -> CatalogObject:
    return replace(item, name=ref.name)


def _known_as(name: str, tables: Mapping[str, str]) -> str:
    """Return a table's new name; one that is new may be the old name of another table."""
    return name if name in tables.values() else tables.get(name, name)


def _column(
    change: RenameColumn, tables: dict[str, str], flavour: Flavour, speaking: Speaking, earlier: Mapping[str, str]
) -> Act:
    """Rename a column; `earlier` are the columns of its table that were renamed before, by their old names."""
    table = _known_as(change.table.name, tables)
    found = Hazard("RENAMES", f"programs that use column {table}.{change.before} must know it as {change.after}")
    now = {**earlier, change.before: change.after}

    def renamed(old: str, new: str, before: Mapping[str, str], after: Mapping[str, str], *hazards: Hazard) -> Statement:
        clauses = [f"RENAME COLUMN {quoted(old)} TO {quoted(new)}"]
        if not flavour.renames_inside_expressions:
            clauses = speaking.around(clauses[0], before, after, flavour)
        return ddl(f"ALTER TABLE {quoted(table)} {', '.join(clauses)}", hazards)

    return Act(
        change.ref,
        f"rename column {table}.{change.before} to {change.after}",
        (renamed(change.before, change.after, earlier, now, found),),
        (renamed(change.after, change.before, now, earlier),),
    )
