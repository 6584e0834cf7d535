"""Passwords: what the programs of MySQL and MariaDB are told lies nowhere, and a program that is killed leaves none of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from dbops.engines.base.url import parse_url
from dbops.usecases.runtime import target_for_url
from tests.databases import MysqlDatabase

PASSWORD = "not#in \"any' fil\\e"

#: Lets a client wait in a statement, says so, and is killed.
_WAITING = """
import sys
from dbops.engines.mysql.backup.tools import find, tool_running
from dbops.usecases.runtime import target_for_url

waiting = ("-n", "-e", "SELECT 'in'; SELECT SLEEP(60)")
with tool_running(find("mariadb", "mysql"), target_for_url(sys.argv[1]), waiting) as pipeline:
    print(pipeline.read(1)[:1], flush=True)
    pipeline.read()
"""


def test_a_program_that_is_killed_leaves_no_password(my_database: MysqlDatabase, tmp_path: Path) -> None:
    server = my_database.server
    user = f"u{my_database.name[-20:]}"
    with server.connect("mysql") as conn, conn.cursor() as cursor:
        cursor.execute(f"CREATE USER '{user}'@'%%' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute(f"GRANT SELECT ON {my_database.name}.* TO '{user}'@'%'")
    try:
        url = server.tcp_url(my_database.name, user, PASSWORD)
        assert parse_url(url).password is not None
        target_for_url(url)
        process = subprocess.Popen(
            [sys.executable, "-c", _WAITING, url],
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"b'i'\n"
        texts = [path for path in tmp_path.rglob("*") if path.is_file()]
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not texts
        assert not list(tmp_path.iterdir())
    finally:
        with server.connect("mysql") as conn, conn.cursor() as cursor:
            cursor.execute(f"DROP USER '{user}'@'%'")
