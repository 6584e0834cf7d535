"""Asynchronous sessions of MySQL and MariaDB: aiomysql, which is PyMySQL for asyncio, with the parameters of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dbops.engines.base.sessions import Pooling, patiently, pooled
from dbops.engines.mysql.connect import describe, needs_tls, no_tls, parameters, session_settings
from dbops.engines.mysql.errors import connect_error, is_worth_retrying, query_error
from dbops.engines.mysql.flavour import Flavour, parse_version

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncEngine

    from dbops.engines.base.connect import Target
    from dbops.errors import QueryError

#: What aiomysql takes of what PyMySQL is told; the rest is about files, or done by `ssl`.
_TAKEN = frozenset(
    {
        "auth_plugin",
        "charset",
        "client_flag",
        "connect_timeout",
        "host",
        "init_command",
        "local_infile",
        "password",
        "port",
        "program_name",
        "server_public_key",
        "sql_mode",
        "unix_socket",
        "use_unicode",
        "user",
    }
)
_TLS = ("ssl", "ssl_ca", "ssl_cert", "ssl_key", "ssl_disabled", "ssl_verify_cert", "ssl_verify_identity", "ssl_key_password")


class MysqlSessions:
    """See the port."""

    def engine(self, target: Target, pooling: Pooling) -> AsyncEngine:
        async def connect() -> Any:
            return await patiently(lambda: _connect_once(target), target.attempts, is_worth_retrying)

        return pooled("mysql+aiomysql", connect, pooling)

    def translated(self, error: BaseException, target: Target) -> QueryError | None:
        import pymysql

        return query_error(error, target.secrets) if isinstance(error, pymysql.Error) else None

    def exact(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Compare the bytes of UTF-8, which stand in the order of code points; collations would pad with spaces."""
        from sqlalchemy import String, cast, type_coerce
        from sqlalchemy.dialects.mysql import BINARY

        return type_coerce(cast(_in_utf8(column), BINARY), String)

    def among(self, column: ColumnElement[Any], texts: Sequence[str]) -> ColumnElement[bool]:
        """What is the same is equal in the column's own collation too, by which an index finds it."""
        from sqlalchemy import and_

        return and_(column.in_(texts), self.exact(column).in_(texts))

    def in_order(self, column: ColumnElement[Any], *, descending: bool) -> ColumnElement[Any]:
        return column.desc() if descending else column.asc()

    def matches(self, column: ColumnElement[Any], pattern: str, *, ignore_case: bool) -> ColumnElement[bool]:
        """LIKE does not pad, and goes by characters in the `_bin` collation (MySQL manual, 14.8.1)."""
        from sqlalchemy import collate, func

        text = collate(_in_utf8(func.lower(column) if ignore_case else column), "utf8mb4_bin")
        return text.op("LIKE", is_comparison=True)(func.lower(pattern) if ignore_case else pattern)


def _in_utf8(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return text of any character set in utf8mb4."""
    from sqlalchemy import func, literal_column

    return func.convert(column.op("USING")(literal_column("utf8mb4")))


async def _connect_once(target: Target) -> Any:
    import aiomysql
    import pymysql
    from pymysql.constants import CLIENT

    given = parameters(target)
    place = describe(target)
    taken = {name: value for name, value in given.items() if name in _TAKEN}
    taken["client_flag"] |= CLIENT.FOUND_ROWS  # SQLAlchemy counts rows that were found, changed or not
    limit_s = given["connect_timeout"]
    conn = aiomysql.Connection(**taken, db=given.get("database"), autocommit=False, ssl=_tls(given))
    try:
        await asyncio.wait_for(conn.ping(reconnect=True), limit_s)
    except BaseException as error:
        conn.close()  # `aiomysql.connect` would leave it open when it is cancelled
        if not isinstance(error, pymysql.Error | OSError | TimeoutError):
            raise
        raise connect_error(error, place, str(target.url.database or ""), target.secrets) from error
    try:
        async with conn.cursor() as cursor:
            if needs_tls(target):
                await cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
                answer = await cursor.fetchone()
                if not answer or not answer[1]:
                    raise no_tls(target)
            await cursor.execute("SELECT @@GLOBAL.sql_mode")
            (mode,) = await cursor.fetchone()
            name, version = parse_version(conn.get_server_info())
            await cursor.execute(session_settings(target, Flavour(name == "mariadb", version), mode))
        await conn.rollback()
    except BaseException:
        conn.close()
        raise
    return conn


def _tls(given: dict[str, Any]) -> Any:
    """Return the context that PyMySQL would make of these parameters, None without TLS."""
    from pymysql.connections import Connection

    wanted = {name: given[name] for name in _TLS if name in given}
    return getattr(Connection(**wanted, defer_connect=True), "ctx", None) if wanted else None
