"""The portable types of manifests in PostgreSQL's words."""

from __future__ import annotations

import re
from difflib import get_close_matches

from dbops.catalog.model import Column
from dbops.errors import SchemaError

_PORTABLE = {
    "boolean": "boolean",
    "smallint": "smallint",
    "integer": "integer",
    "bigint": "bigint",
    "decimal": "numeric",
    "float": "real",
    "double": "double precision",
    "string": "varchar",
    "char": "char",
    "text": "text",
    "binary": "bytea",
    "date": "date",
    "time": "time",
    "datetime": "timestamp",
    "timestamp": "timestamp with time zone",
    "uuid": "uuid",
    "json": "jsonb",
}
_DEFAULT_ARGUMENTS = {"decimal": "(18, 4)"}
_TAKES_ARGUMENTS = frozenset({"decimal", "string", "char", "time", "datetime"})


def portable_type(name: str, arguments: tuple[int, ...]) -> str:
    """Translate a portable type; arguments of types that have none here (binary, text) are dropped.

    Raises:
        SchemaError: unknown type; names the known ones.
    """
    own = _PORTABLE.get(name)
    if own is None:
        near = get_close_matches(name, _PORTABLE, 1)
        raise SchemaError(
            f"unknown column type '{name}'",
            expected=f"one of {', '.join(_PORTABLE)}",
            fix=f"did you mean '{near[0]}'?" if near else None,
        )
    if not arguments:
        return own + _DEFAULT_ARGUMENTS.get(name, "")
    if name == "timestamp":
        return f"timestamp({arguments[0]}) with time zone"
    return f"{own}({', '.join(map(str, arguments))})" if name in _TAKES_ARGUMENTS else own


#: How format_type() spells the types that portable ones become.
_NAMES = {
    "boolean": "boolean",
    "smallint": "smallint",
    "integer": "integer",
    "bigint": "bigint",
    "real": "float",
    "character varying": "string",
    "text": "text",
    "bytea": "binary",
    "date": "date",
    "time without time zone": "time",
    "timestamp without time zone": "datetime",
    "uuid": "uuid",
    "jsonb": "json",
}
_WITH_NUMBERS = re.compile(r"(character varying|numeric)\((\d+(?:,\d+)?)\)")


def portable_type_of(column: Column) -> str | None:
    """Return the portable type of a column, None when it has none; numeric without a precision has none."""
    if found := _WITH_NUMBERS.fullmatch(column.type):
        return f"{'decimal' if found[1] == 'numeric' else 'string'}({found[2]})"
    return _NAMES.get(column.type)
