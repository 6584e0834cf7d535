"""Files that are large in one place: a line of ten megabytes, a single statement of fifty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.databases import Database
from tests.resources.migrations.sets import Migrations

MIB = 1 << 20


def test_a_line_of_ten_megabytes(database: Database, tmp_path: Path) -> None:
    """Two thousand statements and a value of a megabyte, all on one line, with a comment of a megabyte between them."""
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_t.sql", f"CREATE TABLE t (id integer, v {'longtext' if database.engine == 'mysql' else 'text'});\n")
    rows = [f"INSERT INTO t VALUES ({n}, '{'; -- ' * 900}');" for n in range(2000)]
    value = f"INSERT INTO t VALUES (-1, '{'x' * MIB}');"
    text = " ".join([*rows[:1000], f"/* {'; ' * (MIB // 2)} */", value, *rows[1000:]])
    assert len(text) > 10 * MIB and "\n" not in text
    shop.write("0002_line.sql", text)
    assert shop.up().statements >= 2002
    long = "octet_length(v)" if database.engine == "postgresql" else "length(v)"
    assert database.rows(f"SELECT count(*), max({long}) FROM t") == [(2001, MIB)]
    assert shop.up().state == "nothing"


@pytest.mark.campaign
def test_one_statement_of_fifty_megabytes(database: Database, tmp_path: Path) -> None:
    """Memory is bounded as the client's is; a server that takes no such packet says so, and nothing stands."""
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_t.sql", f"CREATE TABLE t (id integer, v {'longtext' if database.engine == 'mysql' else 'text'});\n")
    shop.up()
    values = ",\n".join(f"({n}, '{'x' * 1000}')" for n in range(50_000))
    shop.write("0002_huge.sql", f"INSERT INTO t VALUES {values};\n")
    runner = shop.start("up", "--auto-approve")
    _, err = runner.communicate()
    if database.engine == "mysql":
        most = int(str(database.rows("SELECT @@max_allowed_packet")[0][0]))
        if most < 50 * MIB:
            assert runner.returncode == 1 and "max_allowed_packet" in err
            assert database.rows("SELECT count(*) FROM t") == [(0,)]
            return
    assert runner.returncode == 0, err
    assert database.rows("SELECT count(*) FROM t") == [(50_000,)]


@pytest.mark.campaign
def test_the_memory_of_one_statement_of_fifty_megabytes(pg_database: Database, tmp_path: Path) -> None:
    import sys

    shop = Migrations.make(pg_database, tmp_path / "env")
    values = ",\n".join(f"({n}, '{'x' * 1000}')" for n in range(50_000))
    shop.write("0001_huge.sql", f"CREATE TABLE t (id integer, v text);\nINSERT INTO t VALUES {values};\n")
    command = [sys.executable, "-m", "dbops", "migrate", "up", "--auto-approve", str(shop.folder)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert usage.ru_maxrss < 320 * 1024, f"{usage.ru_maxrss / 1024:.0f} MiB"
