"""A server of our own, started from the programs on this machine, that lives as long as one scratch database.

It listens on a Unix socket in its own folder and is stopped and removed whatever happens: should we be killed, the closing of
a pipe tells it so.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.passing import passing_folder, room_in
from dbops.engines.base.secret import SecretValue
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
def private_server(programs: Programs, sql_mode: str | None, options: Mapping[str, object] = {}) -> Iterator[DatabaseUrl]:
    """Run a server on a data folder of its own and yield its URL, without a database; `options` are its settings."""
    with private_folder() as folder:
        account = _account()
        _install(programs, folder, account, options)
        with _running(programs, folder, _with_mode(options, sql_mode), account):
            yield _url(folder, "root")


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder for a server's `data`, which the server's account owns; it is gone afterwards, or with the next one."""
    with passing_folder("my") as folder:
        if account := _account():
            shutil.chown(folder, user=account["user"])
        with room_in(folder):
            yield folder


@contextmanager
def server_on(programs: Programs, folder: Path, options: Mapping[str, object] = {}) -> Iterator[DatabaseUrl]:
    """Run a server on the folder `data` that is in `folder` already, and yield its URL with an account made for this run.

    The account is gone from the data when the server has ended well.
    """
    account, user, password = _account(), f"dbops_{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    made = folder / "init.sql"
    made.touch(mode=0o600)
    made.write_text(
        f"CREATE USER {user}@localhost IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {user}@localhost WITH GRANT OPTION;\n",
        encoding="utf-8",
    )
    if account:
        shutil.chown(made, user=account["user"])
    give_to_server(folder / "data")
    url = _url(folder, user).with_password(SecretValue(password))
    with _running(programs, folder, {**options, "init-file": made}, account, url):
        made.unlink()
        yield url
        conn = connect(Target("", url))
        try:
            conn.execute(f"DROP USER {user}@localhost")
        finally:
            conn.close()


def give_to_server(data: Path) -> None:
    """Let the account that servers run as here own a data folder: ours, unless we are root."""
    if account := _account():
        for place in (data, *data.rglob("*")):
            shutil.chown(place, user=account["user"])


def is_reachable(folder: Path) -> bool:
    """Tell whether the account that servers run as here can enter a folder."""
    return not _account() or all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _url(folder: Path, user: str) -> DatabaseUrl:
    return DatabaseUrl("mysql", username=user, host="localhost", query=(("unix_socket", str(folder / "s")),))


def _with_mode(options: Mapping[str, object], sql_mode: str | None) -> dict[str, object]:
    return {**options} if sql_mode is None else {**options, "sql-mode": sql_mode}


def _account() -> dict[str, Any]:
    """The server refuses to run as root: take the account its package made."""
    return {"user": "mysql"} if hasattr(os, "geteuid") and os.geteuid() == 0 else {}


#: Settings that a data folder is made with, and that cannot change later.
_AT_BIRTH = ("innodb-page-size", "lower-case-table-names")


def _install(programs: Programs, folder: Path, account: dict[str, Any], settings: Mapping[str, object]) -> None:
    # The server's account may not write where TMPDIR says, and two at once in one folder take each other's temporary tables.
    places = [f"--datadir={folder / 'data'}", f"--tmpdir={folder}"]
    if programs.installer:
        command = [programs.installer, "--no-defaults", *places, "--auth-root-authentication-method=normal", "--skip-test-db"]
    else:
        command = [programs.server, "--no-defaults", *places, "--initialize-insecure", "--secure-file-priv=NULL"]
    command += [f"--{name}={value}" for name, value in settings.items() if name in _AT_BIRTH]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **account)
    if done.returncode:
        raise SchemaError(f"a private server cannot be made: {_telling(done.stderr or done.stdout)}")


@contextmanager
def _running(
    programs: Programs,
    folder: Path,
    settings: Mapping[str, object],
    account: dict[str, Any],
    url: DatabaseUrl | None = None,
) -> Iterator[None]:
    options: dict[str, object] = {
        "datadir": folder / "data",
        "socket": folder / "s",
        "pid-file": folder / "pid",
        "tmpdir": folder,
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-buffer-pool-size": "64M",
    }
    options |= settings
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
        _wait(process, folder, url or _url(folder, "root"))
        yield
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(timeout=60)


def _watched(command: list[str], folder: Path) -> list[str]:
    """Run the server under a shell that stops it, and removes its folder, when our end of its input closes: we end or die.

    A server that is told to end while it starts may wait for itself forever, so it is not asked twice.
    """
    tries = "n=0; while kill -0 $server; do n=$((n + 1)); [ $n -lt 300 ] || kill -KILL $server; sleep 0.1; done"
    watch = f'cat >/dev/null <&3; kill -TERM $server; {tries}; rm -rf "$folder"'
    script = f'exec 3<&0; folder=$1; shift; "$@" & server=$!; ({watch}) 2>/dev/null & wait $server'
    return ["/bin/sh", "-c", script, "sh", str(folder), *command]


def _wait(process: subprocess.Popen[bytes], folder: Path, url: DatabaseUrl) -> None:
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
    raise SchemaError(f"a private server does not start: {_telling((folder / 'log').read_text(errors='replace'))}")


def _telling(text: str) -> str:
    """Return the first error of a server's log, which has the cause, or else its end."""
    errors = (line.partition("[ERROR]")[2].strip() for line in text.splitlines() if "[ERROR]" in line)
    return next(errors, text.strip()[-400:])
