"""Statements of a file that programs run through dbops, counted where nobody else does: in a file beside it, `<file>-statements`.

SQLite has no server, and the hook that times statements (sqlite3_profile, sqlite3_trace_v2) is not in Python's driver: its
`set_trace_callback` says that a statement begins, and not when it ends. So sessions that programs open measure each statement
themselves, from its start until its last row was fetched; triggers count as part of the statement that fires them.

Whoever makes the empty file switches counting on for the sessions opened from then on, whoever removes it ends it. Sessions
add what they counted every few seconds, and when they are closed; a process that is killed loses those seconds.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as percent_encoded

from dbops.dataclass import dataclass
from dbops.engines.base.workload import TEXT_CHARACTERS, Cost, Tally
from dbops.sql.dialect import SQLITE
from dbops.sql.values import without_values

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

ENDING = "-statements"
EVERY_S = 5.0
"""So often a process adds what it counted."""
MOST = 5_000
"""So many statements are kept; the cheapest go first."""
_LOCK_S = 0.5
_TABLE = """
CREATE TABLE IF NOT EXISTS dbops_statements (id text PRIMARY KEY, text text NOT NULL, since real NOT NULL,
  calls integer NOT NULL, total_s real NOT NULL, most_s real NOT NULL, rows integer NOT NULL) WITHOUT ROWID"""
_ADD = """
INSERT INTO dbops_statements VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET calls = calls + excluded.calls, total_s = total_s + excluded.total_s,
  most_s = max(most_s, excluded.most_s), rows = rows + excluded.rows"""
_TOO_MANY = """
DELETE FROM dbops_statements WHERE id IN (SELECT id FROM dbops_statements ORDER BY total_s DESC LIMIT -1 OFFSET ?)"""


@dataclass(slots=True)
class _Count:
    calls: int = 0
    total_s: float = 0.0
    most_s: float = 0.0
    rows: int = 0


class Counter:
    """What a process counts of the statements of one file, for any number of threads."""

    def __init__(self, path: str) -> None:
        self.path: str = path
        self._lock = threading.Lock()
        self._counts: dict[str, _Count] = {}
        self._kept = time.monotonic()

    def count(self, sql: str, took_s: float, rows: int) -> None:
        """Count one run of a statement."""
        text = _plain(sql)
        with self._lock:
            one = self._counts.setdefault(text, _Count())
            one.calls += 1
            one.total_s += took_s
            one.most_s = max(one.most_s, took_s)
            one.rows += rows
            is_due = time.monotonic() - self._kept > EVERY_S or len(self._counts) > MOST
        if is_due:
            self.keep()

    def keep(self) -> None:
        """Add what was counted to the file; while somebody else has it, it waits for the next time."""
        import sqlite3

        with self._lock:
            counts, self._counts = self._counts, {}
            self._kept = time.monotonic()
        if not counts or not Path(self.path).exists():
            return
        now = time.time()
        rows = [(id_of(text), text, now, one.calls, one.total_s, one.most_s, one.rows) for text, one in counts.items()]
        try:
            with _opened(self.path, "rw") as conn:
                conn.execute("BEGIN IMMEDIATE")
                conn.execute(_TABLE)
                conn.executemany(_ADD, rows)
                conn.execute(_TOO_MANY, (MOST,))
                conn.execute("COMMIT")
        except sqlite3.Error:
            self._take_back(counts)

    def forget(self) -> None:
        """Leave what was counted to the process that counted it: this one is its child."""
        self._lock, self._counts = threading.Lock(), {}

    def _take_back(self, counts: dict[str, _Count]) -> None:
        with self._lock:
            if len(self._counts) + len(counts) > 2 * MOST:  # the file cannot be written at all
                return
            for text, one in counts.items():
                mine = self._counts.setdefault(text, _Count())
                mine.calls += one.calls
                mine.total_s += one.total_s
                mine.most_s = max(mine.most_s, one.most_s)
                mine.rows += one.rows


_counters: dict[str, Counter] = {}
_counters_lock = threading.Lock()


def counter_of(path: str) -> Counter | None:
    """Return what counts the statements of a database file; None where nobody switched it on."""
    place = f"{path}{ENDING}"
    if not os.path.exists(place):  # noqa: PTH110  a name, asked for each session
        return None
    with _counters_lock:
        if not _counters:
            atexit.register(_keep_all)
        place = os.path.realpath(place)
        return _counters.setdefault(place, Counter(place))


def _keep_all() -> None:
    for counter in list(_counters.values()):
        counter.keep()


def _forget_all() -> None:
    for counter in _counters.values():
        counter.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def tallies(path: str) -> list[Tally] | None:
    """Return what was counted of a database file; None where nobody switched it on.

    Raises:
        sqlite3.Error: the file beside it cannot be read.
    """
    place = f"{path}{ENDING}"
    if not Path(place).exists():
        return None
    if (counter := _counters.get(os.path.realpath(place))) is not None:
        counter.keep()
    rows = _rows(place, "SELECT id, since, calls, total_s, most_s, rows FROM dbops_statements")
    return [
        Tally(id_, id_, repr(since), Cost(calls, total_s, rows, None), most_s)
        for id_, since, calls, total_s, most_s, rows in rows
    ]


def unreadable(path: str, error: sqlite3.Error) -> tuple[str, str]:
    """Return why nothing is told of what was counted, and what helps."""
    place = f"{path}{ENDING}"
    fix = "let this account read it" if os.path.exists(place) and not os.access(place, os.R_OK) else f"rm {quote(place)}"  # noqa: PTH110
    return f"{place} cannot be read: {error}", fix


def texts(path: str, ids: Collection[str]) -> dict[str, str]:
    """Return the texts of statements by id."""
    found = _rows(f"{path}{ENDING}", "SELECT id, text FROM dbops_statements")
    return {id_: text for id_, text in found if id_ in ids}


def _rows(place: str, sql: str) -> Sequence[Any]:
    with _opened(place, "ro") as conn:
        if not conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'dbops_statements'").fetchall():
            return []
        return conn.execute(sql).fetchall()


@contextmanager
def _opened(place: str, mode: str) -> Iterator[sqlite3.Connection]:
    import sqlite3

    uri = f"file:{percent_encoded(place)}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_LOCK_S)) as conn:
        yield conn


@lru_cache(maxsize=2_000)
def _plain(sql: str) -> str:
    return without_values(sql[:TEXT_CHARACTERS], SQLITE)


def id_of(text: str) -> str:
    """Return the id of a statement without its values."""
    return sha256(text.encode()).hexdigest()[:16]


def unbound(sql: str) -> tuple[None, ...]:
    """Return values for the marks of a statement that is explained and not run."""
    from dbops.sql.tokens import tokens

    return (None,) * sum(token.text[0] == "?" for token in tokens(sql, SQLITE) if token.kind in ("symbol", "variable"))
