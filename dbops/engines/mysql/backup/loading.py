"""A dump brought into a database: a new one, or one beside an existing one whose tables are then switched in.

The order is tables and rows, then routines, views, triggers and events. Nothing in the streams names a database to go to:
they are dumped without one, and the client is told where to go. What names the database it came from by itself, in defaults
that draw from a sequence, in views and in bodies, is made to mean the new one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Link, Reader, Source, Told
from dbops.engines.base.connect import Target
from dbops.engines.base.processes import Pipeline
from dbops.engines.mysql.backup.dumping import CODE, SECTIONS, TABLES, VIEWS_SQL, database_of, listed_elsewhere
from dbops.engines.mysql.backup.mydumper import ROWS_TAR, row_pieces
from dbops.engines.mysql.backup.rewriting import Rewrite, definer_of, rewrites, spoken, statements_of, views_of
from dbops.engines.mysql.backup.still_named import Mention, mentions
from dbops.engines.mysql.backup.tools import client_options, tool_for, tool_running
from dbops.engines.mysql.connect import MysqlConnection, connect, on_database, quoted
from dbops.engines.mysql.ddl import literal
from dbops.engines.mysql.errors import number_of
from dbops.engines.mysql.events import park as park_event
from dbops.engines.mysql.qualifiers import Naming
from dbops.engines.mysql.tokens import Token, words
from dbops.errors import BackupError, QueryError

_PIECE = 1 << 20
_SANDBOX = re.compile(rb"\A/\*M?!999999\\?-[^\n]*\n")
"""The first line that newer tools write and other clients take for a command. It keeps a client from running commands of its own
out of a dump; ours is told that with --binary-mode."""
_CREATE = re.compile(rb"\bCREATE\b", re.IGNORECASE)
_PACKAGE = re.compile(rb"\bPACKAGE\b", re.IGNORECASE)
_MARGIN = 1 << 16
_LISTED = 10
_UNREADABLE = (1044, 1142, 1143, 1227)
_LONG_AGO = b"SET TIMESTAMP = 1;\n"
_STRICT = ",NO_ENGINE_SUBSTITUTION"  # else a table of an engine that the server lacks gets another one, which nothing tells
_NO_DIRECTORIES = ",NO_DIR_IN_CREATE"

_DEFINERS = """
SELECT DISTINCT definer FROM (
  SELECT definer FROM information_schema.views WHERE table_schema = DATABASE()
  UNION SELECT definer FROM information_schema.triggers WHERE trigger_schema = DATABASE()
  UNION SELECT definer FROM information_schema.routines WHERE routine_schema = DATABASE()
  UNION SELECT definer FROM information_schema.events WHERE event_schema = DATABASE()) AS d
WHERE definer NOT IN (SELECT CONCAT(user, '@', host) FROM mysql.user) AND definer <> ''"""


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump as it is stored: its streams, and the `details` of its backup."""

    source: Source
    details: Mapping[str, Any]

    @classmethod
    def of(cls, link: Link) -> Dump:
        return cls(link.source, link.details)

    @property
    def database(self) -> str:
        return database_of(self.details)

    @property
    def naming(self) -> Naming:
        """How its texts name its database."""
        folding = int(self.details.get("settings", {}).get("lower_case_table_names", 0))
        return Naming(self.database, folding != 0, packages_of(self))

    def sections(self) -> list[tuple[str, str, int, int, list[list[str]]]]:
        with self.source.stream(SECTIONS) as reader:
            return [tuple(one) for one in json.loads(reader.read())]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tables, with the sequences they draw from; all when `names` is None."""

    names: frozenset[str] | None = None

    @property
    def is_whole(self) -> bool:
        return self.names is None

    def has(self, name: str) -> bool:
        return self.names is None or name in self.names


def choose(dump: Dump, tables: Collection[str]) -> Choice:
    """Return what is chosen by names, with or without the database before them.

    Raises:
        BackupError: the dump has no such table.
    """
    if not tables:
        return Choice()
    sections = dump.sections()
    known = {name for kind, name, *_ in sections if kind in ("table", "sequence")}
    prefix = f"{dump.database}."
    wanted = {table if table in known else table.removeprefix(prefix) for table in tables}
    if missing := sorted(wanted - known):
        raise BackupError(f"the backup has no table {missing[0]!r}", expected=f"one of {', '.join(sorted(known))}")
    for kind, name, _, _, uses in sections:
        if kind == "table" and name in wanted:
            wanted |= {sequence for database, sequence in uses if database == dump.database and sequence in known}
    return Choice(frozenset(wanted))


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a restore keeps: the accounts that define views and code, and the folders that tables have of their own."""

    definers: bool = True
    directories: bool = True


