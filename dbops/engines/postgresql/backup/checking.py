"""Heaps and B-trees of a restored server looked through by pg_amcheck.

Copied files may be what they were and wrong all the same: damaged before they were copied, or with indexes that another
version of the C library or of ICU sorts otherwise here. A dump that was loaded has had all its indexes made anew, so it needs
no such look.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from dbops.engines.base.backup import Told
from dbops.engines.base.connect import Target
from dbops.engines.base.processes import Stage, run
from dbops.engines.postgresql.backup.programs import find
from dbops.engines.postgresql.connect import PostgresConnection, connect, for_tools, quoted
from dbops.errors import BackupError, DbopsError

_CORRUPT = 2
"""The exit code that says that something was found (pg_amcheck.c)."""
_LINES = 5
_UNDISTURBED = "-c default_transaction_read_only=off -c statement_timeout=0 -c session_replication_role=replica"
"""What a database or an account may give its sessions, and event triggers, would keep the extension from being made."""
_ALWAYS = "SELECT evtname FROM pg_catalog.pg_event_trigger WHERE evtenabled = 'A' ORDER BY evtname"
"""The event triggers that fire for a replica too."""


def check_files(conn: PostgresConnection, target: Target, told: Told) -> None:
    """Let pg_amcheck read every table and index of a throwaway database; nothing of the extension it needs stays.

    Where the program or the extension is not installed, that is told, and nothing is checked.

    Raises:
        BackupError: it found something; says what.
    """
    try:
        program = find("pg_amcheck", conn.server.version[0])
    except BackupError as error:
        told(f"tables and indexes are not looked through: {error.message}")
        return
    known = conn.query("SELECT installed_version IS NOT NULL FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'")
    if not known:
        told("tables and indexes are not looked through: the server programs here lack the extension amcheck")
        return
    told("looking through tables and indexes with pg_amcheck")
    undisturbed = replace(target, url=replace(target.url, query=(*target.url.query, ("options", _UNDISTURBED))))
    with _no_event_triggers(undisturbed):
        try:
            found = _found(program, undisturbed)
        finally:
            if known == [(False,)]:
                with suppress(DbopsError), closing(connect(undisturbed)) as other:
                    other.execute("DROP EXTENSION IF EXISTS amcheck")
    if found:
        more = f", and {len(found) - _LINES} lines more" if len(found) > _LINES else ""
        raise BackupError(f"pg_amcheck found: {'; '.join(found[:_LINES])}{more}", {"problems": found})


@contextmanager
def _no_event_triggers(target: Target) -> Iterator[None]:
    """Switch off the event triggers that fire always, and on again; they do not fire for statements about themselves.

    Source: postgresql.org/docs/current/event-trigger-definition.html.
    """
    with closing(connect(target)) as conn:
        names = [quoted(str(name)) for (name,) in conn.query(_ALWAYS)]
        for name in names:
            conn.execute(f"ALTER EVENT TRIGGER {name} DISABLE")
        try:
            yield
        finally:
            for name in names:
                conn.execute(f"ALTER EVENT TRIGGER {name} ENABLE ALWAYS")


def _found(program: Path, target: Target) -> list[str]:
    conninfo, env = for_tools(target, program.name)
    arguments = ("--install-missing", "--heapallindexed", "--no-password", conninfo)
    text, exit = run(Stage(program, arguments, env, good=frozenset((0, _CORRUPT)), secrets=target.secrets))
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return (lines or [exit.stderr or "something, of which it says nothing"]) if exit.code == _CORRUPT else []
