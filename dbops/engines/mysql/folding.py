"""Checks as MySQL writes them in the end: with what is constant worked out.

Once a column of a check has changed its type, the next ALTER TABLE writes the check down as the optimizer left it: `c > 1 + 2`
as `c > 3`, `c = '1'` of a number as `c = 1` (MySQL 8.0 to 9.7; no manual says so). Whether two texts of a check mean the same is
therefore asked of tables that have gone through that.
"""

from __future__ import annotations

from collections.abc import Iterable

from dbops.catalog.model import CatalogObject, Check, Column, Table
from dbops.engines.mysql.connect import quoted
from dbops.engines.mysql.ddl import literal
from dbops.engines.mysql.statements import ddl, under
from dbops.engines.mysql.types import parts
from dbops.sql.statement import Statement

_KIN = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "bigint"), "int"),
    "int": "bigint",
    "float": "double",
    "double": "float",
    "date": "datetime",
    "datetime": "date",
    "timestamp": "datetime",
}


def folded(table: Table, children: Iterable[CatalogObject]) -> tuple[Statement, ...]:
    """Return what makes the server write the checks of a table without rows in their last form; types change by that."""
    expressions = [item.expression for item in children if isinstance(item, Check)]
    spoken_of = [column for column in table.columns if any(quoted(column.name) in text for text in expressions)]
    changed = [f"MODIFY COLUMN {quoted(column.name)} {kin}" for column in spoken_of if (kin := _kin(column))]
    if not changed:
        return ()
    name = quoted(table.name)
    modify = ddl(f"ALTER TABLE {name} {', '.join(changed)}, ALGORITHM=COPY")
    return (
        *under({"foreign_key_checks": "0"}, modify),
        ddl(f"ALTER TABLE {name} COMMENT={literal(table.comment or '')}"),
    )


def _kin(column: Column) -> str | None:
    """A type of the same family, so that constants are compared as before; None for a column better left alone."""
    if column.generated is not None or column.identity is not None:
        return None
    base, arguments, modifiers = parts(column.type)
    null = "" if column.nullable else " NOT NULL"
    if base in ("char", "varchar"):
        collation = f" COLLATE {column.collation}" if column.collation else ""
        return f"{base}({int(arguments or 1) + (1 if base == 'varchar' or int(arguments or 1) < 255 else -1)}){collation}{null}"
    if base == "decimal":
        digits, scale = (int(number) for number in arguments.split(","))
        return f"decimal({digits + 1 if digits < 65 else digits - 1},{scale}){modifiers}{null}"
    return f"{_KIN[base]}{modifiers}{null}" if base in _KIN else None