ALL = Keeping()


def load(dump: Dump, target: Target, told: Told, choice: Choice = Choice(), keeping: Keeping = ALL) -> tuple[Exit, ...]:
    """Bring a dump into the empty database of `target`, events too."""
    exits = load_tables(dump, target, told, choice, keeping)
    return exits + load_code(dump, target, told, choice, keeps_definers=keeping.definers)


def load_tables(dump: Dump, target: Target, told: Told, choice: Choice = Choice(), keeping: Keeping = ALL) -> tuple[Exit, ...]:
    """Bring tables and their rows in."""
    told(f"restoring the tables of {dump.database} into {target.url.database}")
    modes = _STRICT if keeping.directories else _STRICT + _NO_DIRECTORIES
    with dump.source.stream(TABLES, feeds=True) as reader:
        try:
            exits = _feed(target, _chosen_pieces(dump, reader, target, choice, modes))
        except BackupError as error:
            if error.fix is None and keeping.directories and placed_of(dump, choice):
                error.fix = "where it is about a table's own folder, --option directories=skip puts all into that of the server"
            raise
    if ROWS_TAR not in dump.source.names:
        return exits
    return exits + _feed(target, row_pieces(dump.source, choice.has))


def load_code(
    dump: Dump,
    target: Target,
    told: Told,
    choice: Choice = Choice(),
    *,
    park: Rewrite | None = None,
    keeps_past: bool = False,
    keeps_definers: bool = True,
    only: Sequence[str] = ("routines", "views", "triggers", "events"),
) -> tuple[Exit, ...]:
    """Bring in what is made when the tables are there: of chosen tables only their triggers. `park` rewrites events.

    `keeps_past`: events whose time has passed are made too, which the server would drop at once. Without `keeps_definers` the
    account of the restore defines all of it.
    """
    exits: tuple[Exit, ...] = ()
    usual = rewrites(dump.naming, str(target.url.database), keeps_definers=keeps_definers)
    for what in only:
        if not choice.is_whole and what != "triggers":
            continue
        with dump.source.stream(_stream_of(what), feeds=True) as reader:
            first = reader.read(_PIECE)
            if len(first) < _PIECE and _CREATE.search(first) is None:
                continue  # settings alone, which end with the client's session
            told(f"restoring {what}")
            pieces: Iterator[bytes] = chain((_SANDBOX.sub(b"", first),), _pieces(reader))
            changes = list(usual)
            if what == "triggers" and not choice.is_whole:
                changes.append(lambda sql, mode: sql if choice.has(trigger_table(sql, mode) or "") else "")
            elif what == "events" and park is not None:
                changes.append(park)
            if changes:
                pieces = _changed(what, pieces, changes)
            if what != "views":
                pieces = spoken(pieces)
            if what == "events" and keeps_past:
                pieces = chain((_LONG_AGO,), pieces)  # what has passed is asked of the session's time
            exits += _feed(target, pieces)
    return exits


def _changed(what: str, pieces: Iterator[bytes], changes: Sequence[Rewrite]) -> Iterator[bytes]:
    def change(sql: str, sql_mode: str) -> str:
        for one in changes:
            sql = one(sql, sql_mode)
        return sql

    return views_of(pieces, change) if what == "views" else statements_of(pieces, change)


def definers_of(dump: Dump) -> list[str]:
    """Return the accounts, `user@host`, that views, triggers, routines and events of a dump are defined by."""
    found: dict[str, None] = {}

    def note(sql: str, sql_mode: str) -> str:
        found[definer_of(sql, sql_mode)] = None
        return sql

    for what in ("views", *CODE):
        with dump.source.stream(_stream_of(what), feeds=True) as reader:
            for _ in _changed(what, _pieces(reader), (note,)):
                pass
    return [name for name in found if name]


def views_text(dump: Dump) -> list[str]:
    """Return the statements of a dump that make views."""
    found: list[str] = []

    def note(sql: str, _: str) -> str:
        found.append(sql)
        return sql

    with dump.source.stream(VIEWS_SQL, feeds=True) as reader:
        for _ in views_of(_pieces(reader), note):
            pass
    return found


