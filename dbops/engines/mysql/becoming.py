"""What values become when their columns change, and what they are compared by, as SQL."""

from __future__ import annotations

from dbops.catalog.model import Column, Table
from dbops.engines.mysql.show_create import collation_of
from dbops.engines.mysql.types import charset_of, integer_range, is_text, is_textual, members, parts

_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year"})
_MOMENTS = frozenset({"date", "datetime", "timestamp"})
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})


def becomes(value: str, before: Column | None, after: Column, tables: tuple[Table, Table]) -> str | None:
    """See the port; of types that are seldom changed into each other nothing is told."""
    if before is None:
        return value or zero(after.type)
    collations = (collation_of(before, tables[0]), collation_of(after, tables[1]))
    if before.type == after.type and collations[0] == collations[1]:
        return value
    if {parts(column.type)[0] for column in (before, after)} <= _BYTES:
        kind, length, _ = parts(after.type)
        return f"CAST({value} AS BINARY({length or 1}))" if kind == "binary" else value
    if is_textual(after.type):
        return _text(value, before, collations)
    return _converted(value, before.type, after.type)


def zero(type_text: str) -> str | None:
    """What the server gives rows in a new column without NULL and without a default (MySQL 8.4 manual, 13.6)."""
    kind = parts(type_text)[0]
    if kind in _NUMBERS:
        return "0"
    if kind == "enum":
        return members(type_text)[0]
    return "''" if is_textual(type_text) or kind.endswith("blob") or kind == "varbinary" else None


def _text(value: str, before: Column, collations: tuple[str | None, str | None]) -> str | None:
    old, new = collations
    if new is None or (parts(before.type)[0] not in (*_NUMBERS, *_MOMENTS, *_BYTES) and not is_textual(before.type)):
        return None
    charset = charset_of(new)
    same_charset = old is not None and charset_of(old) == charset
    text = value if same_charset else f"CONVERT({value} USING {charset})"
    return text if old == new else f"{text} COLLATE {new}"


def _converted(value: str, before: str, after: str) -> str | None:
    (old, *_), (new, arguments, _) = parts(before), parts(after)
    is_number = old in _NUMBERS
    if not (is_number or is_text(before) or old in _MOMENTS):
        return None
    if limits := integer_range(after):
        kind = "SIGNED" if limits[0] else "UNSIGNED"
        return f"CAST(ROUND({value}) AS {kind})" if is_number else f"CAST({value} AS {kind})" if is_text(before) else None
    if new == "decimal" and old not in _MOMENTS:
        return f"CAST({value} AS DECIMAL({arguments}))"
    if new == "date" and not is_number:
        return f"CAST({value} AS DATE)"
    if new in ("datetime", "timestamp") and not is_number:
        return f"CAST({value} AS DATETIME({arguments or 0}))"
    return None


def folded(text: str, column: Column, table: Table) -> str | None:
    """See the port."""
    collation = collation_of(column, table)
    return None if collation is None or collation.endswith("_bin") else f"HEX(WEIGHT_STRING({text}))"
