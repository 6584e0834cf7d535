"""Style rules about whole tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbops.lint.facts import AlterTable, CreateTable
from dbops.lint.rule import ENGINES, LITE, MY, PG, Hit, Spot, statement_rule, table_rule
from dbops.lint.statements import Read
from dbops.lint.world import TableState, World


@table_rule(
    "TABLE_WITHOUT_COMMENT",
    (*PG, *MY),
    "a table without a comment",
    why="Names say what a column holds, seldom what a table is for, who writes it, and what one row means.",
    advice="COMMENT ON TABLE (PostgreSQL), COMMENT = '...' (MySQL).",
    severity="off",
)
def table_without_comment(table: TableState, world: World) -> Iterator[Spot]:
    if table.is_known and not table.has_comment and not table.is_temporary and not table.is_partition:
        yield Spot(table.read, table.at, f"{table.name} has no comment")


@table_rule(
    "REQUIRED_COLUMNS",
    ENGINES,
    "a table lacks a column that the settings require",
    why="The team has agreed that every table has these columns; the settings name them.",
    advice="Add the column, or take it out of requiredColumns.",
)
def required_columns(table: TableState, world: World) -> Iterator[Spot]:
    if not table.is_plain or table.is_temporary:
        return
    missing = [name for name in world.settings.required_columns if world.fold(name) not in table.columns]
    if missing:
        yield Spot(table.read, table.at, f"{table.name} has no column {', '.join(missing)}")


_STORAGE = (
    "innodb",
    "ndbcluster",
    "ndb",
    "rocksdb",
    "spider",
    "columnstore",
    "federated",
    "connect",
    "s3",
    "sequence",
    "blackhole",
)


@statement_rule(
    "ENGINE_NOT_INNODB",
    MY,
    "a table that is not kept by InnoDB",
    why="MyISAM, Aria and MEMORY know no transactions and no foreign keys; MyISAM loses rows in a crash.",
    advice="ENGINE=InnoDB, or none: it is the default.",
)
def engine_not_innodb(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case CreateTable(table) if not read.fact.is_temporary and (engine := read.fact.options.get("engine")):
            if engine.lower() not in _STORAGE:
                yield Hit(table.at, f"{table} is kept by {engine}")
        case AlterTable(table, actions):
            for action in actions:
                if action.kind == "engine" and action.to.strip("'\"`").lower() not in _STORAGE:
                    yield Hit(action.at, f"{table} moves to {action.to}")
        case _:
            pass


_WHOLE = ("utf8mb4", "binary", "ascii", "utf16", "utf32", "ucs2", "default", "")


@statement_rule(
    "CHARSET_NOT_UTF8MB4",
    MY,
    "a character set that does not hold every character",
    why="utf8 (utf8mb3) stops at three bytes: names and emoji beyond it are refused or cut; latin1 holds far less.",
    advice="utf8mb4.",
)
def charset_not_utf8mb4(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case CreateTable(table, columns):
            if (charset := _charset(read.fact.options)) not in _WHOLE:
                yield Hit(table.at, f"{table} is in {charset}")
            for column in columns:
                given = column.type.charset if column.type else ""
                charset = given or column.collation.partition("_")[0]
                if charset not in _WHOLE and charset != _charset(read.fact.options):
                    yield Hit(column.at, f"{table}.{column.name} is in {charset}")
        case AlterTable(table, actions):
            for action in actions:
                if action.kind in ("convert_charset", "default_charset") and action.to not in _WHOLE:
                    yield Hit(action.at, f"{table} is put into {action.to}")
        case _:
            pass


def _charset(options: Mapping[str, str]) -> str:
    return (options.get("charset") or options.get("collate", "").partition("_")[0]).lower()


@statement_rule(
    "STRICT_MISSING",
    LITE,
    "an SQLite table that is not STRICT",
    why="Without STRICT any column takes any value: text in a column of integers is found when somebody adds it up.",
    advice="CREATE TABLE ... (...) STRICT, from SQLite 3.37 on.",
    severity="off",
)
def strict_missing(read: Read, world: World) -> Iterator[Hit]:
    if (
        isinstance(read.fact, CreateTable)
        and read.fact.is_plain
        and "strict" not in read.fact.options
        and not read.fact.is_temporary
    ):
        yield Hit(read.fact.table.at, f"{read.fact.table} is not STRICT")
