"""What this server, account and machine can make, or why not and what would help."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from dbops.dataclass import dataclass
from dbops.engines.base.backup import KINDS, BackupKind, Mechanism
from dbops.engines.postgresql.backup.programs import find, versions
from dbops.engines.postgresql.backup.stanzas import NAME, refusal
from dbops.engines.postgresql.connect import quoted, refuses_replication
from dbops.errors import BackupError

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection, Target

#: A dump is alone. Blocks: a base and the blocks that changed since. WAL: a base and the log since, kept for us by a slot.
DUMP, BLOCKS, WAL = "dump", "blocks", "wal"
PICKS: frozenset[str] = frozenset({"schema", "table"})
POINTS: frozenset[str] = frozenset({"time", "lsn", "name"})
_INCREMENTS_SINCE, _READ_ALL_SINCE = 17, 14
_CAUTION = (
    "a replication slot keeps the log on the server from one backup to the next, without limit when none is made: set"
    " max_slot_wal_keep_size"
)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something cannot be made; both texts are empty where it can."""

    reason: str = ""
    fix: str = ""


_Look = Callable[[], Refused | None]
"""What has to be looked at to know, once and only where somebody wants to."""

_SETTINGS = """
SELECT pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('max_wal_senders')::int,
       pg_catalog.current_setting('max_replication_slots')::int, pg_catalog.current_setting('summarize_wal', true),
       pg_catalog.pg_is_in_recovery(), rolsuper OR rolreplication,
       pg_catalog.current_setting('max_slot_wal_keep_size') = '-1',
       pg_catalog.current_setting('archive_mode'), pg_catalog.current_setting('archive_command')
FROM pg_catalog.pg_roles WHERE rolname = current_user"""


def mechanisms(conn: Connection, target: Target, kinds: Collection[BackupKind] = KINDS) -> Iterator[Sequence[Mechanism]]:
    """Yield every way to make each of `kinds`, dumps first; see the port."""
    [(level, senders, slots, summarizes, is_standby, may_replicate, is_boundless, *archive)] = conn.query(_SETTINGS)
    major, user = conn.server.version[0], conn.server.user

    @cache
    def base() -> Refused | None:
        return (
            _tool("pg_basebackup", major) or _setting(level, senders) or _account(user, may_replicate) or _reached(target, user)
        )

    @cache
    def wal() -> Refused | None:
        return base() or _tool("pg_receivewal", major) or _archive(slots, is_standby)

    @cache
    def blocks() -> Refused | None:
        return base() or _blocks(major, summarizes) or _tool("pg_combinebackup", major)

    yield tuple(_dumps(_tool("pg_dump", major) or _readable(conn, major, user), wal, kinds))
    yield tuple(one for one in _blocked(base, blocks, wal) if one.kind in kinds)
    yield tuple(one for one in _logged(wal, blocks, is_boundless) if one.kind in kinds)
    yield tuple(one for one in _pgbackrest(*archive, is_standby=is_standby) if one.kind in kinds)


def _dumps(dump: Refused | None, wal: _Look, kinds: Collection[BackupKind]) -> Iterator[Mechanism]:
    if "full" in kinds:
        yield _mechanism("full", "pg_dump", DUMP, dump)
    without = "a dump has no increments"
    for kind in KINDS:
        if kind in kinds and kind != "full":
            reason = wal()
            why = Refused(f"{without}, and {reason.reason}", reason.fix) if reason else Refused(without, "method: physical")
            yield _mechanism(kind, "pg_dump", DUMP, why)


def _blocked(base: _Look, blocks: _Look, wal: _Look) -> Iterator[Mechanism]:
    yield _mechanism("full", "pg_basebackup", BLOCKS, base())
    yield _mechanism("incremental", "pg_basebackup", BLOCKS, blocks())
    yield _mechanism("differential", "pg_basebackup", BLOCKS, blocks())
    none = "changed blocks are no log"
    yield _mechanism("log", "pg_basebackup", BLOCKS, wal() or Refused(none, "tool: pg_receivewal for all kinds but full"))


