"""Whether a file has changed: its schema, or anything in it."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given

from dbops.catalog.changes import diff
from dbops.engines.sqlite import fingerprint as looking
from tests.engines.sqlite.loop import ENGINE, MEMORY, target
from tests.engines.sqlite.schemas import pairs


def made(path: Path, sql: str) -> Path:
    with closing(sqlite3.connect(path)) as native:
        native.executescript(sql)
    return path


def fingerprint(path: Path) -> str:
    with closing(ENGINE.connect(target(path), readonly=True)) as conn:
        return ENGINE.fingerprint(conn)


def last_write(path: Path) -> str | None:
    with closing(ENGINE.connect(target(path), readonly=True)) as conn:
        return ENGINE.last_write(conn)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the file system's clock between writes, and so need not wait for the coarsest one there is."""
    monkeypatch.setattr(looking, "_SETTLED_AFTER_S", 0.0)


def test_a_file_in_place_of_another_has_another_fingerprint(tmp_path: Path) -> None:
    """Both count one change of the schema, and `cp` keeps the inode."""
    path, other = made(tmp_path / "a.db", "CREATE TABLE t (a int);"), made(tmp_path / "b.db", "CREATE TABLE t (b int);")
    before = fingerprint(path)
    shutil.copyfile(other, path)
    assert fingerprint(path) != before


def test_rows_and_vacuum_leave_the_fingerprint(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db", "CREATE TABLE t (a int);")
    before = fingerprint(path)
    made(path, "INSERT INTO t VALUES (1); VACUUM; PRAGMA user_version = 5;")
    assert fingerprint(path) == before


def test_a_schema_written_by_hand_moves_the_fingerprint(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db", "CREATE TABLE t (a int);")
    before = fingerprint(path)
    made(path, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (b int)';")
    assert fingerprint(path) != before


@given(pairs())
def test_equal_fingerprints_are_equal_catalogs(pair: tuple[str, str]) -> None:
    marks, catalogs = [], []
    for sql in (*pair, pair[0]):
        with ENGINE.scratch(MEMORY) as conn:
            conn.raw.executescript(sql)
            marks.append(ENGINE.fingerprint(conn))
            catalogs.append(ENGINE.inspect(conn))
    assert marks[0] == marks[2]
    if diff(catalogs[0], catalogs[1]) or diff(catalogs[1], catalogs[0]):
        assert marks[0] != marks[1]


def _insert(path: Path) -> None:
    made(path, "INSERT INTO t VALUES (1);")


def _alter(path: Path) -> None:
    made(path, "ALTER TABLE t ADD COLUMN b;")


def _overwrite(path: Path) -> None:
    other = made(path.with_name("other.db"), "CREATE TABLE t (b int);")
    shutil.copy2(other, path)


def _replace(path: Path) -> None:
    made(path.with_name("other.db"), "CREATE TABLE t (b int);").replace(path)


def _append_to_wal(path: Path) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    _open.append(writer)
    writer.execute("CREATE INDEX i ON t (a)")


_open: list[sqlite3.Connection] = []


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("write", [_insert, _alter, _overwrite, _replace, _append_to_wal])
def test_every_write_moves_the_last_write(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = made(tmp_path / "a.db", "CREATE TABLE t (a int);")
    time.sleep(0.05)
    before = last_write(path)
    assert before is not None
    assert last_write(path) == before
    write(path)
    time.sleep(0.05)
    assert last_write(path) not in (None, before)
    while _open:
        _open.pop().close()


@pytest.mark.usefixtures("patient")
def test_a_reader_of_a_wal_is_no_writer(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db", "PRAGMA journal_mode = wal; CREATE TABLE t (a int);")
    time.sleep(0.05)
    before = last_write(path)
    assert before is not None
    assert last_write(path) == before


def test_the_last_write_is_not_told_right_after_it(tmp_path: Path) -> None:
    assert last_write(made(tmp_path / "a.db", "CREATE TABLE t (a int);")) is None
    with ENGINE.scratch(MEMORY) as conn:
        assert ENGINE.last_write(conn) is None
