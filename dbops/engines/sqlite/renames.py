"""Renames that the manifest asks for, by ALTER TABLE, which takes views, triggers and foreign keys along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import RenameColumn, RenameObject, inverse
from dbops.catalog.model import CatalogObject, Index, Table, Trigger, View, VirtualTable
from dbops.engines.base.render import Act
from dbops.engines.sqlite import virtual
from dbops.engines.sqlite.ddl import create_index, create_trigger, create_view
from dbops.engines.sqlite.errors import REBUILD_PREFIX
from dbops.engines.sqlite.handed_on import broken_by
from dbops.engines.sqlite.tokens import names_of, quote, tokenize
from dbops.errors import SchemaError
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement

#: What shares one room of names, and has triggers.
_NAMED = frozenset({"table", "virtual_table", "view"})


def rename_acts(renames: Sequence[RenameObject | RenameColumn], before: Catalog) -> list[Act]:
    """Return one act for each rename.

    SQLite renames nothing while a view or trigger does not compile, or would not do so afterwards, so those step aside. So do the
    triggers on a view that gets another name: they would go with the old one.
    """
    left_behind = broken_by(renames, before)
    broken = [
        item
        for item in before
        if isinstance(item, View | Trigger) and (item.ref not in before.dependencies or item.ref in left_behind)
    ]
    acts = []
    names: Mapping[str, str] = {}
    for change in renames:
        old = change.before.name if isinstance(change, RenameObject) else change.before
        title = f"rename {change.ref.kind} {old} to {change.ref.name}"
        had, item = names, before.get(change.before) if isinstance(change, RenameObject) else None
        if isinstance(change, RenameObject) and change.ref.kind in _NAMED:
            original = next((name for name, now in had.items() if now == old), old)
            names = {**had, original: change.ref.name}
        back = inverse(change)
        assert isinstance(back, RenameObject | RenameColumn)
        if isinstance(item, View):
            aside = [each for each in before if each in broken or each == item or _is_on(each, item)]
            acts.append(Act(change.ref, title, _aside((), aside, before, had, names), _aside((), aside, before, names, had)))
        else:
            do, undo = (tuple(_statements(each, item, before)) for each in (change, back))
            acts.append(Act(change.ref, title, _aside(do, broken, before, had, names), _aside(undo, broken, before, names, had)))
    if refills := _refills(renames, before):
        acts[0] = replace(acts[0], undo=(*(acts[0].undo or ()), *refills))
    return acts


def _is_on(item: CatalogObject, view: View) -> bool:
    return isinstance(item, Trigger) and item.parent == view.name


def _refills(renames: Sequence[RenameObject | RenameColumn], before: Catalog) -> list[Statement]:
    """Return what fills the full-text indexes over what was renamed, at the end of the undo, when all has its old name.

    They know their text by the old names, so what brought them back could not read it yet.
    """
    old_names = {change.after.name: change.before.name for change in renames if isinstance(change, RenameObject)}
    changed = (change.after.name if isinstance(change, RenameObject) else change.table.name for change in renames)
    touched = {old_names.get(name, name).lower() for name in changed}
    over = ((item, virtual.content_in(item, before)) for item in before if isinstance(item, VirtualTable))
    return [Statement(virtual.refill(index)) for index, content in over if content and content.name.lower() in touched]


def _aside(
    statements: tuple[Statement, ...],
    aside: Sequence[CatalogObject],
    catalog: Catalog,
    there: Mapping[str, str],
    then: Mapping[str, str],
) -> tuple[Statement, ...]:
    """Put statements between the going and the coming back of views and triggers.

    `there` are the names that tables and views have before, `then` those that they have afterwards.
    """
    away, back = [], []
    for item in aside:
        if isinstance(item, View):
            old, new = there.get(item.name, item.name), then.get(item.name, item.name)
            held = (_hazard(f"view {old}", new),) if old != new else ()
            away.append(Statement(f"DROP VIEW {quote(old)}", hazards=held))
            back.append(create_view(item if new == item.name else replace(item, name=new, spelling=None), catalog))
        elif isinstance(item, Trigger):
            away.append(Statement(f"DROP TRIGGER {quote(item.name)}"))
            back.append(_trigger(item, catalog, then))
    return (*reversed(away), *statements, *(Statement(sql) for sql in back))


def _trigger(item: Trigger, catalog: Catalog, names: Mapping[str, str]) -> str:
    """SQLite looks for the table of a trigger when that is made, and for what it does when it fires."""
    sql = create_trigger(item, catalog)
    if (name := names.get(item.parent)) is None:
        return sql
    tokens = tokenize(sql)
    table = next(token for before, token in pairwise(tokens) if before.word == "ON" and token.name.lower() == item.parent.lower())
    return f"{sql[: table.start]}{quote(name)}{sql[table.end :]}"


def _statements(change: RenameObject | RenameColumn, item: CatalogObject | None, before: Catalog) -> Iterable[Statement]:
    if isinstance(change, RenameColumn):
        sql = f"ALTER TABLE {quote(change.table.name)} RENAME COLUMN {quote(change.before)} TO {quote(change.after)}"
        yield Statement(sql, hazards=(_hazard(f"column {change.table.name}.{change.before}", change.after),))
        return
    old, new = change.before.name, change.after.name
    held = (_hazard(f"{change.ref.kind.replace('_', ' ')} {old}", new),)
    if change.ref.kind in ("table", "virtual_table"):
        if old.lower() == new.lower():  # one name to SQLite, which then finds it taken
            yield Statement(f"ALTER TABLE {quote(old)} RENAME TO {quote(REBUILD_PREFIX + new)}")
            old = REBUILD_PREFIX + new
        yield Statement(f"ALTER TABLE {quote(old)} RENAME TO {quote(new)}", hazards=held)
        return
    if item is None:
        raise SchemaError(f"there is no {change.ref.kind} {old} to rename")
    yield Statement(f"DROP {change.ref.kind.upper()} {quote(old)}", hazards=held)
    yield Statement(_made(replace(item, name=new, spelling=None), before))


def _made(item: CatalogObject, catalog: Catalog) -> str:
    match item:
        case Trigger():
            head, _, rest = item.definition.partition(" TRIGGER ")
            return f"{head} TRIGGER {quote(item.name)} {rest.partition(' ')[2]}"
        case Index():
            table = catalog.table("", item.parent)
            return create_index(item, names_of(column.name for column in table.columns) if isinstance(table, Table) else {})
        case _:
            raise SchemaError(f"SQLite cannot rename a {item.kind}")


def _hazard(what: str, new: str) -> Hazard:
    return Hazard("RENAMES", f"{what} becomes {new}: programs that use the old name break")