def packages_of(dump: Dump) -> frozenset[str]:
    """Return the packages of a dump (MariaDB, sql_mode ORACLE), in lower case."""
    found: set[str] = set()

    def note(sql: str, sql_mode: str) -> str:
        head = words(sql, sql_mode)[:16]
        place = next((i for i, token in enumerate(head) if token.upper == "PACKAGE"), None)
        if place is not None and (name := next((one.identifier for one in head[place + 1 :] if one.upper != "BODY"), None)):
            found.add(name.lower())
        return sql

    with dump.source.stream(_stream_of("routines"), feeds=True) as reader:
        text = b"".join(_pieces(reader))
    if _PACKAGE.search(text):
        for _ in statements_of(iter((text,)), note):
            pass
    return frozenset(found)


def _stream_of(what: str) -> str:
    return VIEWS_SQL if what == "views" else f"{what}.sql"


def lost_events(dump: Dump, conn: MysqlConnection) -> list[str]:
    """Return the events of a dump that a database does not have: the server drops what has no time to come, such as `AT` a moment
    that has passed.
    """
    with dump.source.stream("events.sql", feeds=True) as reader:
        text = b"".join(_pieces(reader))
    if _CREATE.search(text) is None:
        return []
    names: dict[str, str] = {}
    for _ in statements_of(iter((text,)), lambda sql, mode: park_event(sql, names, mode)):
        pass
    found = {
        str(name) for (name,) in conn.query("SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE()")
    }
    return sorted(set(names) - found)


def must_take(dump: Dump, conn: MysqlConnection) -> None:
    """Let a server pass that can take the longest statement of a dump.

    Raises:
        BackupError: its max_allowed_packet is too small.
    """
    needed = int(dump.details.get("longest_statement", 0)) + _MARGIN
    [(allowed,)] = conn.query("SELECT @@GLOBAL.max_allowed_packet")
    if needed > int(allowed):
        raise BackupError(
            f"the longest row of the backup takes {needed} bytes, and the server takes {allowed}; nothing was touched",
            fix=f"SET GLOBAL max_allowed_packet = {min(1 << 30, 1 << needed.bit_length())}",
            error_code="SMALL_PACKETS",
        )


def missing_definers(conn: MysqlConnection) -> list[str]:
    """Return the accounts that views, triggers, routines and events are defined by and that the server does not have."""
    try:
        return sorted(str(name) for (name,) in conn.query(_DEFINERS))
    except QueryError as error:
        if number_of(error) in _UNREADABLE:
            return []
        raise


def warnings_of(target: Target, dump: Dump, choice: Choice) -> list[str]:
    """Say what of a restored database will not do as it did."""
    conn = connect(target)
    try:
        warnings = []
        if choice.is_whole and (lost := lost_events(dump, conn)):
            warnings.append(f"events whose time has passed, which the server dropped at once: {', '.join(lost)}")
        if missing := missing_definers(conn):
            warnings.append(
                f"defined by accounts that this server does not have, and failing until it does: {', '.join(missing)}"
            )
        if elsewhere := listed_elsewhere(conn):
            warnings.append(
                f"rows that were not backed up, for they are elsewhere, where these tables read and write as those of "
                f"{dump.database} do: {elsewhere}"
            )
        enabled = [
            str(name)
            for (name,) in conn.query(
                "SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE() AND status = 'ENABLED'"
            )
        ]
        if enabled and str(conn.query("SELECT @@GLOBAL.event_scheduler")[0][0]).upper() == "ON":
            warnings.append(f"events that run from now on: {', '.join(enabled)}")
        return warnings + _old_names(conn, dump, choice)
    finally:
        conn.close()


def _old_names(conn: MysqlConnection, dump: Dump, choice: Choice) -> list[str]:
    """Say what still names the database of a backup that was restored to another name."""
    old = dump.naming
    if old.database == conn.database:
        return []
    try:
        found = mentions(conn, old, choice.names)
    except QueryError as error:
        if number_of(error) in _UNREADABLE:
            return [f"whether anything restored still names {quoted(old.database)} was not looked at: {error.message}"]
        raise
    certain, texts = [one for one in found if not one.is_text], [one for one in found if one.is_text]
    warnings = []
    if certain:
        warnings.append(f"still reading or writing {quoted(old.database)}, the database of the backup: {_listed(certain)}")
    if texts:
        warnings.append(
            f"strings that name {quoted(old.database)}, the database of the backup, and go on doing so where they are run as "
            f"statements or compared with names: {_listed(texts)}"
        )
    return warnings


def _listed(found: Sequence[Mention]) -> str:
    more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    kind, name = found[0].kind, quoted(found[0].name)
    return f"{'; '.join(map(str, found[:_LISTED]))}{more}. SHOW CREATE {kind} {name} shows the whole text"


