"""Data is asked before it is changed: rows that a planned change would trip over, counted and named.

Each question is one query on the live database. What has another name there until the plan renames it is asked for by its new
name, of a query that renames it. Only what an engine alone asks (`Engine.questions`) is left to its own refusal there.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    RenameColumn,
    RenameObject,
    column_ref,
)
from dbops.catalog.model import CatalogObject, Check, Column, ForeignKey, Index, IndexKey, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.engines.base.question import Question
from dbops.errors import LostConnectionError, QueryError
from dbops.reconcile.change import DATA_REFUSES, Observation
from dbops.resources.schema.data import qualified
from dbops.resources.schema.observed import Renaming
from dbops.sql import probe
from dbops.sql.dialect import Dialect

_TEXT = re.compile(r"(?:character varying|varchar|character|char)\((\d+)\)", re.IGNORECASE)
_INTEGER = re.compile(r"(tinyint|smallint|mediumint|integer|int|bigint)(?:\(\d+\))?( unsigned)?(?: zerofill)?", re.IGNORECASE)
_DECIMAL = re.compile(r"(?:numeric|decimal)\((\d+)(?:, ?(\d+))?\)(?: unsigned)?", re.IGNORECASE)
_BYTES = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "integer": 4, "bigint": 8}


#: What one question may take, and all of them: a plan does not hang on a huge table.
_QUESTION_S = 20.0
_ALL_S = 60.0
_DATA_EXCEPTION = "22"


def evidence(
    address: str,
    changes: Sequence[CatalogChange],
    live: Catalog,
    renamed: Catalog,
    renames: Sequence[Renaming],
    conn: Connection,
    engine: Engine,
) -> list[Observation]:
    """Ask the live rows about all changes and return what stands in their way; a few queries per change of a live table.

    `renamed` is the live catalog under the names that `renames` give. What may not be read is said, too, so that silence means
    that somebody looked.
    """
    found: list[Observation] = []
    refused: set[Ref] = set()
    rows_of = rows_by_new_names(renamed, renames, engine)
    asked = [(question, renamed, rows_of(question.table)) for question in questions(changes, renamed, rows_of, engine)]
    asked += [(question, live, qualified(question.table, engine)) for question in engine.questions(changes, live)]
    deadline = time.monotonic() + _ALL_S
    for question, there, rows in sorted(asked, key=lambda one: one[0].is_tried):
        if question.is_tried and question.ref in refused:
            continue  # what is counted and named says more
        left_s = deadline - time.monotonic()
        try:
            if left_s <= 0:
                raise QueryError(f"all questions together took longer than {_ALL_S:.0f} s")
            with conn.ending_statements_after(min(_QUESTION_S, left_s)):
                answer = _ask(question, there, rows, conn, engine)
        except LostConnectionError:
            raise
        except QueryError as error:
            message = (
                f"not looked at: whether rows of {question.table.qualified} are in the way: {question.words}; {error.message}"
            )
            found.append(Observation(f"{address}/{question.ref}", "DATA_UNKNOWN", message))
            continue
        if answer:
            refused.add(question.ref)
            found.append(Observation(f"{address}/{question.ref}", DATA_REFUSES, answer, "error"))
    return found


def rows_by_new_names(renamed: Catalog, renames: Sequence[Renaming], engine: Engine) -> Callable[[Ref], str]:
    """Return what gives the SQL of a live table's rows, under the names that its columns and itself are to have."""
    quote = engine.dialect.identifier
    tables = {item.after: item.before for item in renames if isinstance(item, RenameObject)}
    columns = {item.ref: item.before for item in renames if isinstance(item, RenameColumn)}

    def rows_of(table: Ref) -> str:
        there, old = renamed.table(table.schema, table.name), tables.get(table, table)
        names = (
            [(column.name, columns.get(column_ref(table, column.name), column.name)) for column in there.columns] if there else []
        )
        if all(new == before for new, before in names):
            return qualified(old, engine)
        return f"(SELECT {', '.join(f'{quote(before)} AS {quote(new)}' for new, before in names)} FROM {qualified(old, engine)})"

    return rows_of


def _ask(question: Question, live: Catalog, table: str, conn: Connection, engine: Engine) -> str | None:
    if question.is_tried:
        return _tried(question, table, conn)
    [(hits,)] = conn.query(probe.count(table, question.condition))
    if not hits:
        return None
    key = _key(question.table, live) or question.columns or _first_column(question.table, live)
    rows = conn.query(probe.keys(table, question.condition, key, engine.dialect))
    shown = ", ".join("/".join(str(value) for value in row) for row in rows)
    many = f"{probe.MOST} rows or more" if hits >= probe.MOST else "1 row" if hits == 1 else f"{hits} rows"
    more = ", …" if hits > len(rows) else ""
    return f"{many} of {question.table.qualified}: {question.words} ({', '.join(key)}: {shown}{more})"


