"""The advisory lock of a database file: a file beside it, locked by the operating system, which lets go when we die."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbops.engines.base.url import MEMORY
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.errors import ConnectError, LockTimeoutError

_STEP_S = 0.05


@contextmanager
def lock(conn: SqliteConnection, name: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock `name`; a database in memory is nobody else's and needs none."""
    if conn.path == MEMORY:
        yield
        return
    path = lock_path(conn.path, name)
    handle = _acquire(path, time.monotonic() + timeout_s, timeout_s)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while we hold it: who waits on this file finds it gone, and takes a new one
        os.close(handle)


def lock_path(database: str, name: str) -> Path:
    """Return where the lock lies: `shop.db.dbops-lock`, and a file of its own for each further name."""
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    return Path(f"{os.path.realpath(database)}.{word if word.startswith('dbops') else f'dbops-{word}'}-lock")


def _acquire(path: Path, deadline: float, timeout_s: float) -> int:
    import fcntl

    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConnectError(
                f"the lock file {path} cannot be made: {error.strerror}", fix="check the permissions of its folder"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_current(handle, path):
                os.ftruncate(handle, 0)
                os.write(handle, str(os.getpid()).encode())
                return handle
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(handle, 32, 0).decode(errors="replace")
                os.close(handle)
                raise LockTimeoutError(
                    f"another dbops, process {holder or 'unknown'}, works on this database, and did for all of {timeout_s:g} s",
                    {"path": str(path), "holder": f"process {holder or 'unknown'}"},
                    fix="wait for it, or raise --lock-timeout",
                ) from None
            time.sleep(_STEP_S)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_current(handle: int, path: Path) -> bool:
    """Tell whether the locked file is the one that has the name now: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
