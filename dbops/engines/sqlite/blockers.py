"""Who has locked a database file, or has it open: /proc knows (proc(5)); where it does not tell, nobody is named."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from dbops.engines.base.url import MEMORY

_LOCKS = Path("/proc/locks")


def blockers(path: str) -> list[str]:
    """Describe the other processes that hold a lock on the file, or on the index of its write-ahead log."""
    if path == MEMORY:
        return []
    files = {_inode(path + suffix) for suffix in ("", "-shm")} - {None}
    found: list[int] = []
    with suppress(OSError):
        for line in _LOCKS.read_text(encoding="ascii").splitlines():
            # `1: POSIX ADVISORY WRITE 1234 08:01:5678 1073741825 1073741825`; waiters have an arrow after the number
            words = line.split()
            if len(words) > 5 and words[1] == "POSIX" and words[5].rpartition(":")[2] in files and int(words[4]) != os.getpid():
                found.append(int(words[4]))
    return [_described(pid) for pid in dict.fromkeys(found)]


def openers(path: str) -> list[str]:
    """Describe the other processes that have the file open, as far as we may see them (proc(5), /proc/pid/fd)."""
    try:
        wanted = os.stat(path)  # noqa: PTH116  # beside the descriptors of others
    except OSError:
        return []
    found = []
    with suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208  # names alone
            if name.isdigit() and int(name) != os.getpid() and _has_open(int(name), wanted):
                found.append(int(name))
    return [_described(pid) for pid in found]


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    with suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            with suppress(OSError):
                if os.path.samestat(os.stat(f"/proc/{pid}/fd/{number}"), wanted):  # noqa: PTH116
                    return True
    return False


def _inode(path: str) -> str | None:
    try:
        return str(Path(path).stat().st_ino)
    except OSError:
        return None


def _described(pid: int) -> str:
    with suppress(OSError):
        return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text(encoding='utf-8', errors='replace').strip()})"
    return f"process {pid}"
