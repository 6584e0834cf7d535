"""The local index: manifests and notes by storage and key, and streams that this machine keeps. It can be deleted at any time."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import IO, TYPE_CHECKING, Any

from dbops.archive.hashes import new_hash
from dbops.archive.manifest import Manifest
from dbops.archive.storage.base import ObjectWriter
from dbops.dataclass import dataclass

if TYPE_CHECKING:
    import sqlite3

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS documents (storage TEXT NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL, "
    "text BLOB NOT NULL, PRIMARY KEY (storage, key)) WITHOUT ROWID"
)


_BEGUN = "."
_STALE_S = 86400.0


class Index:
    """A SQLite file and a folder of kept streams below `folder`; None keeps nothing. What goes wrong with it is passed over."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._conn: sqlite3.Connection | None = None
        self._guard = threading.Lock()

    def get(self, storage: str, key: str, size: int) -> bytes | None:
        """Return a document as it was stored, None when it is not known or its size is another."""
        for (text,) in self._run("SELECT text FROM documents WHERE storage = ? AND key = ? AND size = ?", storage, key, size):
            return bytes(text)
        return None

    def put(self, storage: str, key: str, text: bytes) -> None:
        self._run("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", storage, key, len(text), text)

    def forget_all_but(self, storage: str, target: str, keys: Collection[str]) -> None:
        """Forget the documents of a target that are no longer there, and what was kept of their backups."""
        for key in self.keys(storage, target):
            if key not in keys:
                self.forget(storage, key)

    def keys(self, storage: str, target: str) -> list[str]:
        """Return the keys of the documents of a target that are known."""
        sql = "SELECT key FROM documents WHERE storage = ? AND key LIKE ? ESCAPE '!'"
        return [str(key) for (key,) in self._run(sql, storage, f"{_like(target)}/%")]

    def forget(self, storage: str, key: str) -> None:
        """Forget one document, and what was kept of its backup."""
        self._run("DELETE FROM documents WHERE storage = ? AND key = ?", storage, key)
        if self._folder is not None:
            for path in self._folder.glob(f"kept/{_token(key.removesuffix('/manifest.json'))}-*"):
                path.unlink(missing_ok=True)

    # --- kept streams

    @contextmanager
    def keeping(self, folder: str, name: str) -> Iterator[ObjectWriter]:
        """Take a copy of a stream of the backup in `folder`; no backup fails because this machine can keep none."""
        opened = self._opened_beside(folder, name) if self._folder is not None else None
        if opened is None:
            yield _Nowhere()
            return
        path, beside, handle = opened
        copy = _File(os.fdopen(handle, "wb"))
        try:
            yield copy
            with suppress(OSError):
                copy.file.flush()
                if copy.is_whole:
                    beside.rename(path)
        finally:
            with suppress(OSError):
                copy.file.close()
            with suppress(OSError):
                beside.unlink()

    def _opened_beside(self, folder: str, name: str) -> tuple[Path, Path, int] | None:
        """Begin a file that is to be kept; what killed runs left of such is removed after a day."""
        path = self._kept_path(folder, name)
        beside = path.with_name(f"{_BEGUN}{secrets.token_hex(6)}")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in path.parent.glob(f"{_BEGUN}*"):
                if left.stat().st_mtime < time() - _STALE_S:
                    left.unlink(missing_ok=True)
            return path, beside, os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return None

    def kept(self, manifest: Manifest, name: str) -> Generator[bytes] | None:
        """Return the pieces of a stream that this machine has kept, whole and as the manifest says; None when it has not."""
        record = next((stream for stream in manifest.streams if stream.name == name), None)
        if self._folder is None or record is None:
            return None
        path = self._kept_path(f"{manifest.target}/{manifest.timeline}/backups/{manifest.id}", name)
        try:
            with path.open("rb") as file:
                for part in record.parts:
                    digest = new_hash()
                    digest.update(file.read(part.plain_size))
                    if digest.hexdigest() != part.plain_hash:
                        return None
        except OSError:
            return None
        return _pieces(path)

    def _kept_path(self, folder: str, name: str) -> Path:
        assert self._folder is not None
        return self._folder / "kept" / f"{_token(folder)}-{_token(name)}"

    # --- the file

    def _run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        import sqlite3

        if self._folder is None:
            return []
        with self._guard:
            try:
                self._conn = self._conn or self._opened(self._folder)
                return self._conn.execute(sql, values).fetchall()
            except (OSError, sqlite3.OperationalError):  # busy, or no room
                return []
            except sqlite3.DatabaseError:
                if self._conn is not None:
                    self._conn.close()
                self._conn = None
                with suppress(OSError):
                    (self._folder / "index.db").unlink()
                return []

    def _opened(self, folder: Path) -> sqlite3.Connection:
        import sqlite3

        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        conn = sqlite3.connect(folder / "index.db", timeout=5, isolation_level=None, check_same_thread=False)
        try:
            conn.execute("PRAGMA synchronous = OFF")  # it can be lost
            conn.execute(_SCHEMA)
        except BaseException:
            conn.close()
            raise
        return conn


def _pieces(path: Path) -> Generator[bytes]:
    with path.open("rb") as file:
        while data := file.read(4 << 20):
            yield data


class _Nowhere:
    def write(self, data: bytes | memoryview) -> None:
        return


@dataclass(slots=True)
class _File:
    file: IO[bytes]
    is_whole: bool = True

    def write(self, data: bytes | memoryview) -> None:
        try:
            if self.is_whole:
                self.file.write(data)
        except OSError:
            self.is_whole = False


def _like(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _token(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
