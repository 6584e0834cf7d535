"""One state of a file, whoever writes meanwhile."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.sqlite.backup.snapshot import snapshot
from dbops.engines.sqlite.connect import connect
from dbops.errors import BackupError

# Money goes from account to account; each transaction keeps the sum, and touches pages all over the file.
_WRITER = """
import random, sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
conn.execute("PRAGMA synchronous = OFF")
conn.execute(f"PRAGMA wal_autocheckpoint = {sys.argv[2]}")
pick = random.Random(1)
print("ready", flush=True)
while True:
    conn.execute("BEGIN IMMEDIATE")
    for _ in range(pick.choice((1, 20))):
        a, b, n = pick.randrange(2000), pick.randrange(2000), pick.randrange(9)
        conn.execute("UPDATE account SET amount = amount - ?, note = randomblob(900) WHERE id = ?", (n, a))
        conn.execute("UPDATE account SET amount = amount + ? WHERE id = ?", (n, b))
        if pick.random() < 0.1:
            conn.execute("INSERT INTO journal (note) VALUES (randomblob(5000))")
            conn.execute("DELETE FROM journal WHERE id < (SELECT max(id) - 20 FROM journal)")
    conn.execute("COMMIT")
"""


def written(path: Path, mode: str, page_size: int) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(f"PRAGMA page_size = {page_size}")
        conn.execute(f"PRAGMA journal_mode = {mode}")
        conn.execute("CREATE TABLE account (id integer PRIMARY KEY, amount integer, note blob)")
        conn.execute("CREATE TABLE journal (id integer PRIMARY KEY, note blob)")
        rows = [(number, 100, random.randbytes(900)) for number in range(2000)]
        conn.executemany("INSERT INTO account VALUES (?, ?, ?)", rows)
        conn.commit()


def copied(path: Path, copy: Path) -> None:
    with closing(connect(Target("", parse_url(f"sqlite:///{path}")), readonly=True)) as conn, snapshot(conn) as state:
        content = b"".join(bytes(piece) for piece in state.pieces())
        assert len(content) == state.size
    copy.write_bytes(content)


@pytest.mark.parametrize("page_size", [1024, 4096, 65536])
@pytest.mark.parametrize(("mode", "checkpoint"), [("wal", 1000), ("wal", 5), ("wal", 0), ("delete", 0), ("truncate", 0)])
def test_a_snapshot_is_one_state(tmp_path: Path, mode: str, checkpoint: int, page_size: int) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    written(path, mode, page_size)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(checkpoint)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        changes, copies, deadline = set(), 0, time.monotonic() + 300
        while copies < 8 or (len(changes) < 2 and time.monotonic() < deadline):  # the writer may be slow to get on
            copied(path, copy)
            copies += 1
            with closing(sqlite3.connect(copy)) as conn:
                assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert conn.execute("SELECT sum(amount), count(*) FROM account").fetchone() == (200_000, 2000)
                changes.add(conn.execute("SELECT max(id) FROM journal").fetchone())
            for name in ("-wal", "-shm", "-journal"):
                Path(f"{copy}{name}").unlink(missing_ok=True)
        assert writer.poll() is None
        assert len(changes) > 1  # so something was written meanwhile
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_reading_lets_go_of_no_lock(tmp_path: Path, mode: str) -> None:
    """POSIX drops all locks of a process on a file when any descriptor of it is closed."""
    path = tmp_path / "a.db"
    written(path, mode, 4096)
    target = Target("", parse_url(f"sqlite:///{path}"))
    probe = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    with closing(connect(target)) as holder, holder.transaction():
        with closing(connect(target, readonly=True)) as conn, snapshot(conn) as state:
            for _ in state.pieces():
                pass
        done = subprocess.run([sys.executable, "-c", probe, str(path)], capture_output=True, text=True, check=False)
    assert "locked" in done.stderr


def test_a_link_leads_to_the_log_of_the_file(tmp_path: Path) -> None:
    path, link = tmp_path / "a.db", tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    written(path, "wal", 4096)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE account SET amount = 1")
        conn.commit()
        copied(link, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as conn:
        assert conn.execute("SELECT sum(amount) FROM account").fetchone() == (2000,)


def test_an_older_state_is_not_taken_for_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path, "wal", 4096)
    with closing(connect(Target("", parse_url(f"sqlite:///{path}")))) as conn, conn.snapshot():
        conn.query("SELECT count(*) FROM account")
        with pytest.raises(BackupError, match="older state"), snapshot(conn):
            pass
