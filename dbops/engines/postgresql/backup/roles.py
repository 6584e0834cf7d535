"""Roles that a backup names and a server lacks: found, and made from what pg_dumpall wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dbops.engines.postgresql.connect import PostgresConnection
from dbops.errors import BackupError, QueryError

_NAME = r'("(?:[^"]|"")+"|[^\s;"]+)'
_MAKING = re.compile(rf"(?:CREATE ROLE {_NAME};|ALTER ROLE {_NAME} WITH [A-Z0-9 -]+(?: VALID UNTIL '[^']*')?;)")
_GRANT = re.compile(rf"GRANT {_NAME} TO {_NAME}(?: WITH [A-Z ,]+?)?(?: GRANTED BY {_NAME})?;")


def missing_roles(conn: PostgresConnection, names: Sequence[str]) -> list[str]:
    """Return those of the roles that the server does not have."""
    known = {name for (name,) in conn.query("SELECT rolname::text FROM pg_catalog.pg_roles")}
    return [name for name in names if name not in known]


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
