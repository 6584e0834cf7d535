"""Packages that only backups need, and which of them is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dbops.errors import BackupError


class MissingPackageError(BackupError):
    """A package is not installed, which says nothing of what is stored."""


@contextmanager
def needing(package: str, what: str, instead: str = "") -> Iterator[None]:
    """Say which package `what` needs where a block cannot import it.

    Raises:
        MissingPackageError: it is not installed, or cannot be loaded.
    """
    try:
        yield
    except ImportError as error:
        raise MissingPackageError(
            f"{what} the package {package}", fix=f"install it: pip install 'dbops[backup]'{instead}", error_code="MISSING_TOOL"
        ) from error