def _tried(question: Question, table: str, conn: Connection) -> str | None:
    """Return what keeps a value from being computed of every row: a data exception (ISO 9075, class 22), or nothing."""
    try:
        conn.query(probe.computed(table, question.condition))
    except QueryError as error:
        if not str(error.context.get("sqlstate", "")).startswith(_DATA_EXCEPTION):
            raise
        return f"a row of {question.table.qualified}: {question.words}: {error.message}"
    return None


def _key(table: Ref, live: Catalog) -> tuple[str, ...]:
    return next((item.columns for item in live.all(PrimaryKey) if item.ref.table == table), ())


def _first_column(table: Ref, live: Catalog) -> tuple[str, ...]:
    found = live.table(table.schema, table.name)
    return tuple(column.name for column in found.columns[:1]) if found else ()


def questions(
    changes: Sequence[CatalogChange], live: Catalog, rows_of: Callable[[Ref], str], engine: Engine
) -> Iterator[Question]:
    """Yield what has to be asked before these changes, by the names that tables and columns have in `live`.

    What is unique depends on type and collation: where those of a column change, too, values are compared as they will be, or
    not at all.
    """
    recast = {change.ref: change.after for change in changes if isinstance(change, AlterColumn) and _compares_anew(change)}
    moved = {change.ref for change in changes if isinstance(change, AlterObject) and _collates_anew(change)}
    coming = {change.ref for change in changes if isinstance(change, AddColumn)}
    altered: defaultdict[Ref, set[str]] = defaultdict(set)
    for ref in coming:
        if ref.kind == "column":
            altered[ref.table].add(ref.name)
    for change in changes:
        table = change.ref.table
        if live.table(table.schema, table.name) is None:
            continue
        match _as_new(change, {ref.table for ref in recast}):
            case AddColumn(_, column, _):
                yield from _new_column(change.ref, table, column, live, engine)
            case AlterColumn(_, before, after):
                yield from _altered_column(change.ref, table, before, after, engine)
            case CreateObject(ForeignKey() as key) if not coming.isdisjoint(_pointed_to(key)):
                pass
            case CreateObject(item) if _is_key(item) and (table in moved or any(ref.table == table for ref in recast)):
                yield from _new_key(item, table, live, recast, rows_of, engine) if table not in moved else ()
            case CreateObject(item) if not _mentions(item, altered[table]):
                yield from _new_object(item, table, live, rows_of, engine)
            case _:
                pass


def _as_new(change: CatalogChange, recast: Container[Ref]) -> CatalogChange:
    """A key over other columns or to others, another check, or one that is valid from now on asks of rows what a new one does.

    A check that follows the types of columns, in tables `recast`, cannot be asked of their old values.
    """
    match change:
        case AlterObject(before=PrimaryKey() | Unique() as old, after=PrimaryKey() | Unique() as new) if (
            old.columns != new.columns
        ):
            return CreateObject(new)
        case AlterObject(before=Index() as had, after=Index() as has) if (had.keys, had.unique) != (has.keys, has.unique):
            return CreateObject(has)
        case AlterObject(before=ForeignKey() as led, after=ForeignKey() as leads) if _reaches(led) != _reaches(leads):
            return CreateObject(leads)
        case AlterObject(before=Check() as held, after=Check() as check) if (held.expression, held.is_valid) != (
            check.expression,
            check.is_valid,
        ) and change.ref.table not in recast:
            return CreateObject(check)
        case _:
            return change


def _reaches(key: ForeignKey) -> tuple[object, ...]:
    """What a foreign key asks of rows."""
    return key.columns, key.references, key.referenced_columns, key.match == "FULL", key.is_valid


def _compares_anew(change: AlterColumn) -> bool:
    return (change.before.type, change.before.collation) != (change.after.type, change.after.collation)


def _collates_anew(change: AlterObject) -> bool:
    before, after = change.before, change.after
    if not isinstance(before, Table) or not isinstance(after, Table):
        return False
    return dict(before.options).get("collation") != dict(after.options).get("collation")


def _is_key(item: object) -> bool:
    return isinstance(item, PrimaryKey | Unique) or (isinstance(item, Index) and item.unique)


