"""Asynchronous sessions of SQLite: aiosqlite, which gives each connection a thread, over connections opened as ours are."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from dbops.engines.base.sessions import WRITES, Pooling, pooled
from dbops.engines.base.url import MEMORY

if TYPE_CHECKING:
    import sqlite3

    import aiosqlite
    from sqlalchemy import ColumnElement, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from dbops.engines.base.connect import Target
    from dbops.errors import QueryError


class SqliteSessions:
    """See the port."""

    def engine(self, target: Target, pooling: Pooling) -> AsyncEngine:
        """Return an engine as the port says.

        A database in memory lives in its connection, so there is one, which nobody replaces and one user has at a time.
        """
        from sqlalchemy import event
        from sqlalchemy.pool import AsyncAdaptedQueuePool

        if target.url.database in (None, MEMORY):
            pooling = replace(pooling, size=1, max_overflow=0, recycle_s=-1)

        async def connect() -> Any:
            conn = _connection_class()(lambda: _opened(target), iter_chunk_size=64)
            conn._thread.daemon = True  # as SQLAlchemy does: a program may end without closing its pools
            return await conn

        made = pooled("sqlite+aiosqlite", connect, pooling, poolclass=AsyncAdaptedQueuePool)
        event.listen(made.sync_engine, "begin", _begin)
        if target.url.database not in (None, MEMORY):
            _count(made.sync_engine, str(target.url.database))
        return made

    def translated(self, error: BaseException, target: Target) -> QueryError | None:
        import sqlite3

        from dbops.engines.sqlite.errors import query_error

        if not isinstance(error, sqlite3.Error):
            return None
        return query_error(error, str(target.url.database or MEMORY), target.timeouts.lock_s)

    def exact(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        from sqlalchemy import collate

        return collate(column, "BINARY")

    def among(self, column: ColumnElement[Any], texts: Sequence[str]) -> ColumnElement[bool]:
        exact = self.exact(column)
        return exact == texts[0] if len(texts) == 1 else exact.in_(texts)

    def in_order(self, column: ColumnElement[Any], *, descending: bool) -> ColumnElement[Any]:
        return column.desc() if descending else column.asc()

    def matches(self, column: ColumnElement[Any], pattern: str, *, ignore_case: bool) -> ColumnElement[bool]:
        """LIKE takes no notice of the case of ASCII letters, GLOB does (https://www.sqlite.org/lang_expr.html#like)."""
        if ignore_case:
            return column.like(pattern, escape="\\")
        return column.op("GLOB", is_comparison=True)(_as_glob(pattern))


@lru_cache(maxsize=1)
def _connection_class() -> type[aiosqlite.Connection]:
    """Return aiosqlite's connection with a rollback before it closes.

    A statement of a cancelled task may be unfinished, and live as long as somebody looks at the task; SQLite keeps a closed
    connection with its transaction, and its lock, as long (https://www.sqlite.org/c3ref/close.html).
    """
    import aiosqlite

    class Connection(aiosqlite.Connection):
        def _roll_back(self) -> None:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()

        async def close(self) -> None:
            if self._connection is not None:
                self._tx.put_nowait((None, self._roll_back))
            await super().close()

        def stop(self) -> asyncio.Future[Any] | None:
            self._tx.put_nowait((None, self._roll_back))
            return super().stop()

    return Connection


def _opened(target: Target) -> sqlite3.Connection:
    from dbops.engines.sqlite.connect import connect

    raw = connect(target).raw
    raw.set_progress_handler(None, 0)
    return raw


def _count(engine: Engine, path: str) -> None:
    """Count statements where somebody switched that on; the driver has fetched all rows when it has run one."""
    from sqlalchemy import event

    from dbops.engines.sqlite.counting import counter_of

    counter = counter_of(path)
    if counter is None:
        return

    def before(conn: Any, cursor: Any, sql: str, parameters: Any, context: Any, executemany: bool) -> None:
        context.dbops_began = perf_counter()

    def after(conn: Any, cursor: Any, sql: str, parameters: Any, context: Any, executemany: bool) -> None:
        counter.count(sql, perf_counter() - context.dbops_began, max(cursor.rowcount, 0))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)


def _begin(conn: Any) -> None:
    """Begin transactions ourselves: the driver would begin them at the first write, behind what was read for it.

    A transaction that reads before it writes is refused when somebody else wrote in between (SQLITE_BUSY_SNAPSHOT,
    https://www.sqlite.org/isolation.html); one that says that it writes waits for its turn instead.
    """
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get(WRITES) else "BEGIN")


_PARTS = re.compile(r"\\(.)|(.)", re.DOTALL)
_WILD = {"%": "*", "_": "?"}


def _as_glob(pattern: str) -> str:
    def part(match: re.Match[str]) -> str:
        literal, plain = match[1], match[2]
        if plain in _WILD:
            return _WILD[plain]
        character = literal or plain
        return f"[{character}]" if character in "*?[" else character

    return _PARTS.sub(part, pattern)
