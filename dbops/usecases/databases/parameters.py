"""Values for the marks of a statement, in the order and the style of the driver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dbops.errors import QueryError
from dbops.sql.dialect import Dialect
from dbops.sql.marks import Style, named, positional

Parameters = Sequence[Any] | Mapping[str, Any] | None


def prepared(sql: str, parameters: Parameters, dialect: Dialect, style: Style) -> tuple[str, Sequence[Any]]:
    """Return a statement with the driver's marks, and the values in their order.

    Raises:
        QueryError: marks and values do not fit.
    """
    if not parameters:
        return sql, ()
    if isinstance(parameters, Mapping):
        marked = named(sql, frozenset(parameters), dialect, style)
        return marked.sql, [parameters[name] for name in marked.names or ()]
    if isinstance(parameters, Sequence) and not isinstance(parameters, str | bytes):
        return positional(sql, len(parameters), dialect, style).sql, parameters
    raise QueryError(
        f"parameters cannot be {type(parameters).__name__}", expected="a tuple or list of values, or a dictionary by name"
    )


def must_be_text(sql: object) -> None:
    """Refuse what is no statement. Raises: QueryError."""
    if not isinstance(sql, str):
        raise QueryError(f"a statement cannot be {type(sql).__name__}", expected="its text")


def listed(rows: Iterable[Parameters] | None) -> Sequence[Parameters]:
    """Return what a program gave for the rows of a statement as a sequence.

    Raises:
        QueryError: it gave something that has no rows.
    """
    if rows is None or isinstance(rows, Sequence):
        return rows or ()
    if isinstance(rows, Iterable):
        return list(rows)
    raise QueryError(f"rows of parameters cannot be {type(rows).__name__}", expected="a list of tuples, lists or dictionaries")


def alike(rows: Sequence[Parameters], sql: str, dialect: Dialect, style: Style) -> Sequence[Sequence[Any]]:
    """Return the values of many rows in the order of the marks of the first.

    Raises:
        QueryError: a row has other values than the first.
    """
    first = rows[0]
    if isinstance(first, Mapping):
        order = named(sql, frozenset(first), dialect, style).names or ()
        for place, row in enumerate(rows):
            if not isinstance(row, Mapping) or row.keys() != first.keys():
                raise QueryError(f"row {place} has other names than the first", expected=", ".join(first))
        return [[row[name] for name in order] for row in rows]  # type: ignore[index,call-overload]  # looked at above
    width = len(first or ())
    if not _are_rows(rows, width):
        for place, row in enumerate(rows):
            if not isinstance(row, tuple | list) or len(row) != width:
                raise QueryError(f"row {place} has other values than the first", expected=f"a tuple or list of {width}")
    return rows  # type: ignore[return-value]  # looked at above


def _are_rows(rows: Sequence[Any], width: int) -> bool:
    """Tell whether all rows are tuples, or lists, of one width; a loop of Python's would cost a tenth of the driver's work."""
    kinds, count = list(map(type, rows)), len(rows)
    if kinds.count(tuple) != count and kinds.count(tuple) + kinds.count(list) != count:
        return False
    return list(map(len, rows)).count(width) == count
