"""A stream as parts: cut into blocks, compressed in threads, encrypted, hashed before and after, stored as they come.

Blocks are compressed by a few threads and taken in order by one more, which encrypts, hashes and stores; so the producer, the
compressors and the storage work side by side, and at most `_AHEAD` blocks are in memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dbops.archive.codec import PLAIN, Compressor
from dbops.archive.encryption import Sealer
from dbops.archive.hashes import new_hash
from dbops.archive.parts import BLOCK, PartRecord, Shelf, StreamRecord
from dbops.archive.storage.base import ObjectWriter
from dbops.dataclass import dataclass
from dbops.errors import BackupError

_AHEAD = 12


class StreamWriter:
    """Fills `engines.base.backup.Writer` for one stream; `next_key` gives the name of each new part.

    An error of the storage or of a thread comes out of the next `write`, or of `close`.
    """

    def __init__(self, name: str, shelf: Shelf, next_key: Callable[[], str], pool: ThreadPoolExecutor, *, packs: bool) -> None:
        self._name, self._shelf, self._next_key, self._pool = name, shelf, next_key, pool
        self._codec = shelf.codec if packs else PLAIN
        self._compressor = Compressor(self._codec)
        self._block = bytearray()
        self._hash, self._in_part = new_hash(), 0
        self._is_empty = True
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_AHEAD)
        self._error: BaseException | None = None
        self._parts: list[PartRecord] = []
        self._thread = threading.Thread(target=self._store, name=f"store {name}", daemon=True)
        self._thread.start()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            if not self._block and len(view) >= BLOCK:
                self._submit(bytes(view[:BLOCK]))
                view = view[BLOCK:]
                continue
            room = BLOCK - len(self._block)
            self._block += view[:room]
            view = view[room:]
            if len(self._block) == BLOCK:
                self._submit(self._block)
                self._block = bytearray()
        return size

    def close(self) -> StreamRecord:
        """Store what is left, wait for everything, and return the record; an empty stream has one empty part."""
        if self._block or self._in_part or self._is_empty:
            self._submit(self._block, is_last=True)
        self._put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return StreamRecord(self._name, self._codec.method, tuple(self._parts))

    def abort(self) -> None:
        """End the threads; the part that is being stored is given up, those before it are orphans."""
        self._error = self._error or BackupError("the stream was given up")
        while self._thread.is_alive():
            try:
                self._jobs.put(None, timeout=0.1)
            except queue.Full:
                continue
            self._thread.join(0.5)

    def _submit(self, block: bytes | bytearray, *, is_last: bool = False) -> None:
        self._is_empty = False
        self._hash.update(block)
        self._in_part += len(block)
        ends = is_last or self._in_part >= self._shelf.part_size
        end = (self._in_part, self._hash.hexdigest()) if ends else None
        self._put(_Job(self._pool.submit(self._compressor.compress, block), end))
        if ends:
            self._hash, self._in_part = new_hash(), 0

    def _put(self, job: _Job | None) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._jobs.put(job, timeout=1.0)
                return
            except queue.Full:
                continue

    def _store(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._store_part(job)
        except BaseException as error:
            self._error = self._error or error
            while not self._jobs.empty():
                self._jobs.get_nowait()

    def _store_part(self, job: _Job) -> None:
        key = self._next_key()
        with self._shelf.storage.put(f"{self._shelf.folder}/{key}") as file:
            part = _Part(file, self._shelf, key)
            try:
                while True:
                    part.sealer.update(job.packed.result())
                    if job.end is not None:
                        break
                    following = self._jobs.get()
                    if following is None or self._error is not None:
                        raise BackupError("the stream was given up")
                    job = following
                part.sealer.finish()
            except BaseException:
                part.sealer.abort()
                raise
        plain_size, plain_hash = job.end
        self._parts.append(PartRecord(key, plain_size, part.size, plain_hash, part.hash.hexdigest()))


@dataclass(frozen=True, slots=True)
class _Job:
    """A block that is being compressed; `end` is the size and hash of its part's content where it is the last of it."""

    packed: Future[bytes | bytearray | memoryview]
    end: tuple[int, str] | None


class _Part:
    """An object that is being stored; counts and hashes what goes into it."""

    def __init__(self, file: ObjectWriter, shelf: Shelf, key: str) -> None:
        self._file = file
        self.hash, self.size = new_hash(), 0
        self.sealer: Sealer = shelf.encryption.sealer(self._write, shelf.context(key))

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        self.hash.update(data)
        self.size += len(data)
        self._file.write(data if isinstance(data, bytes) else memoryview(data))


class BackupSink:
    """Fills `engines.base.backup.Sink`: numbers the parts of all streams, and keeps their records; `progressed` hears of bytes.

    `kept` is called with the name of a stream to be kept on this machine, and gives what takes a copy of it.
    """

    def __init__(
        self,
        shelf: Shelf,
        kept: Callable[[str], AbstractContextManager[ObjectWriter]],
        progressed: Callable[[int], None] = lambda size: None,
        workers: int = 2,
    ) -> None:
        self._shelf, self._kept = shelf, kept
        self.progressed: Callable[[int], None] = progressed
        self._pool = ThreadPoolExecutor(workers, "compress")
        self._guard = threading.Lock()
        self._number = 0
        self._names: set[str] = set()
        self.records: list[StreamRecord] = []

    @contextmanager
    def stream(self, name: str, *, is_compressed: bool = False, is_kept: bool = False) -> Iterator[Any]:
        with self._guard:
            if name in self._names:
                raise BackupError(f"the stream {name!r} is written twice")
            self._names.add(name)
        writer = StreamWriter(name, self._shelf, self._next_key, self._pool, packs=not is_compressed)
        try:
            if is_kept:
                with self._kept(name) as copy:
                    yield _Counted(self, writer, copy)
            else:
                yield _Counted(self, writer, None)
            record = writer.close()
        except BaseException:
            writer.abort()
            raise
        with self._guard:
            self.records.append(record)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _next_key(self) -> str:
        with self._guard:
            self._number += 1
            return f"parts/{self._number - 1:05}.pack"


@dataclass(frozen=True, slots=True)
class _Counted:
    sink: BackupSink
    writer: StreamWriter
    copy: ObjectWriter | None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        size = self.writer.write(data)
        self.sink.progressed(size)
        if self.copy is not None:
            self.copy.write(bytes(data))
        return size
