"""How large tables are, without reading them."""

from __future__ import annotations

from collections.abc import Mapping

from dbops.catalog.ref import Ref
from dbops.engines.base.connect import TableSize
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.tokens import literal, quote

_SMALLEST_ROW = 4  # bytes; the least a row takes in a page, its cell pointer included
_TERMS = 400  # SQLITE_MAX_COMPOUND_SELECT is 500 unless it was compiled otherwise

_TABLES = """
SELECT name, wr FROM pragma_table_list
WHERE schema = 'main' AND type = 'table' AND name NOT GLOB 'sqlite_*' AND lower(name) NOT GLOB 'dbops_*'"""


def sizes(conn: SqliteConnection) -> Mapping[Ref, TableSize]:
    """Estimate rows from the first and last rowid, two look-ups a table; one of WITHOUT ROWID is known to be empty or not.

    Bytes are not known without reading the file.
    """
    [(pages,)] = conn.query("PRAGMA page_count")
    [(page_size,)] = conn.query("PRAGMA page_size")
    most = pages * page_size // _SMALLEST_ROW
    tables = conn.query(_TABLES)
    found: dict[Ref, TableSize] = {}
    for start in range(0, len(tables), _TERMS):
        probes = " UNION ALL ".join(_probe(name, bool(wr)) for name, wr in tables[start : start + _TERMS])
        for name, rows in conn.query(probes):
            found[Ref("table", "", name)] = TableSize(min(int(rows), most), 0)
    return found


def _probe(name: str, without_rowid: bool) -> str:
    table = quote(name)
    if without_rowid:
        return f"SELECT {literal(name)}, EXISTS (SELECT 1 FROM {table})"
    return f"SELECT {literal(name)}, coalesce((SELECT max(rowid) FROM {table}) - (SELECT min(rowid) FROM {table}) + 1, 0)"
