"""Edits of SQL files that make a source mean its goal: the finest first, whole tables written anew when those do not do.

Which edit is right is not decided here: each attempt is proved by the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject, DropColumn, DropObject
from dbops.catalog.model import Table
from dbops.engines.base.connect import Server
from dbops.engines.base.engine import Engine
from dbops.resources.schema.accept.attempt import Attempt, Place, Way
from dbops.resources.schema.accept.goal import Goal
from dbops.resources.schema.accept.objects import Objects
from dbops.resources.schema.accept.rendered import rendered
from dbops.resources.schema.accept.tables import Tables
from dbops.resources.schema.accept.texts import SourceTexts

_WAYS = (Way(), Way(constraints_apart=True), Way(whole_tables=True))


def attempts(files: dict[Path, str], goal: Goal, engine: Engine, server: Server, place: Place) -> Iterator[dict[Path, str]]:
    """Yield edited files, an attempt after the other; attempts equal to an earlier one are left out."""
    before = rendered(goal.before, engine, server, goal.after)
    after = rendered(goal.after, engine, server, goal.before)
    seen: list[dict[Path, str]] = [files]
    for way in _WAYS:
        texts = SourceTexts(dict(files), engine.dialect)
        _edit(Attempt(texts, goal, before, after, place, way))
        if texts.files not in seen:
            seen.append(texts.files)
            yield texts.files


def _edit(attempt: Attempt) -> None:
    objects = Objects(attempt)
    tables = Tables(attempt, objects)
    changes = list(attempt.goal.accepted.values())
    if attempt.way.whole_tables:
        for ref in tables.touched(changes):
            tables.write_anew(ref)
    for change in sorted(changes, key=_turn):
        if change.ref not in attempt.done:
            _take_back(change, objects, tables)


def _take_back(change: CatalogChange, objects: Objects, tables: Tables) -> None:
    match change:
        case CreateObject(item):
            objects.remove(item)
        case DropObject(item):
            objects.add(item)
        case AlterObject(before, after) if isinstance(before, Table):
            tables.change_table(after.ref)
        case AlterObject(before, after):
            objects.change(after, before)
        case AddColumn(table, column, _):
            tables.remove_column(table, column.name)
        case DropColumn(table, column):
            tables.add_column(table, column.name)
        case AlterColumn(table, before, _):
            tables.change_column(table, before.name, change.moved)
        case _:
            pass


def _turn(change: CatalogChange) -> int:
    """What goes first, columns before keys, what comes last, tables before what stands on them."""
    match change:
        case CreateObject() | AddColumn():
            return 0 if change.ref.parent else 1
        case AlterObject() | AlterColumn():
            return 2
        case DropColumn():
            return 3
        case _:
            return 5 if change.ref.parent else 4
