"""SQLite's types: which affinity a declared type has, what a change of it loses, and names for portable types."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dbops.catalog.model import Column
from dbops.errors import SchemaError

_NUMERIC_LIKE = ("INTEGER", "REAL", "NUMERIC")


def affinity(declared: str) -> str:
    """Return INTEGER, TEXT, BLOB, REAL or NUMERIC (https://www.sqlite.org/datatype3.html, section 3.1)."""
    text = declared.upper()
    if "INT" in text:
        return "INTEGER"
    if any(part in text for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not text or "BLOB" in text:
        return "BLOB"
    if any(part in text for part in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


def loses(before: str, after: str) -> str | None:
    """Say what stored values may lose when a column gets another type, None when they stay what they are."""
    old, new = affinity(before), affinity(after)
    if old == new:
        return None
    if old in ("TEXT", "BLOB") and new in _NUMERIC_LIKE:
        return "text that looks like a number becomes one: '007' turns into 7"
    if new == "REAL":
        return "integers above 9007199254740992 lose digits"
    return None


#: Portable types with the declared type that other libraries choose too; `{}` are the arguments.
_PORTABLE: Mapping[str, tuple[str, str]] = {
    "string": ("VARCHAR", "VARCHAR({})"),
    "text": ("TEXT", "TEXT"),
    "smallint": ("SMALLINT", "SMALLINT"),
    "integer": ("INTEGER", "INTEGER"),
    "bigint": ("BIGINT", "BIGINT"),
    "float": ("REAL", "REAL"),
    "decimal": ("DECIMAL", "DECIMAL({})"),
    "boolean": ("BOOLEAN", "BOOLEAN"),
    "datetime": ("DATETIME", "DATETIME"),
    "date": ("DATE", "DATE"),
    "time": ("TIME", "TIME"),
    "binary": ("BLOB", "BLOB"),
    "json": ("TEXT", "TEXT"),
    "uuid": ("CHAR(36)", "CHAR(36)"),
}


def portable_type(name: str, arguments: tuple[int, ...]) -> str:
    """Translate a portable type; SQLite keeps lengths and precisions as documentation.

    Raises:
        SchemaError: unknown type.
    """
    if name not in _PORTABLE:
        raise SchemaError(f"unknown column type '{name}'", expected=f"one of {', '.join(_PORTABLE)}")
    bare, with_arguments = _PORTABLE[name]
    return with_arguments.format(", ".join(map(str, arguments))) if arguments else bare


#: The portable name of a declared type; JSON is declared TEXT, and nothing tells them apart afterwards.
_NAMES = {bare: name for name, (bare, _) in reversed(list(_PORTABLE.items()))}
_WITH_NUMBERS = re.compile(r"(VARCHAR|DECIMAL)\((\d+(?:, ?\d+)?)\)")


def portable_type_of(column: Column) -> str | None:
    """Return the portable type that is declared as this column is, None when there is none."""
    if found := _WITH_NUMBERS.fullmatch(column.type):
        return f"{_NAMES[found[1]]}({found[2]})"
    return _NAMES.get(column.type)
