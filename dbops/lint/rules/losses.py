"""Hazards of losing rows, values, objects or names."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.lint.facts import Action, Alter, AlterTable, AlterType, Column, Create, CreateTable, Dml, Drop, Name, Rename, Truncate
from dbops.lint.rule import ENGINES, MY, PG, Hit, hazard
from dbops.lint.statements import Read
from dbops.lint.types import canonical, narrows
from dbops.lint.world import World

_WITH_ROWS = ("table", "foreign table", "virtual table", "schema", "database", "catalog", "tablespace")
_RIGHTS = ("policy", "role", "user", "group", "user mapping", "extension", "publication", "subscription")


@hazard(
    "DELETES_DATA",
    ENGINES,
    why="What is dropped, truncated or cut off is gone when the statement returns; only a backup brings it back.",
    advice="Stop writing and reading it first, keep a copy (CREATE TABLE archive AS SELECT ...), drop it in a later release.",
)
def deletes_data(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case Drop(kind, names) if kind in _WITH_ROWS and not read.fact.is_temporary:
            for name in names:
                if kind != "foreign table" and not _is_gone_anyway(name, kind, world):
                    yield Hit(name.at, f"{kind} {name} is dropped with all that is in it")
        case Truncate(tables):
            yield from (Hit(name.at, f"all rows of {name} are deleted") for name in tables if not world.is_new(name))
        case Dml("delete", table, False) if not world.is_new(table):
            yield Hit(0, f"all rows of {table} are deleted: there is no WHERE")
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if text := _lost(action, table, world):
                    yield Hit(action.at, text)
        case _:
            pass


def _is_gone_anyway(name: Name, kind: str, world: World) -> bool:
    """Return whether nothing is lost: the object is of this unit, or its rows were moved to the table that takes its name."""
    return world.is_new(name, kind) or (kind == "table" and world.key(name) in world.rebuilt)


def _lost(action: Action, table: Name, world: World) -> str:
    """Return what an action of ALTER TABLE loses, empty when nothing that can be told from text."""
    known = world.column(table, action.name)
    match action.kind:
        case "drop_column":
            is_computed = known is not None and known.generated != ""
            return "" if is_computed else f"column {table}.{action.name} is dropped with its values"
        case "drop_partition" | "truncate_partition":
            verb = "dropped with its rows" if action.kind == "drop_partition" else "emptied"
            return f"partition {action.name} of {table} is {verb}"
        case "alter_type" | "modify_column" if known and known.type and action.type:
            if narrows(known.type, action.type, is_mysql=world.dialect.name == "mysql"):
                return (
                    f"{table}.{action.name} changes from {known.type} to {action.type}: values that do not fit are refused or cut"
                )
            if _labels_gone(known, action):
                return f"column {table}.{action.name} loses labels that rows may hold"
    return ""


def _labels_gone(known: Column, action: Action) -> bool:
    if known.type is None or action.type is None or canonical(known.type) not in ("enum", "set"):
        return False
    return canonical(action.type) == canonical(known.type) and not set(known.type.arguments) <= set(action.type.arguments)


@hazard(
    "DELETES_OBJECT",
    ENGINES,
    why="Programs, views and functions that nobody has in mind may still use it.",
    advice="Search the code and the statement statistics for its name first; drop it in a later release than the last use.",
)
def deletes_object(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case Drop(kind, names) if kind not in (*_WITH_ROWS, *_RIGHTS, "index") and not read.fact.is_temporary:
            again = _made_again(read, world)
            for name in names:
                if not world.is_new(name, kind) and (kind, *world.key(name)) not in again:
                    yield Hit(name.at, f"{kind} {name} is dropped")
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if action.kind in ("drop_constraint", "drop_foreign_key", "drop_primary_key"):
                    if _replaced(action, actions) or world.is_new_constraint(table, action.name):
                        continue
                    what = {"drop_primary_key": "the primary key", "drop_foreign_key": f"foreign key {action.name}"}
                    yield Hit(action.at, f"{what.get(action.kind, f'constraint {action.name}')} of {table} is dropped")
        case _:
            pass


def _made_again(read: Read, world: World) -> set[tuple[str, str, str]]:
    """Return what the same file creates behind this statement: it is replaced, not dropped."""
    later = (other.fact for other in world.script[read.number + 1 :])
    return {(fact.kind, *world.key(fact.name)) for fact in later if isinstance(fact, Create)}


def _replaced(action: Action, actions: tuple[Action, ...]) -> bool:
    """Return whether the same ALTER TABLE adds a constraint of that name again."""
    kind = "primary_key" if action.kind == "drop_primary_key" else ""
    added = [other.constraint for other in actions if other.kind == "add_constraint" and other.constraint]
    return any((action.name and new.name == action.name) or (kind and new.kind == kind) for new in added)


@hazard(
    "BREAKS_DEPENDENTS",
    PG,
    why="CASCADE drops whatever depends on the object, named nowhere in the statement: views, foreign keys, defaults.",
    advice="Leave CASCADE out, read what the error lists, and drop each of those by name.",
)
def breaks_dependents(read: Read, world: World) -> Iterator[Hit]:
    cascades = read.last == ("CASCADE",)
    match read.fact:
        case Drop(kind, names) if cascades and not all(world.is_new(name, kind) for name in names):
            yield Hit(0, f"all that depends on {', '.join(str(name) for name in names)} is dropped too, whatever it is")
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if action.kind in ("drop_column", "drop_constraint") and "CASCADE" in action.words:
                    yield Hit(action.at, f"all that depends on {action.name} of {table} is dropped too, whatever it is")
        case Truncate(tables) if cascades and not all(world.is_new(name) for name in tables):
            yield Hit(0, f"every table that refers to {', '.join(str(name) for name in tables)} is emptied too")
        case _:
            pass


@hazard(
    "AMBIGUOUS_RENAME",
    ENGINES,
    why="Dropping a column and adding one of the same type in one file is often a rename, written so that the values are lost.",
    advice="Rename it (ALTER TABLE ... RENAME COLUMN), or copy the values before the old column goes.",
)
def ambiguous_rename(read: Read, world: World) -> Iterator[Hit]:
    if not isinstance(read.fact, AlterTable) or world.is_new(read.fact.table):
        return
    table = read.fact.table
    added = list(_added_columns(table, world))
    for action in read.fact.actions:
        known = world.column(table, action.name) if action.kind == "drop_column" else None
        if known is None or known.type is None:
            continue
        for column in added:
            if column.type and column.name != action.name and str(column.type) == str(known.type):
                yield Hit(
                    action.at, f"dropping {table}.{action.name} and adding {column.name}, both {known.type}, looks like a rename"
                )


def _added_columns(table: Name, world: World) -> Iterator[Column]:
    for read in world.script:
        if isinstance(read.fact, AlterTable) and world.key(read.fact.table) == world.key(table):
            yield from (action.column for action in read.fact.actions if action.kind == "add_column" and action.column)


@hazard(
    "RENAMES",
    ENGINES,
    why="Programs that still run use the old name until the last of them is replaced.",
    advice="Add the new name beside the old one (column and trigger, or a view), move the programs over, then drop the old one.",
)
def renames(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if action.kind != "rename_table" or not _table_again(read, table, world):
                    yield from _renamed(action, table)
        case Rename(kind) if kind != "index":
            for old, new in read.fact.pairs:
                if not world.is_new(old, kind) and not _table_again(read, old, world):
                    yield Hit(old.at, f"{kind} {old} becomes {new}: programs that use the old name break")
        case AlterType(name, "rename value", value) if not world.is_new(name, "type"):
            yield Hit(name.at, f"label {value} of {name} gets another name: programs that use it break")
        case AlterType(name, "rename", value) if not world.is_new(name, "type"):
            yield Hit(name.at, f"type {name} becomes {value}: programs that use the old name break")
        case Alter(kind, name, words) if "RENAME" in words[:1] or words[:2] == ("SET", "SCHEMA"):
            if not world.is_new(name, kind) and kind != "extension":
                yield Hit(name.at, f"{kind} {name} or a part of it gets another name: programs that use the old one break")
        case _:
            pass


def _table_again(read: Read, table: Name, world: World) -> bool:
    """Return whether a table of the old name is there again at the end of the file: the old one steps aside for it."""
    if isinstance(read.fact, Rename) and any(
        world.key(Name(old.schema, new)) == world.key(table) for old, new in read.fact.pairs
    ):
        return True
    later = (other.fact for other in world.script[read.number + 1 :])
    return any(isinstance(fact, CreateTable) and world.key(fact.table) == world.key(table) for fact in later)


def _renamed(action: Action, table: Name) -> Iterator[Hit]:
    match action.kind:
        case "rename_table":
            yield Hit(action.at, f"table {table} becomes {action.to}: programs that use the old name break")
        case "rename_column":
            yield Hit(action.at, f"column {table}.{action.name} becomes {action.to}: programs that use the old name break")
        case "modify_column" if action.to and action.to.lower() != action.name.lower():
            yield Hit(action.at, f"column {table}.{action.name} becomes {action.to}: programs that use the old name break")
        case "set_schema":
            yield Hit(action.at, f"table {table} moves to another schema: programs that use the old name break")


@hazard(
    "ENUM_REBUILD",
    (*PG, *MY),
    why="Labels can be added at the end at no cost; taking one away or putting one in the middle builds the type again.",
    advice="Add labels at the end only. To take one away, move the rows off it first, then change the column to a new type.",
)
def enum_rebuild(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if text := _enum_rebuilt(action, table, world):
                    yield Hit(action.at, text)
        case Dml(_, table) if table.name.lower() == "pg_enum":
            yield Hit(table.at, "labels are changed in the catalog itself: indexes and stored values are not told")
        case Drop("type", names):
            again = _made_again(read, world)
            for name in names:
                if not world.is_new(name, "type") and ("type", *world.key(name)) in again:
                    yield Hit(name.at, f"type {name} is dropped and made again under its columns")
        case _:
            pass


def _enum_rebuilt(action: Action, table: Name, world: World) -> str:
    known = world.column(table, action.name)
    if action.kind == "alter_type" and ":: text ::" in action.using:
        return f"column {table}.{action.name} is moved to another type by way of text: every row is written again"
    if action.kind != "modify_column" or not known or not known.type or not action.type:
        return ""
    if canonical(known.type) not in ("enum", "set") or canonical(known.type) != canonical(action.type):
        return ""
    if action.type.arguments[: len(known.type.arguments)] != known.type.arguments:
        return f"column {table}.{action.name} loses a label or gets one before the last: every row is written again"
    return ""
