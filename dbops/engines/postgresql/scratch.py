"""Temporary databases: on the same server, at the scratch URL, or on a private server started from binaries of this machine.

A scratch is called `dbops_scratch_<seconds>_<random>`. Whoever makes one first removes those that are minutes old and have no
session: the makers were killed.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Row, Target, Timeouts
from dbops.engines.postgresql.connect import (
    PostgresConnection,
    connect,
    connect_maintenance,
    database_of,
    describe,
    on_database,
    quoted,
)
from dbops.engines.postgresql.errors import INSUFFICIENT_PRIVILEGE
from dbops.errors import ConnectError, MissingDatabaseError, NoScratchError, QueryError, SchemaError

logger: logging.Logger = logging.getLogger(__name__)

PREFIX = "dbops_scratch_"
_NAME = re.compile(rf"{PREFIX}(\d+)_[0-9a-f]+")
_LEFTOVER_AGE_S = 600
_INVALID_LOCALE = ("42809", "22023", "XX000")
_OBJECT_IN_USE = "55006"
_OF_ANOTHER_KIND = "42809"  # a template, which is dropped when it is none any more


def passing_name() -> str:
    """Return a new name for a database that is not meant to stay; what is left of it is removed by its age."""
    return f"{PREFIX}{int(time.time())}_{secrets.token_hex(4)}"


@contextmanager
def scratch(target: Target) -> Iterator[PostgresConnection]:
    """Open an empty temporary database as the engine port says."""
    with ExitStack() as stack:
        home = replace(target, url=target.scratch) if target.scratch else target
        like = _locale_of(target)
        try:
            patient = replace(home, timeouts=replace(home.timeouts, statement_s=0.0))  # a copy of a template takes what it takes
            maintenance = stack.enter_context(_session(patient))
            database = stack.enter_context(_database(maintenance, like))
            conn = stack.enter_context(_opened(home, database))
            conn.is_own_cluster = target.scratch is not None
        except QueryError as error:
            if error.context.get("sqlstate") != INSUFFICIENT_PRIVILEGE:
                raise
            conn = stack.enter_context(_on_private_server(target, like, error))
        yield conn


@dataclass(frozen=True, slots=True)
class Locale:
    """Encoding and locale of a database as CREATE DATABASE takes them, and the server it is on."""

    clauses: tuple[str, ...] = ()
    major: int = 0
    user: str = ""
    roles: tuple[str, ...] = ()


LOCALE_OF = """
SELECT pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_catalog.to_jsonb(d) ->> 'datlocprovider',
       coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
       pg_catalog.to_jsonb(d) ->> 'daticurules'
