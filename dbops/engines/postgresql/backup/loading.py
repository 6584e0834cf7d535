"""A dump brought back: into a new database under a passing name, which takes its place when it is complete.

So a database of the wished name is there whole or not at all, and one that it replaces stays as it was until then. The passing
name is that of a scratch: what a killed run leaves, the next one removes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Link, Restored, RestoreOrder, Told, refuse_restore_options
from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.processes import Stage, secret_file
from dbops.engines.base.shape import decoded
from dbops.engines.postgresql.backup.choosing import Choice, Relation, choose, event_triggers_apart, read_list
from dbops.engines.postgresql.backup.dumping import GLOBALS, RELATIONS
from dbops.engines.postgresql.backup.facts import clauses, give
from dbops.engines.postgresql.backup.parallel import jobs_of, load, read_contents
from dbops.engines.postgresql.backup.programs import find, last_line, stage, version_of
from dbops.engines.postgresql.backup.roles import is_super, make_roles, missing_roles, not_to_be_given, owners_in
from dbops.engines.postgresql.connect import MAINTENANCE, PostgresConnection, connect, database_of, on_database, quoted
from dbops.engines.postgresql.scratch import create_from, drop, literal, passing_name, remove_leftovers
from dbops.errors import BackupError, ConnectError, DbopsError, MissingDatabaseError, QueryError

_OBJECT_IN_USE = "55006"
_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Filling:
    """What fills a new database: `run` is given its target, and returns the exits and warnings.

    `owners` are the roles that something in it shall belong to.
    """

    facts: Mapping[str, Any]
    run: Callable[[Target, tuple[str, ...]], tuple[Sequence[Exit], Sequence[str]]]
    globals: Callable[[], str | None]
    owners: Callable[[], Collection[str]]


def occupied(target: Target) -> str | None:
    """Say what a database holds, None where there is none or nothing in it."""
    name = database_of(target)
    try:
        with closing(connect(replace(target, attempts=1), readonly=True)) as conn:
            [(count,)] = conn.query(_CONTENT)
    except MissingDatabaseError:
        return None
    return f"the database {name} holds {count} relations and functions" if count else None


_CONTENT = """
SELECT (SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace)
     + (SELECT count(*) FROM pg_catalog.pg_proc WHERE oid >= 16384)"""


def must_allow(chain: Sequence[Link], order: RestoreOrder) -> None:
    """Refuse a restore of a dump; see the port."""
    program, _ = _tool_and_jobs(chain[-1], order)
    facts, name = chain[-1].details, database_of(order.target)
    with closing(_elsewhere(order.target, name)) as home:
        _may(home, order, facts, name, _exists(home, name))
        _missing_roles(home, order, facts, lambda: _owners(chain[-1], program, order))


def must_allow_database(order: RestoreOrder) -> None:
    """Refuse a restore into a database of what nothing more is known of."""
    name = database_of(order.target)
    with closing(_elsewhere(order.target, name)) as home:
        _may(home, order, {"extensions": ()}, name, _exists(home, name))


def _tool_and_jobs(link: Link, order: RestoreOrder) -> tuple[Path, int]:
    """Return pg_restore, and how many sessions it takes.

    Raises:
        BackupError: it is missing, or the order asks for what there is not.
    """
    if order.folder is not None:
        raise BackupError("a dump is restored to a database, not to a folder", expected="--to postgresql://host/new_database")
    program = find("pg_restore", int(link.details["dump_major"]))
    refuse_restore_options(order, "roles", "jobs")
    return program, jobs_of(order.options, int(link.details.get("jobs", 1)))


def restore(chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
    """Restore a logical full; see the port."""
    link = chain[-1]
    program, jobs = _tool_and_jobs(link, order)

    def fill(target: Target, options: tuple[str, ...]) -> tuple[Sequence[Exit], Sequence[str]]:
        told("loading the dump")
        if order.schemas or order.tables:
            choice = _choice(link, program, order)
            with _list_of(choice.lines) as chosen:
                return (_load(link, program, target, (*options, chosen), jobs),), choice.warnings
        return (load_whole(link, program, target, jobs, options),), ()

    filling = Filling(link.details, fill, lambda: _globals(link), lambda: _owners(link, program, order))
    return into_place(order, filling, link, told)


def into_place(order: RestoreOrder, filling: Filling, link: Link, told: Told) -> Restored:
    """Fill a new database, and let it take its place.

    Raises:
        BackupError: refused, or failed; in both cases what stood there is as it was.
    """
    name = database_of(order.target)
    with closing(_elsewhere(order.target, name)) as home:
        exists = _exists(home, name)
        _may(home, order, filling.facts, name, exists)
        options, roles, warnings = _roles(home, order, filling)
        if unplaced := _tablespaces(home, filling.facts):
            options, warnings = (*options, "--no-tablespaces"), [*warnings, *unplaced]
        tablespace, unplaced = _tablespace(home, filling.facts)
        warnings += unplaced
        remove_leftovers(home)
        passing = passing_name()
        create_from(home, passing, (*clauses(filling.facts, home.server.version[0]), *tablespace))
        try:
            target = replace(on_database(order.target, passing), timeouts=Timeouts(order.target.timeouts.connect_s, 0, 0))
            exits, more = filling.run(target, options)
            with closing(connect(_let_in(home, target))) as conn:
                warnings += give(conn, filling.facts, passing, roles)
            if exists and not order.replaces and (found := occupied(order.target)):
                raise BackupError(f"{found} by now; it was left as it is", fix="restore to another name")
            warnings += _switch(home, passing, name, exists)
        except BaseException:
            with suppress(DbopsError):
                drop(home, passing)
            raise
    told(f"{name} is there")
    place = order.target.url.redacted()
    return Restored(place, link.end, tuple(exits), (*warnings, *more))


def _let_in(home: PostgresConnection, target: Target) -> Target:
    """Return a target whose sessions no event trigger on logins turns away, where the server knows such ones and lets us."""
    if home.server.version[0] < _LOGIN_TRIGGERS or not is_super(home):
        return target
    query = dict(target.url.query)
    query["options"] = f"{query.get('options', '')} -c event_triggers=off".strip()
    return replace(target, url=replace(target.url, query=tuple(query.items())))


_LOGIN_TRIGGERS = 17


def listed(link: Link, program: Path) -> str:
    """Return the list of a dump, of which only the beginning is read."""
    with secret_file("", name="list") as path:  # a file, since it reads no more once it writes
        read_contents(link, stage(program, ("--list", "--verbose", f"--file={path}")), path.parent)
        return path.read_text(encoding="utf-8", errors="replace")


def load_whole(link: Link, program: Path, target: Target, jobs: int = 1, options: Sequence[str] = ()) -> Exit:
    """Load a dump into an empty database, event triggers last.

    pg_restore makes them before it fills materialized views, which one may forbid, or do anything else at.
    """
    first, last = event_triggers_apart(read_list(listed(link, program)))
    if not last:
        return _load(link, program, target, options, jobs)
    with _list_of(first) as chosen:
        done = _load(link, program, target, (*options, chosen), jobs)
    with _list_of(last) as chosen, passing_folder() as folder:
        _load(link, program, target, (*options, chosen), 1, lambda one, _: read_contents(link, one, folder))
    return done


def _load(
    link: Link,
    program: Path,
    target: Target,
    options: Sequence[str],
    jobs: int,
    run: Callable[[Stage, int], Exit] | None = None,
) -> Exit:
    """Let pg_restore load what options say, up to its first error.

    From 17 on it begins with a setting that older servers do not know, and would end there: with these it goes on, and nothing
    else may be wrong at its end. One session does it then, since each has that error.
    """
    run = run or (lambda one, jobs: load(link, one, jobs))
    if version_of(program) < _SETS_MORE or _major(target) >= _SETS_MORE:
        return run(stage(program, ("--exit-on-error", *options), target), jobs)
    done = run(replace(stage(program, tuple(options), target), good=frozenset((0, 1))), 1)
    if done.code and (wrong := wrong_beside_its_setting(done)):
        raise BackupError(f"{done.tool} ended with exit code {done.code}: {wrong}")
    return done


def wrong_beside_its_setting(done: Exit) -> str:
    """Return an error of pg_restore that is not the one of its own first statement on an older server; empty for none."""
    lines = done.stderr.splitlines()
    errors = [(line, behind) for line, behind in pairwise((*lines, "")) if " error: " in line]
    wrong = [line for line, behind in errors if _UNKNOWN_THERE not in line or behind != _ITS_FIRST]
    count = re.search(r"errors ignored on restore: (\d+)", done.stderr)
    if wrong:
        return wrong[0]
    return "" if count is not None and int(count[1]) == len(errors) else last_line(done)


_SETS_MORE = 17
_UNKNOWN_THERE = 'unrecognized configuration parameter "transaction_timeout"'
_ITS_FIRST = "Command was: SET transaction_timeout = 0;"
"""What follows the error of the program's own statement; a function of the dump may have the setting too."""


