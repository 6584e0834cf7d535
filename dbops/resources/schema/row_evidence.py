"""What reference rows do to other tables, or lack there: rows that refer to those that go, references that lead nowhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation, Overflow
from unicodedata import combining, normalize

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import CatalogChange
from dbops.catalog.model import ForeignKey
from dbops.catalog.ref import Ref
from dbops.dataclass import dataclass
from dbops.engines.base.engine import Engine
from dbops.engines.base.question import Question
from dbops.resources.schema.data import ReferenceRows
from dbops.resources.schema.data_file import Row
from dbops.resources.schema.rows_to_be import RowsToBe
from dbops.sql import probe

#: What a foreign key does to rows whose row goes, in words; any other keeps that row from going.
_FOLLOWING = {"CASCADE": "goes with it", "SET NULL": "becomes NULL", "SET DEFAULT": "gets its default"}
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is asked of rows that refer to reference rows which go; `follows`: they do not stop these, but change with them."""

    table: Ref
    question: Question
    rows: str
    follows: bool


def leaving(changes: Sequence[CatalogChange], live: Catalog, rows: RowsToBe, engine: Engine) -> Iterator[Leaving]:
    """Yield what to ask about each foreign key that leads to reference rows which go, or get other values."""
    begun = {change.ref for change in changes}
    for key in live.all(ForeignKey):
        reference, child = rows.given.tables.get(key.references), key.ref.table
        if reference is None or child in rows.given.tables or {key.ref, child} & begun:
            continue
        columns = key.referenced_columns or rows.key(key.references)
        asked = rows.of(child, key.columns, alone=True)
        if asked is None or len(columns) != len(key.columns) or not {*columns} <= {*reference.columns}:
            continue
        kept = set(_values(reference, columns, reference.wanted.values()))
        surplus, changed = reference.surplus, [row for row, _ in reference.changed]
        for action, going in ((key.on_delete, surplus), (key.on_update, changed)):
            gone = [value for value in dict.fromkeys(_values(reference, columns, going)) if value not in kept]
            values = rows.as_sql(reference.table, columns, gone)
            follows = engine.features.keeps_foreign_keys and action in _FOLLOWING
            event = "DELETE" if going is surplus else "UPDATE"
            if not gone or values is None or (follows and (event, action) == ("UPDATE", "CASCADE")):
                continue
            consequence = f", and {_FOLLOWING[action]} (ON {event} {action})" if follows else ""
            verb = "goes" if event == "DELETE" else "gets another value"
            words = f"{', '.join(key.columns)} refers to a row of {key.references.qualified} that {verb}{consequence}"
            condition = probe.alike(key.columns, values, engine.dialect)
            yield Leaving(reference.table, Question(key.ref, child, condition, words, key.columns), asked, follows)


