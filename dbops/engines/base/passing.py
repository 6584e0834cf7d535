"""Folders for what passes: secrets, copies, pieces. What a killed program left of them, the next one removes."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = re.compile(r"dbops-passing-(\d+)-\w+")


@contextmanager
def passing_folder() -> Iterator[Path]:
    """Give a folder that only we can read; it is gone afterwards.

    Its name has our process, and it is locked while we live: the number alone says nothing where machines or containers share it.
    """
    _remove_leftovers(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=f"dbops-passing-{os.getpid()}-"))
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_leftovers(place: Path) -> None:
    for folder in place.glob("dbops-passing-*"):
        if (found := _NAME.fullmatch(folder.name)) is None or _is_alive(int(found[1])):
            continue
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(handle).st_uid == os.getuid():
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
