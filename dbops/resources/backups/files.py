"""Files of ours that cannot be written, told as an error: a disk is full, a folder is read-only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dbops.errors import BackupError


@contextmanager
def writing_files(what: str) -> Iterator[None]:
    """Let a block write files, for `what`.

    Raises:
        BackupError: one of them could not be; it says nothing of a backup.
    """
    try:
        yield
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise BackupError(
            f"{what} was given up: {place}{error.strerror or error}",
            fix="check the folder, its permissions and its free space; what passes lies in the temporary folder (TMPDIR)",
            error_code="NO_ROOM",
        ) from error
