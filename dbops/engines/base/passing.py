"""Folders for what passes: secrets, copies, pieces. What a killed program left of them, the next one removes."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let errors of writing say where, since the system names no file that is open already: a disk that is full above all."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _OF_DISKS:
            error.filename = str(path)
        raise


_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


@contextmanager
def passing_folder(kind: str = "passing") -> Iterator[Path]:
    """Give a folder that only we can read; it is gone afterwards.

    Its name has `kind` and our process, and it is locked while we live: the number alone says nothing where machines or
    containers share it.
    """
    _remove_leftovers(Path(tempfile.gettempdir()), kind)
    folder = Path(tempfile.mkdtemp(prefix=f"dbops-{kind}-{os.getpid()}-"))
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        with named(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_leftovers(place: Path, kind: str) -> None:
    for folder in place.glob(f"dbops-{kind}-*"):
        if (found := re.fullmatch(rf"dbops-{kind}-(\d+)-\w+", folder.name)) is None or _is_alive(int(found[1])):
            continue
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.geteuid() == 0 or os.fstat(handle).st_uid == os.getuid():  # root gives some to the accounts of servers
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
