"""Data is asked before it is changed: rows that a planned change would trip over, counted and named.

Each question is one query on the live database. What has another name there until the plan renames it is asked for by its new
name, of a query that renames it.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import (
    AddColumn,
    AlterColumn,
    AlterObject,
    CatalogChange,
    CreateObject,
    RenameColumn,
    column_ref,
)
from dbops.catalog.model import CatalogObject, Check, Column, ForeignKey, Index, IndexKey, PrimaryKey, Table, Unique
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Row
from dbops.engines.base.engine import Engine
from dbops.engines.base.question import Question
from dbops.errors import LostConnectionError, QueryError
from dbops.reconcile.change import DATA_REFUSES, Observation
from dbops.resources.schema.data import qualified
from dbops.resources.schema.observed import Renaming
from dbops.resources.schema.renames import former_ref
from dbops.resources.schema.row_evidence import leading_nowhere, leaving
from dbops.resources.schema.rows_to_be import GivenRows, RowsOf, RowsToBe, fills
from dbops.sql import probe

_TEXT = re.compile(r"(?:character varying|varchar|character|char)\((\d+)\)", re.IGNORECASE)
_INTEGER = re.compile(r"(tinyint|smallint|mediumint|integer|int|bigint)(?:\(\d+\))?( unsigned)?(?: zerofill)?", re.IGNORECASE)
_DECIMAL = re.compile(r"(?:numeric|decimal)\((\d+)(?:, ?(\d+))?\)(?: unsigned)?", re.IGNORECASE)
_BYTES = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "integer": 4, "bigint": 8}


#: What one question may take, and all of them: a plan does not hang on a huge table.
_QUESTION_S = 20.0
_ALL_S = 60.0
#: Errors that say nothing of the rows: sessions, locks, resources, limits (PostgreSQL manual, appendix A).
_OF_THE_SERVER = ("08", "25", "40", "53", "54", "55", "57", "58", "XX", "42501", "HY", "70")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What rows say of a plan, and of each table with reference rows what follows those that go."""

    observations: tuple[Observation, ...]
    followers: Mapping[Ref, tuple[str, ...]]


def evidence(
    address: str,
    changes: Sequence[CatalogChange],
    renamed: Catalog,
    renames: Sequence[Renaming],
    given: GivenRows,
    conn: Connection | None,
    engine: Engine,
) -> Evidence:
    """Ask the live rows about all changes and return what stands in their way; a few queries per change of a live table.

    Without a connection there are no rows yet, and only files are read. `renamed` is the live catalog under the names that
    `renames` give, `given` the reference rows that come with the changes. What may not be read is said, too, so that silence
    means that somebody looked.
    """
    rows_of = rows_by_new_names(renamed, renames, engine)
    rows = RowsToBe(changes, renamed, rows_of, given, engine)
    if conn is None:
        nowhere = leading_nowhere(EMPTY, rows, engine, lambda sql: [])
        told = (Observation(f"{address}/{table}/data", DATA_REFUSES, answer, "error") for table, answer in nowhere)
        return Evidence(tuple(told), {})
    hearing = _Hearing(address, renamed, conn, engine)
    asked = list(questions(changes, renamed, rows_of, rows, engine))
    for question in engine.questions(changes, renamed):
        if not question.excludes:
            asked.append((question, rows_of(question.table, question.alone)))
        elif (pair := _exclusion(question, renamed, rows, engine)) is not None:
            asked.append(pair)
    for question, table in sorted(asked, key=lambda one: one[0].is_tried):
        if not (question.is_tried and question.ref in hearing.refused):  # what is counted and named says more
            said = hearing.ask(question, table, f"{address}/{question.ref}", refuses=not question.fills)
            if said and question.fills:
                hearing.found.append(Observation(f"{address}/{question.ref}", "NULLS_FILLED", said, "warning"))
    followers: defaultdict[Ref, tuple[str, ...]] = defaultdict(tuple)
    if given.tables:
        for one in leaving(changes, renamed, rows, engine):
            said = hearing.ask(one.question, one.rows, f"{address}/{one.table}/data", refuses=not one.follows)
            if said and one.follows:
                followers[one.table] += (said,)
        hearing.read_files(rows)
    return Evidence(tuple(hearing.found), dict(followers))


