"""Roles that a backup names and a server lacks: found, and made from what pg_dumpall wrote."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from dbops.engines.postgresql.connect import PostgresConnection
from dbops.errors import BackupError, QueryError

_NAME = r'("(?:[^"]|"")+"|[^\s;"]+)'
_MAKING = re.compile(rf"(?:CREATE ROLE {_NAME};|ALTER ROLE {_NAME} WITH [A-Z0-9 -]+(?: VALID UNTIL '[^']*')?;)")
_GRANT = re.compile(rf"GRANT {_NAME} TO {_NAME}(?: WITH [A-Z ,]+?)?(?: GRANTED BY {_NAME})?;")


def missing_roles(conn: PostgresConnection, names: Sequence[str]) -> list[str]:
    """Return those of the roles that the server does not have."""
    known = {name for (name,) in conn.query("SELECT rolname::text FROM pg_catalog.pg_roles")}
    return [name for name in names if name not in known]


_OF_DATABASE = re.compile(r"\d+; \d+ \d+ (?:(?:COMMENT|ACL|SECURITY LABEL) - )?DATABASE\b")


def owners_in(lines: Iterable[str], facts: Mapping[str, Any]) -> list[str]:
    """Return the roles that something belongs to, of those that a backup's facts name, by the lines of its dump's list: the
    owner stands at the end of each. Pure.
    """
    known = dict.fromkeys([*facts["roles"], facts["superuser"]])
    ends = {role: f" {role}" for role in known}
    found = set[str]()
    for line in lines:
        if _OF_DATABASE.match(line):
            continue  # it is made otherwise
        found |= {role for role, end in ends.items() if role not in found and line.endswith(end)}
    return [role for role in known if role in found]


_GIVABLE = """
SELECT rolname::text FROM pg_catalog.pg_roles
WHERE pg_catalog.pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END)"""


def is_super(conn: PostgresConnection) -> bool:
    """Tell whether the account of a session is a superuser."""
    return conn.query("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user") == [(True,)]


def not_to_be_given(conn: PostgresConnection, owners: Callable[[], Collection[str]]) -> list[str]:
    """Return those of the owners whom the account may not give anything: it is neither a superuser nor may it become them."""
    if is_super(conn):
        return []
    givable = {name for (name,) in conn.query(_GIVABLE)}
    return [name for name in owners() if name not in givable]


def make_roles(conn: PostgresConnection, text: str | None, names: Sequence[str]) -> list[str]:
    """Make roles as `text`, the globals of a backup, says, all of them or none; return their names.

    Raises:
        BackupError: the backup has no globals, or the account may not make them.
    """
    if text is None:
        raise BackupError("the backup has no roles", fix=f"make them by hand: {', '.join(names)}")
    statements = statements_for(text, names)
    try:
        with conn.transaction():
            for statement in statements:
                conn.execute(statement)
    except QueryError as error:
        raise BackupError(f"the roles cannot be made: {error.message}; nothing was touched", fix="make them by hand") from error
    return list(names)


def statements_for(text: str, names: Sequence[str]) -> list[str]:
    """Return the statements that make some roles: only those that create, describe and join them, one line each. Pure."""
    wanted = set(names)
    found: list[str] = []
    for line in text.splitlines():
        if (match := _MAKING.fullmatch(line)) and _bare(match[1] or match[2]) in wanted:
            found.append(line)
        elif (match := _GRANT.fullmatch(line)) and _bare(match[2]) in wanted:
            granted_by = f" GRANTED BY {match[3]}" if match[3] else ""
            found.append(line.replace(granted_by, "") if granted_by else line)
    return found


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
