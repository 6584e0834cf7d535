"""Data is asked before it is changed: rows that a planned change would trip over, counted and named.

Each question is one query on the live database. What has another name there until the plan renames it is left to the
engine's own refusal.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AddColumn, AlterColumn, CatalogChange, CreateObject, column_ref
from dbops.catalog.model import Check, Column, ForeignKey, Index, PrimaryKey, Unique
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.errors import QueryError
from dbops.reconcile.change import DATA_REFUSES, Observation
from dbops.resources.schema.data import qualified
from dbops.resources.schema.model import Renaming
from dbops.sql import probe

_TEXT = re.compile(r"(?:character varying|varchar|character|char)\((\d+)\)", re.IGNORECASE)
_INTEGER = re.compile(r"(tinyint|smallint|mediumint|integer|int|bigint)(?:\(\d+\))?( unsigned)?(?: zerofill)?", re.IGNORECASE)
_BYTES = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "integer": 4, "bigint": 8}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one change: rows of `table` that meet `condition` are in its way; `words` say why."""

    ref: Ref
    table: Ref
    condition: str
    words: str
    columns: tuple[str, ...]


def evidence(
    address: str,
    changes: Sequence[CatalogChange],
    renames: Iterable[Renaming],
    live: Catalog,
    conn: Connection,
    engine: Engine,
) -> list[Observation]:
    """Ask the live rows about all changes and return what stands in their way; a few queries per change of a live table.

    What may not be read is said, too, so that silence means that somebody looked.
    """
    found = []
    for question in questions(changes, renames, live, engine):
        try:
            answer = _ask(question, live, conn, engine)
        except QueryError as error:
            message = f"could not ask the rows of {question.table.qualified} whether {question.words}: {error.message}"
            found.append(Observation(f"{address}/{question.ref}", "DATA_UNKNOWN", message))
            continue
        if answer:
            found.append(Observation(f"{address}/{question.ref}", DATA_REFUSES, answer, "error"))
    return found


def _ask(question: Question, live: Catalog, conn: Connection, engine: Engine) -> str | None:
    table = qualified(question.table, engine)
    [(hits,)] = conn.query(probe.count(table, question.condition))
    if not hits:
        return None
    key = _key(question.table, live) or question.columns or _first_column(question.table, live)
    rows = conn.query(probe.keys(table, question.condition, key, engine.dialect))
    shown = ", ".join("/".join(str(value) for value in row) for row in rows)
    many = f"{probe.MOST} rows or more" if hits >= probe.MOST else "1 row" if hits == 1 else f"{hits} rows"
    more = ", …" if hits > len(rows) else ""
    return f"{many} of {question.table.qualified}: {question.words} ({', '.join(key)}: {shown}{more})"


def _key(table: Ref, live: Catalog) -> tuple[str, ...]:
    return next((item.columns for item in live.all(PrimaryKey) if item.ref.table == table), ())


def _first_column(table: Ref, live: Catalog) -> tuple[str, ...]:
    found = live.table(table.schema, table.name)
    return tuple(column.name for column in found.columns[:1]) if found else ()


def questions(changes: Sequence[CatalogChange], renames: Iterable[Renaming], live: Catalog, engine: Engine) -> Iterator[Question]:
    """Yield what has to be asked before these changes; only of tables and columns that exist by their new names."""
    coming = {change.ref for change in (*changes, *renames) if isinstance(change, AddColumn | Renaming)}
    altered: defaultdict[Ref, set[str]] = defaultdict(set)
    for ref in coming:
        if ref.kind == "column":
            altered[ref.table].add(ref.name)
    for change in changes:
        table = change.ref.table
        if live.table(table.schema, table.name) is None:
            continue
        match change:
            case AddColumn(_, column, _):
                yield from _new_column(change.ref, table, column, live, engine)
            case AlterColumn(_, before, after) if change.ref not in coming:
                yield from _altered_column(change.ref, table, before, after, engine)
            case CreateObject(ForeignKey() as key) if not coming.isdisjoint(_pointed_to(key)):
                pass
            case CreateObject(item) if not _mentions(item, altered[table]):
                yield from _new_object(item, table, live, engine)
            case _:
                pass