class _Hearing:
    """Asks questions one by one, within a time for all of them, and keeps what is to be told."""

    def __init__(self, address: str, live: Catalog, conn: Connection, engine: Engine) -> None:
        self._address, self._live, self._conn, self._engine = address, live, conn, engine
        self._deadline = time.monotonic() + _ALL_S
        self.found: list[Observation] = []
        self.refused: set[Ref] = set()

    def ask(self, question: Question, table: str, address: str, *, refuses: bool = True) -> str | None:
        """Return what rows say, and keep it where it `refuses` the change."""
        try:
            with self._in_time():
                answer = _ask(question, self._live, table, self._conn, self._engine)
        except LostConnectionError:
            raise
        except QueryError as error:
            self._unknown(address, f"whether rows of {question.table.qualified} are in the way: {question.words}", error)
            return None
        if answer and refuses:
            self.refused.add(question.ref)
            self.found.append(Observation(address, DATA_REFUSES, answer, "error"))
        return answer

    def read_files(self, rows: RowsToBe) -> None:
        """Look for what reference rows refer to."""
        try:
            with self._in_time():
                for table, answer in leading_nowhere(self._live, rows, self._engine, self._conn.query):
                    self.found.append(Observation(f"{self._address}/{table}/data", DATA_REFUSES, answer, "error"))
        except LostConnectionError:
            raise
        except QueryError as error:
            self._unknown(self._address, "what reference rows refer to", error)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise QueryError(f"all questions together took longer than {_ALL_S:.0f} s")
        with self._conn.ending_statements_after(min(_QUESTION_S, left_s)):
            yield

    def _unknown(self, address: str, what: str, error: QueryError) -> None:
        self.found.append(Observation(address, "DATA_UNKNOWN", f"not looked at: {what}; {error.message}"))


def rows_by_new_names(renamed: Catalog, renames: Sequence[Renaming], engine: Engine) -> RowsOf:
    """Return what gives the SQL of a live table's rows, under the names that its columns and itself are to have."""
    quote = engine.dialect.identifier
    columns = {item.ref: item.before for item in renames if isinstance(item, RenameColumn)}
    parents = {parent for table in renamed.all(Table) for parent in table.inherits}

    def rows_of(table: Ref, alone: bool) -> str:
        there, old = renamed.table(table.schema, table.name), former_ref(table, renames)
        rows = f"{'ONLY ' if alone and table in parents else ''}{qualified(old, engine)}"
        names = (
            [(column.name, columns.get(column_ref(table, column.name), column.name)) for column in there.columns] if there else []
        )
        if all(new == before for new, before in names):
            return rows
        return f"(SELECT {', '.join(f'{quote(before)} AS {quote(new)}' for new, before in names)} FROM {rows})"

    return rows_of


def _ask(question: Question, live: Catalog, table: str, conn: Connection, engine: Engine) -> str | None:

    def asked(rows: str) -> str:
        if question.is_tried:
            return probe.computed(rows, question.condition)
        return probe.count(rows, question.condition, question.alias)

    [(hits,)], fault = _answer(asked, table, conn)
    if fault:
        return f"a row of {question.table.qualified}: {question.words}: {fault}"
    if not hits or question.is_tried:
        return None
    key = _key(question.table, live) or question.columns or _first_column(question.table, live)
    rows = conn.query(probe.keys(table, question.condition, key, engine.dialect, question.alias))
    shown = ", ".join("/".join(str(value) for value in row) for row in rows)
    many = f"{probe.MOST} rows or more" if hits >= probe.MOST else "1 row" if hits == 1 else f"{hits} rows"
    more = ", …" if hits > len(rows) else ""
    return f"{many} of {question.table.qualified}: {question.words} ({', '.join(key)}: {shown}{more})"


def _answer(query: Callable[[str], str], table: str, conn: Connection) -> tuple[Sequence[Row], str]:
    """Return the answer to a query of rows, or what of the rows keeps it from being given: of no row at all it is given then."""
    try:
        return conn.query(query(table)), ""
    except QueryError as error:
        state = str(error.context.get("sqlstate", ""))
        if not state or state.startswith(_OF_THE_SERVER) or (state.startswith("SQLITE_") and state != "SQLITE_ERROR"):
            raise
        try:
            conn.query(query(probe.none_of(table)))
        except QueryError:
            raise error from None
        return [(0,)], error.message


def _exclusion(question: Question, live: Catalog, rows: RowsToBe, engine: Engine) -> tuple[Question, str] | None:
    """Say of rows as they will be which others they exclude; None where that cannot be told."""
    key, predicate = _key(question.table, live), question.condition
    spoken_of = " ".join([predicate, *(expression for expression, _ in question.excludes)])
    asked = rows.of(question.table, [*key, *sorted(rows.mentioned(question.table, spoken_of))], alone=question.alone)
    if asked is None:
        return None
    return replace(question, condition=probe.excluded(asked, question.excludes, predicate, key, engine.dialect)), asked


