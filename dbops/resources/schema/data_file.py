"""The CSV file of reference rows: RFC 4180, where an empty field without quotes is NULL and `""` is empty text.

Python's csv module tells these two apart from version 3.12 on only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from dbops.catalog.model import Column, Table
from dbops.errors import Mark, SchemaError
from dbops.resources.schema.model import ReferenceFile
from dbops.resources.schema.sources import shown

Row = tuple[str | None, ...]

_FIELD = re.compile(r'(?:"((?:[^"]+|"")*)"|([^",\r\n][^,\r\n]*|))(,|\r\n|\r|\n|\Z)')
_BREAK = re.compile(r"\r\n|\r|\n")


def parsed_rows(text: str, file: ReferenceFile, table: Table) -> tuple[tuple[str, ...], list[tuple[int, Row]]]:
    """Return the columns and the rows with their lines; a bare empty field is NULL where the column takes that, else empty text.

    Raises:
        SchemaError: no CSV, no such column, a line too short or too long, or a key that stands twice.
    """
    place = shown(file.path)
    lines = list(_records(text, place))
    if not lines:
        raise SchemaError("the file of rows is empty", at=Mark(place), expected="a header line with column names")
    columns = tuple(name or "" for name in lines[0][1])
    known = {column.name: column for column in table.columns}
    for number, name in enumerate(columns):
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise SchemaError(
                f"table {file.table} has no column {name!r}",
                at=Mark(place, 1, number + 1),
                expected=f"one of {', '.join(known)}",
                fix=f"did you mean {near[0]!r}?" if near else None,
            )
    absent = [name for name in file.key if name not in columns]
    if absent:
        raise SchemaError(f"the file has no column {absent[0]!r}, which is part of the key", at=Mark(place, 1))
    rows = [(line, _row(fields, columns, known, Mark(place, line))) for line, fields in lines[1:]]
    _refuse_twins(columns, rows, file)
    return columns, rows


def _records(text: str, place: str) -> Iterator[tuple[int, Row]]:
    """Yield each record with the line it ends on, empty lines left out; None is an empty field without quotes."""
    start, line, fields = 0, 1, list[str | None]()
    while start < len(text) or fields:
        found = _FIELD.match(text, start)
        if found is None:
            raise SchemaError(
                "the file of rows is not CSV: a quoted field does not end, or text follows it", at=Mark(place, line)
            )
        quoted, bare, end = found.groups()
        fields.append(quoted.replace('""', '"') if quoted is not None else bare or None)
        start, line = found.end(), line + len(_BREAK.findall(quoted or ""))
        if end != ",":
            if fields != [None] or quoted is not None:
                yield line, tuple(fields)
            fields, line = [], line + 1


def _row(fields: Row, columns: tuple[str, ...], known: Mapping[str, Column], at: Mark) -> Row:
    if len(fields) != len(columns):
        found = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        raise SchemaError(f"the line has {found}", at=at, expected=f"{len(columns)} fields")
    return tuple("" if text is None and not known[name].nullable else text for name, text in zip(columns, fields, strict=True))


def _refuse_twins(columns: tuple[str, ...], lines: Sequence[tuple[int, Row]], file: ReferenceFile) -> None:
    first: dict[Row, int] = {}
    for line, row in lines:
        key = tuple(row[columns.index(name)] for name in file.key)
        if first.setdefault(key, line) != line:
            raise SchemaError(
                f"the key {', '.join(map(str, key))} stands on line {first[key]} already",
                at=Mark(shown(file.path), line),
                expected="each key once",
            )