def placed_of(dump: Dump, choice: Choice = Choice()) -> list[str]:
    """Return the tables of a dump that have folders of their own (DATA DIRECTORY)."""
    return [name for name in dump.details.get("placed") or () if choice.has(name)]


def unplaced(tables: Sequence[str]) -> list[str]:
    """Say which tables lie elsewhere now."""
    if not tables:
        return []
    return [f"tables that had folders of their own (DATA DIRECTORY), and lie in that of the server now: {', '.join(tables)}"]


def create(server: Target, name: str, details: Mapping[str, Any]) -> None:
    """Create a database as the one of a backup."""
    conn = connect(on_database(server, None))
    try:
        conn.execute(f"CREATE DATABASE {quoted(name)} {defaults_clause(details)}")
    finally:
        conn.close()


def defaults_clause(details: Mapping[str, Any]) -> str:
    """Return the clause that gives a database the character set and collation of a backup's, and its comment (MariaDB 10.5)."""
    clause = f"CHARACTER SET {quoted(str(details['character_set']))} COLLATE {quoted(str(details['collation']))}"
    comment = details.get("comment")
    return clause if comment is None else f"{clause} /*M!100500 COMMENT {literal(comment)} */"


def drop(server: Target, name: str) -> None:
    """Drop a database that we made."""
    conn = connect(on_database(server, None))
    try:
        conn.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
    finally:
        conn.close()


def trigger_table(sql: str, sql_mode: str = "") -> str | None:
    """Return the table that CREATE TRIGGER is about, None for any other statement."""
    found = words(sql, sql_mode)
    place = next((i for i, token in enumerate(found[:16]) if token.upper == "TRIGGER"), None)
    if place is None:
        return None
    on = next((i for i, token in enumerate(found[place:], place) if token.upper == "ON"), None)
    if on is None or on + 3 >= len(found):
        return None
    return found[on + 3].identifier if found[on + 2].text == "." else found[on + 1].identifier


def _feed(target: Target, pieces: Iterator[bytes]) -> tuple[Exit, ...]:
    """Let the client run a script in a database; the first error ends it."""
    conn = connect(target)
    try:
        tool = tool_for("client", conn.server)
    finally:
        conn.close()
    arguments = (*client_options(), "--", str(target.url.database))
    with tool_running(tool, target, arguments, stdin=True, stdout=False) as pipeline:
        _write_all(pipeline, pieces)
        return pipeline.finish()


def _write_all(pipeline: Pipeline, pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        if piece:
            pipeline.write(piece)


def _pieces(reader: Reader) -> Iterator[bytes]:
    while data := reader.read(_PIECE):
        yield data


def _chosen_pieces(dump: Dump, reader: Reader, target: Target, choice: Choice, modes: str) -> Iterator[bytes]:
    """Yield what is chosen of the stream of tables, with defaults that name the new database where they named the old, and with
    `modes` besides those that a dump sets at its beginning.
    """
    new, old = str(target.url.database), dump.database
    for kind, name, start, end, uses in dump.sections():
        if kind in ("placeholder", "view"):
            continue
        keeps = kind == "header" or choice.has(name)
        renames = kind == "table" and new != old and any(database == old for database, _ in uses)
        left, whole = end - start, bytearray()
        while left:
            data = reader.read(min(left, _PIECE))
            if not data:
                raise BackupError(f"{TABLES} is shorter than its sections say")
            left -= len(data)
            if kind == "header":
                data = _SANDBOX.sub(b"", data)
            if keeps and renames:
                whole += data
            elif keeps:
                yield data
        if kind == "header":
            yield f"SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, '{modes}');\n".encode()
        if whole:
            yield requalified(whole.decode("utf-8", "surrogateescape"), old, new).encode("utf-8", "surrogateescape")


def requalified(sql: str, old: str, new: str) -> str:
    """Return a CREATE TABLE with sequences of another database; strings, such as comments, stay as they are."""
    found = words(sql)
    places = [found[i + 2] for i in range(len(found) - 3) if _names_sequence(found, i) and found[i + 2].identifier == old]
    for token in reversed(places):
        sql = sql[: token.start] + quoted(new) + sql[token.start + len(token.text) :]
    return sql


def _names_sequence(found: list[Token], place: int) -> bool:
    return (
        found[place].upper in ("NEXTVAL", "LASTVAL", "SETVAL") and found[place + 1].text == "(" and found[place + 3].text == "."
    )


def on(target: Target, name: str) -> Target:
    """Return the target of another database of the same server, named after nothing."""
    return replace(on_database(target, name), name="")
