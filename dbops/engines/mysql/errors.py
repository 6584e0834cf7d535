"""Errors of the server and of PyMySQL as errors of dbops, by error number (the same on both flavours)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dbops.errors import (
    ConnectError,
    LockTimeoutError,
    LostConnectionError,
    MissingDatabaseError,
    MissingTableError,
    QueryError,
    TransientError,
)

if TYPE_CHECKING:
    import pymysql

DATABASE_ACCESS_DENIED = 1044
UNKNOWN_DATABASE = 1049
EMPTY_QUERY = 1065
NO_SUCH_TABLE = 1146
INTERRUPTED = 1317

_LOCK_TIMEOUTS = frozenset({1205, 3572})
#: Too many connections, deadlock, a query that somebody ended, no connection yet.
_TRANSIENT = frozenset({1040, 1213, INTERRUPTED, 2002, 2003})
#: Server going down, connection killed or lost (2xxx are the client's own).
_LOST = frozenset({1053, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2055})
#: Statement ran into its time limit: MySQL's max_execution_time, MariaDB's max_statement_time.
_STATEMENT_TIMEOUTS = frozenset({3024, 1969})
ACCESS = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1410, 1419})
#: What a moment's patience may cure while connecting.
_WORTH_RETRYING = frozenset({1040, 1053, 1152, 2002, 2003, 2006, 2013})


LARGE = 1 << 20
"""Characters from which on a statement is asked about before it is sent: MariaDB takes 16 MB, MySQL 64 MB unless told."""


def refuse_larger_than_packet(cursor: Any, sql: str) -> None:
    """Say in time what the server would only answer with a cut connection (MySQL 8.4 manual, B.3.2.8 Packet Too Large).

    Raises:
        QueryError: the statement is larger than what the server takes.
    """
    cursor.execute("SELECT @@max_allowed_packet")
    limit = int(cursor.fetchone()[0])
    size = len(sql) if sql.isascii() else len(sql.encode())
    if size >= limit:
        raise QueryError(
            f"the statement has {size:,} bytes, and the server takes fewer than {limit:,} (max_allowed_packet)",
            fix=f"write several statements, or let an administrator SET GLOBAL max_allowed_packet = {1 << size.bit_length()}",
        )


def number_of(error: BaseException) -> int:
    """Return the error number of a driver error or of one of ours, 0 when there is none."""
    if isinstance(error, QueryError | ConnectError):
        return int(error.context.get("errno", 0))
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def query_error(error: pymysql.Error, secrets: Iterable[str] = ()) -> QueryError:
    """Translate an error of a running statement; `context` holds `errno` and, where the server gave one, `sqlstate`."""
    number, text = number_of(error), _without(_text(error), secrets)
    kind: type[QueryError] = QueryError
    if number in _LOCK_TIMEOUTS:
        kind = LockTimeoutError
    elif number == NO_SUCH_TABLE:
        kind = MissingTableError
    elif is_lost(error):
        kind = LostConnectionError
    elif number in _TRANSIENT:
        kind = TransientError
    return kind(text, {"errno": number} if number else None, fix=_fix(number))


def statement_timeout(error: QueryError) -> QueryError:
    """Return what a server says of a statement that was too long for its limit, for one that we ended at ours."""
    return QueryError(f"{error.message}, maximum statement execution time exceeded", {"errno": 3024}, fix=_fix(3024))


def lock_timeout(lock_s: float) -> LockTimeoutError:
    """Return what a statement says that was ended from beside while it waited for its table."""
    return LockTimeoutError(f"the table was in use for all of {lock_s:g} s", {"errno": 1205}, fix=_fix(1205))


def is_lost(error: BaseException) -> bool:
    """Tell whether the session is gone; PyMySQL says so by an InterfaceError without words when it is used again."""
    import pymysql

    return number_of(error) in _LOST or (isinstance(error, pymysql.err.InterfaceError) and number_of(error) == 0)


def connect_error(error: BaseException, place: str, database: str, secrets: Iterable[str] = ()) -> ConnectError:
    """Translate a failure to connect; `place` names host and database without secrets."""
    number = number_of(error)
    if number == UNKNOWN_DATABASE:
        return MissingDatabaseError(f"{place} does not exist", database=database, errno=number)
    return ConnectError(
        f"cannot connect to {place}: {_without(_text(error), secrets)}",
        {"errno": number} if number else None,
        fix=_connect_fix(number),
    )


def is_worth_retrying(error: ConnectError) -> bool:
    """Tell whether a failure to connect may pass by itself: never a refusal of the account or a wrong name."""
    return number_of(error) in _WORTH_RETRYING


def _text(error: BaseException) -> str:
    if is_lost(error):
        return (
            f"the connection to the server is lost: {error.args[1]}"
            if error.args[1:] and error.args[1]
            else "the connection is lost"
        )
    return str(error.args[1]) if len(error.args) > 1 else str(error) or type(error).__name__


def _fix(number: int) -> str | None:
    if number in _LOCK_TIMEOUTS:
        return "another session holds a lock; try again, or raise timeouts.lock of the connection"
    if number in _STATEMENT_TIMEOUTS:
        return "the statement ran into its time limit; raise timeouts.statement of the connection"
    if number in ACCESS:
        return "grant the account of the connection what the message names"
    return None


def _connect_fix(number: int) -> str | None:
    if number in (1045, 1698):
        return "check username and password of the connection"
    if number == DATABASE_ACCESS_DENIED:
        return "grant the account access to the database"
    if number in (2002, 2003):
        return "is the server running, and are host, port or unix_socket right?"
    return None


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text
