"""A PostgreSQL server of our own, from binaries of this machine, in a temporary folder, on a Unix socket; gone afterwards.

A server does not run as root: then the account `postgres`, or else `nobody`, runs it. Its folder says which process started
it, so that the next run stops and removes what a killed one left.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from dbops.engines.base.passing import room_in
from dbops.engines.base.url import DatabaseUrl
from dbops.errors import SchemaError

logger: logging.Logger = logging.getLogger(__name__)

_FOLDER = re.compile(r"dbops-pg-(\d+)-\w+")
#: A version above all there will be, for whom the newest programs are the right ones.
NEWEST = 1000
_START_S = 60
_LONGEST = 85
"""Bytes of a path to which the name of a socket still fits: there are 103 on some systems (unix(7))."""
_TELLING = re.compile(r"\b(error|fatal|panic):|could not", re.IGNORECASE)
_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
_CONFIGURATION = """
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
max_locks_per_transaction = 400
max_connections = 20
shared_buffers = 32MB
autovacuum = off
"""


@contextmanager
def private_server(major: int, superuser: str) -> Iterator[DatabaseUrl]:
    """Run a server of version `major`, or the nearest found, for the length of a block; yields the URL of its `postgres`.

    Raises:
        SchemaError: no binaries, or they do not start.
    """
    remove_leftovers(Path(tempfile.gettempdir()))
    programs = find_programs(major)
    with ExitStack() as stack:
        stack.enter_context(ending_on_sigterm())
        folder = Path(tempfile.mkdtemp(prefix=f"dbops-pg-{os.getpid()}-"))
        sockets = stack.enter_context(socket_folder(folder))
        server = _Server(programs, folder, sockets, account())
        atexit.register(server.remove)
        stack.callback(atexit.unregister, server.remove)
        stack.callback(server.remove)
        with room_in(folder):
            server.start(superuser)
        yield DatabaseUrl("postgresql", superuser, database="postgres", query=(("host", str(sockets)), ("port", "5432")))


@contextmanager
def socket_folder(folder: Path) -> Iterator[Path]:
    """Give a folder for a server's socket: the one given, or where its path is too long one of a short name."""
    if len(os.fsencode(folder)) <= _LONGEST:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix=f"dbops-pg-{os.getpid()}-", dir="/tmp") as short:
        if (name := account()) is not None:
            shutil.chown(short, name)
        yield Path(short)


def find_programs(major: int) -> Path:
    """Return the folder of server binaries: of the same major version, else the next newer one, else the newest.

    Raises:
        SchemaError: there are none.
    """
    found = {version: folder for folder in _program_folders() if (version := _version_of(folder)) is not None}
    if not found:
        raise SchemaError("this machine has no PostgreSQL server binaries", fix="install them, or set scratch.url")
    newer = [version for version in sorted(found) if version >= major]
    return found[newer[0] if newer else max(found)]


def _program_folders() -> Iterator[Path]:
    if config := shutil.which("pg_config"):
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
        if told:
            yield Path(told)
    for pattern in _FOLDERS:
        root = Path(pattern).anchor
        yield from Path(root).glob(str(Path(pattern).relative_to(root)))
    if postgres := shutil.which("postgres"):
        yield Path(postgres).parent


def _version_of(folder: Path) -> int | None:
    if not all((folder / program).exists() for program in ("postgres", "initdb", "pg_ctl")):
        return None
    told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"(\d+)", told)
    return int(match[1]) if match else None


def account() -> str | None:
    """The system account that may run a server, None for our own."""
    if os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


class _Server:
    """One server folder: made, started, stopped, removed."""

    def __init__(self, programs: Path, folder: Path, sockets: Path, account: str | None) -> None:
        self._programs = programs
        self._folder = folder
        self._sockets = sockets
        self._account = account

    def start(self, superuser: str) -> None:
        if self._account:
            shutil.chown(self._folder, self._account)
        data = self._folder / "data"
        self._run("initdb", "-D", data, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(f"{_CONFIGURATION}unix_socket_directories = '{self._sockets}'\nport = 5432\n")
        self._run("pg_ctl", "-D", data, "-l", self._folder / "log", "-w", "-t", str(_START_S), "start")

    def remove(self) -> None:
        """Stop at once and delete everything; harmless when it never ran."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "-w", "stop", check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        # The server keeps standard output open: a pipe would wait for it for ever.
        command = [str(self._programs / program), *map(str, arguments)]
        output = self._folder / f"{program}.out"
        with output.open("w") as file:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, user=self._account, cwd="/", check=False
            )
        if check and done.returncode:
            log = self._folder / "log"
            lines = [*(log.read_text().splitlines() if log.exists() else ()), *output.read_text().strip().splitlines()]
            telling = [line for line in lines if _TELLING.search(line)] or lines[-1:] or [f"{program} failed"]
            raise SchemaError(f"a private PostgreSQL server did not start: {telling[0].strip()}")


def remove_leftovers(place: Path) -> None:
    """Stop and remove servers in folders of `place` whose starter is gone."""
    for folder in place.glob("dbops-pg-*"):
        match = _FOLDER.fullmatch(folder.name)
        if match is None or _is_alive(int(match[1])) or not os.access(folder, os.W_OK):
            continue
        _stop_abruptly(folder / "data" / "postmaster.pid")
        shutil.rmtree(folder, ignore_errors=True)
        logger.info("removed the private server %s of a run that was killed", folder)


def _stop_abruptly(pid_file: Path) -> None:
    """Ask for an immediate shutdown and wait until the server has taken its pid file away."""
    try:
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGQUIT)
    except (OSError, ValueError, IndexError):
        return  # it never ran, or has ended by itself
    for _ in range(50):
        if not pid_file.exists():
            return
        time.sleep(0.1)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the program the way errors do, so that blocks clean up; only where nobody else handles it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
