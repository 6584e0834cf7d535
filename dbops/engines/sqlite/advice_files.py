"""Rules about a SQLite file as it lies on the disk: who may touch it, and what lies beside it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from dbops.engines.base.advice import Finding, Rule
from dbops.engines.base.url import MEMORY
from dbops.engines.sqlite.connect import SqliteConnection

ACCESS = Rule(
    "LT-SEC-001",
    "warning",
    "database",
    "a file that every account of the machine may read or write",
    "",
    "chmod o-rwx, or a folder that others may not enter",
)
JOURNAL = Rule(
    "LT-SEC-002",
    "warning",
    "database",
    "a journal that nobody clears",
    "",
    "see which program holds a transaction open; without the journal beside it, a copy of the file is torn",
    thresholds={"seconds": 60},
)
LOG = Rule(
    "LT-MET-001",
    "warning",
    "database",
    "a large write-ahead log",
    "",
    "end the reader that holds back its checkpoints; PRAGMA wal_checkpoint(TRUNCATE) when nobody reads",
    thresholds={"bytes": 64 << 20},
)
_BESIDE = ("", "-wal", "-shm", "-journal")


def accessible(conn: SqliteConnection, numbers: Mapping[str, float]) -> Iterator[Finding]:
    """Yield the file, and what SQLite keeps beside it, where others may touch it. POSIX alone has such modes."""
    if os.name != "posix" or not (path := _path(conn)) or not _is_reached_by_others(path):
        return
    for ending in _BESIDE:
        mode = _mode(Path(f"{path}{ending}"))
        may = [word for word, bit in (("read", stat.S_IROTH), ("written", stat.S_IWOTH)) if mode & bit]
        if may:
            yield Finding(f"{path.name}{ending}", f"may be {' and '.join(may)} by everybody ({stat.S_IMODE(mode):04o})")


def left_journal(conn: SqliteConnection, numbers: Mapping[str, float]) -> Iterator[Finding]:
    """Yield a rollback journal that is older than it should be, in the modes that delete it after each transaction."""
    path = _path(conn)
    ((mode,),) = conn.query("PRAGMA journal_mode")
    if path is None or mode != "delete":
        return
    journal = Path(f"{path}-journal")
    try:
        found = journal.stat()
    except OSError:
        return
    age_s = time.time() - found.st_mtime
    if found.st_size and age_s > numbers["seconds"]:
        yield Finding(journal.name, f"{found.st_size:,} bytes, last written {age_s:,.0f} s ago")


def large_log(conn: SqliteConnection, numbers: Mapping[str, float]) -> Iterator[Finding]:
    """Yield a write-ahead log beyond the threshold."""
    path = _path(conn)
    if path is None:
        return
    try:
        size_bytes = Path(f"{path}-wal").stat().st_size
    except OSError:
        return
    if size_bytes > numbers["bytes"]:
        yield Finding(f"{path.name}-wal", f"{size_bytes:,} bytes")


def _path(conn: SqliteConnection) -> Path | None:
    return Path(conn.path).absolute() if conn.path and conn.path != MEMORY else None


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _is_reached_by_others(path: Path) -> bool:
    return all(_mode(folder) & stat.S_IXOTH for folder in path.resolve().parents)
