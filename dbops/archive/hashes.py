"""BLAKE3, from a package that only backups need."""

from __future__ import annotations

from typing import Any

from dbops.archive.packages import needing


def new_hash(key: bytes | None = None) -> Any:
    """Return a BLAKE3 hasher, with a key of 32 bytes a keyed one.

    Raises:
        MissingPackageError: the package is not installed.
    """
    with needing("blake3", "backups need"):
        from blake3 import blake3
    return blake3() if key is None else blake3(key=key)
