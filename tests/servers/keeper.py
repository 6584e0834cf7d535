"""The process that starts one server and ends it with its lease, however the lease ends.

The keeper waits for a shared lock on the lease's file. The kernel grants it as soon as the holder lets go or dies, by whatever
signal; then the server is stopped and its files are removed. So the end of a good run, of a failed run, of Ctrl-C and of a
killed run are one and the same. When the keeper itself is killed, the kernel stops the server.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import PostgresServer
from tests.servers.programs import ServerError, clean_environment, free_port, server_account

HELD = "held"
PORT = "port"
READY = b"ready\n"
LOGS = "log"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0

_ATTEMPTS = 3  # a port found free may be taken by somebody else before the server listens on it
Server = PostgresServer | MysqlServer


def keep(engine: str, home: Path) -> None:
    """Start a server in the new folder `home`, say so on standard output, and stop it when the lease has ended.

    `engine` may name a major version (`named_engine`), or say that the server keeps a binary log (`mysql-log`).
    Raises: ServerError when the server does not start.
    """
    lease = home.parent
    try:
        with _running(engine, home):
            os.write(sys.stdout.fileno(), READY)
            with (lease / HELD).open() as held:
                fcntl.flock(held, fcntl.LOCK_SH)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if not homes(lease):
        shutil.rmtree(lease, ignore_errors=True)


def named_engine(engine: str, major: int | None) -> str:
    """Return what an engine is called in a certain major version; None is the one that is installed."""
    return engine if major is None else f"{engine}-{major}"


def _server(name: str, home: Path, port: int) -> Server:
    engine, _, major = name.partition("-")
    if engine == MysqlServer.engine:
        return MysqlServer(home, port, logs=major == LOGS)
    return PostgresServer(home, port, int(major) if major else None)


def homes(lease: Path) -> list[Path]:
    """Return the folders of the servers that have not ended, none when the lease's folder is gone."""
    try:
        return [path for path in lease.glob("*/") if path.is_dir()]
    except FileNotFoundError:  # it goes at this moment
        return []


@contextmanager
def _running(engine: str, home: Path) -> Iterator[None]:
    """Run a new server while the body runs; its port stands in the file PORT."""
    new = _server(engine, home, 0)
    account = server_account(new.account)
    home.mkdir()
    if account:
        os.chown(home, account["user"], account["group"])
    new.prepare()
    server, process = _start(engine, home)
    try:
        server.finish()
        (home / PORT).write_text(str(server.port))
        yield
    finally:
        _stop(process, server.stop_signal)


def _start(engine: str, home: Path) -> tuple[Server, subprocess.Popen[bytes]]:
    for _ in range(_ATTEMPTS):
        server = _server(engine, home, free_port())
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(
                server.command(),
                cwd=home,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **server_account(server.account),
            )
        if _becomes_ready(server, process):
            return server, process
        _stop(process, "KILL")
    raise ServerError(f"{engine} did not start:\n{(home / 'log').read_text(errors='replace')[-2000:]}")


def _becomes_ready(server: Server, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if server.is_ready():
            return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes], signal_name: str) -> None:
    process.send_signal(signal.Signals[f"SIG{signal_name}"])
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
