"""Sessions of SQLite for SQL of other programs, with the values that Python has and SQLite has not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dbops.engines.base.connect import Target
from dbops.engines.base.driver import Answer, TableColumn, unsendable
from dbops.engines.base.url import MEMORY
from dbops.engines.sqlite.connect import SqliteConnection, connect_or_make
from dbops.engines.sqlite.counting import Counter, counter_of
from dbops.engines.sqlite.errors import query_error
from dbops.errors import QueryError
from dbops.sql.marks import Style

if TYPE_CHECKING:
    import sqlite3

_TABLES = r"""
SELECT name FROM sqlite_schema
WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE 'dbops\_%' ESCAPE '\' ORDER BY name"""
_COLUMNS = 'SELECT cid, name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid'
_SIZE = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"

#: How values are stored that SQLite has no type for: so that they sort, and its date functions read them.
_STORED: Mapping[type, Callable[[Any], Any]] = {
    datetime: lambda value: value.isoformat(" "),
    date: lambda value: value.isoformat(),
    time: lambda value: value.isoformat(),
    timedelta: lambda value: value.total_seconds(),
    Decimal: str,
    UUID: str,
    dict: lambda value: json.dumps(value, ensure_ascii=False),
    list: lambda value: json.dumps(value, ensure_ascii=False),
}


class SqliteSession:
    """See the port. A transaction locks out other writers from its start, so that none can fail half way for it."""

    def __init__(self, conn: SqliteConnection, lock_s: float) -> None:
        self._conn = conn
        self._raw: sqlite3.Connection = conn.raw
        self._raw.set_progress_handler(None, 0)
        self._translated = _Translated(conn.path, lock_s)
        self.version_text: str = conn.server.version_text

    def run(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Answer:
        with self._translated:
            cursor = self._raw.execute(sql, [_stored(value) for value in parameters])
            if cursor.description is None:
                return Answer((), [], max(cursor.rowcount, 0))
            columns = tuple(column[0] for column in cursor.description)
            return Answer(columns, cursor.fetchall(), max(cursor.rowcount, 0))

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        if self._raw.in_transaction:
            return self._sent_many(sql, _all_stored(rows) if _are_foreign(rows) else rows)
        if _are_foreign(rows[:1]):
            return self._in_transaction(sql, _all_stored(rows))
        try:
            return self._in_transaction(sql, rows)
        except QueryError as error:
            # To look at each value beforehand costs a tenth of the driver's own work, so that is done when it refused one.
            if not _is_refusal(error) or not _are_foreign(rows):
                raise
        return self._in_transaction(sql, _all_stored(rows))

    def _in_transaction(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        raw = self._raw
        with self._translated:
            raw.execute("BEGIN IMMEDIATE")
            try:
                count = raw.executemany(sql, rows).rowcount
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise
        return max(count, 0)

    def _sent_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        with self._translated:
            return max(self._raw.executemany(sql, rows).rowcount, 0)

    def begin(self) -> None:
        with self._translated:
            self._raw.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        with self._translated:
            self._raw.execute("COMMIT")

    def rollback(self) -> None:
        if self._raw.in_transaction:
            with self._translated:
                self._raw.execute("ROLLBACK")

    def is_in_transaction(self) -> bool:
        return self._raw.in_transaction

    def close(self) -> None:
        self._conn.close()


class _Translated:
    """Raises our error for one of the driver's; no generator, for every statement goes through it."""

    __slots__ = ("_lock_s", "_path")

    def __init__(self, path: str, lock_s: float) -> None:
        self._path, self._lock_s = path, lock_s

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        import sqlite3

        if isinstance(error, sqlite3.Error):
            raise query_error(error, self._path, self._lock_s) from error
        if isinstance(error, UnicodeEncodeError):
            raise unsendable(error) from error
        if isinstance(
            error, sqlite3.Warning | OverflowError
        ):  # several statements in one text, until Python 3.12; a large number
            raise QueryError(str(error)) from error


class _CountedSession(SqliteSession):
    """A session whose statements are counted, with the time until their last row is there."""

    def __init__(self, conn: SqliteConnection, lock_s: float, counter: Counter) -> None:
        super().__init__(conn, lock_s)
        self._counter = counter

    def run(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Answer:
        started = perf_counter()
        answer = super().run(sql, parameters)
        self._counter.count(sql, perf_counter() - started, len(answer.rows) or answer.count)
        return answer

    def _sent_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        started = perf_counter()
        changed = super()._sent_many(sql, rows)
        self._counter.count(sql, perf_counter() - started, changed)
        return changed

    def close(self) -> None:
        super().close()
        self._counter.keep()


def _stored(value: Any) -> Any:
    how = _STORED.get(type(value))
    return value if how is None else how(value)


def _is_refusal(error: QueryError) -> bool:
    """Tell whether the driver itself refused a value, before the library saw it."""
    import sqlite3

    return isinstance(error.__cause__, sqlite3.ProgrammingError)


def _are_foreign(rows: Sequence[Sequence[Any]]) -> bool:
    """Tell whether a value has a type that SQLite does not have."""
    return not _STORED.keys().isdisjoint(map(type, chain.from_iterable(rows)))


def _all_stored(rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    return [[_stored(value) for value in row] for row in rows]


class SqliteDriver:
    """See the port."""

    style: Style = "?"

    def is_private(self, target: Target) -> bool:
        return target.url.database in (None, MEMORY)

    def open(self, target: Target) -> SqliteSession:
        conn, lock_s = connect_or_make(target), target.timeouts.lock_s
        counter = None if conn.path == MEMORY else counter_of(conn.path)
        return SqliteSession(conn, lock_s) if counter is None else _CountedSession(conn, lock_s, counter)

    def version(self, session: Any) -> str:
        return str(session.version_text)

    def size_bytes(self, session: Any) -> int:
        return int(session.run(_SIZE).rows[0][0])

    def tables(self, session: Any) -> list[str]:
        return [name for (name,) in session.run(_TABLES).rows]

    def advance(self, session: Any, table: str, column: str) -> None:
        """Nothing is to be done: the engine looks at the rows."""

    def columns(self, session: Any, table: str) -> list[TableColumn]:
        found = session.run(_COLUMNS, (table,)).rows
        return [
            TableColumn(place, name, kind, bool(required), default, pk > 0) for place, name, kind, required, default, pk in found
        ]
