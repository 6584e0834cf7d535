"""Temporary databases: on the same server, on `scratch.url`, or on a private server started for the purpose.

A scratch is called `dbops_scratch_<epoch>_<random>` and its session holds a lock of that name, so that what a killed run
left behind is told from what is in use.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from dbops.catalog.model import Options
from dbops.engines.base.connect import Target
from dbops.engines.mysql.connect import MysqlConnection, connect, describe, on_database, quoted
from dbops.engines.mysql.errors import DATABASE_ACCESS_DENIED, number_of
from dbops.engines.mysql.flavour import flavour_of
from dbops.engines.mysql.grants import Ledger
from dbops.errors import MissingDatabaseError, NoScratchError, QueryError, SchemaError

PREFIX = "dbops_scratch_"
_YOUNG_S = 60  # a scratch is created before its lock is held: leave young ones alone


@contextmanager
def scratch(target: Target, *, is_home: bool = True) -> Iterator[MysqlConnection]:
    """Open an empty database of the target's character set and collation; it is gone afterwards."""
    settings = _settings_of(target, is_home=is_home)
    if target.scratch is not None:
        elsewhere = replace(target, url=target.scratch, scratch=None)
        with _on_server(elsewhere, settings) as conn:
            yield conn
        return
    try:
        manager = _on_server(target, settings)
        conn = manager.__enter__()
    except QueryError as error:
        if number_of(error) != DATABASE_ACCESS_DENIED:
            raise
        refused = error
    else:
        try:
            yield conn
        finally:
            manager.__exit__(None, None, None)
        return
    with _on_private_server(target, settings, refused) as conn:
        yield conn


@contextmanager
def _on_server(target: Target, settings: _Settings) -> Iterator[MysqlConnection]:
    name = f"{PREFIX}{int(time.time())}_{secrets.token_hex(4)}"
    keeper = connect(on_database(target, None))
    try:
        _remove_leftovers(keeper)
        keeper.execute(f"CREATE DATABASE {quoted(name)}{settings.clause}")
        try:
            keeper.query("SELECT GET_LOCK(?, 0)", (name,))
            conn = connect(on_database(target, name))
            try:
                conn.parked_events = {}
                conn.stands_for = settings.database
                conn.home = settings.home
                conn.account = settings.account
                conn.ledger = Ledger(flavour_of(conn.server), settings.account, {name, settings.database or name})
                yield conn
            finally:
                conn.close()
        finally:
            keeper.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
    finally:
        keeper.close()


def _remove_leftovers(conn: MysqlConnection) -> None:
    """Drop scratch databases whose session is gone. One dropped by somebody else meanwhile is no error."""
    found = conn.query("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'dbops\\\\_scratch\\\\_%'")
    for (name,) in found:
        epoch = name.removeprefix(PREFIX).partition("_")[0]
        if not epoch.isdigit() or time.time() - int(epoch) < _YOUNG_S:
            continue
        [(is_free,)] = conn.query("SELECT IS_FREE_LOCK(?)", (name,))
        if is_free:
            conn.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")


class _Settings:
    """What a scratch takes over from its target: names of database and account, character set, collation, sql_mode."""

    def __init__(self, conn: MysqlConnection, database: str | None, home: Target | None) -> None:
        [(charset, collation)] = conn.query("SELECT @@character_set_database, @@collation_database")
        self.database = database
        self.home = home
        self.account = conn.server.user
        self.flavour = conn.server.flavour
        self.sql_mode = conn.server_sql_mode
        self.clause = f" CHARACTER SET {charset} COLLATE {collation}"


def _settings_of(target: Target, *, is_home: bool) -> _Settings:
    """Ask the target, or its server while the database does not exist yet; `is_home` where accounts are those that count."""
    try:
        conn = connect(target)
    except MissingDatabaseError:
        conn = connect(on_database(target, None))
    try:
        return _Settings(conn, target.url.database, target if is_home else None)
    finally:
        conn.close()


@contextmanager
def offline(target: Target, options: Options = (), flavour: str = "") -> Iterator[MysqlConnection]:
    """Open an empty database on server programs of this machine, those of `flavour` or else MariaDB's before MySQL's.

    `options` are as inspection names them.

    Raises:
        NoScratchError: there are none, or they do not start.
    """
    from dbops.engines.mysql.private_server import find_programs, private_server

    programs = find_programs(flavour) if flavour else find_programs("mariadb") or find_programs("mysql")
    if programs is None:
        make = {"mariadb": "MariaDB", "mysql": "MySQL"}.get(flavour, "MariaDB or MySQL")
        raise NoScratchError(f"this machine has no {make} server programs", fix="install them, or set scratch.url")
    with private_server(programs, None) as url:
        like = Target(f"scratch of {target.name or target.url.database}", url)
        if options:
            like = _with_options(like, dict(options))
        with scratch(like, is_home=False) as conn:
            yield conn


def _with_options(target: Target, options: Mapping[str, str]) -> Target:
    """Make a database of these options on a private server, for a scratch to be like."""
    name = f"{PREFIX}model"
    charset, collation = quoted(options["character_set"]), quoted(options["collation"])
    conn = connect(on_database(target, None))
    try:
        conn.execute(f"CREATE DATABASE {quoted(name)} CHARACTER SET {charset} COLLATE {collation}")
    finally:
        conn.close()
    return on_database(target, name)


@contextmanager
def _on_private_server(target: Target, settings: _Settings, refused: QueryError) -> Iterator[MysqlConnection]:
    from dbops.engines.mysql.private_server import find_programs, private_server

    programs = find_programs(settings.flavour)
    if programs is None:
        raise SchemaError(
            f"no place for a scratch database: {refused.message}",
            fix=f"GRANT ALL PRIVILEGES ON `dbops\\_scratch\\_%`.* TO the account of {describe(target)}, or set scratch.url",
        ) from refused
    with (
        private_server(programs, settings.sql_mode) as url,
        _on_server(replace(target, url=url, tls=None), settings) as conn,
    ):
        yield conn
