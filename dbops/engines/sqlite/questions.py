"""Questions to live rows that only SQLite has: values that a STRICT table refuses (https://www.sqlite.org/stricttables.html), and
those that are no rowid (lang_createtable.html, section 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, AlterObject, CatalogChange, CreateObject, column_ref
from dbops.catalog.model import CatalogObject, Column, PrimaryKey, Table
from dbops.engines.base.question import Question
from dbops.engines.sqlite.parse import is_rowid_alias
from dbops.engines.sqlite.tokens import quote

_STRICT = ("strict", "true")


def questions(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Yield what has to be asked of tables that are there."""
    yield from _strict(changes, live)
    yield from _new_rowids(changes, live)


def _strict(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Ask of all columns of tables that become STRICT, else of those that change."""
    altered = {change.ref: change.after for change in changes if isinstance(change, AlterColumn)}
    becoming = {change.ref: change.after for change in changes if isinstance(change, AlterObject)}
    for ref in dict.fromkeys([*becoming, *(column.table for column in altered)]):
        there, after = live.objects.get(ref), becoming.get(ref)
        if not isinstance(there, Table) or _STRICT not in (after if isinstance(after, Table) else there).options:
            continue
        for before in there.columns:
            column = altered.get(column_ref(ref, before.name), before)
            is_kept = _STRICT in there.options and column.type.upper() == before.type.upper()
            condition = None if is_kept or column.generated is not None else _refused(column)
            if condition is not None:
                words = f"{column.name} is nothing that {column.type} holds in a STRICT table"
                yield Question(column_ref(ref, before.name), ref, condition, words, (column.name,))


def _new_rowids(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Ask of a column that becomes the rowid itself, which takes nothing but integers, and numbers where there is NULL."""
    altered = {change.ref: change.after for change in changes if isinstance(change, AlterColumn)}
    keys = {change.ref.table: item for change in changes if isinstance(item := _as_it_comes(change), PrimaryKey)}
    tables = {change.ref: item for change in changes if isinstance(item := _as_it_comes(change), Table)}
    for ref in dict.fromkeys([*keys, *tables, *(column.table for column in altered)]):
        there = live.objects.get(ref)
        old = next((item for item in live.all(PrimaryKey) if item.ref.table == ref), None)
        key = keys.get(ref, old)
        if not isinstance(there, Table) or key is None:
            continue
        columns = [altered.get(column_ref(ref, column.name), column) for column in there.columns]
        was_rowid = old is not None and old.columns == key.columns and is_rowid_alias(old, there.columns, there.options)
        if not was_rowid and is_rowid_alias(key, columns, tables.get(ref, there).options):
            name = key.columns[0]
            cause = next((item for item in (column_ref(ref, name), key.ref) if item in altered or item.table in keys), ref)
            condition = _refused(Column(name=name, type="INTEGER"))
            if condition is not None and there.column(name) is not None:
                yield Question(cause, ref, condition, f"{name} is no integer, as a row's number has to be", (name,))


def _as_it_comes(change: CatalogChange) -> CatalogObject | None:
    return change.item if isinstance(change, CreateObject) else change.after if isinstance(change, AlterObject) else None


def _refused(column: Column) -> str | None:
    """The condition of values that a STRICT column of this type refuses; None where it takes all.

    Text is read as a number where it is one to its end, as it is where a number is compared with it (datatype3.html, 4.2).
    """
    name = f"t.{quote(column.name)}"
    number = f"CAST({name} AS NUMERIC)"
    match column.type.upper():
        case "INT" | "INTEGER":
            # the smallest integer of all does not come of a fraction, which has too few digits to tell it from the next one
            return f"({name} <> CAST({number} AS INTEGER) OR typeof({number}) = 'real' AND {number} <= {-(2**63)})"
        case "REAL":
            return f"{name} <> {number}"
        case "TEXT":
            return f"typeof({name}) = 'blob'"
        case "BLOB":
            return f"typeof({name}) NOT IN ('blob', 'null')"
        case _:
            return None