def _key(table: Ref, live: Catalog) -> tuple[str, ...]:
    return next((item.columns for item in live.all(PrimaryKey) if item.ref.table == table), ())


def _first_column(table: Ref, live: Catalog) -> tuple[str, ...]:
    found = live.table(table.schema, table.name)
    return tuple(column.name for column in found.columns[:1]) if found else ()


def questions(
    changes: Sequence[CatalogChange], live: Catalog, rows_of: RowsOf, rows: RowsToBe, engine: Engine
) -> Iterator[tuple[Question, str]]:
    """Yield what has to be asked before these changes, and the rows it is asked of, by the names that tables have in `live`.

    What keys, checks and foreign keys say is asked of rows as the changes will leave them, or not at all where nobody can tell.
    """
    for change in changes:
        table = change.ref.table
        if live.table(table.schema, table.name) is None:
            continue
        match _as_new(change):
            case AddColumn(_, column, _):
                yield from _new_column(change.ref, table, column, rows, rows_of, engine)
            case AlterColumn(_, before, after) if after.generated is not None and before.generated != after.generated:
                yield from _new_column(change.ref, table, after, rows, rows_of, engine, is_new=False)
            case AlterColumn(_, before, after):
                yield from (
                    (question, rows_of(table, False)) for question in _altered_column(change.ref, table, before, after, engine)
                )
            case CreateObject(item):
                yield from _new_object(item, item.ref, table, live, rows, engine)
            case _:
                pass
    yield from _kept_keys(changes, live, rows, engine)
    yield from _over_filled(changes, live, rows, engine)


def _as_new(change: CatalogChange) -> CatalogChange:
    """A key over other columns or to others, another check, or one that is valid from now on asks of rows what a new one does."""
    match change:
        case AlterObject(before=PrimaryKey() | Unique() | Index() as old, after=PrimaryKey() | Unique() | Index() as new) if (
            _tells_apart(old) != _tells_apart(new)
        ):
            return CreateObject(new)
        case AlterObject(before=ForeignKey() as led, after=ForeignKey() as leads) if _reaches(led) != _reaches(leads):
            return CreateObject(leads)
        case AlterObject(before=Check() as held, after=Check() as check) if (held.expression, held.is_valid) != (
            check.expression,
            check.is_valid,
        ):
            return CreateObject(check)
        case _:
            return change


def _tells_apart(key: PrimaryKey | Unique | Index) -> tuple[object, ...]:
    """What a key asks of rows."""
    nulls_are_alike = not isinstance(key, PrimaryKey) and key.nulls_not_distinct
    return (key.keys, key.unique, key.predicate, nulls_are_alike) if isinstance(key, Index) else (key.columns, nulls_are_alike)


def _reaches(key: ForeignKey) -> tuple[object, ...]:
    """What a foreign key asks of rows."""
    return key.columns, key.references, key.referenced_columns, key.match == "FULL", key.is_valid


def _kept_keys(changes: Sequence[CatalogChange], live: Catalog, rows: RowsToBe, engine: Engine) -> Iterator[tuple[Question, str]]:
    """Ask about keys that stay, over columns whose values, or the ways to compare them, change."""
    spoken_of = {change.ref for change in changes}
    altered = {ref.table for ref in spoken_of if ref.kind in ("column", "table")}
    for item in live:
        table = item.ref.table
        if table not in altered or item.ref in spoken_of or not _is_key(item):
            continue
        cause = next((ref for name in _columns(item) if (ref := column_ref(table, name)) in spoken_of), table)
        if cause in spoken_of and rows.changed(table, _columns(item)):
            yield from _new_object(item, cause, table, live, rows, engine)


def _over_filled(
    changes: Sequence[CatalogChange], live: Catalog, rows: RowsToBe, engine: Engine
) -> Iterator[tuple[Question, str]]:
    """Ask about checks and foreign keys that stay, over columns whose NULLs give way to a default."""
    spoken_of = {change.ref for change in changes}
    for item in live:
        table = item.ref.table
        if item.ref in spoken_of or not isinstance(item, Check | ForeignKey) or not (filled := rows.filled(table)):
            continue
        columns = item.columns if isinstance(item, ForeignKey) else rows.mentioned(table, item.expression)
        cause = next((column_ref(table, name) for name in columns if name in filled), None)
        if cause is not None:
            yield from _new_object(item, cause, table, live, rows, engine)


