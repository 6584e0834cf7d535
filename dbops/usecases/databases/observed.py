"""Statements of programs in the words of OpenTelemetry's conventions for databases: where, what kind, the text without values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbops.engines.base.connect import Target
from dbops.sql.dialect import Dialect
from dbops.sql.tokens import leading_words
from dbops.sql.values import without_values
from dbops.telemetry import Attributes, StatementSpan

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

_TEXT = 4_000


def attributes_of(target: Target, system: str) -> Attributes:
    """Return where statements go: `system` is what answers there (sqlite, postgresql, mysql, mariadb)."""
    found: dict[str, str | int] = {"db.system.name": system}
    if target.url.database:
        found["db.namespace"] = target.url.database
    if target.url.host:
        found["server.address"] = target.url.host
    if target.url.port:
        found["server.port"] = target.url.port
    return found


def system_of(engine: str, version: str) -> str:
    """Return the name that the conventions have for what answers."""
    return "mariadb" if "mariadb" in version.lower() else engine


def begun(sql: str, dialect: Dialect, where: Attributes) -> StatementSpan:
    """Begin the span of a statement."""
    text = sql[:_TEXT]
    kind = next(iter(leading_words(text, dialect, 1)), "UNKNOWN")
    return StatementSpan(kind, where, without_values(text, dialect))


@contextmanager
def statement(sql: str, dialect: Dialect, where: Attributes) -> Iterator[Callable[[int], None]]:
    """Measure a statement; the block says how many rows it returned."""
    span = begun(sql, dialect, where)
    rows: list[int] = []
    try:
        yield rows.append
    except BaseException as error:
        span.failed(error)
        raise
    span.done(rows[-1] if rows else None)


def observe(engine: Engine, target: Target, dialect: Dialect) -> None:
    """Measure what runs on an engine of SQLAlchemy's."""
    from sqlalchemy import event

    def where() -> Attributes:
        is_mariadb = getattr(engine.dialect, "is_mariadb", False)
        return attributes_of(target, "mariadb" if is_mariadb else target.url.engine)

    def before(conn: Any, cursor: Any, sql: str, parameters: Any, context: Any, executemany: bool) -> None:
        context.dbops_span = begun(sql, dialect, where())

    def after(conn: Any, cursor: Any, sql: str, parameters: Any, context: Any, executemany: bool) -> None:
        context.dbops_span.done()

    def failed(context: Any) -> None:
        span = getattr(context.execution_context, "dbops_span", None)
        if span is not None:
            span.failed(context.original_exception)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)
