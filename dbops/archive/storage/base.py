"""The port of storages: six verbs on objects that are written once and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from dbops.dataclass import dataclass
from dbops.errors import BackupError


class StorageError(BackupError):
    """The storage does not answer, or refuses."""


class MissingObjectError(StorageError):
    """There is no such object."""


WRITING = ".writing-"
"""What the last part of a key begins with while its object is being written, on storages that show such."""


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """An object's key, relative to the storage's root, its size in bytes, and when it was written, in seconds since 1970."""

    key: str
    size: int
    modified: float


class ObjectWriter(Protocol):
    """An object that is being written."""

    def write(self, data: bytes | memoryview, /) -> None: ...


class Storage(Protocol):
    """Keys are relative, parts joined by `/`. Everything raises StorageError; what may pass was tried again before."""

    @property
    def title(self) -> str:
        """The URL for people, without secrets."""
        ...

    def put(self, key: str) -> AbstractContextManager[ObjectWriter]:
        """Write an object of any size as it comes; an exception in the block leaves no object.

        The object is there, whole and durable, when the block is left; never a part of it.
        """
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one of that key; tell whether it was written. Atomic among all writers."""
        ...

    def get(self, key: str, offset: int = 0, size: int | None = None) -> bytes:
        """Return bytes of an object; fewer than `size` where it ends before.

        Raises:
            MissingObjectError: there is none.
        """
        ...

    def head(self, key: str) -> ObjectHead | None:
        """Return what is known of an object, None where there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectHead]:
        """Yield the objects whose keys begin with `prefix`, in any order; perhaps also what is being written, or was left so."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens where there is none.

        Raises:
            StorageError: it is locked, or held.
        """
        ...
