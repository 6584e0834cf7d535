"""What can be wrong with a SQLite file: locked, half written, protected, full, in odd places, or no database at all."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from dbops.errors import ConnectError, DbopsError, LockTimeoutError
from tests.databases import SqliteDatabase
from tests.failures.trial import Trial, start

FIRST = "CREATE TABLE t (id integer NOT NULL PRIMARY KEY, b varchar(40));\n"
SECOND = "CREATE TABLE t (id integer NOT NULL PRIMARY KEY, b varchar(40) NOT NULL DEFAULT 'q');\nCREATE INDEX i ON t (b);\n"


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    return Trial.make(SqliteDatabase(tmp_path / "env" / "shop.db"), tmp_path / "env", FIRST)


def path_of(trial: Trial) -> Path:
    return trial.folder / "shop.db"


def with_many_rows(trial: Trial) -> None:
    trial.apply()
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    trial.database.load(f"INSERT INTO t (id, b) {numbers} SELECT i, hex(randomblob(20)) FROM n;")


@contextmanager
def written_to(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        yield conn


@pytest.mark.parametrize("name", ["with space", "q'uote\"", "what?", "hash#tag", "ünï✓", "per%cent", "semi;colon&a=b"])
def test_any_name_is_a_path(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / f"{name}.env"
    trial = Trial.make(SqliteDatabase(folder / name), folder, FIRST, url=f"sqlite:///{quote(name)}")
    assert trial.apply() == "done" and trial.plan().is_empty
    assert (folder / name).is_file()


def test_a_question_mark_in_a_path_is_not_guessed(trial: Trial) -> None:
    other = Trial.make(trial.database, trial.folder, FIRST, url="sqlite:///what?.db")
    with pytest.raises(ConnectError) as caught:
        other.plan()
    assert "%3F" in caught.value.explain()


def test_a_link_is_followed(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path_of(trial).symlink_to(tmp_path / "elsewhere" / "real.db")
    assert trial.apply() == "done" and trial.plan().is_empty
    assert (tmp_path / "elsewhere" / "real.db").is_file() and path_of(trial).is_symlink()


def test_what_is_no_database_is_left_alone(trial: Trial) -> None:
    path_of(trial).write_text("a letter to my aunt\n" * 99)
    for verb in (trial.plan, trial.apply):
        with pytest.raises(ConnectError, match="not a SQLite database"):
            verb()
    assert path_of(trial).read_text() == "a letter to my aunt\n" * 99
    path_of(trial).unlink()
    path_of(trial).mkdir()
    with pytest.raises(ConnectError, match="is not a file"):
        trial.apply()


def test_a_writer_is_waited_for_as_long_as_was_said(trial: Trial) -> None:
    trial.apply()
    trial.wants(SECOND)
    with written_to(path_of(trial)) as conn:
        threading.Timer(1.0, conn.rollback).start()
        assert trial.apply() == "done"
    impatient = Trial.make(trial.database, trial.folder, FIRST, lock="200ms")
    with written_to(path_of(trial)):
        for verb in (impatient.plan, impatient.apply):
            with pytest.raises(LockTimeoutError, match="locked by another connection"):
                verb()
    assert impatient.apply() == "done"


def test_readers_do_not_mind_a_writer_in_wal_mode(trial: Trial) -> None:
    trial.apply()
    trial.database.rows("PRAGMA journal_mode = wal")
    with closing(sqlite3.connect(path_of(trial), isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT INTO t VALUES (1, 'x')")
        assert trial.plan().is_empty


_DIES = """
import os, sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("PRAGMA cache_size = 2")
conn.execute("BEGIN")
conn.execute("UPDATE t SET b = 'half'")
os.kill(os.getpid(), 9)
"""


def test_a_plan_reads_what_a_killed_program_left_half_written(trial: Trial) -> None:
    with_many_rows(trial)
    subprocess.run([sys.executable, "-c", _DIES, str(path_of(trial))], check=False)
    assert path_of(trial).with_name("shop.db-journal").exists()
    assert trial.plan().is_empty
    assert trial.database.rows("SELECT count(*) FROM t WHERE b = 'half'") == [(0,)]


def test_a_full_disk_undoes_everything(trial: Trial) -> None:
    with_many_rows(trial)
    before = trial.database.dump()
    trial.wants(SECOND)

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = path_of(trial).stat().st_size + 60_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    process = trial.command("apply", "--auto-approve", "--allow", "all", preexec_fn=limited)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "nothing of it stands" in err
    assert trial.database.dump() == before and trial.history()[0].record.state == "failed"
    assert trial.apply() == "done" and trial.plan().is_empty
    assert trial.database.rows("SELECT count(*) FROM t") == [(20000,)]


def test_a_protected_file_is_planned_and_not_changed(trial: Trial) -> None:
    trial.apply()
    trial.wants(SECOND)
    path_of(trial).chmod(0o444)
    unprivileged = _unprivileged()
    plan = start_as(unprivileged, "plan", str(trial.folder))
    assert plan.returncode == 0, plan.stderr
    apply = start_as(unprivileged, "apply", "--auto-approve", "--allow", "all", str(trial.folder))
    assert apply.returncode == 1 and "shop.db" in apply.stderr and "check the permissions" in apply.stderr
    path_of(trial).chmod(0o644)
    trial.folder.chmod(0o555)
    apply = start_as(unprivileged, "apply", "--auto-approve", "--allow", "all", str(trial.folder))
    trial.folder.chmod(0o755)
    assert apply.returncode == 1 and "check the permissions of its folder" in apply.stderr


def _unprivileged() -> list[str]:
    """What takes away root's right to write everywhere, for root."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may write everywhere")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def start_as(prefix: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "dbops", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_missing_folder_is_named(trial: Trial) -> None:
    other = Trial.make(trial.database, trial.folder, FIRST, url="sqlite:///no/such/shop.db")
    with pytest.raises(DbopsError, match="there is no folder"):
        other.plan()
    process = start("apply", "--auto-approve", str(other.folder))
    assert "Traceback" not in process.communicate(timeout=30)[1]
