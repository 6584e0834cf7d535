"""Who holds the private servers, and for how long.

A lease is a folder whose file `held` its holder keeps locked; every server has a keeper process (see `keeper`) that ends it
when that lock is gone. Processes that know the folder share the servers in it: pytest's workers join the controller's lease.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TextIO

from tests.servers.keeper import HELD, LOGS, PORT, READY, STOP_TIMEOUT_S, homes, named_engine
from tests.servers.mysql import MysqlServer
from tests.servers.postgresql import PostgresServer
from tests.servers.programs import ServerError, is_reachable
from tests.servers.releases import programs

_PROJECT = Path(__file__).resolve().parents[2]
_SOCKET_PATH_LIMIT = 60  # bytes of the folder's own; a socket's whole path has 107 (unix(7))
_ROOM_BYTES = 4 << 30  # what two servers and the databases of a run may come to, with a margin


@dataclass(slots=True)
class Lease:
    """The right to private servers, which start at first use and end with the lease."""

    folder: Path
    held: TextIO | None = None

    @classmethod
    def take(cls) -> Lease:
        """Hold a new lease; it ends with `release`, or with this process."""
        folder = Path(tempfile.mkdtemp(prefix="dbops-servers-", dir=_place()))
        folder.chmod(0o755)  # the servers' own accounts pass through
        held = (folder / HELD).open("w")
        fcntl.flock(held, fcntl.LOCK_EX)
        return cls(folder, held)

    @classmethod
    def join(cls, folder: Path) -> Lease:
        """Share the lease that another process holds."""
        return cls(folder)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def postgres(self, major: int | None = None) -> PostgresServer:
        """Return the PostgreSQL server, started now unless it runs already: the machine's own, or another major version.

        Raises: NotToBeHad, when that version cannot be fetched.
        """
        programs(major)
        return PostgresServer(*self._server(named_engine(PostgresServer.engine, major)), major)

    def mysql(self, *, logs: bool = False) -> MysqlServer:
        """Return the MariaDB server, started now unless it runs already; with `logs` another one that keeps a binary log."""
        name = f"{MysqlServer.engine}-{LOGS}" if logs else MysqlServer.engine
        return MysqlServer(*self._server(name), logs=logs)

    def release(self) -> None:
        """Let go, and wait until the servers are stopped and their files are gone; joined leases are left to their holder."""
        if self.held is None:
            return
        self.held.close()
        self.held = None
        deadline = time.monotonic() + STOP_TIMEOUT_S + 5
        while homes(self.folder) and time.monotonic() < deadline:
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _server(self, engine: str) -> tuple[Path, int]:
        """Return folder and port of a server that runs."""
        home = self.folder / engine
        with (self.folder / f"{engine}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (home / PORT).exists():
                _start_keeper(engine, home)
        return home, int((home / PORT).read_text())


def _start_keeper(engine: str, home: Path) -> None:
    """Start a keeper and wait until its server is ready.

    The keeper has a session of its own, out of reach of the terminal's Ctrl-C, and lets go of our output.
    Raises: ServerError with what the keeper says, when the server does not start.
    """
    with (home.parent / f"{engine}.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.servers", "keep", engine, str(home)],
            cwd=_PROJECT,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert keeper.stdout is not None
    with keeper.stdout as answer:
        if answer.readline() != READY:
            keeper.wait()
            raise ServerError((home.parent / f"{engine}.log").read_text(errors="replace").strip())
    keeper.returncode = 0  # it outlives us on purpose: no warning that it still runs


def _place() -> str:
    """Return a folder for the servers that other accounts can reach and whose path is short enough for Unix sockets.

    Memory where there is plenty of it: a new database is hundreds of files, which some disks take twenty times as long to make.
    """
    memory = Path("/dev/shm")
    if "TMPDIR" not in os.environ and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= _ROOM_BYTES:
        return str(memory)
    place = Path(tempfile.gettempdir())
    return str(place) if is_reachable(place) and len(str(place)) < _SOCKET_PATH_LIMIT else "/tmp"
