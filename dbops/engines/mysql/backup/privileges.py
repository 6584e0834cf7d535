"""What an account may do on a server and on one database, read from its grants."""

from __future__ import annotations

import re

from dbops.dataclass import dataclass
from dbops.engines.mysql.connect import MysqlConnection
from dbops.engines.mysql.tokens import unquoted

_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>`(?:[^`]|``)+`|\*)\.(?P<rest>`(?:[^`]|``)+`|\*) TO ")

#: Names that mean the same: MariaDB 10.5 renamed and split some (MariaDB Knowledge Base, "GRANT"), MySQL 8.0 others.
_INSTEAD = {
    "REPLICATION CLIENT": ("BINLOG MONITOR", "SUPER"),
    "REPLICATION SLAVE": ("REPLICATION REPLICA",),
}
_OF_SERVER = frozenset({"RELOAD", "REPLICATION CLIENT", "REPLICATION SLAVE", "PROCESS", "BACKUP_ADMIN"})


@dataclass(frozen=True, slots=True)
class Privileges:
    """Privileges on the whole server and on one database."""

    of_server: frozenset[str]
    of_database: frozenset[str]

    def lacks(self, *wanted: str) -> list[str]:
        """Return those of `wanted` that are missing."""
        return [one for one in wanted if not self._has(one)]

    def _has(self, privilege: str) -> bool:
        held = self.of_server if privilege in _OF_SERVER else self.of_server | self.of_database
        return "ALL PRIVILEGES" in held or any(name in held for name in (privilege, *_INSTEAD.get(privilege, ())))


def privileges_of(conn: MysqlConnection) -> Privileges:
    """Ask what the account of a session may do; roles that are not active do not count."""
    server: set[str] = set()
    database: set[str] = set()
    for row in conn.query("SHOW GRANTS"):
        found = _GRANT.match(str(row[0]))
        if found is None:
            continue
        names = {name.strip() for name in re.sub(r"\([^)]*\)", "", found["what"]).split(",")}
        if found["where"] == "*":
            server |= names
        elif found["rest"] == "*" and _matches(unquoted(found["where"]), conn.database):
            database |= names
    return Privileges(frozenset(server), frozenset(database))


def fix_for(conn: MysqlConnection, missing: list[str]) -> str:
    """Return the statements that would give what is missing."""
    account = account_of(conn)
    of_server = [one for one in missing if one in _OF_SERVER]
    of_database = [one for one in missing if one not in _OF_SERVER]
    statements = [f"GRANT {', '.join(of_server)} ON *.* TO {account}"] if of_server else []
    if of_database:
        statements.append(f"GRANT {', '.join(of_database)} ON `{conn.database}`.* TO {account}")
    return "; ".join(statements)


def account_of(conn: MysqlConnection) -> str:
    """Return the account of a session as statements name it."""
    user, _, host = conn.server.user.rpartition("@")
    return f"'{user}'@'{host}'"


def _matches(pattern: str, name: str) -> bool:
    """Tell whether a grant's database, in which `%` and `_` are wild unless escaped, is a database."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    regex = "".join(wild.get(part) or re.escape(part[1:] if part.startswith("\\") and len(part) > 1 else part) for part in parts)
    return re.fullmatch(regex, name, re.IGNORECASE | re.DOTALL) is not None