def _new_key(
    item: object, table: Ref, live: Catalog, recast: Mapping[Ref, Column], rows_of: Callable[[Ref], str], engine: Engine
) -> Iterator[Question]:
    """Ask about a key with columns that are compared in another way from now on; only other collations can be asked for."""
    columns = _columns(item)
    changed = {name: recast[ref] for name in columns if (ref := column_ref(table, name)) in recast}
    if not columns and _mentions(item, {ref.name for ref in recast if ref.table == table}):
        return
    if not changed:
        yield from _new_object(item, table, live, rows_of, engine)
        return
    there = live.table(table.schema, table.name)
    for name, after in changed.items():
        before = there.column(name) if there else None
        if before is None or before.type != after.type or after.collation is None:
            return
    if isinstance(item, CatalogObject) and not getattr(item, "nulls_not_distinct", False):
        collations = {name: after.collation for name, after in changed.items() if after.collation}
        predicate = item.predicate if isinstance(item, Index) else None
        condition = probe.duplicated(rows_of(table), probe.compared(columns, engine.dialect, collations), predicate)
        yield Question(item.ref, table, condition, f"{', '.join(columns)} is not unique", columns)


def _columns(item: object) -> tuple[str, ...]:
    """The columns of a key; none where it is made of anything else."""
    match item:
        case PrimaryKey() | Unique():
            return item.columns
        case Index(keys=keys) if all(key.column and not key.prefix for key in keys):
            return tuple(key.column for key in keys if key.column)
        case _:
            return ()


def _pointed_to(key: ForeignKey) -> Iterator[Ref]:
    yield key.references
    yield from (column_ref(key.references, name) for name in key.referenced_columns)


def _mentions(item: object, columns: set[str]) -> bool:
    """Tell whether an object is about columns that no row has yet."""
    match item:
        case Index(keys=keys, predicate=predicate):
            texts = [predicate or "", *(key.expression or "" for key in keys)]
            return any(key.column in columns for key in keys) or any(name in text for name in columns for text in texts)
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
        words = f"{after.name} is longer than {text[1]} character{'s' if int(text[1]) > 1 else ''}"
        yield Question(ref, table, probe.longer_than(after.name, int(text[1]), dialect), words, (after.name,))
    limit = _DECIMAL.fullmatch(after.type)
    if limit and (_DECIMAL.fullmatch(before.type) or _range(before.type) or before.type == "numeric"):
        digits = int(limit[1]) - int(limit[2] or 0)
        words = f"{after.name} has more than {digits} digits before the point"
        yield Question(ref, table, probe.reaches(after.name, 10**digits, dialect), words, (after.name,))
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


def _new_object(item: object, table: Ref, live: Catalog, rows_of: Callable[[Ref], str], engine: Engine) -> Iterator[Question]:
    dialect, name = engine.dialect, rows_of(table)
    match item:
        case Check(is_valid=True):
            words = f"they break the check {item.name or item.expression}"
            yield Question(item.ref, table, probe.breaks(item.expression), words, ())
        case ForeignKey(is_valid=True):
            there = live.table(item.references.schema, item.references.name)
            parent = None if there is None else rows_of(item.references)
            condition = probe.orphaned(item.columns, parent, item.referenced_columns, dialect)
            words = f"{', '.join(item.columns)} refers to no row of {item.references.qualified}"
            yield Question(item.ref, table, condition, words, item.columns)
            if item.match == "FULL" and len(item.columns) > 1:
                words = f"some of {', '.join(item.columns)} is NULL, and MATCH FULL wants all or none"
                yield Question(item.ref, table, probe.half_null(item.columns, dialect), words, item.columns)
        case PrimaryKey() | Unique():
            words, alike = f"{', '.join(item.columns)} is not unique", getattr(item, "nulls_not_distinct", False)
            values = probe.compared(item.columns, dialect)
            yield Question(item.ref, table, probe.duplicated(name, values, None, nulls_are_alike=alike), words, item.columns)
        case Index(unique=True) if not any(key.prefix for key in item.keys):
            values = [_compared(key, dialect) for key in item.keys]
            columns = tuple(key.column for key in item.keys if key.column)
            words = f"{', '.join(key.column or key.expression or '' for key in item.keys)} is not unique"
            condition = probe.duplicated(name, values, item.predicate, nulls_are_alike=item.nulls_not_distinct)
            yield Question(item.ref, table, condition, words, columns)
        case _:
            pass


def _compared(key: IndexKey, dialect: Dialect) -> str:
    """Return what an index compares of a row."""
    value = dialect.identifier(key.column) if key.column else f"({key.expression})"
    return f"{value} COLLATE {key.collation}" if key.collation else value
