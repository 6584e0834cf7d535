"""Reaching a file: what is there, what is not, what is no database, and who holds it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.url import DatabaseUrl
from dbops.engines.sqlite.lock import lock_path
from dbops.errors import ConnectError, LockTimeoutError, MissingDatabaseError, QueryError
from tests.engines.sqlite.loop import ENGINE, MEMORY, target


def made(path: Path, sql: str = "CREATE TABLE t (a);") -> Path:
    with closing(sqlite3.connect(path)) as native:
        native.executescript(sql)
    return path


@pytest.mark.parametrize("readonly", [False, True])
def test_a_missing_file_is_a_missing_database(tmp_path: Path, readonly: bool) -> None:
    with pytest.raises(MissingDatabaseError, match=r"there is no database file .*shop\.db"):
        ENGINE.connect(target(tmp_path / "shop.db"), readonly=readonly)
    assert not (tmp_path / "shop.db").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    for attempt in (
        lambda: ENGINE.connect(target(tmp_path / "no" / "shop.db")),
        lambda: ENGINE.create_database(target(tmp_path / "no" / "shop.db")),
    ):
        with pytest.raises(ConnectError, match=r"there is no folder .*/no ") as caught:
            attempt()
        assert not isinstance(caught.value, MissingDatabaseError)


def test_a_created_database_is_recognised_by_others(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    ENGINE.create_database(target(path))
    assert path.read_bytes()[:15] == b"SQLite format 3"
    made(path)
    ENGINE.create_database(target(path))
    with closing(ENGINE.connect(target(path), readonly=True)) as conn:
        assert conn.query("SELECT name FROM sqlite_schema") == [("t",)]


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_bytes(b"not a database at all, but long enough to have a header " * 20)
    with pytest.raises(ConnectError, match="is not a SQLite database, or it is encrypted"):
        ENGINE.connect(target(path))
    with pytest.raises(ConnectError, match="is not a file"):
        ENGINE.connect(target(tmp_path))


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    damaged = bytearray(path.read_bytes())
    damaged[100:200] = b"\xff" * 100
    path.write_bytes(damaged)
    with pytest.raises((ConnectError, QueryError), match="malformed") as caught, closing(ENGINE.connect(target(path))) as conn:
        ENGINE.inspect(conn)
    assert caught.value.fix and "backup" in caught.value.fix


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_told(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    path.chmod(0)
    with pytest.raises(ConnectError, match="cannot be opened"):
        ENGINE.connect(target(path))


def test_odd_paths_are_reached(tmp_path: Path) -> None:
    path = made(tmp_path / "a b#c?d%20é.db")
    with closing(ENGINE.connect(target(path))) as conn:
        assert conn.query("SELECT name FROM sqlite_schema") == [("t",)]


def test_settings_are_pragmas_of_every_connection(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    settings = {
        "journal_mode": "wal",
        "synchronous": "normal",
        "cache_size": "10000",
        "foreign_keys": "true",
        "busy_timeout": "10000",
    }
    for readonly in (False, True):
        with closing(ENGINE.connect(target(path, **settings), readonly=readonly)) as conn:
            values = [conn.query(f"PRAGMA {name}")[0][0] for name in settings]
            assert values == ["wal", 1, 10000, 1, 10000]


def test_unknown_settings_and_parameters_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    with pytest.raises(ConnectError, match="no setting 'foreign_key'") as caught:
        ENGINE.connect(target(path, foreign_key="on"))
    assert "foreign_keys" in (caught.value.expected or "")
    with pytest.raises(ConnectError, match="journal mode 'fast'"):
        ENGINE.connect(target(path, journal_mode="fast"))
    with pytest.raises(ConnectError, match="unknown parameter 'sslmode'"):
        ENGINE.connect(Target("t", DatabaseUrl("sqlite", database=str(path), query=(("sslmode", "x"),))))


def test_mode_of_the_url_may_forbid_writing(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    url = DatabaseUrl("sqlite", database=str(path), query=(("mode", "ro"),))
    with closing(ENGINE.connect(Target("t", url))) as conn, pytest.raises(QueryError, match="readonly"):
        conn.execute("CREATE TABLE u (a)")


def test_identity_is_the_file_not_its_name(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    (tmp_path / "link.db").symlink_to(path)
    other = made(tmp_path / "other.db")
    found = []
    for place in (path, tmp_path / "link.db", other):
        with closing(ENGINE.connect(target(place))) as conn:
            found.append(conn.server.identity)
    assert found[0] == found[1] != found[2]
    with closing(ENGINE.connect(MEMORY)) as one, closing(ENGINE.connect(MEMORY)) as two:
        assert one.server.identity != two.server.identity


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_busy_database_is_waited_for_as_long_as_allowed(tmp_path: Path, journal: str) -> None:
    path = made(tmp_path / "shop.db", f"PRAGMA journal_mode={journal}; CREATE TABLE t (a);")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder, closing(ENGINE.connect(target(path))) as conn:
        holder.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(LockTimeoutError, match="locked by another connection") as caught, conn.transaction():
            conn.execute("INSERT INTO t VALUES (1)")
        assert 0.8 < time.monotonic() - started < 5
        assert str(path) in caught.value.message
        holder.execute("COMMIT")
        with conn.transaction():
            conn.execute("INSERT INTO t VALUES (1)")


def test_a_statement_ends_at_its_time_limit(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    limited = Target("t", DatabaseUrl("sqlite", database=str(path)), Timeouts(statement_s=0.2))
    with closing(ENGINE.connect(limited)) as conn:
        with pytest.raises(QueryError, match="time limit"):
            conn.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
        assert conn.query("SELECT 1") == [(1,)]


def test_a_fingerprint_moves_with_ddl_alone(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    with closing(ENGINE.connect(target(path))) as conn:
        first = ENGINE.fingerprint(conn)
        conn.execute("INSERT INTO t VALUES (1)")
        assert ENGINE.fingerprint(conn) == first
        conn.execute("CREATE INDEX i ON t (a)")
        assert ENGINE.fingerprint(conn) != first


def test_sizes_are_estimates_without_reading(tmp_path: Path) -> None:
    path = made(
        tmp_path / "shop.db",
        "CREATE TABLE t (a); CREATE TABLE e (a); CREATE TABLE w (a PRIMARY KEY) WITHOUT ROWID; INSERT INTO w VALUES (1);"
        "CREATE TABLE huge (id INTEGER PRIMARY KEY); INSERT INTO huge VALUES (1), (9000000000000000000);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO t SELECT i FROM n;",
    )
    with closing(ENGINE.connect(target(path))) as conn:
        sizes = {ref.name: size.rows for ref, size in ENGINE.sizes(conn).items()}
    assert (sizes["t"], sizes["e"], sizes["w"]) == (500, 0, 1)
    assert sizes["huge"] < 100_000


def test_the_lock_keeps_others_out_and_names_its_holder(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    with closing(ENGINE.connect(target(path))) as conn:
        with ENGINE.lock(conn, "dbops", 1):
            assert (tmp_path / "shop.db.dbops-lock").exists()
            with pytest.raises(LockTimeoutError, match=f"process {os.getpid()}"), ENGINE.lock(conn, "dbops", 0.1):
                pass
            with ENGINE.lock(conn, "another", 0.1):
                pass
        assert sorted(file.name for file in tmp_path.iterdir()) == ["shop.db"]


def test_the_lock_of_the_dead_is_free(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    script = (
        f"import fcntl, time; f = open({str(lock_path(str(path), 'dbops'))!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline()
        with closing(ENGINE.connect(target(path))) as conn:
            with pytest.raises(LockTimeoutError), ENGINE.lock(conn, "dbops", 0.1):
                pass
            holder.kill()
            holder.wait()
            with ENGINE.lock(conn, "dbops", 1):
                pass


def test_many_take_the_lock_one_after_the_other(tmp_path: Path) -> None:
    path = made(tmp_path / "shop.db")
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with closing(ENGINE.connect(target(path))) as conn:
            for _ in range(5):
                with ENGINE.lock(conn, "dbops", 30):
                    inside += 1
                    most = max(most, inside)
                    time.sleep(0.002)
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["shop.db"]


def test_abilities_follow_the_permissions(tmp_path: Path) -> None:
    with closing(ENGINE.connect(target(made(tmp_path / "shop.db")))) as conn:
        assert ENGINE.abilities(conn).can_write is True
