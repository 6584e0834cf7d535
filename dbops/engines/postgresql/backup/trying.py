"""Backups looked at by PostgreSQL's own programs, and tried out on a throwaway database or server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Link, Point, Told
from dbops.engines.base.connect import Target
from dbops.engines.base.processes import run
from dbops.engines.postgresql.backup import pgbackrest
from dbops.engines.postgresql.backup.checking import check_files
from dbops.engines.postgresql.backup.facts import clauses
from dbops.engines.postgresql.backup.folders import lay_out_log, must_fit, tablespaces_beside, take_apart, unpack
from dbops.engines.postgresql.backup.loading import list_owners, load_whole, missing_extensions
from dbops.engines.postgresql.backup.parallel import load
from dbops.engines.postgresql.backup.programs import find, stage, version_of
from dbops.engines.postgresql.backup.recovery import workplace
from dbops.engines.postgresql.backup.restoring import throwaway
from dbops.engines.postgresql.backup.roles import missing_roles, not_to_be_given
from dbops.engines.postgresql.backup.stanzas import NAME
from dbops.engines.postgresql.connect import PostgresConnection, connect, connect_maintenance, describe
from dbops.engines.postgresql.scratch import Locale, private_scratch, scratch
from dbops.errors import BackupError, ConnectError, DbopsError, QueryError, SchemaError

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
    """Load a dump into a scratch database: on the same server, or on one of our own."""
    link = chain[-1]
    program = find("pg_restore", int(link.details["dump_major"]))
    owners = list_owners(link, program)
    with ExitStack() as stack:
        conn = _loaded(stack, link, program, _places(link, owners, near), told)
        _speak_as_there(conn, link.details, near.url.username or conn.server.user)
        yield conn


_SPOKEN = frozenset({"search_path", "timezone", "datestyle", "intervalstyle", "default_text_search_config"})
"""What decides which table a name means and how values read; settings of extensions and applications have a dot."""


def _speak_as_there(conn: PostgresConnection, facts: Mapping[str, Any], user: str) -> None:
    """Give a session what sessions of an account are given on the database of a backup, as far as queries depend on it."""
    for role, settings in sorted(facts["settings"]):
        for name, _, value in (text.partition("=") for text in settings if role in ("", user)):
            if name.lower() in _SPOKEN or "." in name:
                with suppress(QueryError):  # of an extension that is not loaded there
                    conn.query("SELECT pg_catalog.set_config(?, ?, false)", (name, value))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a dump can be tried out; `is_decisive` where only the dump can be at fault when it is not loaded.

    `objection` is why a better one was passed over.
    """

    words: str
    opened: Callable[[], AbstractContextManager[PostgresConnection]]
    is_decisive: bool = True
    objection: str = ""


def _places(link: Link, owners: Sequence[str], near: Target) -> Iterator[_Place]:
    """Yield the places where a dump can be tried out, the best first.

    It names roles, of which some may have gone from the server since, and gives them things, which takes a superuser. A server of
    our own has all roles that it names.
    """
    facts = link.details
    objection, is_super = _objection(near, facts, owners)
    if not objection:
        yield _Place("a scratch database", lambda: scratch(near), is_super)
    like = Locale(clauses(facts, int(facts["major"])), int(facts["major"]), str(facts["superuser"]), tuple(facts["roles"]))
    has_none = not facts["extensions"]  # which may want settings of the server
    yield _Place("a server of our own", lambda: private_scratch("a server of our own", like), has_none, objection)


def _objection(near: Target, facts: Mapping[str, Any], owners: Sequence[str]) -> tuple[str, bool]:
    """Return why a dump cannot be loaded as it is where scratch databases of `near` are made, empty where it can.

    And whether a superuser makes them.
    """
    home = replace(near, url=near.scratch) if near.scratch else near
    try:
        with closing(connect_maintenance(home)) as conn:
            [(is_super, may_create)] = conn.query(_RIGHTS)
            place, user = describe(conn.target), conn.server.user
            if not (is_super or may_create):
                return f"'{user}' may not create databases on {place}", is_super
            if missing := missing_roles(conn, [*facts["roles"], *owners]):
                return f"{place} lacks the roles {', '.join(missing)}", is_super
            if unknown := missing_extensions(conn, facts, is_super=is_super):
                return f"'{user}' cannot make the extensions {', '.join(unknown)} on {place}", is_super
            if others := not_to_be_given(conn, lambda: owners):
                return f"'{user}' may not give anything to {', '.join(others)} on {place}", is_super
            return "", is_super
    except ConnectError as error:
        return error.message, False


_RIGHTS = "SELECT rolsuper, rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user"


def _loaded(stack: ExitStack, link: Link, program: Path, places: Iterable[_Place], told: Told) -> PostgresConnection:
    """Load a dump in the first place where that works, and return a session there.

    Raises:
        BackupError: it cannot be loaded; with the code NO_TRIAL where that may be for the place.
    """
    refusals: list[DbopsError] = []
    for place in places:
        if place.objection:
            refusals.append(SchemaError(place.objection))
        with ExitStack() as tried:
            try:
                conn = tried.enter_context(place.opened())
                if unknown := missing_extensions(conn, link.details):
                    raise SchemaError(
                        f"{place.words} lacks the extensions {', '.join(unknown)}", fix="install their packages there"
                    )
                told(f"loading the dump into {place.words}")
                load_whole(link, program, conn.target, int(link.details.get("jobs", 1)))
            except (SchemaError, ConnectError, QueryError) as error:
                refusals.append(error)
                continue
            except BackupError as error:
                if place.is_decisive or _REFUSED not in error.message:
                    raise
                refusals.append(error)
                continue
            stack.push(tried.pop_all())
            return conn
    raise BackupError(
        f"there is no place to try it out: {'; '.join(error.message for error in refusals)}",
        fix=next((error.fix for error in reversed(refusals) if error.fix), None)
        or f"install postgresql-{link.details['major']} here, or give the connection a scratch.url where it is a superuser",
        error_code="NO_TRIAL",
    )


_REFUSED = "could not execute query"
"""What pg_restore says where the server, and not it, objects."""
