"""Scripts full of what splitters fall over: migrations make of them what the clients make, and send them as they stand."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dbops.sql.dialect import MYSQL, POSTGRESQL
from dbops.sql.splitter import split
from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase, fresh_mysql, fresh_postgres
from tests.resources.migrations.sets import Migrations
from tests.sql.relay import relayed

NASTY = Path(__file__).parent / "nasty"
ROWS = {
    "postgresql": "SELECT a, b FROM wire",
    "mysql": "SELECT a, b FROM wire",
    "sqlite": "SELECT * FROM wire, log ORDER BY 1, 2, 4",
}


def script(engine: str) -> str:
    return (NASTY / f"{engine}.sql").read_text(encoding="utf-8")


@contextmanager
def twin_of(database: Database, folder: Path) -> Iterator[Database]:
    """Give another empty database of the same engine."""
    match database:
        case PostgresDatabase():
            with fresh_postgres(database.server) as twin:
                yield twin
        case MysqlDatabase():
            with fresh_mysql(database.server) as twin:
                yield twin
        case _:
            yield SqliteDatabase(folder / "twin.db")


def load_with_client(database: Database, text: str) -> None:
    match database:
        case PostgresDatabase():
            database.load(text)
        case MysqlDatabase():
            server = database.server
            # The client takes comments out of bodies, unless it is told not to.
            options = ["--no-defaults", "--comments", f"--socket={server.socket}", f"--user={server.user}"]
            command = [server.make.client, *options, "--default-character-set=utf8mb4", database.name]
            subprocess.run(command, input=text, text=True, check=True, capture_output=True)
        case SqliteDatabase():
            subprocess.run(["sqlite3", "-bail", str(database.path)], input=text, text=True, check=True, capture_output=True)


def test_a_migration_makes_what_the_client_makes(database: Database, tmp_path: Path) -> None:
    text = script(database.engine)
    Migrations.make(database, tmp_path).write("0001_nasty.sql", text)
    Migrations(database, tmp_path).up()
    with twin_of(database, tmp_path) as twin:
        load_with_client(twin, text)
        assert database.dump() == twin.dump()
        assert sorted(map(repr, database.rows(ROWS[database.engine]))) == sorted(map(repr, twin.rows(ROWS[database.engine])))


def test_stored_programs_need_no_delimiter(my_database: MysqlDatabase, tmp_path: Path) -> None:
    text = script("mysql")
    plain = re.sub(r"(?m)^DELIMITER .*\n", "", re.sub(r"(?m)(?://|\$\$|;;)$", ";", text))
    assert "DELIMITER //" not in plain
    Migrations.make(my_database, tmp_path).write("0001_nasty.sql", plain)
    Migrations(my_database, tmp_path).up()
    with fresh_mysql(my_database.server) as twin:
        load_with_client(twin, text)
        assert my_database.dump() == twin.dump()


def test_statements_reach_postgresql_as_they_stand(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    name = f".s.PGSQL.{pg_database.server.port}"
    with relayed(pg_database.server.home / name, tmp_path / name) as relay:
        beyond = replace(pg_database, server=replace(pg_database.server, home=tmp_path))
        Migrations.make(beyond, tmp_path).write("0001_nasty.sql", script("postgresql"))
        Migrations(beyond, tmp_path).up()
    heard = b"".join(relay.heard)
    assert [one.text for one in split(script("postgresql"), POSTGRESQL) if one.text.encode() not in heard] == []


def test_statements_reach_mysql_as_they_stand(my_database: MysqlDatabase, tmp_path: Path) -> None:
    if my_database.server.make.name != "mariadb":
        pytest.skip("this server's sockets are encrypted")
    with relayed(my_database.server.socket, tmp_path / "mysql.sock") as relay:
        beyond = replace(my_database, server=replace(my_database.server, home=tmp_path))
        Migrations.make(beyond, tmp_path).write("0001_nasty.sql", script("mysql"))
        Migrations(beyond, tmp_path).up()
    heard = b"".join(relay.heard)
    assert [one.text for one in split(script("mysql"), MYSQL) if one.text.encode() not in heard] == []