def _is_key(item: CatalogObject) -> bool:
    return isinstance(item, PrimaryKey | Unique) or (isinstance(item, Index) and item.unique)


def _columns(item: CatalogObject) -> tuple[str, ...]:
    """The columns of a key; none where it is made of expressions alone."""
    match item:
        case PrimaryKey() | Unique():
            return item.columns
        case Index(keys=keys):
            return tuple(key.column for key in keys if key.column)
        case _:
            return ()


def _new_column(
    ref: Ref, table: Ref, column: Column, rows: RowsToBe, rows_of: RowsOf, engine: Engine, *, is_new: bool = True
) -> Iterator[tuple[Question, str]]:
    """Ask what a column that comes, or is computed otherwise, will hold."""
    name, domains = column.name, rows.domains(column)
    called = f"the new column {name}" if is_new else name
    is_nullable = column.nullable and all(domain.nullable for domain in domains)
    asked = rows.of(table, [name])
    value = f"t.{engine.dialect.identifier(name)}"
    if column.generated is not None:
        if asked is not None and column.generated.is_stored and engine.features.has_strict_types:
            kind = domains[-1].base_type if domains else column.type
            computed = value if "." in kind or not engine.features.casts_to_any_type else f"CAST({value} AS {kind})"
            yield Question(ref, table, computed, f"{called} cannot be computed", (name,), is_tried=True), asked
            short = _TEXT.fullmatch(kind) if engine.features.casts_to_any_type else None
            if short:  # a cast would cut it off, and blanks are always cut off
                length = f"char_length(rtrim(CAST({value} AS {engine.features.text_cast})))"
                words = f"{called} is longer than {short[1]} character{'s' if int(short[1]) > 1 else ''}"
                yield Question(ref, table, f"{length} > {short[1]}", words, (name,)), asked
        if asked is not None and not is_nullable:
            condition = probe.is_null(name, engine.dialect)
            yield Question(ref, table, condition, f"{called} would be NULL", (name,)), asked
    elif not is_nullable and rows.default(column) is None and column.identity is None and not engine.features.fills_new_columns:
        words = f"{called} must not be NULL and has no default for them"
        yield Question(ref, table, probe.EVERY, words, ()), rows_of(table, False)
        return
    for domain in domains if asked is not None else ():
        for check, text in domain.checks:
            words = f"{called} would break {check} of {domain.ref.qualified}"
            yield Question(ref, table, probe.breaks(probe.about(value, text)), words, ()), asked or ""


def _altered_column(ref: Ref, table: Ref, before: Column, after: Column, engine: Engine) -> Iterator[Question]:
    dialect = engine.dialect
    if before.nullable and not after.nullable and after.generated is None:
        is_filled = fills(before, after, engine)
        words = f"{after.name} is NULL{f', and becomes {after.default}' if is_filled else ''}"
        yield Question(ref, table, probe.is_null(after.name, dialect), words, (after.name,), fills=is_filled)
    if before.type == after.type or not engine.features.has_strict_types:
        return
    text = _TEXT.fullmatch(after.type)
    if text and _is_text(before.type):
        words = f"{after.name} is longer than {text[1]} character{'s' if int(text[1]) > 1 else ''}"
        is_padded = text[0].lower().startswith(("char(", "character("))
        condition = probe.longer_than(after.name, int(text[1]), dialect, is_padded=is_padded)
        yield Question(ref, table, condition, words, (after.name,))
    limit = _DECIMAL.fullmatch(after.type)
    if limit and (_DECIMAL.fullmatch(before.type) or _range(before.type) or before.type == "numeric"):
        digits = int(limit[1]) - int(limit[2] or 0)
        words = f"{after.name} has more than {digits} digits before the point"
        condition = probe.reaches(after.name, 10**digits, engine.features.text_cast, dialect)
        yield Question(ref, table, condition, words, (after.name,))
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


