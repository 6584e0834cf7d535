"""A chain brought back: into a new database, into an existing one, or as files into a folder.

A dump alone goes straight to where it shall be. Where logs are replayed, or the base is files, the state is made on a private
server first and dumped from there, so that nothing that a log says about another database ever reaches the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dbops.engines.base.backup import Exit, Link, Restored, RestoreOrder, Told, refuse_restore_options
from dbops.engines.base.connect import Target
from dbops.engines.mysql.backup.binlog import stop_of
from dbops.engines.mysql.backup.broken_off import MARK, begin, broken_off, end
from dbops.engines.mysql.backup.dumping import database_of, dump, has_history, server_facts
from dbops.engines.mysql.backup.loading import (
    Choice,
    Dump,
    Keeping,
    choose,
    create,
    defaults_clause,
    drop,
    load,
    must_take,
    on,
    placed_of,
    unplaced,
    warnings_of,
)
from dbops.engines.mysql.backup.spool import SpoolSink
from dbops.engines.mysql.backup.staging import Stage, must_not_precede, staged
from dbops.engines.mysql.backup.switching import must_be_alone, replace_content
from dbops.engines.mysql.backup.tools import tool_for
from dbops.engines.mysql.backup.views import broken_views, left_out
from dbops.engines.mysql.connect import MysqlConnection, connect, on_database, quoted
from dbops.errors import BackupError

_OBJECTS = """
SELECT (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ?)
  + (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = ?)
  + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = ?)"""
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = ?"
_COMMENTED = """
SELECT default_character_set_name, default_collation_name, schema_comment
FROM information_schema.schemata WHERE schema_name = ?"""
_SCHEMA = _COMMENTED.replace("schema_comment", "NULL")


def occupied(target: Target, folder: Path | None) -> str | None:
    """Say what stands in a folder or database, None when nothing does that could be lost."""
    if folder is not None:
        return f"{folder} is not empty" if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) else None
    name = target.url.database
    if name is None:
        return None
    conn = connect(on_database(target, None))
    try:
        count = _objects_in(conn, name)
        unfinished = broken_off(conn, name)
    finally:
        conn.close()
    if unfinished:
        return f"in the database {name} {unfinished}"
    return f"the database {name} has {count} tables, views, routines and events" if count else None


def must_allow(chain: Sequence[Link], order: RestoreOrder) -> None:
    """Refuse an order; see the port. What a dump holds is known before, what logs behind it lead to is not."""
    first = chain[0]
    if order.schemas:
        raise BackupError("databases of MySQL and MariaDB have no schemas", expected="--table, or nothing for all of it")
    _keeping(order)
    if order.folder is not None:
        from dbops.engines.mysql.backup.preparing import must_allow_folder

        must_allow_folder(chain, order, order.folder)
        return
    must_not_precede(first, stop_of(order.point))
    if first.method != "logical" or len(chain) > 1:
        return
    made, order = Dump.of(first), _named(order, first)
    choice = choose(made, order.tables)
    conn = connect(on_database(order.target, None))
    try:
        must_take(made, conn)
        if order.replaces:
            must_be_alone(conn, str(order.target.url.database), choice)
    finally:
        conn.close()


_OPTIONS = {
    "definers": "keep, or skip: the account of the restore defines all",
    "directories": "keep, or skip: tables with folders of their own come into the server's",
}


def _keeping(order: RestoreOrder) -> Keeping:
    """Return what the options say that a restore keeps.

    Raises:
        BackupError: an option that is not known.
    """
    refuse_restore_options(order, *(_OPTIONS if order.folder is None else ()))
    for name, expected in _OPTIONS.items():
        if (how := str(order.options.get(name, "keep"))) not in ("keep", "skip"):
            raise BackupError(f"{name}={how} is not known", expected=expected)
    return Keeping(*(order.options.get(name, "keep") == "keep" for name in _OPTIONS))


def restore(chain: Sequence[Link], order: RestoreOrder, told: Told) -> Restored:
    """Restore a chain; see the port."""
    if order.schemas:
        raise BackupError("databases of MySQL and MariaDB have no schemas", expected="--table, or nothing for all of it")
    _keeping(order)
    if order.folder is not None:
        from dbops.engines.mysql.backup.preparing import restore_folder

        return restore_folder(chain, order, order.folder, told)
    first = chain[0]
    if first.method == "logical" and len(chain) == 1:
        must_not_precede(first, stop_of(order.point))
        return _bring(Dump.of(first), _named(order, first), told, Restored("", first.end))
    with staged(chain, order.point, told) as stage, _spooled(stage, told) as (made, warnings):
        return _bring(made, _named(order, first), told, Restored("", stage.reached, warnings=(*stage.warnings, *warnings)))


def _named(order: RestoreOrder, link: Link) -> RestoreOrder:
    """Let a restore to a server go to the name that the database had; it replaces nothing, for nothing was saved before."""
    if order.target.url.database is not None:
        return order
    return replace(order, target=on_database(order.target, database_of(link.details)), replaces=False)


def _bring(made: Dump, order: RestoreOrder, told: Told, so_far: Restored) -> Restored:
    target, name = order.target, str(order.target.url.database)
    choice = choose(made, order.tables)
    conn = connect(on_database(target, None))
    try:
        must_take(made, conn)
        defaults = conn.query(_COMMENTED if conn.server.flavour == "mariadb" else _SCHEMA, (name,))
        count = _objects_in(conn, name)
    finally:
        conn.close()
    if count and not order.replaces:
        raise BackupError(
            f"the database {name} has {count} tables, views, routines and events; it was left as it is",
            fix="restore to another database, or name it in the URL and give --replace",
        )
    home, keeping = on(target, name), _keeping(order)
    if count:
        exits = replace_content(made, home, told, choice, keeping)
    else:
        exits = _fill(made, home, told, choice, defaults[0] if defaults else None, keeping)
    moved = [] if keeping.directories else unplaced(placed_of(made, choice))
    warnings = (*so_far.warnings, *moved, *warnings_of(home, made, choice))
    return Restored(target.url.redacted(), so_far.reached, exits, warnings)


def _fill(
    made: Dump, target: Target, told: Told, choice: Choice, defaults: tuple[str | None, ...] | None, keeping: Keeping
) -> tuple[Exit, ...]:
    """Bring a dump into a database that does not exist or is empty; when it fails, it is so again."""
    name = str(target.url.database)
    if defaults is None:
        create(target, name, made.details)
    elif choice.is_whole:
        _alter(target, name, made.details)
    try:
        with _marked(target, f"restoring {made.database}"):
            return load(made, target, told, choice, keeping)
    except BaseException:
        if defaults is None:
            drop(target, name)
        else:
            _empty_again(made, target, defaults)
        raise


def _empty_again(made: Dump, target: Target, defaults: tuple[str | None, ...]) -> None:
    """Empty a database that was empty before, unless somebody else has put something into it meanwhile.

    Raises:
        BackupError: somebody has; what the restore made is still there too.
    """
    name = str(target.url.database)
    ours = {one[1] for one in made.sections()} | {MARK}
    conn = connect(target)
    try:
        others = [str(table) for (table,) in conn.query(_TABLES, (name,)) if table not in ours]
    finally:
        conn.close()
    if others:
        raise BackupError(
            f"the restore failed, and {name} was not emptied again: {others[0]} was made there meanwhile by somebody else",
            fix="drop what the restore made by hand, and restore to a new database",
        )
    drop(target, name)
    create(target, name, {"character_set": defaults[0], "collation": defaults[1], "comment": defaults[2]})


@contextmanager
def _marked(target: Target, what: str) -> Iterator[None]:
    """Keep a database marked until everything is there."""
    conn = connect(target)
    try:
        begin(conn, str(target.url.database), what)
    finally:
        conn.close()
    yield
    conn = connect(target)
    try:
        end(conn, str(target.url.database))
    finally:
        conn.close()


def _alter(target: Target, name: str, details: Mapping[str, Any]) -> None:
    conn = connect(target)
    try:
        conn.execute(f"ALTER DATABASE {quoted(name)} {defaults_clause(details)}")
    finally:
        conn.close()


@contextmanager
def _spooled(stage: Stage, told: Told) -> Iterator[tuple[Dump, list[str]]]:
    """Dump what a stage came to into its own folder; yield that, and what was left out."""
    target = on(stage.target, stage.database)
    folder = stage.folder / "spool"
    folder.mkdir(mode=0o700)
    conn = connect(target)
    try:
        sink = SpoolSink(folder)
        tool, broken = tool_for("dump", conn.server), broken_views(conn)
        dumped = dump(tool, target, stage.database, sink, told, history=has_history(conn), without=tuple(broken))
        facts = {**server_facts(conn), "longest_statement": dumped.cutter.longest}
        yield Dump(sink.source(), facts), left_out(broken)
    finally:
        conn.close()


def _objects_in(conn: MysqlConnection, name: str) -> int:
    return int(conn.query(_OBJECTS, (name, name, name))[0][0])
