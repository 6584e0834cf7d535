"""Edits of SQL files that make a source mean its goal: the finest first, whole tables written anew when those do not do.

Which edit is right is not decided here: each attempt is proved by the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path

from dbops.catalog.changes import AddColumn, AlterColumn, AlterObject, CatalogChange, CreateObject, DropColumn, DropObject
from dbops.catalog.model import Table
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Server
from dbops.engines.base.engine import Engine
from dbops.resources.schema.accept.attempt import Attempt, Place, Way
from dbops.resources.schema.accept.goal import Goal
from dbops.resources.schema.accept.objects import Objects
from dbops.resources.schema.accept.rendered import rendered
from dbops.resources.schema.accept.tables import Tables
from dbops.resources.schema.accept.texts import SourceTexts


class SqlEdits:
    """Attempts at the files of one source."""

    def __init__(self, files: dict[Path, str], goal: Goal, engine: Engine, server: Server, place: Place) -> None:
        self._files, self._goal, self._engine, self._place = files, goal, engine, place
        self._before = rendered(goal.before, engine, server, goal.after)
        self._after = rendered(goal.after, engine, server, goal.before)

    def edited(self, way: Way) -> dict[Path, str]:
        """Return all files, edited in a way."""
        texts = SourceTexts(dict(self._files), self._engine.dialect)
        attempt = Attempt(texts, self._goal, self._before, self._after, self._place, way)
        objects = Objects(attempt)
        tables = Tables(attempt, objects)
        changes = list(self._goal.accepted.values())
        for ref in tables.touched(changes):
            if ref in way.whole_tables:
                tables.write_anew(ref)
        for change in sorted(changes, key=_turn):
            if change.ref not in attempt.done:
                _take_back(change, objects, tables)
        return texts.files


def ways(goal: Goal, objected: Set[Ref]) -> Iterator[Way]:
    """Yield what to try in turn; `objected` grows meanwhile: the tables about which attempts met objections."""
    yield Way()
    yield Way(constraints_apart=True)
    everywhere = frozenset(ref.table for ref in goal.accepted)
    some = everywhere & objected
    if some and some != everywhere:
        yield Way(whole_tables=some)
    yield Way(whole_tables=everywhere)


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
