"""Parts as the stream they were: read, hashed, opened, unpacked and hashed again."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from dbops.archive.codec import decompressor
from dbops.archive.hashes import new_hash
from dbops.archive.parts import BLOCK, PartRecord, Shelf, StreamRecord
from dbops.archive.storage.base import MissingObjectError, Storage
from dbops.errors import BackupError

_AHEAD = 5
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


def stream_pieces(record: StreamRecord, shelf: Shelf) -> Iterator[bytes]:
    """Yield the content of a stream; every part is compared with both its hashes.

    Raises:
        BackupError: what is stored is not what the manifest says; nothing of the damaged part counts.
    """
    for part in record.parts:
        stored = stored_pieces(shelf.storage, f"{shelf.folder}/{part.key}", part)
        unpacker, digest, size = decompressor(record.compression), new_hash(), 0
        for opened in shelf.encryption.opened(stored, shelf.context(part.key)):
            for plain in unpacker.feed(opened):
                digest.update(plain)
                size += len(plain)
                yield plain
        unpacker.finish()
        for _ in stored:  # so that it compares the hash, whatever the cipher left unread
            pass
        if size != part.plain_size or digest.hexdigest() != part.plain_hash:
            raise BackupError(f"the content of {part.key} is not what was written", error_code="PART_DAMAGED")


class StreamReader:
    """Fills `engines.base.backup.Reader`; reads a little ahead in a thread of its own."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._error: BaseException | None = None
        self._is_stopped = False
        self._left = memoryview(b"")
        self._is_over = False
        self._thread = threading.Thread(target=self._fetch, args=(pieces,), daemon=True)
        self._thread.start()

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        taken: list[memoryview] = []
        while size and self._fill():
            piece = self._left[:size]
            self._left = self._left[len(piece) :]
            size -= len(piece)
            taken.append(piece)
        return bytes(taken[0]) if len(taken) == 1 else b"".join(taken)

    def close(self) -> None:
        self._is_stopped = True
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.05)

    def _fill(self) -> bool:
        while not self._left and not self._is_over:
            piece = self._queue.get()
            if piece is None:
                self._is_over = True
            else:
                self._left = memoryview(piece)
        if not self._left and self._error is not None:
            raise self._error
        return bool(self._left)

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
        kept: Callable[[str], Iterator[bytes] | None] = lambda name: None,
        progressed: Callable[[int], None] | None = None,
    ) -> None:
        self._records, self._shelf, self._kept, self._progressed = records, shelf, kept, progressed

    @property
    def names(self) -> list[str]:
        return list(self._records)

    def size(self, name: str) -> int:
        return self._record(name).plain_size

    @contextmanager
    def stream(self, name: str) -> Iterator[StreamReader]:
        record = self._record(name)
        pieces = self._kept(name) or stream_pieces(record, self._shelf())
        reader = StreamReader(pieces if self._progressed is None else _told(pieces, self._progressed))
        try:
            yield reader
        finally:
            reader.close()

    def _record(self, name: str) -> StreamRecord:
        if name not in self._records:
            raise BackupError(f"the backup has no stream {name!r}", expected=f"one of {', '.join(self._records)}")
        return self._records[name]


def _told(pieces: Iterator[bytes], progressed: Callable[[int], None]) -> Iterator[bytes]:
    for piece in pieces:
        progressed(len(piece))
        yield piece
