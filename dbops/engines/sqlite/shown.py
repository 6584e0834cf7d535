"""What SQLite shows of a database: sqlite_schema and two table-valued pragmas tell everything but dependencies.

Three queries however many tables; views and triggers cost one statement each, which SQLite only compiles, to learn what they
use (see `dependencies`). Nothing is read out of it here, see `inspect`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Row

if TYPE_CHECKING:
    from dbops.engines.sqlite.connect import SqliteConnection
    from dbops.engines.sqlite.dependencies import Use
    from dbops.engines.sqlite.statements import Firing

# GLOB, unlike LIKE, takes _ for itself.
_SCHEMA = """
SELECT type, name, tbl_name, sql FROM sqlite_schema
WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*' AND lower(name) NOT GLOB 'dbops_*' AND lower(tbl_name) NOT GLOB 'dbops_*'
ORDER BY rowid"""

_SHADOWS = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"

_COLUMNS = """
SELECT s.name, c.name, c.type, c."notnull", c.dflt_value, c.hidden
FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c
WHERE s.type = 'table' AND s.sql NOT LIKE 'CREATE VIRTUAL%' AND s.name NOT GLOB 'sqlite_*' AND lower(s.name) NOT GLOB 'dbops_*'
ORDER BY s.rowid, c.cid"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What SQLite shows of a database: columns, rows of sqlite_schema, and what views and triggers use."""

    columns: Sequence[Row]
    """Table, name, type, notnull, dflt_value, hidden."""
    schema: Sequence[Row]
    """type, name, tbl_name, sql."""
    uses: Mapping[str, Collection[Use]]
    """By the lower-case names of views and triggers."""


def look(conn: SqliteConnection) -> Shown:
    """Ask for all that a catalog is made of, inside a snapshot."""
    shadows = {name for (name,) in conn.query(_SHADOWS)}
    columns = conn.query(_COLUMNS)
    schema = [row for row in conn.query(_SCHEMA) if row[1] not in shadows and row[2] not in shadows]
    return Shown(columns, schema, _uses(conn, [row for row in schema if row[0] in ("view", "trigger")]))


def _uses(conn: SqliteConnection, code: Sequence[Row]) -> Mapping[str, Collection[Use]]:
    if not code:
        return {}
    from dbops.engines.sqlite.dependencies import uses
    from dbops.engines.sqlite.reader import Unreadable
    from dbops.engines.sqlite.statements import parse_trigger

    firings: dict[str, Firing] = {}
    views = []
    for kind, name, _, sql in code:
        if kind == "view":
            views.append(name)
            continue
        try:
            firings[name] = parse_trigger(sql, {})[1]
        except Unreadable:  # reported when it is read in full
            continue
    return uses(conn, views, firings)
