"""Errors of PostgreSQL and its driver as errors of dbops, by SQLSTATE (PostgreSQL manual, appendix A)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dbops.errors import (
    ConnectError,
    DbopsError,
    LockTimeoutError,
    LostConnectionError,
    MissingDatabaseError,
    MissingTableError,
    QueryError,
    TransientError,
)

if TYPE_CHECKING:
    import psycopg

LOCK_NOT_AVAILABLE = "55P03"
QUERY_CANCELED = "57014"
INSUFFICIENT_PRIVILEGE = "42501"
UNDEFINED_TABLE = "42P01"
#: duplicate_database, and unique_violation of pg_database when two make the same one at the same moment.
MADE_MEANWHILE = ("42P04", "23505")

#: Codes of what may succeed when tried again: rollback forced by others, server coming, too many connections.
_TRANSIENT = ("40001", "40P01", "57P03", "53300")
#: Classes and codes of a session that is gone: lost, ended by somebody, by a crash, by its time limit, by a server going down.
_LOST = ("08", "57P01", "57P02", "57P05", "25P03")

#: What the server says while connecting; libpq hands over no SQLSTATE there.
_REFUSALS = (
    "password authentication failed",
    "authentication failed",
    "no password supplied",
    "fe_sendauth",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied",
    "certificate",
    "SSL",
    "invalid connection option",
    "invalid sslmode",
)


def query_error(error: psycopg.Error, secrets: Iterable[str] = ()) -> QueryError:
    """Translate an error of a running statement.

    `context` holds `sqlstate`, `position` (1-based character in the statement), `detail`, `hint` and `where` as the server gave
    them.
    """
    diag = error.diag
    state = error.sqlstate or ""
    text = _without(diag.message_primary or str(error).strip() or type(error).__name__, secrets)
    told = {"detail": diag.message_detail, "hint": diag.message_hint, "where": diag.context}
    context: dict[str, object] = {name: _without(value, secrets) for name, value in told.items() if value}
    if state:
        context["sqlstate"] = state
    if diag.statement_position:
        context["position"] = int(diag.statement_position)
    return _kind(state, text)(text, context, fix=_fix(state, diag.message_hint, diag.context or ""))


def _kind(state: str, text: str) -> type[QueryError]:
    if state == LOCK_NOT_AVAILABLE:
        return LockTimeoutError
    if state == UNDEFINED_TABLE:
        return MissingTableError
    if state.startswith(_LOST) or (not state and "connection" in text):
        return LostConnectionError
    if state.startswith(_TRANSIENT):
        return TransientError
    return QueryError


def _fix(state: str, hint: str | None, where: str) -> str | None:
    if state == LOCK_NOT_AVAILABLE:
        return "another session holds a lock; try again, or raise timeouts.lock of the connection"
    if state == QUERY_CANCELED:
        return "the statement was cancelled; if it ran into its time limit, raise timeouts.statement of the connection"
    if state == INSUFFICIENT_PRIVILEGE and " at RAISE" not in where.partition("\n")[0]:  # else code says so, of its own accord
        return hint or "grant the account of the connection what the message names"
    return hint


def connect_error(error: psycopg.Error, place: str, database: str, secrets: Iterable[str] = ()) -> ConnectError:
    """Translate a failure to connect; `place` names host and database without secrets."""
    told = _last_line(str(error))
    if f'database "{database}" does not exist' in told:
        return MissingDatabaseError(f"{place} does not exist", database=database)
    return ConnectError(f"cannot connect to {place}: {_without(told, secrets)}", fix=_connect_fix(told))


def is_worth_retrying(error: DbopsError) -> bool:
    """Tell whether a failure to connect may pass by itself: never a refusal of the account, a wrong name or bad TLS."""
    if isinstance(error, MissingDatabaseError) or re.search('role ".*" does not exist', error.message):
        return False
    if error.error_code == "POOLED":
        return False
    return not any(refusal in error.message for refusal in _REFUSALS)


def _last_line(text: str) -> str:
    """libpq says a line for every address it tried, and indented advice below: the last attempt counts, without its address."""
    lines = [line for line in text.splitlines() if line.strip() and not line[0].isspace()]
    fatal = [line for line in lines if "FATAL:" in line]
    line = (fatal or lines or ["no reason given"])[-1]
    return re.split(r"FATAL:|\bfailed: ", line)[-1].strip()


def _connect_fix(reason: str) -> str | None:
    if "password" in reason:
        return "check username and password of the connection"
    if "Connection refused" in reason or "No such file" in reason:
        return "is the server running, and are host and port right?"
    if "could not translate host name" in reason or "resolve" in reason:
        return "check the host of the connection"
    if "too many connections" in reason:
        return "end some of its sessions, or raise the limit"
    if 'role "' in reason:
        return "check the user name of the connection"
    return None


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text