def _logged(wal: _Look, blocks: _Look, is_boundless: bool) -> Iterator[Mechanism]:
    yield replace(_mechanism("full", "pg_basebackup", WAL, wal()), caution=_CAUTION if is_boundless else "")
    if blocks() is None:
        yield _mechanism("incremental", "pg_basebackup", WAL, wal())
        yield _mechanism("differential", "pg_basebackup", WAL, wal())
    for kind in ("incremental", "differential", "log"):
        yield _mechanism(kind, "pg_receivewal", WAL, wal(), points=POINTS)


def _pgbackrest(archive_mode: str, archive_command: str, *, is_standby: bool) -> Iterator[Mechanism]:
    why = refusal(archive_mode, archive_command, is_standby=is_standby)
    refused = Refused(*why) if why is not None else None
    for kind in KINDS:
        points = POINTS if kind == "log" else frozenset()
        yield replace(_mechanism(kind, NAME, NAME, refused, points=points), by_name=True)


def _mechanism(
    kind: BackupKind, tool: str, family: str, refused: Refused | None, points: frozenset[str] = frozenset()
) -> Mechanism:
    why = refused or Refused()
    method = "logical" if family == DUMP else "physical"
    return Mechanism(kind, method, tool, family, why.reason, why.fix, PICKS, points)  # type: ignore[arg-type]


def _tool(name: str, major: int) -> Refused | None:
    try:
        find(name, major)
    except BackupError as error:
        newest = max(versions(name), default=None)
        why = f"{name} {newest} is older than the server, which is {major}" if newest else f"{name} is not installed"
        return Refused(why, error.fix or "")
    return None


def _setting(level: str, senders: int) -> Refused | None:
    if level == "minimal":
        fix = "ALTER SYSTEM SET wal_level = replica; then restart the server"
        return Refused("wal_level is minimal: the log lacks what a copy of the files needs", fix)
    if senders == 0:
        return Refused("max_wal_senders is 0", "ALTER SYSTEM SET max_wal_senders = 10; then restart the server")
    return None


def _account(user: str, may_replicate: bool) -> Refused | None:
    if may_replicate:
        return None
    return Refused(f"'{user}' lacks the attribute REPLICATION", f"ALTER ROLE {quoted(user)} REPLICATION")


_UNREAD = """
SELECT c.oid::regclass::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
           AND NOT pg_catalog.row_security_active(c.oid))
ORDER BY c.oid"""


def _readable(conn: Connection, major: int, user: str) -> Refused | None:
    """A dump locks and reads every table and sequence, and all rows of them."""
    unread = [str(name) for (name,) in conn.query(_UNREAD)]
    if not unread:
        return None
    more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
    right = (
        f"GRANT pg_read_all_data TO {quoted(user)}"
        if major >= _READ_ALL_SINCE
        else "GRANT SELECT ON them, USAGE on their schemas"
    )
    return Refused(
        f"'{user}' may not read all of {unread[0]}{more}",
        f"{right}; with row level security also ALTER ROLE {quoted(user)} BYPASSRLS",
    )


def _reached(target: Target, user: str) -> Refused | None:
    """Try it: only the server knows what its pg_hba.conf lets in."""
    why = refuses_replication(target)
    if why is None:
        return None
    line = f"host replication {user} <address> scram-sha-256"
    return Refused(f"no replication session is let in: {why}", f"a line in pg_hba.conf: {line}; then SELECT pg_reload_conf()")


def _archive(slots: int, is_standby: bool) -> Refused | None:
    if is_standby:
        return Refused(
            "the server is a standby, and its log is archived from its primary", "let the policy's connection lead there"
        )
    if slots == 0:
        fix = "ALTER SYSTEM SET max_replication_slots = 10; then restart the server"
        return Refused("max_replication_slots is 0, so nothing keeps the log between two runs", fix)
    return None


def _blocks(major: int, summarizes: str | None) -> Refused | None:
    if major < _INCREMENTS_SINCE:
        return Refused(
            f"PostgreSQL {major} cannot tell which blocks changed", "tool: pg_receivewal takes the log since the backup before"
        )
    if summarizes != "on":
        return Refused("summarize_wal is off", "ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf()")
    return None
