"""BLAKE3, from a package that only backups need."""

from __future__ import annotations

from typing import Any

from dbops.errors import BackupError


def new_hash(key: bytes | None = None) -> Any:
    """Return a BLAKE3 hasher, with a key of 32 bytes a keyed one.

    Raises:
        BackupError: the package is not installed.
    """
    try:
        from blake3 import blake3
    except ImportError as error:
        raise BackupError("backups need the package blake3", fix="install it: pip install 'dbops[backup]'") from error
    return blake3() if key is None else blake3(key=key)
