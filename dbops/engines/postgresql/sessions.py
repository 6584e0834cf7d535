"""Asynchronous sessions of PostgreSQL: psycopg's own, with the parameters of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from dbops.engines.base.sessions import Pooling, patiently, pooled
from dbops.engines.postgresql.connect import database_of, describe, parameters
from dbops.engines.postgresql.errors import connect_error, is_worth_retrying, query_error

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncEngine

    from dbops.engines.base.connect import Target
    from dbops.errors import QueryError


class PostgresSessions:
    """See the port."""

    def engine(self, target: Target, pooling: Pooling) -> AsyncEngine:
        async def connect() -> Any:
            return await patiently(lambda: _connect_once(target), target.attempts, is_worth_retrying)

        return pooled("postgresql+psycopg_async", connect, pooling)

    def translated(self, error: BaseException, target: Target) -> QueryError | None:
        import psycopg

        return query_error(error, target.secrets) if isinstance(error, psycopg.Error) else None

    def exact(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        from sqlalchemy import collate

        return collate(column, "C")

    def among(self, column: ColumnElement[Any], texts: Sequence[str]) -> ColumnElement[bool]:
        """Collations of PostgreSQL are deterministic unless made otherwise: equal is the same bytes (manual, 24.2.2.4)."""
        return column == texts[0] if len(texts) == 1 else column.in_(texts)

    def in_order(self, column: ColumnElement[Any], *, descending: bool) -> ColumnElement[Any]:
        """PostgreSQL puts NULL last unless told; nothing is said of columns without NULL, so that an index serves."""
        term = column.desc() if descending else column.asc()
        if not getattr(column, "nullable", True):
            return term
        return term.nulls_last() if descending else term.nulls_first()

    def matches(self, column: ColumnElement[Any], pattern: str, *, ignore_case: bool) -> ColumnElement[bool]:
        return column.op("ILIKE" if ignore_case else "LIKE", is_comparison=True)(pattern)


async def _connect_once(target: Target) -> Any:
    import psycopg

    timeouts = target.timeouts
    settings = {
        "statement_timeout": f"{timeouts.statement_s * 1000:.0f}",
        "lock_timeout": f"{timeouts.lock_s * 1000:.0f}",
        **dict(target.settings),
    }
    try:
        conn = await psycopg.AsyncConnection.connect(**parameters(target), autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise connect_error(error, describe(target), database_of(target), target.secrets) from error
    try:
        calls = ", ".join("pg_catalog.set_config(%s, %s, false)" for _ in settings)
        values = [part for setting in settings.items() for part in setting]
        await conn.execute(cast(Any, f"SELECT {calls}"), values)
        await conn.set_autocommit(False)
    except BaseException:
        await conn.close()
        raise
    return conn