def _pointed_to(key: ForeignKey) -> Iterator[Ref]:
    yield key.references
    yield from (column_ref(key.references, name) for name in key.referenced_columns)


def _mentions(item: object, columns: set[str]) -> bool:
    """Tell whether an object is about columns that no row has yet."""
    match item:
        case Index(keys=keys):
            return any(key.column in columns for key in keys)
        case PrimaryKey(columns=own) | Unique(columns=own) | ForeignKey(columns=own):
            return not columns.isdisjoint(own)
        case Check(expression=text):
            return any(name in text for name in columns)
        case _:
            return False


def _new_column(ref: Ref, table: Ref, column: Column, live: Catalog, engine: Engine) -> Iterator[Question]:
    is_filled = column.default is not None or column.identity is not None or column.generated is not None
    if not column.nullable and not is_filled and not engine.features.fills_new_columns:
        words = f"the new column {column.name} must not be NULL and has no default for them"
        yield Question(ref, table, probe.EVERY, words, ())


def _altered_column(ref: Ref, table: Ref, before: Column, after: Column, engine: Engine) -> Iterator[Question]:
    dialect = engine.dialect
    if before.nullable and not after.nullable and after.generated is None and not (after.default and engine.features.fills_nulls):
        yield Question(ref, table, probe.is_null(after.name, dialect), f"{after.name} is NULL", (after.name,))
    if before.type == after.type or not engine.features.has_strict_types:
        return
    text = _TEXT.fullmatch(after.type)
    if text and _is_text(before.type):
        words = f"{after.name} is longer than {text[1]} characters"
        yield Question(ref, table, probe.longer_than(after.name, int(text[1]), dialect), words, (after.name,))
    ranges = _range(before.type), _range(after.type)
    if ranges[0] and ranges[1] and (ranges[1][0] > ranges[0][0] or ranges[1][1] < ranges[0][1]):
        low, high = ranges[1]
        words = f"{after.name} does not fit into {after.type}"
        yield Question(ref, table, probe.outside(after.name, low, high, dialect), words, (after.name,))


def _is_text(name: str) -> bool:
    return name.lower().startswith(("text", "varchar", "char", "character", "mediumtext", "longtext", "tinytext"))


def _range(name: str) -> tuple[int, int] | None:
    found = _INTEGER.fullmatch(name)
    if not found:
        return None
    values = 256 ** _BYTES[found[1].lower()]
    return (0, values - 1) if found[2] else (-values // 2, values // 2 - 1)


def _new_object(item: object, table: Ref, live: Catalog, engine: Engine) -> Iterator[Question]:
    dialect, name = engine.dialect, qualified(table, engine)
    match item:
        case Check(is_valid=True):
            words = f"they break the check {item.name or item.expression}"
            yield Question(item.ref, table, probe.breaks(item.expression), words, ())
        case ForeignKey(is_valid=True):
            there = live.table(item.references.schema, item.references.name)
            parent = None if there is None else qualified(item.references, engine)
            condition = probe.orphaned(item.columns, parent, item.referenced_columns, dialect)
            words = f"{', '.join(item.columns)} refers to no row of {item.references.qualified}"
            yield Question(item.ref, table, condition, words, item.columns)
        case PrimaryKey() | Unique(nulls_not_distinct=False):
            words = f"{', '.join(item.columns)} is not unique"
            yield Question(item.ref, table, probe.duplicated(name, item.columns, None, dialect), words, item.columns)
        case Index(unique=True, nulls_not_distinct=False) if all(key.column and not key.prefix for key in item.keys):
            columns = tuple(key.column for key in item.keys if key.column)
            words = f"{', '.join(columns)} is not unique"
            yield Question(item.ref, table, probe.duplicated(name, columns, item.predicate, dialect), words, columns)
        case _:
            pass
