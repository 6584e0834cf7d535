"""A private server on which the state is made that a chain leads to: a throwaway, on a socket of its own, known to nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Link, Point, Position, Told
from dbops.engines.base.connect import Target
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.processes import missing_tool
from dbops.engines.base.url import DatabaseUrl
from dbops.engines.mysql.backup.binlog import Stop, stop_of
from dbops.engines.mysql.backup.dumping import database_of
from dbops.engines.mysql.backup.loading import (
    Dump,
    create,
    definers_of,
    load_code,
    load_tables,
    missing_definers,
    on,
    unplaced,
    views_text,
)
from dbops.engines.mysql.backup.replaying import replay
from dbops.engines.mysql.backup.stand_ins import StandIns, make, make_sequences, named_elsewhere, remove
from dbops.engines.mysql.backup.tools import tool_at
from dbops.engines.mysql.backup.zones import load_zones
from dbops.engines.mysql.connect import MysqlConnection, connect, quoted
from dbops.engines.mysql.private_server import Programs, find_programs, private_server
from dbops.errors import BackupError, SchemaError

_TAKEN_ALONG = """
SELECT table_name, constraint_name FROM information_schema.referential_constraints
WHERE constraint_schema = DATABASE() AND unique_constraint_schema <> DATABASE()
AND (delete_rule IN ('CASCADE', 'SET NULL') OR update_rule IN ('CASCADE', 'SET NULL')) ORDER BY table_name, constraint_name"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running private server. `database` is the one that the backup is of, `folder` a place for files while it runs."""

    target: Target
    database: str
    folder: Path
    reached: Position
    exits: tuple[Exit, ...] = ()
    warnings: tuple[str, ...] = ()


@contextmanager
def staged(chain: Sequence[Link], point: Point, told: Told) -> Iterator[Stage]:
    """Make the state at a point on a private server; it is gone afterwards.

    Raises:
        BackupError: there are no programs for it here, the point lies before the base, or something failed.
    """
    stop = stop_of(point)
    logs = [link for link in chain if link.kind == "log"]
    bases = [link for link in chain if link.kind != "log"]
    must_not_precede(bases[-1], stop)
    database = database_of(chain[0].details)
    with passing_folder() as folder, _server(bases, plugins_of(chain), told) as (url, made):
        target = Target("", url)
        told("the private server runs")
        elsewhere = StandIns({}, {})
        if bases[0].method == "logical":
            if any(link.details.get("zones") for link in chain):
                load_zones(target, told)
            elsewhere = _fill(Dump.of(bases[0]), target, told)
        reached, exits = bases[-1].end, made
        warnings = unplaced(sorted({str(name) for link in chain for name in link.details.get("placed") or ()}))
        if logs:
            only = database if bases[0].method == "logical" else None
            with _gone(elsewhere, target):
                result = replay(logs, bases[-1].end, stop, target, only, told)
            reached, exits = result.reached, made + result.exits
            warnings += [*result.warnings, *(_taken_along(target, database) if only is not None else ())]
        if bases[0].method == "logical":
            _know_definers(on(target, database), missing_definers)
        _must_be_there(target, database)
        yield Stage(target, database, folder, reached, exits, tuple(warnings))


def must_not_precede(base: Link, stop: Stop) -> None:
    """Let a base pass that ends before a point.

    Raises:
        BackupError: it ends behind it.
    """
    if stop.is_passed_by(base.end, base.ended_at):
        raise BackupError(
            f"{base.id} ends at {base.ended_at:%Y-%m-%d %H:%M:%S}Z, behind the point that was asked for",
            fix="choose an earlier one: dbops backup list",
        )


def programs_for(details: Mapping[str, Any], *, exactly: bool) -> Programs:
    """Return the server programs of this machine that can hold what a backup is of.

    Raises:
        BackupError: there are none, or they are of another version than files need.
    """
    flavour, version = str(details["flavour"]), tuple(details["version"])
    programs = find_programs(flavour)
    if programs is None:
        package = "mariadbd" if flavour == "mariadb" else "mysqld"
        raise BackupError(
            f"this needs a private server, and this machine has no {package}",
            fix=missing_tool(package),
            error_code="MISSING_TOOL",
        )
    own = tool_at(Path(programs.server)).version
    if own[:2] != version[:2] if exactly else own[:2] < version[:2]:
        raise BackupError(
            f"the backup is of version {'.'.join(map(str, version))}, and the server programs here are {'.'.join(map(str, own))}",
            fix="install those of the backup's version" + ("" if exactly else ", or newer ones"),
            error_code="OLD_TOOL",
        )
    return programs


