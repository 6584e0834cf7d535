"""A database whose content is replaced: the new tables are made beside, and switched in by one RENAME TABLE.

What was there is moved aside in the same statement and dropped only when everything is there. Views, routines, triggers and
events cannot be renamed into another database, and a table with triggers neither: they are dropped and made again, and when
that fails, put back from what was dumped of them before. They were made beside first, so that what cannot be made is found
there.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import groupby

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Told
from dbops.engines.base.connect import Target
from dbops.engines.base.passing import passing_folder
from dbops.engines.mysql.backup.broken_off import begin, end
from dbops.engines.mysql.backup.dumping import dump, server_facts
from dbops.engines.mysql.backup.loading import (
    ALL,
    Choice,
    Dump,
    Keeping,
    create,
    defaults_clause,
    drop,
    load_code,
    load_tables,
    on,
)
from dbops.engines.mysql.backup.spool import SpoolSink
from dbops.engines.mysql.backup.tools import tool_for
from dbops.engines.mysql.backup.views import broken_views
from dbops.engines.mysql.connect import MysqlConnection, connect, quoted
from dbops.engines.mysql.events import park
from dbops.errors import BackupError, DbopsError

BESIDE, ASIDE = "dbops_restoring_", "dbops_replaced_"

_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type <> 'VIEW' ORDER BY table_name"
_REFERENCES = """
SELECT constraint_schema, table_name, referenced_table_name FROM information_schema.referential_constraints
WHERE unique_constraint_schema = ? AND (constraint_schema <> ? OR ? = 0)"""
_DEFAULTS = """
SELECT table_name, column_name, column_default FROM information_schema.columns
WHERE table_schema = ? AND column_default LIKE ? ORDER BY table_name, ordinal_position"""
_CODE = {
    "TRIGGER": "SELECT trigger_name, event_object_table FROM information_schema.triggers WHERE trigger_schema = ?",
    "EVENT": "SELECT event_name, '' FROM information_schema.events WHERE event_schema = ?",
    "VIEW": "SELECT table_name, '' FROM information_schema.views WHERE table_schema = ?",
    "ROUTINE": "SELECT routine_name, routine_type FROM information_schema.routines WHERE routine_schema = ?",
}
_PACKAGES = ("PACKAGE", "PACKAGE BODY")


@dataclass(frozen=True, slots=True)
class _Places:
    """The database whose content is replaced, where the new content is made, and where the old one goes."""

    home: str
    beside: str
    aside: str


def replace_content(made: Dump, target: Target, told: Told, choice: Choice, keeping: Keeping = ALL) -> tuple[Exit, ...]:
    """Put a dump in the place of what is in a database: all of it, or the chosen tables.

    Raises:
        BackupError: it failed; the database is as it was, or the message says where everything is.
    """
    mark = secrets.token_hex(4)
    places = _Places(str(target.url.database), BESIDE + mark, ASIDE + mark)
    conn = connect(on(target, places.home))
    try:
        must_be_alone(conn, places.home, choice)
        _remove_leftovers(conn)
        conn.query("SELECT GET_LOCK(?, 0)", (places.beside,))  # a session that is gone holds it no more
        create(target, places.beside, made.details)
        try:
            exits = _rehearse(made, on(target, places.beside), told, choice, keeping)
            exits += _switch(made, target, conn, places, told, choice, keeps_definers=keeping.definers)
        finally:
            drop(target, places.beside)
        return exits
    finally:
        conn.close()


def _remove_leftovers(conn: MysqlConnection) -> None:
    """Drop what restores that were killed made beside: copies of backups, in no use."""
    for (name,) in conn.query("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE ?", (f"{BESIDE}%",)):
        if str(name).startswith(BESIDE) and conn.query("SELECT IS_FREE_LOCK(?)", (name,))[0][0]:
            conn.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")


def must_be_alone(conn: MysqlConnection, database: str, choice: Choice) -> None:
    """Let tables pass that no table refers to which stays: its foreign key would go with the old table."""
    for schema, table, referenced in conn.query(_REFERENCES, (database, database, int(choice.is_whole))):
        if not choice.has(referenced) or (schema == database and choice.has(table)):
            continue
        raise BackupError(
            f"{schema}.{table} refers to {referenced}, which would be replaced; nothing was touched",
            fix="restore both, or restore into a new database and copy the rows",
        )


def _rehearse(made: Dump, beside: Target, told: Told, choice: Choice, keeping: Keeping) -> tuple[Exit, ...]:
    """Make everything beside; events do not run there, and triggers go again before their tables can be renamed."""
    exits = load_tables(made, beside, told, choice, keeping)
    exits += load_code(made, beside, told, choice, park=lambda sql, mode: park(sql, {}, mode), keeps_definers=keeping.definers)
    conn = connect(beside)
    try:
        for name, _ in conn.query(_CODE["TRIGGER"], (beside.url.database or "",)):
            conn.execute(f"DROP TRIGGER {quoted(name)}")
    finally:
        conn.close()
    return exits


def _switch(
    made: Dump,
    target: Target,
    conn: MysqlConnection,
    places: _Places,
    told: Told,
    choice: Choice,
    *,
    keeps_definers: bool,
) -> tuple[Exit, ...]:
    home = on(target, places.home)
    with _old_code(home, conn, told) as old:
        end(conn, places.home)  # of one that was killed
        old_tables = _wanted(_tables_of(conn, places.home), choice)
        new_tables = _tables_of(conn, places.beside)
        create(target, places.aside, old.details)
        told(f"switching {len(new_tables)} tables in, {len(old_tables)} aside to {places.aside}")
        begin(conn, places.home, f"switching tables; the old ones go to {places.aside}, new ones are made in {places.beside}")
        is_moved = False
        try:
            _drop_code(conn, places.home, choice, old_tables)
            _rename(conn, [*_moves(old_tables, places.home, places.aside), *_moves(new_tables, places.beside, places.home)])
            is_moved = True
            if choice.is_whole:
                conn.execute(f"ALTER DATABASE {quoted(places.home)} {defaults_clause(made.details)}")
            _requalify(conn, places.beside, places.home)
            exits = load_code(made, home, told, choice, keeps_definers=keeps_definers)
        except BaseException as error:
            _go_back(old, target, conn, places, (old_tables, new_tables), choice, is_moved=is_moved, error=error)
            raise
        end(conn, places.home)
        drop(target, places.aside)
        return exits


def _go_back(
    old: Dump,
    target: Target,
    conn: MysqlConnection,
    places: _Places,
    tables: tuple[Sequence[str], Sequence[str]],
    choice: Choice,
    *,
    is_moved: bool,
    error: BaseException,
) -> None:
    """Bring everything back to where it was.

    Raises:
        BackupError: that failed too; says where what is.
    """
    old_tables, new_tables = tables
    try:
        if is_moved:
            _drop_code(conn, places.home, choice, new_tables)
            _rename(conn, [*_moves(new_tables, places.home, places.beside), *_moves(old_tables, places.aside, places.home)])
            if choice.is_whole:
                conn.execute(f"ALTER DATABASE {quoted(places.home)} {defaults_clause(old.details)}")
        else:
            _drop_code(conn, places.home, choice, old_tables)
        load_code(old, on(target, places.home), lambda _: None, choice)
        end(conn, places.home)
        drop(target, places.aside)
    except DbopsError as second:
        raise BackupError(
            f"the restore failed ({error}), and so did the way back ({second}): the tables that were in {places.home} are in "
            f"{places.aside if is_moved else places.home}",
            fix="move them back with RENAME TABLE, and take views, routines, triggers and events from the backup made before",
        ) from error


@contextmanager
def _old_code(home: Target, conn: MysqlConnection, told: Told) -> Iterator[Dump]:
    """Keep views, routines, triggers and events of a database in files that only we can read."""
    with passing_folder() as folder:
        spool = SpoolSink(folder)
        dump(
            tool_for("dump", conn.server),
            home,
            str(home.url.database),
            spool,
            told,
            rows=False,
            without=tuple(broken_views(conn)),
        )
        yield Dump(spool.source(), server_facts(conn))


def _tables_of(conn: MysqlConnection, database: str) -> list[str]:
    return [str(name) for (name,) in conn.query(_TABLES, (database,))]


def _wanted(tables: Collection[str], choice: Choice) -> list[str]:
    return [name for name in tables if choice.has(name)]


def _moves(tables: Sequence[str], source: str, destination: str) -> list[str]:
    return [f"{quoted(source)}.{quoted(name)} TO {quoted(destination)}.{quoted(name)}" for name in tables]


def _rename(conn: MysqlConnection, moves: Sequence[str]) -> None:
    """Rename all tables in one statement, which does all or nothing."""
    if not moves:
        return
    conn.execute("SET SESSION foreign_key_checks = 0")
    try:
        conn.execute(f"RENAME TABLE {', '.join(moves)}")
    finally:
        with suppress(DbopsError):
            conn.execute("SET SESSION foreign_key_checks = 1")


def _requalify(conn: MysqlConnection, old: str, new: str) -> None:
    """Let defaults draw from the sequences that came along: all those of a table at once, for the server opens every sequence
    that a table draws from when it alters one.
    """
    like = f"%{quoted(old)}.%".replace("_", "\\_")
    for table, rows in groupby(conn.query(_DEFAULTS, (new, like)), key=lambda row: str(row[0])):
        changes = (
            f"ALTER COLUMN {quoted(column)} SET DEFAULT ({str(default).replace(f'{quoted(old)}.', f'{quoted(new)}.')})"
            for _, column, default in rows
        )
        conn.execute(f"ALTER TABLE {quoted(new)}.{quoted(table)} {', '.join(changes)}")


def _drop_code(conn: MysqlConnection, database: str, choice: Choice, tables: Collection[str]) -> None:
    """Drop triggers of the tables and, of a whole database, views, routines and events."""
    chosen = set(tables)
    for kind, query in _CODE.items():
        for name, more in conn.query(query, (database,)):
            if kind == "TRIGGER" and more in chosen:
                conn.execute(f"DROP TRIGGER {quoted(database)}.{quoted(name)}")
            elif kind != "TRIGGER" and choice.is_whole:
                with _speaking_oracle(conn) if more in _PACKAGES else nullcontext():
                    conn.execute(f"DROP {more or kind} IF EXISTS {quoted(database)}.{quoted(name)}")


@contextmanager
def _speaking_oracle(conn: MysqlConnection) -> Iterator[None]:
    """Let a session know packages, which are words of Oracle's language alone (MariaDB Knowledge Base, "DROP PACKAGE")."""
    conn.execute("SET @dbops_sql_mode = @@SESSION.sql_mode, SESSION sql_mode = 'ORACLE'")
    try:
        yield
    finally:
        conn.execute("SET SESSION sql_mode = @dbops_sql_mode")