FROM pg_catalog.pg_database AS d WHERE d.datname = ?"""
_ROLES = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' AND oid >= 16384 ORDER BY oid"


def _locale_of(target: Target) -> Locale:
    """What the real database has; of a missing one only the server is known."""
    with _session(target) as conn:
        rows = conn.query(LOCALE_OF, (database_of(target),))
        roles = tuple(str(name) for (name,) in conn.query(_ROLES))
        major, user = conn.server.version[0], conn.server.user
    return Locale(locale_clauses(rows[0], major) if rows else (), major, user, roles)


def locale_clauses(row: Row, major: int) -> tuple[str, ...]:
    encoding, collate, ctype, provider, locale, rules = row
    found = [f"ENCODING {literal(encoding)}", f"LC_COLLATE {literal(collate)}", f"LC_CTYPE {literal(ctype)}"]
    if provider == "i":
        found += ["LOCALE_PROVIDER icu", f"ICU_LOCALE {literal(locale)}"]
        found += [f"ICU_RULES {literal(rules)}"] if rules else []
    elif provider == "b":
        found += ["LOCALE_PROVIDER builtin", f"BUILTIN_LOCALE {literal(locale)}"]
    elif major >= 15:
        found.append("LOCALE_PROVIDER libc")
    return tuple(found)


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _session(target: Target) -> Iterator[PostgresConnection]:
    conn = connect_maintenance(target)
    try:
        yield conn
    finally:
        conn.close()


@contextmanager
def _database(maintenance: PostgresConnection, like: Locale) -> Iterator[str]:
    """Create a database and drop it at the end, whoever still has a session on it."""
    remove_leftovers(maintenance)
    name = passing_name()
    create_from(maintenance, name, like.clauses)
    try:
        yield name
    finally:
        drop(maintenance, name)


def create_from(conn: PostgresConnection, name: str, clauses: tuple[str, ...]) -> None:
    statement = f"CREATE DATABASE {quoted(name)} TEMPLATE template0"
    try:
        conn.execute(" ".join((statement, *clauses)))
    except QueryError as error:
        # Another machine may not have the locale: only sorting differs then, which no catalog records.
        if not clauses or error.context.get("sqlstate") not in _INVALID_LOCALE:
            raise
        others = (one for one in clauses if one.startswith("TABLESPACE "))
        conn.execute(" ".join((statement, clauses[0], "LC_COLLATE 'C' LC_CTYPE 'C'", *others)))


def drop(conn: PostgresConnection, name: str) -> None:
    statement = f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)"
    try:
        conn.execute(statement)
    except QueryError as error:
        _make_way(conn, name, error)
        # The session we kept may have died meanwhile; a fresh one decides.
        with _session(conn.target) as fresh:
            fresh.execute(statement)


def _make_way(conn: PostgresConnection, name: str, error: QueryError) -> None:
    """Take away what keeps a database from being dropped, where that is ours to take."""
    state = error.context.get("sqlstate")
    if state == _OBJECT_IN_USE:
        _drop_subscriptions(conn, name)
    elif state == _OF_ANOTHER_KIND:
        conn.execute(f"ALTER DATABASE {quoted(name)} IS_TEMPLATE false")


_SUBSCRIPTIONS = """
SELECT subname::text FROM pg_catalog.pg_subscription
WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"""


_EVENT_TRIGGERS = "SELECT evtname::text FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'"
"""They do not fire for statements about themselves (postgresql.org/docs/current/event-trigger-definition.html)."""


def _drop_subscriptions(conn: PostgresConnection, name: str) -> None:
    """Drop the subscriptions of a database, without which it cannot be dropped; what they have on the publisher stays.

    A dump brings a subscription with the name of the original's slot, which is not ours to drop. Event triggers, which may forbid
    it, are switched off: they go with the database.
    """
    with suppress(MissingDatabaseError), closing(connect(on_database(conn.target, name))) as inside:
        subscriptions = inside.query(_SUBSCRIPTIONS)
        for (trigger,) in inside.query(_EVENT_TRIGGERS) if subscriptions else ():
            inside.execute(f"ALTER EVENT TRIGGER {quoted(trigger)} DISABLE")
        for (subscription,) in subscriptions:
            inside.execute(f"ALTER SUBSCRIPTION {quoted(subscription)} DISABLE")
            inside.execute(f"ALTER SUBSCRIPTION {quoted(subscription)} SET (slot_name = NONE)")
            inside.execute(f"DROP SUBSCRIPTION {quoted(subscription)}")


_LEFTOVERS = """
SELECT d.datname::text FROM pg_catalog.pg_database AS d
WHERE pg_catalog.starts_with(d.datname::text, ?) AND pg_catalog.pg_has_role(d.datdba, 'USAGE')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.datid = d.oid)"""


def remove_leftovers(conn: PostgresConnection) -> None:
    for (name,) in conn.query(_LEFTOVERS, (PREFIX,)):
        match = _NAME.fullmatch(name)
        if match and time.time() - int(match[1]) > _LEFTOVER_AGE_S:
            try:
                _remove(conn, name)
                logger.info("removed the scratch database %s of a run that was killed", name)
            except QueryError as error:
                if error.context.get("sqlstate") != _OBJECT_IN_USE:  # else somebody else is just removing it
                    logger.warning("the scratch database %s of a run that was killed stays: %s", name, error.message)


def _remove(conn: PostgresConnection, name: str) -> None:
    """Drop a database in which nobody is."""
    statement = f"DROP DATABASE IF EXISTS {quoted(name)}"
    try:
        conn.execute(statement)
    except QueryError as error:
        if error.context.get("sqlstate") not in (_OBJECT_IN_USE, _OF_ANOTHER_KIND):
            raise
        _make_way(conn, name, error)
        conn.execute(statement)


@contextmanager
def _opened(home: Target, database: str) -> Iterator[PostgresConnection]:
    """Open a session without limits of time, and without waiting for the disk."""
    inner = replace(
        on_database(home, database),
        timeouts=Timeouts(home.timeouts.connect_s, 0, 0),
        settings=(*home.settings, ("synchronous_commit", "off")),
    )
    conn = connect(inner)
    try:
        yield conn
    finally:
        conn.close()


@contextmanager
def offline(target: Target) -> Iterator[PostgresConnection]:
    """Open an empty database on the newest server programs of this machine; roles that a source names are made there.

    Raises:
        NoScratchError: there are no programs, or they do not start.
    """
    from dbops.engines.postgresql.private import NEWEST, private_server

    with ExitStack() as stack:
        try:
            url = stack.enter_context(private_server(NEWEST, "postgres"))
        except SchemaError as error:
            raise NoScratchError(error.message, fix=error.fix) from error
        conn = stack.enter_context(scratch(Target(f"scratch of {target.name or target.url.database}", url)))
        conn.is_own_cluster = True
        yield conn


@contextmanager
def private_scratch(title: str, like: Locale) -> Iterator[PostgresConnection]:
    """Start a server of our own with `like.user` as its superuser and `like.roles`, and open an empty database there.

    Raises:
        SchemaError: there are no programs, or they do not start; ConnectError: it lets nobody in.
    """
    from dbops.engines.postgresql.private import private_server

    with ExitStack() as stack:
        home = Target(title, stack.enter_context(private_server(like.major, like.user)))
        maintenance = stack.enter_context(_session(home))
        for role in like.roles:
            if role != like.user:
                maintenance.execute(f"CREATE ROLE {quoted(role)}")
        database = stack.enter_context(_database(maintenance, like))
        conn = stack.enter_context(_opened(home, database))
        conn.is_own_cluster = True
        yield conn


@contextmanager
def _on_private_server(target: Target, like: Locale, refusal: QueryError) -> Iterator[PostgresConnection]:
    """Let a server of our own take the place of one where the account may create no databases."""
    with ExitStack() as stack:
        try:
            conn = stack.enter_context(private_scratch(f"scratch of {target.name or target.url.database}", like))
        except (SchemaError, ConnectError) as error:
            raise _no_place(target, like.user, error) from refusal
        yield conn


def _no_place(target: Target, user: str, error: SchemaError | ConnectError) -> SchemaError:
    server = "its scratch URL" if target.scratch else describe(target)
    return SchemaError(
        f"no place for a scratch database: '{user}' may not create databases on {server}, and {error.message}",
        fix=f"ALTER ROLE {quoted(user)} CREATEDB; or give the connection a scratch.url where it may create databases",
    )
