"""The rule about values that are not of their column's type (https://www.sqlite.org/datatype3.html, 3 Type Affinity)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbops.engines.base.advice import Finding, Rule
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.tokens import quote
from dbops.engines.sqlite.types import affinity

VALUES = Rule(
    "LT-TBL-006",
    "warning",
    "object",
    "values that are not of their column's type",
    "",
    "mend the values; STRICT refuses the next ones",
    thresholds={"rows": 100_000},
)
_ODD: Mapping[str, tuple[str, ...]] = {
    "INTEGER": ("text", "blob"),
    "REAL": ("text", "blob"),
    "NUMERIC": ("text", "blob"),
    "TEXT": ("blob",),
}
"""What no value of a column with this affinity becomes when it is stored, unless it cannot be converted."""
_NUMBERS = ("NUMERIC", "DECIMAL", "NUMBER", "BOOL")
"""Types of the affinity NUMERIC that mean numbers: dates, JSON and others have it too, and are kept as text by custom."""
_TABLES = """
SELECT l.name FROM pragma_table_list AS l WHERE l.schema = 'main' AND l.type = 'table' AND NOT l.strict
  AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND l.name NOT LIKE 'dbops\\_%' ESCAPE '\\' ORDER BY 1"""


def contradicting(conn: SqliteConnection, numbers: Mapping[str, float]) -> Iterator[Finding]:
    """Yield columns with such values in the first rows of each table, `rows` of them; one query a table."""
    for (table,) in conn.query(_TABLES):
        columns = [
            (str(name), str(declared), odd)
            for name, declared in conn.query("SELECT name, type FROM pragma_table_info(?)", (table,))
            if (odd := _odd(str(declared)))
        ]
        if not columns:
            continue
        sums = ", ".join(f"sum(typeof({quote(name)}) IN ({', '.join(repr(kind) for kind in odd)}))" for name, _, odd in columns)
        names = ", ".join(quote(name) for name, _, _ in columns)
        sql = f"SELECT count(*), {sums} FROM (SELECT {names} FROM {quote(str(table))} LIMIT {int(numbers['rows'])})"
        ((rows, *counts),) = conn.query(sql)
        for (name, declared, odd), count in zip(columns, counts, strict=True):
            if count:
                yield Finding(f"{table}.{name}", f"{count:,} of {rows:,} rows hold {' or '.join(odd)} in {declared}")


def _odd(declared: str) -> tuple[str, ...]:
    """Return what a column declared so should not hold."""
    kind = affinity(declared)
    if not declared or (kind == "NUMERIC" and not declared.upper().startswith(_NUMBERS)):
        return ()
    return _ODD.get(kind, ())
