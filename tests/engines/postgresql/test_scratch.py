"""Scratch databases: like the real one, gone afterwards, wherever they have to be."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.postgresql import private
from dbops.engines.postgresql.scratch import PREFIX, scratch
from dbops.errors import QueryError, SchemaError
from tests.databases import PostgresDatabase
from tests.engines.postgresql.sessions import ENGINE, loaded, target_of
from tests.servers import PostgresServer


def scratches(server: PostgresServer) -> set[str]:
    return {name for (name,) in server.rows("postgres", "SELECT datname FROM pg_database") if name.startswith(PREFIX)}


def test_it_has_the_encoding_and_locale_of_the_real_one(postgres_server: PostgresServer) -> None:
    name = f"latin_{secrets.token_hex(4)}"
    postgres_server.rows("postgres", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with scratch(Target("latin", parse_url(postgres_server.url(name)))) as conn:
            shown = "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = current_database()"
            assert conn.query(shown) == [("LATIN1", "C")]
            conn.execute("CREATE TABLE t (c text DEFAULT 'ü')")
            assert "'ü'" in str(ENGINE.inspect(conn).table("public", "t"))
    finally:
        postgres_server.drop_database(name)


def test_it_is_made_while_the_real_one_is_missing(postgres_server: PostgresServer) -> None:
    missing = Target("missing", parse_url(postgres_server.url("there_is_no_such_database")))
    with scratch(missing) as conn:
        assert conn.query("SELECT 1") == [(1,)]


def test_it_goes_although_others_still_use_it(pg_database: PostgresDatabase) -> None:
    with scratch(target_of(pg_database)) as conn:
        [(name,)] = conn.query("SELECT current_database()::text")
        left_open = pg_database.server.connect(name)
    assert name not in scratches(pg_database.server)
    left_open.close()


def test_leftovers_of_killed_runs_are_removed_and_living_ones_kept(pg_database: PostgresDatabase) -> None:
    server = pg_database.server
    old, used, young = (f"{PREFIX}{int(time.time()) - age}_{secrets.token_hex(4)}" for age in (3600, 3600, 5))
    for name in (old, young):
        server.rows("postgres", f"CREATE DATABASE {name}")
    with _connected(server, used), scratch(target_of(pg_database)):
        assert scratches(server) >= {used, young} and old not in scratches(server)
    for name in (used, young):
        server.drop_database(name)


def test_it_may_be_on_another_server_with_the_roles_a_source_names(pg_database: PostgresDatabase) -> None:
    target = replace(target_of(pg_database), scratch=parse_url(pg_database.server.admin_url))
    role = f"reader_{secrets.token_hex(4)}"
    try:
        catalog = loaded(target, f"CREATE TABLE t (id int); GRANT SELECT ON t TO {role};")
        assert catalog.table("public", "t") is not None
    finally:
        pg_database.rows(f"DROP ROLE IF EXISTS {role}")


def _connected(server: PostgresServer, name: str) -> psycopg.Connection:
    """Make a database and open a session on it, however often a run beside this one takes it for a leftover before that."""
    for _ in range(50):
        server.rows("postgres", f"CREATE DATABASE {name}")
        with suppress(psycopg.OperationalError):
            return server.connect(name)
    raise AssertionError("it was removed each time")


@dataclass(frozen=True)
class Account:
    """An account that may not create databases, owner of one."""

    name: str
    target: Target


@pytest.fixture
def limited(pg_database: PostgresDatabase) -> Iterator[Account]:
    name, password = f"limited_{secrets.token_hex(4)}", "pw"
    pg_database.load(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'; ALTER DATABASE {pg_database.name} OWNER TO {name};")
    yield Account(name, Target("limited", parse_url(pg_database.server.tcp_url(pg_database.name, name, password)), attempts=1))
    pg_database.load(f"ALTER DATABASE {pg_database.name} OWNER TO postgres; DROP OWNED BY {name}; DROP ROLE {name};")


def private_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"dbops-pg-{os.getpid()}-*"))


def test_an_account_that_may_not_create_databases_gets_a_server_of_its_own(
    limited: Account, pg_database: PostgresDatabase
) -> None:
    sql = f"CREATE TABLE t (id int); ALTER TABLE t OWNER TO {limited.name}; GRANT SELECT ON t TO postgres, new_here;"
    with pytest.raises(QueryError), scratch(limited.target) as conn:
        assert conn.server.user == limited.name
        assert private_folders()
        from dbops.sql.splitter import split

        ENGINE.load(conn, split(sql, ENGINE.dialect, "s.sql"))
        table = ENGINE.inspect(conn, declared=True).table("public", "t")
        assert table is not None and table.owner is None
        assert [grant.grantee for grant in table.grants or ()] == ["new_here", "postgres"]
        conn.execute("no SQL at all")
    assert not private_folders()
    assert pg_database.rows("SELECT 1 FROM pg_roles WHERE rolname = 'new_here'") == []


def test_without_any_place_the_missing_privilege_is_named(limited: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_FOLDERS", ())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SchemaError) as caught, scratch(limited.target):
        pass
    assert f'ALTER ROLE "{limited.name}" CREATEDB' in caught.value.explain() and "scratch.url" in caught.value.explain()


_SLEEPER = """
import sys, time
from dbops.engines.postgresql.private import private_server
with private_server(15, "me") as url:
    print(dict(url.query)["host"], flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_private_server_does_not_outlive_a_killed_run(how: signal.Signals) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", _SLEEPER], stdout=subprocess.PIPE, text=True)
    assert sleeper.stdout is not None
    folder = Path(sleeper.stdout.readline().strip())
    sleeper.send_signal(how)
    sleeper.wait(30)
    if how is signal.SIGKILL:  # nobody was left to clean up: the next run does
        assert folder.exists()
        with private.private_server(15, "me"):
            pass
    assert not folder.exists()
    assert subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, check=False).stdout == b""
