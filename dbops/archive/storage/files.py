"""Storages that fsspec knows: odd ones."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import IO, Any

import fsspec  # type: ignore[import-untyped]

from dbops.archive.storage.base import WRITING, MissingObjectError, ObjectHead, StorageError


class FilesystemStorage:
    """Fills `Storage`. An object is written beside and renamed; create-only is a file opened exclusively where the server can."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        with self._said(""):
            self._files: Any
            self._files, self._root = fsspec.core.url_to_fs(url, **dict(options))
            self._root = str(self._root).rstrip("/")

    @property
    def title(self) -> str:
        return self._url

    @contextmanager
    def put(self, key: str) -> Iterator[_File]:
        path = self._path(key)
        folder, _, _ = path.rpartition("/")
        beside = f"{folder}/{WRITING}{secrets.token_hex(6)}"
        try:
            with self._said(key):
                self._files.makedirs(folder, exist_ok=True)
                file = self._files.open(beside, "wb")
            try:
                yield _File(self, key, file)
            finally:
                with self._said(key):
                    file.close()
            with self._said(key):
                self._files.mv(beside, path)
        except BaseException:
            with suppress(Exception):
                self._files.rm_file(beside)
            raise

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        try:
            with self._said(key):
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                if self._files.exists(path):
                    return False
                with self._files.open(path, "xb") as file:
                    file.write(data)
        except FileExistsError:
            return False
        return True

    def get(self, key: str, offset: int = 0, size: int | None = None) -> bytes:
        with self._said(key):
            end = None if size is None else offset + size
            return bytes(self._files.cat_file(self._path(key), start=offset or None, end=end))

    def head(self, key: str) -> ObjectHead | None:
        try:
            with self._said(key):
                return self._head(self._files.info(self._path(key)))
        except MissingObjectError:
            return None

    def list(self, prefix: str = "") -> Iterator[ObjectHead]:
        folder = self._path(prefix.rpartition("/")[0]).rstrip("/")
        with self._said(prefix):
            if not self._files.exists(folder):
                return
            for found in self._files.find(folder, detail=True).values():
                head = self._head(found)
                if head.key.startswith(prefix):
                    yield head

    def delete(self, key: str) -> None:
        with suppress(MissingObjectError), self._said(key):
            self._files.rm_file(self._path(key))

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _head(self, found: Mapping[str, Any]) -> ObjectHead:
        key = str(found["name"]).removeprefix(self._root).removeprefix("/")
        moment = found.get("mtime") or found.get("modified") or found.get("created") or 0
        return ObjectHead(key, int(found["size"]), moment.timestamp() if isinstance(moment, datetime) else float(moment))

    @contextmanager
    def _said(self, key: str) -> Iterator[None]:
        place = f"{self._url}/{key}"
        try:
            yield
        except FileExistsError:
            raise
        except FileNotFoundError as error:
            raise MissingObjectError(f"there is no {place}") from error
        except (OSError, ValueError) as error:
            raise StorageError(f"{place}: {error}") from error


class _File:
    """Fills `ObjectWriter`."""

    def __init__(self, storage: FilesystemStorage, key: str, file: IO[bytes]) -> None:
        self._storage, self._key, self._file = storage, key, file

    def write(self, data: bytes | memoryview) -> None:
        with self._storage._said(self._key):
            self._file.write(bytes(data))