def plugins_of(chain: Sequence[Link]) -> list[str]:
    """Return the libraries of the engines that tables of a chain have and servers lack by themselves."""
    return sorted({str(name) for link in chain for name in link.details.get("plugins") or ()})


def settings_of(details: Mapping[str, Any], plugins: Sequence[str]) -> dict[str, object]:
    """Return the settings of a private server, taken from the server that the backup is of, with libraries of engines. It makes
    no table in a folder beside its own, which may be that of a table which lives.
    """
    taken = {name.replace("_", "-"): value for name, value in details.get("settings", {}).items()}
    loaded = {"plugin-load-add": ";".join(plugins)} if plugins else {}
    if plugins and details["flavour"] == "mariadb":
        loaded["plugin-maturity"] = "unknown"
    return (
        taken
        | loaded
        | {
            "loose-symbolic-links": 0,
            "innodb-strict-mode": 0,  # the server of the backup may have taken what a strict one refuses
            "max-allowed-packet": "1G",
            "event-scheduler": "OFF",
            "local-infile": 1,
            "character-set-server": taken.get("character-set-server", "utf8mb4"),
        }
    )


@contextmanager
def _server(bases: Sequence[Link], plugins: Sequence[str], told: Told) -> Iterator[tuple[DatabaseUrl, tuple[Exit, ...]]]:
    details = bases[-1].details
    try:
        if bases[0].method == "logical":
            programs = programs_for(details, exactly=False)
            with private_server(programs, str(details["sql_mode"]), settings_of(details, plugins)) as url:
                yield url, ()
            return
        from dbops.engines.mysql.backup.preparing import prepared_server

        with prepared_server(bases, plugins, told) as (url, exits):
            yield url, exits
    except SchemaError as error:
        # an empty server says nothing of a dump, one on copied files does
        of_files = error.error_code if error.error_code == "NO_ROOM" else None
        code = "NO_TRIAL" if bases[0].method == "logical" else of_files
        raise BackupError(error.message, fix=error.fix, error_code=code) from error


def _fill(made: Dump, target: Target, told: Told) -> StandIns:
    """Bring a dump in; return what stands in for what it names in other databases."""
    create(target, made.database, made.details)
    there = on(target, made.database)
    accounts = definers_of(made)
    _know_definers(there, lambda _: accounts)
    drawn_from = [(database, sequence) for *_, uses in made.sections() for database, sequence in uses]
    conn = connect(there)
    try:
        known = {str(name) for (name,) in conn.query("SELECT schema_name FROM information_schema.schemata")}
        elsewhere = named_elsewhere(views_text(made), drawn_from, made.naming).without(known)
        make_sequences(conn, elsewhere)
        load_tables(made, there, told)
        make(conn, elsewhere)
    finally:
        conn.close()
    load_code(made, there, told, keeps_past=True)
    return elsewhere


@contextmanager
def _gone(elsewhere: StandIns, target: Target) -> Iterator[None]:
    """Let a replay find none of it: a statement that needs another database has to fail."""
    conn = connect(on(target, "information_schema"))
    try:
        remove(conn, elsewhere)
        yield
        make(conn, elsewhere)
    finally:
        conn.close()


def _know_definers(target: Target, named: Callable[[MysqlConnection], Sequence[str]]) -> None:
    """Make the accounts that views, triggers and routines are defined by: without them they cannot be used or dumped, and no
    view over such a view be made.
    """
    conn = connect(target)
    try:
        for name in named(conn):
            user, _, host = name.rpartition("@")
            account = f"{_text(user)}@{_text(host)}" if host else f"{_text(name)}@'%'"
            conn.execute(f"CREATE USER IF NOT EXISTS {account}")
            conn.execute(f"GRANT ALL PRIVILEGES ON *.* TO {account}")
    finally:
        conn.close()


def _taken_along(target: Target, database: str) -> Iterator[str]:
    """Say which foreign keys change rows along with those of another database: no log says that they did."""
    conn = connect(on(target, database))
    try:
        found = conn.query(_TAKEN_ALONG)
    finally:
        conn.close()
    if found:
        names = ", ".join(f"{name} of {table}" for table, name in found)
        yield (
            f"foreign keys to other databases, which may have changed or removed rows of {database} with theirs: {names}; the "
            "log of one database does not hold that, copies of the server's files do"
        )


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _must_be_there(target: Target, database: str) -> None:
    conn = connect(on(target, "information_schema"))
    try:
        if not conn.query("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?", (database,)):
            raise BackupError(f"there was no database {quoted(database)} at that point")
    finally:
        conn.close()
