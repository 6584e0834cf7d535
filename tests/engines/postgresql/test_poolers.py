"""Through pgbouncer: a pool in session mode serves, one in transaction mode is found out before anything is set or locked."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dbops.errors import ConnectError
from tests.databases import PostgresDatabase
from tests.resources.migrations.sets import Migrations
from tests.servers.programs import clean_environment, ended_with_parent, free_port, server_account

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")

_CONFIGURATION = """\
[databases]
* = host={home} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
"""


@contextmanager
def pooled(database: PostgresDatabase, mode: str, size: int = 10) -> Iterator[str]:
    """Run a pooler in front of the server; give the URL through it, which every account may use as superuser."""
    own, home = free_port(), database.server.home
    file = home / f"pgbouncer-{own}.ini"
    text = _CONFIGURATION.format(home=home, port=database.server.port, own=own, mode=mode, size=size)
    file.write_text(text.replace("* = ", "* = user=postgres "))
    file.chmod(0o644)
    command = [*ended_with_parent("TERM"), str(PROGRAM), "-q", str(file)]
    process = subprocess.Popen(command, env=clean_environment(), stderr=subprocess.DEVNULL, **server_account("postgres"))
    try:
        url = f"postgresql://anybody@127.0.0.1:{own}/{database.name}"
        _wait_for(url)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        file.unlink()


def _wait_for(url: str) -> None:
    for _ in range(100):
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise TimeoutError(url)


def through(database: PostgresDatabase, url: str, folder: Path) -> Migrations:
    shop = Migrations.make(database, folder, url=url)
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\nCREATE INDEX CONCURRENTLY a_id ON a (id);\n")
    return shop


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("size", [1, 10])
def test_a_pool_that_lends_sessions_out_is_refused(pg_database: PostgresDatabase, tmp_path: Path, mode: str, size: int) -> None:
    with pooled(pg_database, mode, size) as url:
        shop = through(pg_database, url, tmp_path / "env")
        with pytest.raises(ConnectError, match="lends its sessions out by transaction") as caught:
            shop.up()
        assert "pool_mode = session" in (caught.value.fix or "")
        with psycopg.connect(url, autocommit=True) as other:
            [(read_only,)] = other.execute("SELECT current_setting('default_transaction_read_only')").fetchall()
        assert read_only == "off", "no setting of ours reached another program"
    assert pg_database.rows("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'dbops')") == [(0,)]


def test_a_pool_that_is_busy_is_found_out_all_the_same(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    with pooled(pg_database, "transaction") as url, psycopg.connect(url) as busy, psycopg.connect(url) as other:
        busy.execute("SELECT 1")
        other.execute("SELECT 1")
        other.rollback()
        with pytest.raises(ConnectError, match="lends its sessions out by transaction"):
            through(pg_database, url, tmp_path / "env").up()


def test_a_pool_in_session_mode_serves(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    with pooled(pg_database, "session") as url:
        shop = through(pg_database, url, tmp_path / "env")
        assert shop.up().state == "done"
        assert shop.up().state == "nothing"
        assert shop.states() == {"0001_a": "applied"}
