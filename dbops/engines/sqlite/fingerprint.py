"""Whether the schema may have changed, and how large tables are, without reading either."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from dbops.catalog.ref import Ref
from dbops.engines.base.connect import TableSize
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.tokens import literal, quote

_LATEST = 16
_SMALLEST_ROW = 4  # bytes; the least a row takes in a page, its cell pointer included
_TERMS = 400  # SQLITE_MAX_COMPOUND_SELECT is 500 unless it was compiled otherwise


def fingerprint(conn: SqliteConnection) -> str:
    """Return a token from the schema cookie, the file and its latest schema entries.

    The cookie counts the changes of one file; the entries tell apart a file put in place of another.
    """
    [(cookie,)] = conn.query("PRAGMA schema_version")
    latest = conn.query(f"SELECT rowid, type, name, sql FROM sqlite_schema ORDER BY rowid DESC LIMIT {_LATEST}")
    return hashlib.sha256(repr((conn.server.identity, cookie, latest)).encode()).hexdigest()


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
