"""The pages of one state of a SQLite file, read raw while a read transaction keeps them as they are.

In the rollback modes nobody writes into the file while somebody reads (https://www.sqlite.org/lockingv3.html). In WAL mode the
state is the file, overlaid with the frames of the log up to the last commit that the reader saw: a checkpoint brings no later
frame into the file while it reads, and nobody begins the log anew (https://www.sqlite.org/walformat.html, 2.3.1, 2.4). Which
commit that was says the header of the wal-index, read before and after the transaction begins until both are the same.

POSIX lets go of all locks that a process has on a file when it closes any descriptor of that file, and SQLite's own locks with
them. So a descriptor, once opened, stays open for as long as the file is there.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dbops.dataclass import dataclass
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.errors import BackupError

PIECE = 4 << 20
_INDEX_HEADER = 48
_FRAME_HEADER = 24
_WAL_HEADER = 32
_SALT = 32
_TRIES = 200

_descriptors: dict[tuple[int, int], int] = {}
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state: `pages` pages of `page_size` bytes. `overlay` is the offset in the log of each page that stands there."""

    page_size: int
    pages: int
    change_counter: int
    database: int
    wal: int | None
    overlay: dict[int, int]

    @property
    def size(self) -> int:
        return self.pages * self.page_size

    def pieces(self) -> Iterator[memoryview]:
        """Yield the whole file in pieces of up to 4 MiB, whole pages each; each is only good until the next."""
        buffer = bytearray(PIECE)
        per_piece = PIECE // self.page_size
        numbers = sorted(self.overlay)
        place = 0
        for first in range(0, self.pages, per_piece):
            count = min(per_piece, self.pages - first)
            view = memoryview(buffer)[: count * self.page_size]
            got = _read_into(self.database, view, first * self.page_size)
            end = place
            while end < len(numbers) and numbers[end] <= first + count:
                end += 1
            self._lay_over(view, first, numbers[place:end])
            if got < len(view) and not self._covers(first, got, numbers[place:end], count):
                raise BackupError("the file is shorter than its header says", fix="check it: PRAGMA integrity_check")
            place = end
            yield view

    def _lay_over(self, view: memoryview, first: int, numbers: list[int]) -> None:
        for number in numbers:
            start = (number - 1 - first) * self.page_size
            assert self.wal is not None
            if _read_into(self.wal, view[start : start + self.page_size], self.overlay[number]) < self.page_size:
                raise BackupError("the write-ahead log is shorter than its index says")

    def _covers(self, first: int, got: int, numbers: list[int], count: int) -> bool:
        """Tell whether all pages that the file does not reach to stand in the log."""
        return set(range(first + 1 + got // self.page_size, first + 1 + count)) <= set(numbers)


@contextmanager
def snapshot(conn: SqliteConnection) -> Iterator[Snapshot]:
    """Hold one state of the file for the block; writers go on in WAL mode, and wait with their commits in the others.

    Raises:
        BackupError: the file cannot be read this way; the message says why.
    """
    if sys.platform == "win32":
        raise BackupError("files are not read raw on this system")
    if conn.raw.in_transaction:
        raise BackupError("the session is in a transaction, which sees an older state")
    mode = str(conn.query("PRAGMA journal_mode")[0][0]).lower()
    if mode == "wal":
        with _wal_snapshot(conn) as found:
            yield found
        return
    with conn.snapshot():
        conn.query("SELECT count(*) FROM sqlite_schema")  # the lock is taken by the first read
        page_size, pages = conn.query("PRAGMA page_size")[0][0], conn.query("PRAGMA page_count")[0][0]
        database = _descriptor(conn.path)
        yield Snapshot(page_size, pages, _change_counter(database), database, None, {})


@contextmanager
def _wal_snapshot(conn: SqliteConnection) -> Iterator[Snapshot]:
    conn.query("SELECT count(*) FROM sqlite_schema")  # makes the wal-index where there is none
    index = _descriptor(f"{os.path.realpath(conn.path)}-shm")
    for _ in range(_TRIES):
        before = os.pread(index, 2 * _INDEX_HEADER, 0)
        with conn.snapshot():
            conn.query("SELECT count(*) FROM sqlite_schema")
            header = before[:_INDEX_HEADER]
            # there are two copies, which differ while a writer is at it
            if before != header * 2 or not header or os.pread(index, 2 * _INDEX_HEADER, 0) != before:
                continue
            yield _from_index(conn, index, header)
            return
    raise BackupError("writers commit faster than a state of the file can be taken hold of")


def _from_index(conn: SqliteConnection, index: int, header: bytes) -> Snapshot:
    """Read where the pages of a state stand; the transaction that sees it is open.

    A log of which all is in the file may be begun anew by a writer, so nothing is read from it then. As long as some of it is
    not, a reader has a mark in it, and it stays as it is. Who begins it anew writes new salts first, and then how much is in the
    file, so the salts are read last.
    """
    frames, pages = struct.unpack_from("=II", header, 16)
    size_word = struct.unpack_from("=H", header, 14)[0]
    page_size = (size_word & 0xFE00) + ((size_word & 1) << 16)
    salt = header[_SALT : _SALT + 8]
    in_file = struct.unpack("=I", os.pread(index, 4, 2 * _INDEX_HEADER))[0]
    is_begun_anew = os.pread(index, 8, _SALT) != salt
    database = _descriptor(conn.path)
    counter = _change_counter(database)
    if frames == 0 or in_file >= frames or is_begun_anew:
        count = conn.query("PRAGMA page_count")[0][0]
        return Snapshot(conn.query("PRAGMA page_size")[0][0], count, counter, database, None, {})
    wal = _descriptor(f"{os.path.realpath(conn.path)}-wal")
    return Snapshot(page_size, pages, counter, database, wal, _overlay(wal, frames, pages, page_size, salt))


def _overlay(wal: int, frames: int, pages: int, page_size: int, salt: bytes) -> dict[int, int]:
    step = _FRAME_HEADER + page_size
    overlay: dict[int, int] = {}
    for frame in range(frames):
        offset = _WAL_HEADER + frame * step
        head = os.pread(wal, 16, offset)
        if head[8:16] != salt:
            raise BackupError("the write-ahead log is not the one that its index speaks of")
        number = int.from_bytes(head[:4], "big")
        if number <= pages:
            overlay[number] = offset + _FRAME_HEADER
    return overlay


def _change_counter(database: int) -> int:
    return int.from_bytes(os.pread(database, 4, 24), "big")


def _read_into(handle: int, view: memoryview, offset: int) -> int:
    done = 0
    while done < len(view):
        count = os.preadv(handle, [view[done:]], offset + done)
        if not count:
            break
        done += count
    return done


def _descriptor(path: str) -> int:
    """Return a descriptor of a file, the same one each time; it is closed only when the file has gone."""
    with _guard:
        try:
            status = os.stat(path)  # noqa: PTH116  # beside the descriptors of os
        except OSError as error:
            raise BackupError(
                f"{path} cannot be read: {error.strerror}", fix="leave immutable, nolock and vfs out of the URL"
            ) from error
        key = (status.st_dev, status.st_ino)
        if key not in _descriptors:
            for old in [known for known, handle in _descriptors.items() if not os.fstat(handle).st_nlink]:
                os.close(_descriptors.pop(old))
            _descriptors[key] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return _descriptors[key]
