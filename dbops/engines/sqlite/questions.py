"""Questions to live rows that only SQLite has: values that a STRICT table refuses (https://www.sqlite.org/stricttables.html)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import AlterColumn, AlterObject, CatalogChange, column_ref
from dbops.catalog.model import Column, Table
from dbops.engines.base.question import Question
from dbops.engines.sqlite.tokens import quote

_STRICT = ("strict", "true")


def questions(changes: Sequence[CatalogChange], live: Catalog) -> Iterator[Question]:
    """Yield what has to be asked of tables that are there: all columns of those that become STRICT, else those that change."""
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
