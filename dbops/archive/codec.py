"""Compression of blocks: each block becomes a frame of its own, and frames behind each other are what the usual tools read."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from dbops.archive.packages import needing
from dbops.archive.pumps import PiecesReader
from dbops.dataclass import dataclass
from dbops.errors import BackupError

Compression = Literal["zstd", "gzip", "none"]


@dataclass(frozen=True, slots=True)
class Codec:
    """How streams are compressed; `level` in the method's own scale."""

    method: Compression = "zstd"
    level: int = 3

    @property
    def suffix(self) -> str:
        return {"zstd": ".zst", "gzip": ".gz", "none": ""}[self.method]


PLAIN = Codec("none", 0)
_AT_ONCE = 1 << 20


class Compressor:
    """Compresses blocks, in any number of threads; each call gives a complete frame with a checksum."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._of_thread = threading.local()
        if codec.method == "zstd":
            _zstandard()

    def compress(self, block: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
        match self._codec.method:
            case "none":
                return block
            case "gzip":
                packer = zlib.compressobj(self._codec.level, zlib.DEFLATED, 31)
                return packer.compress(block) + packer.flush()
            case "zstd":
                if not hasattr(self._of_thread, "zstd"):
                    self._of_thread.zstd = _zstandard().ZstdCompressor(level=self._codec.level, write_checksum=True)
                packed: bytes = self._of_thread.zstd.compress(block)
                return packed


def unpacked(method: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what frames behind each other hold, in pieces of up to 1 MiB for zstd.

    A frame that is cut off gives what is there of it: who reads compares size and hash.

    Raises:
        BackupError: unknown method, or `pieces` are none of it.
    """
    match method:
        case "none":
            yield from pieces
        case "gzip":
            yield from _gunzipped(pieces)
        case "zstd":
            yield from _unzstd(pieces)
        case _:
            raise BackupError(f"unknown compression {method!r}", expected="one of zstd, gzip, none")


def _gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    member: Any = None
    try:
        for piece in pieces:
            left = piece
            while left:
                member = member or zlib.decompressobj(31)
                if plain := member.decompress(left):
                    yield plain
                left = member.unused_data
                if member.eof:
                    member = None
    except zlib.error as error:
        raise BackupError(f"what is stored is no gzip: {error}") from error


def _unzstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    zstandard = _zstandard()
    reader = zstandard.ZstdDecompressor().stream_reader(PiecesReader(iter(pieces)), read_across_frames=True)
    try:
        while plain := reader.read(_AT_ONCE):
            yield plain
    except zstandard.ZstdError as error:
        raise BackupError(f"what is stored is no zstd: {error}") from error


def _zstandard() -> Any:
    with needing("zstandard", "zstd needs", "; or make backups with gzip"):
        import zstandard
    return zstandard
