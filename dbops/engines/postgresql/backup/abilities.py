"""What this server, account and machine can make, or why not and what would help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbops.engines.base.backup import BackupKind, Mechanism
from dbops.engines.postgresql.backup.programs import find
from dbops.errors import BackupError

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection

DUMP = "dump"


def mechanisms(conn: Connection) -> Sequence[Mechanism]:
    """Return every way to make every kind."""
    reason, fix = "", ""
    try:
        find("pg_dump", conn.server.version[0])
    except BackupError as error:
        reason, fix = error.message, error.fix or ""
    none = "a dump has no increments"
    kinds: tuple[BackupKind, ...] = ("incremental", "differential", "log")
    full = Mechanism("full", "logical", "pg_dump", DUMP, reason, fix, frozenset({"schema", "table"}))
    return [full, *(Mechanism(kind, "logical", "pg_dump", DUMP, none, "schedule full backups more often") for kind in kinds)]
