"""Hazards that depend on the rows that are there: what may fail on them, and what changes them."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.lint.facts import Action, Alter, AlterTable, Column, Create, CreateIndex, Dml, Name, Truncate
from dbops.lint.rule import ENGINES, MY, PG, Hit, hazard
from dbops.lint.statements import Read
from dbops.lint.types import canonical, narrows, postgres_keeps_rows
from dbops.lint.work import works
from dbops.lint.world import World

_DATA = "Rows decide whether the statement runs: it fails where one of them does not fit, half way through a deployment."


@hazard(
    "MAY_FAIL_ON_DATA",
    ENGINES,
    why=_DATA,
    advice=(
        "Look for offending rows first (WHERE column IS NULL, GROUP BY key HAVING count(*) > 1), mend them, then add "
        "the rule. dbops plan asks the live rows."
    ),
)
def may_fail_on_data(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case CreateIndex(name, table) if read.fact.is_unique and not world.is_new(table):
            yield Hit(read.fact.at, f"unique index {name or ''} fails where {table} has rows alike".replace("  ", " "))
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if text := _may_fail(action, table, world):
                    yield Hit(action.at, text)
        case Alter("domain", name, words) if not world.is_new(name, "domain"):
            if words[:3] == ("SET", "NOT", "NULL") or (words[:1] == ("ADD",) and "VALID" not in read.source.text.upper().split()):
                yield Hit(name.at, f"values of {name} already stored may not keep the new rule")
        case _:
            pass


def _may_fail(action: Action, table: Name, world: World) -> str:
    known = world.column(table, action.name)
    match action.kind:
        case "set_not_null":
            state = world.table(table)
            proved = state is not None and world.fold(action.name) in state.made_not_null
            return "" if proved else f"fails where {table}.{action.name} is NULL"
        case "add_column" if action.column:
            return _column_may_fail(action.column, table, world)
        case "add_constraint" if action.constraint and action.constraint.is_validated and not action.constraint.using_index:
            what = action.constraint.name or f"the new {action.constraint.kind.replace('_', ' ')}"
            return f"fails where rows of {table} do not keep {what}"
        case "add_index" if action.constraint and action.constraint.kind == "unique":
            return f"fails where {table} has rows alike"
        case "validate":
            return f"fails where rows of {table} do not keep {action.name}"
        case "alter_type" if action.type:
            if known and known.type and postgres_keeps_rows(known.type, action.type):
                return ""
            if known and known.type and not narrows(known.type, action.type, is_mysql=False) and _widens(known, action):
                return ""
            return f"fails where a value of {table}.{action.name} cannot be read as {action.type}"
        case "modify_column" if action.column:
            if action.column.is_not_null and known is not None and not known.is_not_null:
                return f"fails where {table}.{action.name} is NULL"
            if known and known.type and action.type and narrows(known.type, action.type, is_mysql=True):
                return f"fails where a value of {table}.{action.name} does not fit into {action.type}"
    return ""


def _widens(known: Column, action: Action) -> bool:
    """Every number fits into a wider one, and everything into text."""
    assert known.type is not None
    assert action.type is not None
    numbers = ("smallint", "integer", "bigint", "numeric")
    before, after = canonical(known.type), canonical(action.type)
    is_number = (
        before in numbers and after in numbers and not action.type.arguments and numbers.index(after) >= numbers.index(before)
    )
    return is_number or (after in ("text", "varchar") and not action.type.arguments)


def _column_may_fail(column: Column, table: Name, world: World) -> str:
    has_value = column.default is not None or column.generated or column.is_identity or column.counts_up
    needs_value = column.is_not_null or column.is_primary
    if needs_value and not has_value and world.dialect.name != "mysql":
        return f"{column.name} is NOT NULL without a default: fails when {table} has rows"
    if (column.is_unique or column.is_primary) and column.default is not None and not column.generated:
        return f"{column.name} is unique and gets one default in every row: fails when {table} has two"
    return ""


@hazard(
    "IMPLICIT_ZERO_VALUE",
    MY,
    why="MySQL fills a new NOT NULL column that has no default with the zero of its type: 0, '' or a date of zeros.",
    advice="Write the default you mean, or add the column as NULL, fill it, and make it NOT NULL then.",
)
def implicit_zero_value(read: Read, world: World) -> Iterator[Hit]:
    if not isinstance(read.fact, AlterTable) or world.is_new(read.fact.table):
        return
    for action in read.fact.actions:
        column = action.column
        if action.kind != "add_column" or column is None or not column.is_not_null or column.counts_up or column.generated:
            continue
        if column.default is None:
            yield Hit(action.at, f"existing rows of {read.fact.table} get the zero value of {column.type} as {column.name}")


@hazard(
    "DEFAULT_CHANGES_ROWS",
    (*PG, *MY),
    why="Where the server keeps no default for rows that are already there, adding a column with a default writes every row.",
    advice="Add the column without the default, set the default, and fill old rows in batches.",
)
def default_changes_rows(read: Read, world: World) -> Iterator[Hit]:
    if not isinstance(read.fact, AlterTable) or world.is_new(read.fact.table):
        return
    for action, work in zip(read.fact.actions, works(read.fact, world), strict=True):
        if action.column is not None and action.column.default is not None and action.kind == "add_column" and work.rewrites:
            yield Hit(action.at, f"the default of {action.column.name} is written into every row of {read.fact.table}")


@hazard(
    "BACKFILL_INLINE",
    ENGINES,
    why="One statement over all rows holds their locks until it ends, and leaves as many dead rows or undo records behind.",
    advice="Fill in batches by key, each in a transaction of its own, outside the migration that changes the schema.",
)
def backfill_inline(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case Dml(verb, table, False) if table.name and not world.is_new(table) and table.name.lower() != "pg_enum":
            yield Hit(0, f"{verb} of every row of {table} in one statement")
        case _:
            pass


@hazard(
    "CHARSET_CONVERSION",
    MY,
    why=(
        "Every text is converted and every index on it is built again; characters that the new set lacks are lost, "
        "and texts that were different may become equal."
    ),
    advice="Check that lengths and unique keys hold in the new character set, then convert table by table in a quiet hour.",
)
def charset_conversion(read: Read, world: World) -> Iterator[Hit]:
    if not isinstance(read.fact, AlterTable) or world.is_new(read.fact.table):
        return
    table = read.fact.table
    for action in read.fact.actions:
        if action.kind == "convert_charset":
            yield Hit(action.at, f"every text of {table} is converted to {action.to or 'another character set'}")
        elif action.kind == "modify_column" and action.column and action.type:
            known = world.column(table, action.name)
            is_same = (
                known and known.type and known.type.charset == action.type.charset and known.collation == action.column.collation
            )
            if (action.type.charset or action.column.collation) and not is_same:
                yield Hit(action.at, f"the texts of {table}.{action.name} are converted")


@hazard(
    "SEQUENCE_RISK",
    (*PG, *MY),
    why="A counter that restarts hands out keys that were used before; one of 32 bits or with a low bound runs out.",
    advice="Restart only behind the highest key in use, and prefer bigint.",
)
def sequence_risk(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case Alter("sequence", name, words) if not world.is_new(name, "sequence"):
            risky = {"RESTART", "MAXVALUE", "MINVALUE", "CYCLE", "AS", "START", "INCREMENT"} & set(words)
            if risky and words[:2] != ("OWNED", "BY"):
                yield Hit(name.at, f"sequence {name}: {', '.join(sorted(risky)).lower()} changes which keys come next")
        case Create("sequence", name) if {"SMALLINT", "INTEGER", "INT", "INT4", "INT2"} & set(
            read.fact.words
        ) and not world.is_schema:
            yield Hit(name.at, f"sequence {name} ends at 32 bits or less")
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if action.kind in ("restart", "auto_increment"):
                    yield Hit(action.at, f"the counter of {table} starts elsewhere: keys may come a second time")
        case Truncate(tables, True) if not all(world.is_new(name) for name in tables):
            yield Hit(0, f"the counters of {', '.join(map(str, tables))} start again: keys come a second time")
        case _:
            pass
