"""Compression of blocks: each block becomes a frame of its own, and frames behind each other are what the usual tools read."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from typing import Any, Literal, Protocol

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


class Decompressor(Protocol):
    """Turns what was stored into what was written, piece by piece."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> None:
        """Raises BackupError when a frame is not complete."""
        ...


def decompressor(method: str) -> Decompressor:
    """Return a decompressor for one stream of frames.

    Raises:
        BackupError: unknown method.
    """
    match method:
        case "none":
            return _Same()
        case "gzip":
            return _Gunzip()
        case "zstd":
            return _Unzstd()
        case _:
            raise BackupError(f"unknown compression {method!r}", expected="one of zstd, gzip, none")


class _Same:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        return


class _Gunzip:
    def __init__(self) -> None:
        self._open: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                self._open = self._open or zlib.decompressobj(31)
                if plain := self._open.decompress(data):
                    yield plain
                data = self._open.unused_data
                if self._open.eof:
                    self._open = None
        except zlib.error as error:
            raise BackupError(f"what is stored is no gzip: {error}") from error

    def finish(self) -> None:
        if self._open is not None:
            raise BackupError("what is stored ends in the middle of a gzip member")


class _Unzstd:
    def __init__(self) -> None:
        self._zstd = _zstandard()
        self._decompressor = self._zstd.ZstdDecompressor()
        self._open: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                self._open = self._open or self._decompressor.decompressobj()
                if plain := self._open.decompress(data):
                    yield plain
                data = self._open.unused_data
                if self._open.eof:
                    self._open = None
        except self._zstd.ZstdError as error:
            raise BackupError(f"what is stored is no zstd: {error}") from error

    def finish(self) -> None:
        if self._open is not None:
            raise BackupError("what is stored ends in the middle of a zstd frame")


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise BackupError(
            "zstd needs the package zstandard", fix="install it: pip install 'dbops[backup]', or use gzip"
        ) from error
    return zstandard
