"""The portable types of manifests in PostgreSQL's words."""

from __future__ import annotations

from difflib import get_close_matches

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