def _values(reference: ReferenceRows, columns: Sequence[str], rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    """Yield what rows hold in some columns, where nothing of it is NULL."""
    places = [reference.columns.index(name) for name in columns]
    for row in rows:
        told = [value for place in places if (value := row[place]) is not None]
        if len(told) == len(places):
            yield tuple(told)


def leading_nowhere(
    live: Catalog, rows: RowsToBe, engine: Engine, ask: Callable[[str], Sequence[Sequence[object]]]
) -> Iterator[tuple[Ref, str]]:
    """Yield what reference rows that come, or change, refer to without its being there; `ask` runs a query."""
    for key in rows.given.desired.all(ForeignKey):
        reference = rows.given.tables.get(key.ref.table)
        if reference is None or not key.is_valid or not {*key.columns} <= {*reference.columns}:
            continue
        columns = key.referenced_columns or rows.key(key.references)
        coming = [*reference.missing, *(row for _, row in reference.changed)] if key.ref in live else [*reference.wanted.values()]
        wanted = list(dict.fromkeys(_values(reference, key.columns, coming)))
        if not wanted or len(columns) != len(key.columns):
            continue
        nowhere = _nowhere(key, columns, wanted, reference, live, rows, engine, ask)
        guilty = [row for row in coming if (value := next(_values(reference, key.columns, [row]), None)) and value in nowhere]
        if guilty:
            many = "1 row" if len(guilty) == 1 else f"{len(guilty)} rows"
            shown = ", ".join("/".join(str(part) for part in reference.key_of(row).values()) for row in guilty[: probe.SHOWN])
            more = ", …" if len(guilty) > probe.SHOWN else ""
            words = f"{', '.join(key.columns)} refers to no row of {key.references.qualified}"
            yield (
                reference.table,
                f"{many} of {reference.file.rsplit('/', 1)[-1]}: {words} ({', '.join(reference.key)}: {shown}{more})",
            )


def _nowhere(
    key: ForeignKey,
    columns: Sequence[str],
    wanted: Sequence[tuple[str, ...]],
    reference: ReferenceRows,
    live: Catalog,
    rows: RowsToBe,
    engine: Engine,
    ask: Callable[[str], Sequence[Sequence[object]]],
) -> set[tuple[str, ...]]:
    """Return those of the values that no row of the other table will have; none where that cannot be told."""
    parent = rows.given.tables.get(key.references)
    if parent is not None:
        if not {*columns} <= {*parent.columns}:
            return set()
        return _not_among(
            list(_values(parent, columns, parent.wanted.values())), wanted, (key.references, columns), rows, engine, ask
        )
    if live.table(key.references.schema, key.references.name) is None:
        return set(wanted)
    asked = rows.of(key.references, columns, alone=True)
    # of no key of its own the engine tells what it compares by: what the other column does (sqlite.org/foreignkeys.html, 3)
    keeps = engine.features.keeps_foreign_keys
    values = rows.as_sql(*((reference.table, key.columns) if keeps else (key.references, columns)), wanted)
    if asked is None or values is None:
        return set()
    names = [f"p.{engine.dialect.identifier(name)}" for name in columns]
    tests = [f"EXISTS (SELECT 1 FROM {asked} AS p WHERE {_all_alike(names, value)})" for value in values]
    return {value for value, is_there in zip(wanted, _answers(tests, ask), strict=True) if not is_there}


def _not_among(
    held: Sequence[tuple[str, ...]],
    wanted: Sequence[tuple[str, ...]],
    of: tuple[Ref, Sequence[str]],
    rows: RowsToBe,
    engine: Engine,
    ask: Callable[[str], Sequence[Sequence[object]]],
) -> set[tuple[str, ...]]:
    """Return those of the values that are none of `held`, which columns of a table will hold.

    Where the engine keeps keys itself, a doubt may pass; else the database is asked. Where there is none yet, columns count that
    compare letter by letter.
    """
    folds = engine.features.keeps_foreign_keys
    alike: defaultdict[tuple[object, ...], list[tuple[str, ...]]] = defaultdict(list)
    for value in dict.fromkeys(held):
        alike[tuple(_plainly(part, folds) for part in value)].append(value)
    likely = {value: alike.get(tuple(_plainly(part, folds) for part in value), []) for value in wanted}
    nowhere = {value for value, there in likely.items() if not there}
    doubts = {value: there for value, there in likely.items() if there and value not in there}
    if folds or not doubts:
        return nowhere
    tests = []
    for value, there in doubts.items():
        written = rows.as_sql(*of, [value, *there])
        own, *others = written or [()]
        tests.append(" OR ".join(f"({_all_alike(own, other)})" for other in others) or probe.EVERY)
    answers = _answers(tests, ask) or [any(_spelled_alike(value, there, of, rows, engine)) for value, there in doubts.items()]
    return nowhere | {value for value, is_there in zip(doubts, answers, strict=True) if not is_there}


def _spelled_alike(
    value: tuple[str, ...], others: Iterable[tuple[str, ...]], of: tuple[Ref, Sequence[str]], rows: RowsToBe, engine: Engine
) -> Iterator[bool]:
    """Tell of other values whether they are the same as one in columns of texts that are compared letter by letter."""
    table = rows.given.desired.table(of[0].schema, of[0].name)
    columns = [table.column(name) if table else None for name in of[1]]
    for other in others:
        yield all(
            part == same
            or isinstance(_plainly(part, False), Decimal)
            or table is None
            or column is None
            or engine.folded("v", column, table) is not None
            for part, same, column in zip(value, other, columns, strict=True)
        )


def _all_alike(one: Sequence[str], other: Sequence[str]) -> str:
    return " AND ".join(f"{left} = {right}" for left, right in zip(one, other, strict=True))


def _answers(tests: Sequence[str], ask: Callable[[str], Sequence[Sequence[object]]]) -> list[object]:
    """Return whether conditions are true, a few dozens at a time; none where nobody answers."""
    return [
        answer
        for start in range(0, len(tests), _AT_ONCE)
        for answers in ask(f"SELECT {', '.join(tests[start : start + _AT_ONCE])}")
        for answer in answers
    ]


def _plainly(text: str, folds_accents: bool) -> object:
    """Return what texts that may be one value to the database have in common: case, and how numbers are written, go."""
    try:
        number = Decimal(text).normalize()
    except (InvalidOperation, Overflow):
        number = Decimal("NaN")
    if number.is_finite():
        return number
    apart = normalize("NFKD", text) if folds_accents else text
    return "".join(letter for letter in apart.casefold() if not (folds_accents and combining(letter))).rstrip()