def _major(target: Target) -> int:
    with closing(connect(target)) as conn:
        return conn.server.version[0]


@contextmanager
def _list_of(lines: Sequence[str]) -> Iterator[str]:
    """Give the option by which pg_restore takes these lines of a dump's list alone."""
    with secret_file("\n".join(lines) + "\n", name="list") as path:
        yield f"--use-list={path}"


def _choice(link: Link, program: Path, order: RestoreOrder) -> Choice:
    with link.source.stream(RELATIONS) as reader:
        rows = decoded(reader.read(), [(int, str, str, str)], f"{RELATIONS} of {link.id}")
    relations = [Relation(oid, schema, name) for oid, schema, name, _ in rows]
    return choose(read_list(listed(link, program)), relations, order.schemas, order.tables)


def _owners(link: Link, program: Path, order: RestoreOrder) -> Sequence[str]:
    """Return the roles that something belongs to of what an order restores."""
    if order.schemas or order.tables:
        return owners_in(_choice(link, program, order).lines, link.details)
    return list_owners(link, program)


def list_owners(link: Link, program: Path) -> Sequence[str]:
    """Return the roles that something in a dump belongs to."""
    return owners_in(listed(link, program).splitlines(), link.details)


def _globals(link: Link) -> str | None:
    if GLOBALS not in link.source.names:
        return None
    with link.source.stream(GLOBALS) as reader:
        return reader.read().decode("utf-8", "replace")


