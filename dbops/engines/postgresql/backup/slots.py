"""The replication slot that keeps the log on the server until the run that takes it: made, moved and dropped by dbops.

A slot moves only when the backup that took the log has been committed, which the next run knows: a run that fails loses
nothing. What it costs is room in pg_wal, up to max_slot_wal_keep_size; then the server gives it up, and the chain ends.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dbops.dataclass import dataclass
from dbops.engines.postgresql.backup.segments import lsn_number, lsn_text
from dbops.engines.postgresql.connect import PostgresConnection
from dbops.errors import QueryError

_LENGTH = 63


@dataclass(frozen=True, slots=True)
class Slot:
    """A physical slot; `status` is reserved, extended, unreserved or lost."""

    name: str
    restart: int | None
    status: str
    is_active: bool


def name_for(owner: str) -> str:
    """Return the name of a policy's slot."""
    policy, _, mark = owner.rpartition("-")
    name = re.sub("[^a-z0-9_]", "_", f"dbops_{policy}".lower())
    return f"{name[: _LENGTH - len(mark) - 1]}_{mark}"


def find(conn: PostgresConnection, name: str) -> Slot | None:
    """Return a slot, None where there is none."""
    rows = conn.query(
        "SELECT restart_lsn::text, coalesce(wal_status, ''), active FROM pg_catalog.pg_replication_slots WHERE slot_name = ?",
        (name,),
    )
    if not rows:
        return None
    [(restart, status, is_active)] = rows
    return Slot(name, lsn_number(restart) if restart else None, status, is_active)


def ensure(conn: PostgresConnection, name: str) -> list[str]:
    """Make a slot that keeps the log from now on, unless there is one that does; say what is to be known of it."""
    slot = find(conn, name)
    told = []
    if slot is not None and (slot.status == "lost" or slot.restart is None):
        told.append(f"the slot {name} had lost its log (max_slot_wal_keep_size), and was made anew")
        conn.query("SELECT pg_catalog.pg_drop_replication_slot(?)", (name,))
        slot = None
    if slot is None:
        conn.query("SELECT pg_catalog.pg_create_physical_replication_slot(?, true)", (name,))
    return [*told, *danger(conn, name)]


def danger(conn: PostgresConnection, name: str) -> list[str]:
    """Say what a slot may do to the server."""
    [(limit,)] = conn.query("SELECT pg_catalog.current_setting('max_slot_wal_keep_size', true)")
    if limit != "-1":
        return []
    return [
        f"the slot {name} keeps the log on the server from one backup to the next, without limit when none is made: set"
        " max_slot_wal_keep_size, and drop the slot when the policy goes"
    ]


def move(conn: PostgresConnection, name: str, lsn: int) -> None:
    """Let the server remove the log before `lsn`, all of which is in committed backups."""
    slot = find(conn, name)
    if slot is not None and slot.restart is not None and slot.restart < lsn and slot.status != "lost":
        conn.query("SELECT pg_catalog.pg_replication_slot_advance(?, ?::pg_catalog.pg_lsn)", (name, lsn_text(lsn)))


def drop(conn: PostgresConnection, name: str) -> list[str]:
    """Drop a policy's slot that its schedule needs no more."""
    slot = find(conn, name)
    if slot is None:
        return []
    try:
        conn.query("SELECT pg_catalog.pg_drop_replication_slot(?)", (name,))
    except QueryError as error:
        return [f"the slot {name} is not needed any more and cannot be dropped: {error.message}"]
    return [f"dropped the slot {name}, which the schedule needs no more"]


@contextmanager
def passing(conn: PostgresConnection) -> Iterator[list[str]]:
    """Keep the log for the length of a block by a slot of this session, as far as there is room for one."""
    name = f"dbops_passing_{secrets.token_hex(4)}"
    try:
        conn.query("SELECT pg_catalog.pg_create_physical_replication_slot(?, true, true)", (name,))
    except QueryError as error:
        yield [f"no slot kept the log during the backup: {error.message}"]
        return
    try:
        yield []
    finally:
        with suppress(QueryError):
            conn.query("SELECT pg_catalog.pg_drop_replication_slot(?)", (name,))
