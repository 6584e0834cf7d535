"""The account that a session speaks for, as GRANT wants it."""

from __future__ import annotations

from dbops.engines.base.connect import Connection
from dbops.engines.mysql.ddl import literal


def own_account(conn: Connection) -> str:
    """Return `'user'@'host'`, the host as the account has it, not as the session comes; one query."""
    ((account,),) = conn.query("SELECT CURRENT_USER()")
    user, _, host = str(account).rpartition("@")
    return f"{literal(user)}@{literal(host)}"