def _new_object(
    item: CatalogObject,
    ref: Ref,
    table: Ref,
    live: Catalog,
    rows: RowsToBe,
    engine: Engine,
) -> Iterator[tuple[Question, str]]:
    match item:
        case Check(is_valid=True):
            asked = rows.of(table, rows.mentioned(table, item.expression), alone=item.no_inherit)
            if asked is not None:
                words, alias = f"they break the check {item.name or item.expression}", engine.dialect.identifier(table.name)
                yield Question(ref, table, probe.breaks(item.expression), words, (), alias=alias), asked
        case ForeignKey(is_valid=True):
            yield from _new_foreign_key(item, ref, table, live, rows, engine)
        case Index(unique=False) if any(key.column is None for key in item.keys):
            yield from _new_expressions(item, ref, table, rows)
        case PrimaryKey() | Unique() | Index(unique=True):
            if not any(name == "without_overlaps" for name, _ in item.options):
                yield from _new_key(item, ref, table, rows, engine)
        case _:
            pass


def _new_key(
    item: PrimaryKey | Unique | Index, ref: Ref, table: Ref, rows: RowsToBe, engine: Engine
) -> Iterator[tuple[Question, str]]:
    quote, columns, predicate = engine.dialect.identifier, _columns(item), None
    if isinstance(item, Index):
        predicate = item.predicate
        guard = predicate if engine.features.has_strict_types else None
        parts = [_part(key, quote, guard) for key in item.keys]
        spoken_of = [*parts, predicate or ""]
        columns = (*columns, *sorted({name for text in spoken_of for name in rows.mentioned(table, text)} - {*columns}))
        words = ", ".join(key.column or key.expression or "" for key in item.keys)
    else:
        parts, words = [quote(name) for name in columns], ", ".join(columns)
    asked = rows.of(table, columns, alone=True)
    if asked is not None:
        alike = not isinstance(item, PrimaryKey) and item.nulls_not_distinct
        condition = probe.duplicated(asked, parts, predicate, nulls_are_alike=alike)
        yield Question(ref, table, condition, f"{words} is not unique", columns), asked


def _new_expressions(item: Index, ref: Ref, table: Ref, rows: RowsToBe) -> Iterator[tuple[Question, str]]:
    """An index is not made where what it keeps cannot be computed of a row."""
    for key in item.keys:
        if key.expression is not None:
            asked = rows.of(table, rows.mentioned(table, f"{key.expression} {item.predicate or ''}"), alone=True)
            value = f"CASE WHEN {item.predicate} THEN {key.expression} END" if item.predicate else f"({key.expression})"
            if asked is not None:
                yield Question(ref, table, value, f"{key.expression} cannot be computed", (), is_tried=True), asked


def _part(key: IndexKey, quote: Callable[[str], str], guard: str | None) -> str:
    """What an index compares rows by; an expression is computed of those alone that meet `guard`, for it may fail of others."""
    if key.column is None:
        text = f"(CASE WHEN {guard} THEN {key.expression} END)" if guard else f"({key.expression})"
    else:
        text = quote(key.column)
    if key.prefix is not None:
        text = f"left({text}, {key.prefix})"
    return f"{text} COLLATE {key.collation}" if key.collation else text


def _new_foreign_key(
    key: ForeignKey, ref: Ref, table: Ref, live: Catalog, rows: RowsToBe, engine: Engine
) -> Iterator[tuple[Question, str]]:
    there = live.table(key.references.schema, key.references.name)
    asked, columns = _rows_with(table, key.columns, live, rows), key.referenced_columns or rows.key(key.references)
    if key.references in rows.given.tables:
        values = rows.given_values(key.references, columns)
        if values is None or len(columns) != len(key.columns):
            return
        condition = probe.unlike(key.columns, values, engine.dialect)
    else:
        parent = None if there is None else _rows_with(there.ref, columns, live, rows)
        if there is not None and (parent is None or len(columns) != len(key.columns)):
            return
        condition = probe.orphaned(key.columns, parent, columns, engine.dialect)
    if asked is not None and table not in rows.given.tables:
        words = f"{', '.join(key.columns)} refers to no row of {key.references.qualified}"
        yield Question(ref, table, condition, words, key.columns), asked
        if key.match == "FULL" and len(key.columns) > 1:
            words = f"some of {', '.join(key.columns)} is NULL, and MATCH FULL wants all or none"
            yield Question(ref, table, probe.half_null(key.columns, engine.dialect), words, key.columns), asked


def _rows_with(table: Ref, columns: Sequence[str], live: Catalog, rows: RowsToBe) -> str | None:
    """Rows as they will be, else as they are: values of another type may still be compared with those they refer to."""
    there = live.table(table.schema, table.name)
    found = rows.of(table, columns, alone=True)
    if found is None and there is not None and all(there.column(name) for name in columns):
        return rows.as_they_are(table, alone=True)
    return found
