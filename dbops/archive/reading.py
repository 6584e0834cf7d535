"""Parts as the stream they were: read, hashed, opened, unpacked and hashed again."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext

from dbops.archive.codec import unpacked
from dbops.archive.hashes import new_hash
from dbops.archive.parts import BLOCK, PartRecord, Shelf, StreamRecord
from dbops.archive.storage.base import MissingObjectError, Storage
from dbops.errors import BackupError

_AHEAD = 5
"""Unpacked pieces that a thread has ready for who writes them somewhere."""
_STORED_AHEAD = 2
"""Pieces as they are stored that a thread has ready: unpacking is for who feeds them to a program, which works beside it."""
_READ = 4 << 20


def stored_pieces(storage: Storage, key: str, part: PartRecord) -> Iterator[bytes]:
    """Yield the stored bytes of a part, and compare their number and hash at the end.

    Raises:
        BackupError: the part is missing, too short, too long, or another one.
    """
    digest, offset = new_hash(), 0
    while offset < part.stored_size:
        try:
            piece = storage.get(key, offset, min(_READ, part.stored_size - offset))
        except MissingObjectError as error:
            raise BackupError(f"the part {key} is missing", error_code="PART_MISSING") from error
        if not piece:
            break
        digest.update(piece)
        offset += len(piece)
        yield piece
    if offset < part.stored_size:
        raise BackupError(f"the part {key} is {offset} bytes long instead of {part.stored_size}", error_code="PART_TRUNCATED")
    if digest.hexdigest() != part.stored_hash:
        raise BackupError(f"the part {key} is not what was stored: its hash differs", error_code="PART_DAMAGED")


def stream_pieces(record: StreamRecord, shelf: Shelf, ahead: int = 0) -> Generator[bytes]:
    """Yield the content of a stream; every part is compared with both its hashes. A thread fetches `ahead` stored pieces.

    Raises:
        BackupError: what is stored is not what the manifest says; nothing of the damaged part counts.
    """
    for part in record.parts:
        digest, size = new_hash(), 0
        stored = stored_pieces(shelf.storage, f"{shelf.folder}/{part.key}", part)
        with closing(Ahead(stored, ahead)) if ahead else nullcontext(stored) as fetched:
            for plain in unpacked(record.compression, shelf.encryption.opened(fetched, shelf.context(part.key))):
                digest.update(plain)
                size += len(plain)
                yield plain
            for _ in fetched:  # so that it compares the hash, whatever was left unread
                pass
        if size != part.plain_size or digest.hexdigest() != part.plain_hash:
            raise BackupError(f"the content of {part.key} is not what was written", error_code="PART_DAMAGED")


class StreamReader:
    """Fills `engines.base.backup.Reader`."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        taken: list[memoryview] = []
        while size and self._fill():
            piece = self._left[:size]
            self._left = self._left[len(piece) :]
            size -= len(piece)
            taken.append(piece)
        if len(taken) != 1:
            return b"".join(taken)
        whole = taken[0].obj
        return whole if isinstance(whole, bytes) and len(whole) == len(taken[0]) else bytes(taken[0])

    def _fill(self) -> bool:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._left = memoryview(piece)
        return True


class Ahead:
    """Pieces, of which a thread fetches up to `depth` before they are asked for; `close` ends it."""

    def __init__(self, pieces: Iterator[bytes], depth: int) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(depth)
        self._error: BaseException | None = None
        self._is_stopped = False
        self._is_over = False
        self._thread = threading.Thread(target=self._fetch, args=(pieces,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Ahead:
        return self

    def __next__(self) -> bytes:
        piece = None if self._is_over else self._queue.get()
        if piece is not None:
            return piece
        self._is_over = True
        if self._error is not None:
            raise self._error
        raise StopIteration

    def close(self) -> None:
        self._is_stopped = True
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.05)

    def _fetch(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                if not self._give(piece):
                    return
        except BaseException as error:
            self._error = error
        self._give(None)

    def _give(self, piece: bytes | None) -> bool:
        while not self._is_stopped:
            try:
                self._queue.put(piece, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False


class BackupSource:
    """Fills `engines.base.backup.Source`. `kept` gives the pieces of a stream that this machine has kept, None if it has not."""

    def __init__(
        self,
        records: Mapping[str, StreamRecord],
        shelf: Callable[[], Shelf],
        kept: Callable[[str], Generator[bytes] | None] = lambda name: None,
        progressed: Callable[[int], None] | None = None,
    ) -> None:
        self._records, self._shelf, self._kept, self._progressed = records, shelf, kept, progressed

    @property
    def names(self) -> list[str]:
        return list(self._records)

    def size(self, name: str) -> int:
        return self._record(name).plain_size

    @contextmanager
    def stream(self, name: str, *, feeds: bool = False) -> Iterator[StreamReader]:
        record = self._record(name)
        pieces = self._kept(name) or stream_pieces(record, self._shelf(), _STORED_AHEAD if feeds else 0)
        with closing(pieces), closing(_told(pieces, self._progressed)) as told:
            if feeds:
                yield StreamReader(told)
                return
            with closing(Ahead(told, _AHEAD)) as ahead:
                yield StreamReader(ahead)

    def _record(self, name: str) -> StreamRecord:
        if name not in self._records:
            raise BackupError(f"the backup has no stream {name!r}", expected=f"one of {', '.join(self._records)}")
        return self._records[name]


def _told(pieces: Iterator[bytes], progressed: Callable[[int], None] | None) -> Generator[bytes]:
    for piece in pieces:
        if progressed is not None:
            progressed(len(piece))
        yield piece
