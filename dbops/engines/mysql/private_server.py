"""A server of our own, started from the programs on this machine, that lives as long as one scratch database.

It listens on a Unix socket in its own folder and is stopped and removed whatever happens: should we be killed, the closing of
a pipe tells it so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.url import DatabaseUrl
from dbops.engines.mysql.connect import connect
from dbops.errors import ConnectError, SchemaError

_PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/mysql/bin", "/opt/homebrew/bin")
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Programs:
    """The server, and what makes its data folder: None where the server does so itself (MySQL's --initialize-insecure)."""

    server: str
    installer: str | None


def find_programs(flavour: str) -> Programs | None:
    """Return the programs of the same flavour found on this machine, None when there are none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_PLACES))
    if flavour == "mariadb":
        server = shutil.which("mariadbd", path=path) or shutil.which("mysqld", path=path)
        installer = shutil.which("mariadb-install-db", path=path) or shutil.which("mysql_install_db", path=path)
        return Programs(server, installer) if server and installer else None
    server = shutil.which("mysqld", path=path)
    return Programs(server, None) if server and "mariadb" not in os.path.realpath(server) else None


@contextmanager
def private_server(programs: Programs, sql_mode: str | None) -> Iterator[DatabaseUrl]:
    """Run a server and yield its URL, without a database."""
    folder = Path(tempfile.mkdtemp(prefix="dbops-my-"))
    account = _account()
    try:
        if account:
            shutil.chown(folder, user=account["user"])
        _install(programs, folder, account)
        with _running(programs, folder, sql_mode, account):
            yield DatabaseUrl("mysql", username="root", host="localhost", query=(("unix_socket", str(folder / "s")),))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> dict[str, Any]:
    """The server refuses to run as root: take the account its package made."""
    return {"user": "mysql"} if hasattr(os, "geteuid") and os.geteuid() == 0 else {}


def _install(programs: Programs, folder: Path, account: dict[str, Any]) -> None:
    data = f"--datadir={folder / 'data'}"
    if programs.installer:
        command = [programs.installer, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db"]
        command.append(f"--tmpdir={folder}")  # two at once in one folder take each other's temporary tables
    else:
        command = [programs.server, "--no-defaults", data, "--initialize-insecure", "--secure-file-priv=NULL"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **account)
    if done.returncode:
        raise SchemaError(
            f"a private server for the scratch database cannot be made: {(done.stderr or done.stdout).strip()[-400:]}"
        )


@contextmanager
def _running(programs: Programs, folder: Path, sql_mode: str | None, account: dict[str, Any]) -> Iterator[None]:
    options = {
        "datadir": folder / "data",
        "socket": folder / "s",
        "pid-file": folder / "pid",
        "tmpdir": folder,
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-buffer-pool-size": "64M",
    }
    if sql_mode is not None:
        options["sql-mode"] = sql_mode
    if programs.installer is None:  # MySQL's own: a second port and socket, and a folder that only its package makes
        options |= {"mysqlx": "OFF", "secure-file-priv": "NULL", "disable-log-bin": 1}
    command = [programs.server, "--no-defaults", "--skip-networking", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            _watched(command, folder),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **account,
        )
    try:
        _wait(process, folder)
        yield
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(timeout=60)


def _watched(command: list[str], folder: Path) -> list[str]:
    """Run the server under a shell that stops it, and removes its folder, when our end of its input closes: we end or die."""
    watch = 'cat >/dev/null <&3; kill -TERM $server; while kill -0 $server; do sleep 0.1; done; rm -rf "$folder"'
    script = f'exec 3<&0; folder=$1; shift; "$@" & server=$!; ({watch}) 2>/dev/null & wait $server'
    return ["/bin/sh", "-c", script, "sh", str(folder), *command]


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    url = DatabaseUrl("mysql", username="root", host="localhost", query=(("unix_socket", str(folder / "s")),))
    target = Target("scratch", url, timeouts=Timeouts(connect_s=5.0), attempts=1)
    give_up = time.monotonic() + _START_S
    while time.monotonic() < give_up:
        try:
            connect(target).close()
            return
        except ConnectError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise SchemaError(f"a private server for the scratch database does not start: {(folder / 'log').read_text()[-400:]}")
