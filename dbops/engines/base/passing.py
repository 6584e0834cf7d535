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

from dbops.archive.storage.base import StorageError
from dbops.errors import DbopsError


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


_WORDS = (
    "No space left on device",
    "Disk quota exceeded",
    "out of disk space",
    "disk is full",
    "Disk full",
    "errno: 28",
    "error 28",
)
_LITTLE = 32 << 20


def lacks_room(error: DbopsError) -> bool:
    """Tell whether an error, or a program that it speaks of, says that a disk is full."""
    texts = [error.message, *(str(one.get("stderr", "")) for one in error.context.get("exits", ()))]
    return any(words in text for text in texts for words in _WORDS)


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Tell a server of our own that failed in a folder for want of room from one that failed for what it was given.

    Where a server finds no room it may say so, or just end, so what is left is looked at.

    Raises:
        DbopsError: there was no room, with `error_code="NO_ROOM"`; of the type of the error that it was.
    """
    try:
        yield
    except DbopsError as error:
        free = shutil.disk_usage(folder).free
        is_plain = error.error_code == type(error).__name__ and not isinstance(error, StorageError)
        if is_plain and (free < _LITTLE or lacks_room(error)):
            raise type(error)(
                f"{folder.parent} has {free >> 20} MiB left, which is not enough: {error.message}",
                error.context,
                "NO_ROOM",
                fix="make room, restore to another disk, or set TMPDIR for what is thrown away",
            ) from error
        raise


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