# --- what may be done -----------------------------------------------------------------------------------------------------


def _elsewhere(target: Target, name: str) -> PostgresConnection:
    """Open a session on another database of the server, since one with sessions is neither renamed nor dropped."""
    last: ConnectError | None = None
    for database in MAINTENANCE:
        if database != name:
            try:
                return connect(on_database(target, database))
            except ConnectError as error:
                last = error
    assert last is not None
    raise last


def _may(home: PostgresConnection, order: RestoreOrder, facts: Mapping[str, Any], name: str, exists: bool) -> None:
    """Refuse what cannot end well, before anything is touched."""
    if exists and not order.replaces and (found := occupied(order.target)):
        raise BackupError(f"{found}; it was left as it is", fix="restore to another name, or give --replace")
    if exists and (order.schemas or order.tables) and occupied(order.target):
        raise BackupError(
            f"some tables alone would replace all of the database {name}; it was left as it is",
            fix="restore them to a new database, and copy them from there",
        )
    if name in MAINTENANCE and exists:
        raise BackupError(f"the database {name} belongs to the server", fix="restore to another name")
    if exists and (held := home.query(_PREPARED, (name,))):
        raise BackupError(
            f"the database {name} holds the prepared transaction {literal(str(held[0][0]))}, and cannot be replaced",
            fix="COMMIT PREPARED or ROLLBACK PREPARED there, or restore to another name",
        )
    if exists and not _owns(home, name):
        raise BackupError(f"the database {name} belongs to somebody else, and cannot be replaced", fix="restore to another name")
    [(may_create,)] = home.query("SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
    if not may_create:
        raise BackupError(
            f"'{home.server.user}' may not create databases on that server",
            fix=f"ALTER ROLE {quoted(home.server.user)} CREATEDB",
        )
    provider = str(facts["locale"][3]) if "locale" in facts else ""
    if (since := _SINCE.get(provider)) is not None and home.server.version[0] < since[1]:
        raise BackupError(
            f"the database sorts by {since[0]}, which databases can from PostgreSQL {since[1]} on, and that server is"
            f" {home.server.version[0]}; nothing was touched",
            fix="restore to a newer server",
        )
    if missing := missing_extensions(home, facts):
        raise BackupError(
            f"that server lacks extensions which the backup needs: {', '.join(missing)}",
            fix="install their packages there; nothing was touched",
        )
    if untrusted := missing_extensions(home, facts, is_super=is_super(home)):
        raise BackupError(
            f"'{home.server.user}' may not create the extensions {', '.join(untrusted)} on that server; nothing was touched",
            fix="restore as a superuser",
        )


_PREPARED = "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = ? ORDER BY prepared"

#: What may sort the text of a database, as pg_database says it: its name, and the first major version that knows it.
_SINCE = {"i": ("ICU", 15), "b": ("a locale of PostgreSQL's own", 17)}

_EXTENSIONS = """
SELECT DISTINCT name::text FROM pg_catalog.pg_available_extension_versions WHERE trusted OR NOT superuser OR ?"""


def missing_extensions(conn: PostgresConnection, facts: Mapping[str, Any], *, is_super: bool = True) -> list[str]:
    """Return the extensions of a backup that a server does not have, or that somebody who is no superuser may not create."""
    known = {extension for (extension,) in conn.query(_EXTENSIONS, (is_super,))}
    return [extension for extension in facts["extensions"] if extension not in known]


def _exists(home: PostgresConnection, name: str) -> bool:
    return bool(home.query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = ?", (name,)))


def _owns(home: PostgresConnection, name: str) -> bool:
    rows = home.query("SELECT pg_catalog.pg_has_role(datdba, 'USAGE') FROM pg_catalog.pg_database WHERE datname = ?", (name,))
    return rows == [(True,)]


def _roles(home: PostgresConnection, order: RestoreOrder, filling: Filling) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Return options for pg_restore, the roles that count, and what is to be said of them."""
    missing = _missing_roles(home, order, filling.facts, filling.owners)
    if order.options.get("roles") == "skip":
        return ("--no-owner", "--no-privileges"), (), ["owners and privileges were left out"]
    made = make_roles(home, filling.globals(), missing) if missing else []
    told = [f"made the role {role}, without a password" for role in made]
    roles = dict.fromkeys((*filling.facts["roles"], *made))
    with_settings = [role for role, _ in filling.facts["settings"] if role and role not in roles]
    for role in missing_roles(home, with_settings):
        with_settings.remove(role)
        told.append(f"that server lacks the role {role}: what the database sets for it is left out")
    return (), (*roles, *with_settings), told


def _missing_roles(
    home: PostgresConnection, order: RestoreOrder, facts: Mapping[str, Any], owners: Callable[[], Collection[str]]
) -> list[str]:
    """Return the roles that are to be made.

    Raises:
        BackupError: some are missing, and are neither to be made nor left out; or the account may give nothing to some.
    """
    how = str(order.options.get("roles", "need"))
    if how not in ("need", "create", "skip"):
        raise BackupError(f"roles={how} is not known", expected="one of need, create, skip")
    if how == "skip":
        return []
    missing = missing_roles(home, [*facts["roles"], facts["superuser"]])
    if facts["superuser"] in missing and facts["superuser"] not in owners():
        missing.remove(facts["superuser"])  # every server has one, and here nothing is its own
    if missing and how == "need":
        raise BackupError(
            f"roles that the backup names are missing on that server: {', '.join(missing)}; nothing was touched",
            fix="--option roles=create makes them without passwords, --option roles=skip leaves out owners and privileges",
            error_code="MISSING_ROLES",
        )
    if others := not_to_be_given(home, owners):
        raise BackupError(
            f"'{home.server.user}' may not make others the owners of what is restored: {', '.join(others)}; nothing was touched",
            fix="restore as a superuser, or --option roles=skip leaves out owners and privileges",
            error_code="ROLE_RIGHTS",
        )
    return missing


def _tablespaces(home: PostgresConnection, facts: Mapping[str, Any]) -> list[str]:
    known = {name for (name,) in home.query("SELECT spcname::text FROM pg_catalog.pg_tablespace")}
    if missing := [name for name in facts["tablespaces"] if name not in known]:
        return [f"that server lacks the tablespaces {', '.join(missing)}: everything is in the default tablespace"]
    return []


def _tablespace(home: PostgresConnection, facts: Mapping[str, Any]) -> tuple[tuple[str, ...], list[str]]:
    """Return the clause for the tablespace that a database itself has, and what is to be said where it cannot have it."""
    if not (name := facts.get("tablespace")):
        return (), []
    rows = home.query("SELECT has_tablespace_privilege(oid, 'CREATE') FROM pg_catalog.pg_tablespace WHERE spcname = ?", (name,))
    if rows == [(True,)]:
        return (f"TABLESPACE {quoted(str(name))}",), []
    why = f"'{home.server.user}' may not create in the tablespace {name}" if rows else f"that server lacks the tablespace {name}"
    return (), [f"{why}, which the database had: it is in the default one"]


# --- taking the place -----------------------------------------------------------------------------------------------------


_SLOTS = """
SELECT s.subname::text, s.subslotname::text
FROM pg_catalog.pg_subscription AS s JOIN pg_catalog.pg_database AS d ON d.oid = s.subdbid
WHERE d.datname = ? AND s.subslotname IS NOT NULL ORDER BY 1"""


def _switch(home: PostgresConnection, passing: str, name: str, exists: bool) -> Sequence[str]:
    """Rename the new database to its name, and an old one away, in one transaction; then drop the old one.

    Returns what is to be said of it.
    """
    if not exists:
        home.execute(f"ALTER DATABASE {quoted(passing)} RENAME TO {quoted(name)}")
        return ()
    old = passing_name()
    with _without_sessions(home, name), home.transaction():
        home.execute(f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(old)}")
        home.execute(f"ALTER DATABASE {quoted(passing)} RENAME TO {quoted(name)}")
    slots = home.query(_SLOTS, (old,))
    read = home.query("SELECT slot_name::text FROM pg_catalog.pg_replication_slots WHERE database = ? ORDER BY 1", (old,))
    try:
        drop(home, old)
    except DbopsError as error:  # by its name a leftover
        return (f"what stood there is still there as {old}: {error.message}",)
    return [
        f"the replication slot {slot} of what stood there is gone: who read the changes of the database with it begins anew"
        for (slot,) in read
    ] + [
        f"the subscription {subscription} of what stood there is gone, and its slot {slot} stays on the publisher, where it keeps"
        " log: let a subscription take it, or drop it there"
        for subscription, slot in slots
    ]


@contextmanager
def _without_sessions(home: PostgresConnection, name: str) -> Iterator[None]:
    """End the sessions of a database for as long as a block takes that renames it.

    The statement keeps new sessions out and waits some seconds for the old ones to end (commands/dbcommands.c, RenameDatabase),
    so nothing has to be forbidden before, which somebody would have to allow again after a run that was killed.
    """
    [(oid,)] = home.query("SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = ?", (name,))
    is_done = threading.Event()
    with closing(connect(home.target)) as other:

        def end() -> None:
            with suppress(DbopsError):  # of somebody whom we may not end; the server says so
                while not is_done.is_set():
                    other.query(
                        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datid = ?", (oid,)
                    )
                    is_done.wait(_AGAIN_S)

        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        try:
            yield
        except QueryError as error:
            if error.context.get("sqlstate") != _OBJECT_IN_USE:
                raise
            raise BackupError(f"sessions on the database {name} do not end", fix="end them, and restore again") from error
        finally:
            is_done.set()
            thread.join()
