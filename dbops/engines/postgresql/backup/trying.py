"""Backups looked at by PostgreSQL's own programs, and tried out on a throwaway database or server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dbops.engines.base.backup import Link, Told
from dbops.engines.base.connect import Target
from dbops.engines.postgresql.backup.loading import load
from dbops.engines.postgresql.backup.programs import find, stage
from dbops.engines.postgresql.connect import PostgresConnection
from dbops.engines.postgresql.scratch import scratch
from dbops.errors import BackupError

_PIECE = 1 << 20


def examine_dump(link: Link, told: Told) -> Sequence[str]:
    """Let pg_restore turn a whole dump into statements, which nobody reads."""
    told("reading the dump with pg_restore")
    program = find("pg_restore", int(link.details["dump_major"]))
    try:
        one = stage(program, ("--file=/dev/null",))
        load(link, one)
    except BackupError as error:
        return [error.message]
    return []


@contextmanager
def dump_trial(chain: Sequence[Link], near: Target, told: Told) -> Iterator[PostgresConnection]:
    """Load a dump into a scratch database: on the same server, or on one of our own where the account may make none."""
    link = chain[-1]
    program = find("pg_restore", int(link.details["dump_major"]))
    with scratch(near) as conn:
        told("loading the dump into a scratch database")
        load(link, stage(program, ("--exit-on-error",), conn.target))
        yield conn
