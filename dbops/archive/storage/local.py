"""A folder as a storage: an object is a file, written beside, synced, and given its name in one step."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dbops.archive.naming import word
from dbops.archive.storage.base import WRITING, MissingObjectError, ObjectHead, StorageError

_AT_ONCE = 8 << 20
_TRIES = 5


class LocalStorage:
    """Fills `Storage`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def title(self) -> str:
        return self._root.as_uri()

    @contextmanager
    def put(self, key: str) -> Iterator[_File]:
        path = self._path(key)
        beside = path.with_name(f"{WRITING}{secrets.token_hex(6)}")
        with _said(path):
            handle = self._opened(beside)
        try:
            try:
                yield _File(handle, path)
                with _said(path):
                    os.fsync(handle)
            finally:
                os.close(handle)
            with _said(path):
                beside.rename(path)
                _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        beside = path.with_name(f"{WRITING}{secrets.token_hex(6)}")
        with _said(path):
            handle = self._opened(beside)
            try:
                _File(handle, path).write(data)
                os.fsync(handle)
                try:
                    os.link(beside, path)  # refused where there is one, unlike a rename
                except OSError as error:
                    if error.errno not in NO_LINKS:
                        raise
                    _create(path, data)
                _sync_folder(path.parent)
            except FileExistsError:
                return False
            finally:
                os.close(handle)
                beside.unlink(missing_ok=True)
        return True

    def get(self, key: str, offset: int = 0, size: int | None = None) -> bytes:
        path = self._path(key)
        try:
            with path.open("rb", buffering=0) as file:
                if offset:
                    file.seek(offset)
                return _read(file.fileno(), size)
        except FileNotFoundError:
            raise MissingObjectError(f"there is no {path}") from None
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}") from error

    def head(self, key: str) -> ObjectHead | None:
        path = self._path(key)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}") from error
        return ObjectHead(key, status.st_size, status.st_mtime)

    def list(self, prefix: str = "") -> Iterator[ObjectHead]:
        above = prefix.rpartition("/")[0]
        with _said(self._root / above):
            for head in _below(self._root / above, f"{above}/" if above else ""):
                if head.key.startswith(prefix):
                    yield head

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _said(path):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # others are in it
            for folder in path.parents:
                if folder == self._root:
                    break
                folder.rmdir()

    def _path(self, key: str) -> Path:
        return self._root / key

    def _opened(self, path: Path) -> int:
        """Open a new file for writing, in folders that are made where they are missing; another run may remove them meanwhile."""
        for attempt in range(_TRIES):
            try:
                _make_folder(path.parent, self._root)
                return _new_file(path)
            except FileNotFoundError:
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")


NO_LINKS: Collection[int] = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What os.link says where a file system has no second names for files: FAT, exFAT, some shares of other machines."""


def _create(path: Path, data: bytes) -> None:
    """Write a file that must not be there yet. One that is cut off by the end of the machine is told as damaged."""
    handle = _new_file(path)
    try:
        _File(handle, path).write(data)
        os.fsync(handle)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


class _File:
    """Fills `ObjectWriter`."""

    def __init__(self, handle: int, path: Path) -> None:
        self._handle, self._path = handle, path
        self._size, self._sent_on = 0, 0

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        try:
            while view:
                count = os.write(self._handle, view)
                view, self._size = view[count:], self._size + count
            self._send_on()
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror}", fix=_fix(error)) from error

    def _send_on(self) -> None:
        """Let the system begin to write what it holds, so that there is little left to wait for at the end.

        This advice starts that on Linux without waiting for it (mm/fadvise.c).
        """
        size = self._size - self._sent_on
        if size >= _AT_ONCE and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._handle, self._sent_on, size, os.POSIX_FADV_DONTNEED)
            self._sent_on = self._size


@contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", fix=_fix(error)) from error


def _fix(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):  # even who deletes writes a lease before
        return "make room there; a few kilobytes are enough for dbops backup prune and delete, which make more"
    return "check the folder, its permissions and its free space"


def _below(folder: Path, key: str) -> Iterator[ObjectHead]:
    """Yield all objects below a folder, whose keys begin with `key`; none where it is not there, or they have gone meanwhile.

    What has a name that no object and no folder of objects gets is somebody else's: it may be closed to us, as lost+found is, or
    be no text at all.
    """
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except FileNotFoundError:
        return
    except OSError as error:
        if isinstance(error, PermissionError) and key and word(folder.name) != folder.name:
            return
        with _said(folder):
            raise
    for entry in entries:
        if not entry.name.isprintable():
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _below(folder / entry.name, f"{key}{entry.name}/")
            continue
        with suppress(FileNotFoundError):
            status = entry.stat()
            yield ObjectHead(f"{key}{entry.name}", status.st_size, status.st_mtime)


def _make_folder(folder: Path, root: Path) -> None:
    """Make a folder and those above it, for us alone, and let each be in its own for good."""
    missing = [folder]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for one in reversed(missing):
        with suppress(FileExistsError), _folder(one.parent) as above:
            os.mkdir(one.name, 0o700, dir_fd=above)
            if one != root and one.is_relative_to(root):
                with _folder(one.name, above) as handle:
                    _hand_over(handle, above)
            os.fsync(above)


def _new_file(path: Path) -> int:
    """Open a file for writing, for us alone, that must not be there yet."""
    with _folder(path.parent) as above:
        handle = os.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=above)
        _hand_over(handle, above)
    return handle


def _hand_over(handle: int, above: int) -> None:
    """Let what root makes be of whoever has the folder that it is in: who has a repository could not even list it else.

    Both are open, for somebody could put another folder into the place of a path meanwhile.
    """
    if os.geteuid() == 0:
        around = os.fstat(above)
        with suppress(OSError):  # file systems without owners, servers that trust no root
            os.fchown(handle, around.st_uid, around.st_gid)


def _sync_folder(folder: Path) -> None:
    with _folder(folder) as handle:
        os.fsync(handle)


@contextmanager
def _folder(path: Path | str, above: int | None = None) -> Iterator[int]:
    """Open a folder, or one in another, which may be no link then."""
    links = 0 if above is None else os.O_NOFOLLOW
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | links, dir_fd=above)
    try:
        yield handle
    finally:
        os.close(handle)


def _read(handle: int, size: int | None) -> bytes:
    wanted = os.fstat(handle).st_size if size is None else size
    first = os.read(handle, wanted)
    if len(first) == wanted or not first:
        return first
    pieces, left = [first], wanted - len(first)
    while left and (piece := os.read(handle, left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
