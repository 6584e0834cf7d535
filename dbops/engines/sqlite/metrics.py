"""What a SQLite file tells of itself: pragmas, the sizes of its files, and estimates of ANALYZE.

There is no server, so nothing counts sessions, transactions or cache hits for all who use the file. Statements are counted by
programs that run them through dbops, where somebody switched that on (`counting`).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, cast

from dbops.engines.base.connect import Connection
from dbops.engines.base.metrics import Look, Looking
from dbops.engines.sqlite import counting
from dbops.errors import QueryError

if TYPE_CHECKING:
    from dbops.engines.sqlite.connect import SqliteConnection

_NAMES = frozenset(
    {
        "up",
        "latency_seconds",
        "database_size_bytes",
        "free_bytes",
        "pages_used_ratio",
        "log_size_bytes",
        "sequence_used_ratio",
        "table_rows",
        "table_size_bytes",
        "index_size_bytes",
        "statements_total",
        "statement_seconds_total",
    }
)
_LARGEST_ROWID = 2**63 - 1

#: `aggregate` reads one row for each table and index, from all of its pages (https://www.sqlite.org/dbstat.html). Joined with the
#: schema it would read all pages for each row of that.
_PAGES = "SELECT name, pgsize FROM dbstat('main', 1)"
_NAMES_OF_PAGES = """
SELECT name, tbl_name, type FROM sqlite_schema
WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' AND tbl_name NOT LIKE 'dbops\\_%' ESCAPE '\\'"""
_READ_AT_MOST_BYTES = 64 << 20
"""dbstat reads every page; a file that is larger is not measured table by table."""

#: The first number of `stat` is the estimate of rows (https://www.sqlite.org/fileformat2.html, 2.6.3); a partial index has fewer.
_ROWS = """
SELECT tbl, max(CAST(substr(stat, 1, instr(stat || ' ', ' ') - 1) AS INTEGER)) AS number FROM sqlite_stat1
WHERE tbl NOT LIKE 'dbops\\_%' ESCAPE '\\' GROUP BY tbl ORDER BY number DESC, tbl LIMIT ?"""


class SqliteMetrics:
    """Fills `engines.base.metrics.Metrics`."""

    @property
    def names(self) -> frozenset[str]:
        return _NAMES

    def look(self, conn: Connection, *, objects: int) -> Look:
        looking = Looking(conn, objects)
        path = cast("SqliteConnection", conn).path
        started = time.perf_counter()
        looking.rows("SELECT 1 FROM sqlite_schema LIMIT 1")
        looking.tell("latency_seconds", time.perf_counter() - started)
        size = _file(looking, path)
        _sequences(looking)
        if size <= _READ_AT_MOST_BYTES:
            _pages(looking)
        else:
            why = f"the file has {size:,} bytes, and dbstat would read all of them at every look"
            looking.hide(("table_size_bytes", "index_size_bytes"), why, "dbops advise measures them once")
        _rows(looking)
        _counted(looking, path)
        return looking.seen()


def _file(looking: Looking, path: str) -> int:
    ((pages,),) = looking.rows("PRAGMA page_count")
    ((page_size,),) = looking.rows("PRAGMA page_size")
    ((free,),) = looking.rows("PRAGMA freelist_count")
    ((most,),) = looking.rows("PRAGMA max_page_count")
    size = int(pages * page_size)
    looking.tell("database_size_bytes", size)
    looking.tell("free_bytes", free * page_size)
    looking.tell("pages_used_ratio", pages / most)
    looking.tell("log_size_bytes", _size_of(f"{path}-wal") if path else 0)
    return size


def _size_of(name: str) -> int:
    """Return the size of a file that may go at any time: the last session removes the log."""
    try:
        return os.stat(name).st_size  # noqa: PTH116  a name
    except OSError:
        return 0


def _sequences(looking: Looking) -> None:
    if looking.rows("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"):
        for name, last in looking.rows("SELECT name, seq FROM sqlite_sequence ORDER BY seq DESC, name LIMIT ?", looking.objects):
            looking.tell("sequence_used_ratio", last / _LARGEST_ROWID, (name,))


def _pages(looking: Looking) -> None:
    try:
        pages = {str(name): int(size) for name, size in looking.rows(_PAGES)}
    except QueryError:
        why = "this SQLite was built without dbstat"
        looking.hide(("table_size_bytes", "index_size_bytes"), why, "a build with SQLITE_ENABLE_DBSTAT_VTAB")
        return
    found = [(table, name, kind, pages[name]) for name, table, kind in looking.rows(_NAMES_OF_PAGES) if name in pages]
    sizes: dict[str, int] = {}
    for table, _, _, size in found:
        sizes[table] = sizes.get(table, 0) + size
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[: looking.objects]
    for table in largest:
        looking.tell("table_size_bytes", sizes[table], (table,))
    for table, name, kind, size in found:
        if kind == "index" and table in largest:
            looking.tell("index_size_bytes", size, (table, name))


def _counted(looking: Looking, path: str) -> None:
    import sqlite3

    try:
        found = counting.tallies(path)
    except sqlite3.Error as error:
        names = ("statements_total", "statement_seconds_total")
        looking.hide(names, *counting.unreadable(path, error))
        return
    if found is not None:
        looking.tell("statements_total", sum(one.cost.calls for one in found))
        looking.tell("statement_seconds_total", sum(one.cost.total_s for one in found))


def _rows(looking: Looking) -> None:
    if not looking.rows("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'"):
        looking.hide(("table_rows",), "ANALYZE was never run, so nothing estimates rows", "ANALYZE;")
        return
    for table, number in looking.rows(_ROWS, looking.objects):
        looking.tell("table_rows", number, (table,))
