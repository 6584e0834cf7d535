"""What a backup is cut into: streams, and the stored objects that these are made of."""

from __future__ import annotations

from dbops.archive.codec import Codec
from dbops.archive.encryption import Encryption
from dbops.archive.storage.base import Storage
from dbops.dataclass import dataclass

BLOCK = 1 << 20
"""What is compressed at once, in bytes: with more, the tables of zstd's level 3 leave the cache and nothing gets smaller."""
PART = 64 << 20
"""The content of a part, in bytes; the last one of a stream is shorter."""


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One stored object: `key` below the backup's folder, sizes in bytes, BLAKE3 digests in hexadecimal."""

    key: str
    plain_size: int
    stored_size: int
    plain_hash: str
    stored_hash: str


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One stream: its parts in order, and how they are compressed."""

    name: str
    compression: str
    parts: tuple[PartRecord, ...]

    @property
    def plain_size(self) -> int:
        return sum(part.plain_size for part in self.parts)

    @property
    def stored_size(self) -> int:
        return sum(part.stored_size for part in self.parts)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where the parts of a backup go, and how: `folder` is the backup's, `id` is bound into every encrypted part."""

    storage: Storage
    folder: str
    id: str
    codec: Codec
    encryption: Encryption
    part_size: int = PART

    def context(self, key: str) -> bytes:
        return f"{self.id}/{key}".encode()
