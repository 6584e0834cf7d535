"""S3 and what speaks like it, Google Cloud Storage and Azure, through obstore, which tries again and uploads in parts by
itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import from_url

from dbops.archive.storage.base import MissingObjectError, ObjectHead, StorageError

_PIECE = 8 << 20
"""Bytes of one request of an upload; the smallest that S3 takes is 5 MiB."""
_AT_ONCE = 2
_RETRIES: Any = {
    "max_retries": 8,
    "retry_timeout": timedelta(minutes=3),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=15), "base": 2},
}
#: Options of the connection, not of the store.
_CLIENT = ("allow_http", "timeout", "connect_timeout", "proxy_url", "proxy_ca_certificate", "allow_invalid_certificates")


class ObjectStorage:
    """Fills `Storage`. `options` are obstore's configuration: endpoint, region, access_key_id, secret_access_key, ..."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        config: Any = {name: value for name, value in options.items() if name not in _CLIENT}
        client: Any = {name: _client_value(value) for name, value in options.items() if name in _CLIENT}
        self._url = url.rstrip("/")
        try:
            self._store = from_url(url, config=config, client_options=client or None, retry_config=_RETRIES)
        except (exceptions.BaseError, ValueError, TypeError) as error:
            raise StorageError(f"{self._url} cannot be opened: {_first_line(error)}") from error

    @property
    def title(self) -> str:
        return self._url

    @contextmanager
    def put(self, key: str) -> Iterator[_Upload]:
        upload = _Upload(self, key)
        yield upload  # an exception leaves the upload without its end, which makes no object
        upload.finish()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        try:
            with self._said(key):
                obstore.put(self._store, key, data, mode="create")
        except _ThereError:
            return False
        return True

    def get(self, key: str, offset: int = 0, size: int | None = None) -> bytes:
        with self._said(key):
            if size is None and not offset:
                return bytes(obstore.get(self._store, key).bytes())
            if size is None:
                size = max(0, obstore.head(self._store, key)["size"] - offset)
            return bytes(obstore.get_range(self._store, key, start=offset, length=size)) if size else b""

    def head(self, key: str) -> ObjectHead | None:
        try:
            with self._said(key):
                return _head(obstore.head(self._store, key))
        except MissingObjectError:
            return None

    def list(self, prefix: str = "") -> Iterator[ObjectHead]:
        # the store matches whole parts of a path
        folder = prefix.rpartition("/")[0]
        with self._said(prefix):
            for page in obstore.list(self._store, folder or None):
                yield from (_head(meta) for meta in page if meta["path"].startswith(prefix))

    def delete(self, key: str) -> None:
        with suppress(MissingObjectError), self._said(key):
            obstore.delete(self._store, key)

    def writer(self, key: str) -> Any:
        with self._said(key):
            return obstore.open_writer(self._store, key, buffer_size=_PIECE, max_concurrency=_AT_ONCE)

    @contextmanager
    def _said(self, key: str) -> Iterator[None]:
        place = f"{self._url}/{key}"
        try:
            yield
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            raise MissingObjectError(f"there is no {place}") from error
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            raise _ThereError(f"there is {place} already") from error
        except (exceptions.BaseError, OSError) as error:
            raise StorageError(f"{place}: {_first_line(error)}", fix=_fix(error)) from error


class _ThereError(StorageError):
    """There is such an object already."""


class _Upload:
    """Fills `ObjectWriter`."""

    def __init__(self, storage: ObjectStorage, key: str) -> None:
        self._storage, self._key = storage, key
        self._file = storage.writer(key)

    def write(self, data: bytes | memoryview) -> None:
        with self._storage._said(self._key):
            self._file.write(data)

    def finish(self) -> None:
        with self._storage._said(self._key):
            self._file.close()


def _head(meta: Any) -> ObjectHead:
    return ObjectHead(meta["path"], meta["size"], meta["last_modified"].timestamp())


def _client_value(value: str) -> Any:
    return value.lower() == "true" if value.lower() in ("true", "false") else value


def _fix(error: BaseException) -> str:
    if "Content-MD5" in str(error):  # S3, of a bucket whose objects are locked for a time unless told otherwise
        return "the bucket locks what is put into it, and wants a checksum with that: add checksum_algorithm: SHA256 to options"
    return "check the bucket, the endpoint, the region and the credentials in options"


def _first_line(error: BaseException) -> str:
    """What obstore says goes on with the request, which may hold more than is good to show.

    Of an answer in XML its code and message count (Amazon S3, API Reference, Error Responses; Azure's are alike).
    """
    text = str(error).strip()
    if not text:
        return type(error).__name__
    line = _QUERY.sub("?...", text.splitlines()[0].partition("<?xml")[0]).rstrip(" :")
    answer = _ANSWER.search(text)
    return (f"{line}: {answer[1]}" if answer else line)[:300]


_ANSWER = re.compile(r"<Code>[^<]*</Code>\s*<Message>([^<]*)</Message>")
_QUERY = re.compile(r"\?[^\s)]+")
"""What stands behind a URL's question mark: signatures, with which anybody could do the same (Azure's SAS)."""
