"""Whether the schema, or anything at all, may have changed since an earlier look."""

from __future__ import annotations

import hashlib
import os
import time

from dbops.engines.base.url import MEMORY
from dbops.engines.sqlite.connect import SqliteConnection

_SETTLED_AFTER_S = 2.0
"""Two writes closer together than the clock of a file system counts leave one time behind; the coarsest count in 2 s (FAT)."""


def fingerprint(conn: SqliteConnection) -> str:
    """Return a token of all that the schema table says.

    The schema cookie alone would not do: a file can be put in place of another that has counted as many changes.
    """
    state = hashlib.sha256()
    for row in conn.query("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"):
        state.update(repr(row).encode())
    return state.hexdigest()


def last_write(conn: SqliteConnection) -> str | None:
    """Return a token of the schema cookie and the times, sizes and inodes of the files that hold the database.

    Whatever SQLite or anybody else writes goes through one of these files (manual, "Temporary Files Used By SQLite"): the times
    of change, unlike those of modification, cannot be set. None in memory, and for a moment after a write. The library need not
    read the schema for it.
    """
    if conn.path == MEMORY:
        return None
    files = [_written(conn.path + suffix) for suffix in ("", "-wal", "-journal")]
    times_ns = [number for file in files if file is not None for number in file[-2:]]
    if not times_ns or max(times_ns) > (time.time() - _SETTLED_AFTER_S) * 1e9:
        return None
    return repr((conn.query("PRAGMA schema_version"), files))


def _written(path: str) -> tuple[int, ...] | None:
    """Return what moves when a file is written; None for one that is not there or empty, as a reader of a WAL makes it."""
    try:
        status = os.stat(path)  # noqa: PTH116  # nothing else here needs pathlib
    except OSError:
        return None
    if not status.st_size:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
