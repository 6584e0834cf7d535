"""What a partition's bound demands of its rows, as a condition.

A validated CHECK of the same condition spares ATTACH PARTITION the reading of every row under ACCESS EXCLUSIVE (manual, "Table
Partitioning", Partition Maintenance). Only keys of one plain column are read; nothing is returned for others.
"""

from __future__ import annotations

import re

from dbops.catalog.model import PartitionBy
from dbops.engines.postgresql.render.names import quote

_COLUMN = re.compile(r'\(?\s*(?:"((?:[^"]|"")+)"|([a-z_][a-z0-9_$]*))\s*\)?')
_VALUE = r"'(?:[^']|'')*'|-?[\w.]+"
_RANGE = re.compile(rf"FOR VALUES FROM \(({_VALUE})\) TO \(({_VALUE})\)")
_LIST = re.compile(rf"FOR VALUES IN \(((?:{_VALUE})(?:, (?:{_VALUE}))*)\)")


def column_of(key: PartitionBy) -> str | None:
    """Return the one column that the key consists of, None when it is of another kind."""
    found = _COLUMN.fullmatch(key.expression)
    return (found[1] or "").replace('""', '"') or found[2] if found else None


def condition(column: str, kind: str, strategy: str, bound: str) -> str | None:
    """Return what rows have to fulfil, None where that cannot be told; `kind` is the column's type."""
    name = quote(column)
    if strategy.lower() == "range" and (found := _RANGE.fullmatch(bound)):
        limits = (("MINVALUE", ">=", found[1]), ("MAXVALUE", "<", found[2]))
        parts = [f"{name} {sign} {_typed(value, kind)}" for open_end, sign, value in limits if value != open_end]
        return " AND ".join([f"{name} IS NOT NULL", *parts]) if "VALUE" not in "".join(parts) else None
    if strategy.lower() == "list" and (found := _LIST.fullmatch(bound)):
        values = re.findall(_VALUE, found[1])
        given = [_typed(value, kind) for value in values if value != "NULL"]
        equal = f"{name} = ANY (ARRAY[{', '.join(given)}])" if len(given) != 1 else f"{name} = {given[0]}"
        if not given:
            return f"{name} IS NULL"
        return f"{name} IS NULL OR {equal}" if "NULL" in values else f"{name} IS NOT NULL AND {equal}"
    return None


def _typed(value: str, kind: str) -> str:
    return f"{value}::{kind}" if value.startswith("'") else value
