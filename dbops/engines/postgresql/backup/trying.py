"""Backups looked at by PostgreSQL's own programs, and tried out on a throwaway database or server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from dbops.engines.base.backup import Link, Point, Told
from dbops.engines.base.connect import Target
from dbops.engines.base.processes import run
from dbops.engines.postgresql.backup import pgbackrest
from dbops.engines.postgresql.backup.checking import check_files
from dbops.engines.postgresql.backup.folders import lay_out_log, must_fit, tablespaces_beside, take_apart, unpack
from dbops.engines.postgresql.backup.parallel import load
from dbops.engines.postgresql.backup.programs import find, stage, version_of
from dbops.engines.postgresql.backup.recovery import workplace
from dbops.engines.postgresql.backup.restoring import throwaway
from dbops.engines.postgresql.backup.stanzas import NAME
from dbops.engines.postgresql.connect import PostgresConnection, connect
from dbops.engines.postgresql.scratch import scratch
from dbops.errors import BackupError, ConnectError, SchemaError

_PIECE = 1 << 20


def examine(chain: Sequence[Link], told: Told) -> Sequence[str]:
    """Return what is wrong with a chain; see the port."""
    return _examine_dump(chain[-1], told) if chain[0].method == "logical" else _examine_files(chain, told)


@contextmanager
def trial(chain: Sequence[Link], near: Target, point: Point, told: Told) -> Iterator[PostgresConnection]:
    """Open a session on a restored chain; see the port."""
    if chain[0].method == "logical":
        with _dump_trial(chain, near, told) as conn:
            yield conn
        return
    with throwaway(chain, point, told) as running_server, closing(connect(running_server.target)) as conn:
        check_files(conn, running_server.target, told)
        yield conn


def _examine_files(chain: Sequence[Link], told: Told) -> Sequence[str]:
    """Let pg_verifybackup compare every file of every base, and pg_waldump read the log behind them record by record."""
    if chain[0].tool == NAME:
        return pgbackrest.examine(chain, told)
    problems: list[str] = []
    parts = take_apart(chain)
    with workplace() as place:
        must_fit(parts, place)
        for link in parts.bases:
            data = place / "data"
            unpack(link, data, told)
            told("checking the files with pg_verifybackup")
            problems += _verified(data, int(link.details["major"]))
            shutil.rmtree(data)
            shutil.rmtree(tablespaces_beside(data), ignore_errors=True)
        if parts.logs:
            wal = place / "wal"
            lay_out_log(parts, wal, told)
            told("reading the log with pg_waldump")
            first, last = parts.logs[0], parts.logs[-1]
            program = find("pg_waldump", int(first.details["major"]), exactly=True)
            bounds = (f"--start={first.start['lsn']}", f"--end={last.end['lsn']}", f"--timeline={last.end['timeline']}")
            problems += _said(program, "--quiet", f"--path={wal}", *bounds)
    return problems


def _verified(data: Path, major: int) -> list[str]:
    program = find("pg_verifybackup", major)
    # a newer one brings a newer pg_waldump, which cannot read this log
    options = () if version_of(program) == major else ("--no-parse-wal",)
    return _said(program, "--quiet", *options, str(data))


def _said(program: Path, *arguments: str) -> list[str]:
    try:
        run(stage(program, arguments))
    except BackupError as error:
        return [error.message]
    return []


def _examine_dump(link: Link, told: Told) -> Sequence[str]:
    """Let pg_restore turn a whole dump into statements, which nobody reads."""
    told("reading the dump with pg_restore")
    program = find("pg_restore", int(link.details["dump_major"]))
    load(link, stage(program, ("--file=/dev/null",)))
    return []


@contextmanager
def _dump_trial(chain: Sequence[Link], near: Target, told: Told) -> Iterator[PostgresConnection]:
    """Load a dump into a scratch database: on the same server, or on one of our own where the account may make none."""
    link = chain[-1]
    program = find("pg_restore", int(link.details["dump_major"]))
    with ExitStack() as stack:
        try:
            conn = stack.enter_context(scratch(near))
        except (SchemaError, ConnectError) as error:
            raise BackupError(error.message, fix=error.fix, error_code="NO_TRIAL") from error
        told("loading the dump into a scratch database")
        load(link, stage(program, ("--exit-on-error",), conn.target), int(link.details.get("jobs", 1)))
        yield conn
