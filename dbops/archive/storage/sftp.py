"""A folder on a server that speaks SFTP, as OpenSSH's does.

An object is written beside and renamed. SFTP's own rename fails where there is something of the new name, in one step as
OpenSSH does it (it makes a hard link: sftp-server.c, process_rename), which is what create-only needs; the renaming onto what
may be there is OpenSSH's extension posix-rename@openssh.com. The key of the server must be known beforehand: nobody is there
to say yes to a new one.
"""

from __future__ import annotations

import importlib
import secrets
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from dbops.archive.storage.base import WRITING, MissingObjectError, ObjectHead, StorageError
from dbops.errors import BackupError

paramiko: Any = importlib.import_module("paramiko")

_OPTIONS = ("password", "key_filename", "passphrase", "known_hosts", "timeout")
_TRIES = 3
_TIMEOUT_S = 30.0
_EXTENDED = 200
"""The request that carries extensions (draft-ietf-secsh-filexfer-02, section 8)."""

T = TypeVar("T")


class SftpStorage:
    """Fills `Storage`. `options` are `password`, `key_filename`, `passphrase`, `known_hosts` (a file) and `timeout` (seconds).

    A session serves one request at a time, so each thread that works has one of its own, over one connection.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise BackupError(f"sftp:// has no option {unknown[0]}", expected=f"one of {', '.join(_OPTIONS)}")
        address = urlsplit(url)
        self._url, self._options = url.rstrip("/"), options
        self._host, self._port = address.hostname or "localhost", address.port or 22
        self._user = unquote(address.username) if address.username else None
        self._root = unquote(address.path).rstrip("/")
        self._guard = threading.Lock()
        self._client: Any = None
        self._idle: list[Any] = []

    @property
    def title(self) -> str:
        return self._url

    @contextmanager
    def put(self, key: str) -> Iterator[_File]:
        path = self._path(key)
        beside = f"{path.rpartition('/')[0]}/{WRITING}{secrets.token_hex(6)}"
        with self._said(key), self._session() as session:
            file = _opened(session, beside)
            try:
                writer = _File(self, key, file)
                try:
                    yield writer
                    _sync(session, file)
                finally:
                    file.close()
                _must_be_whole(session, beside, writer.size)
                session.posix_rename(beside, path)
            except BaseException:
                with suppress(Exception):
                    session.remove(beside)
                raise

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._tried(key, lambda session: _created(session, self._path(key), data))

    def get(self, key: str, offset: int = 0, size: int | None = None) -> bytes:
        def read(session: Any) -> bytes:
            with session.open(self._path(key), "rb") as file:
                there = max(0, file.stat().st_size - offset)
                wanted = there if size is None else min(size, there)
                return b"".join(file.readv([(offset, wanted)])) if wanted else b""

        return self._tried(key, read)

    def head(self, key: str) -> ObjectHead | None:
        try:
            found = self._tried(key, lambda session: session.stat(self._path(key)))
        except MissingObjectError:
            return None
        return ObjectHead(key, found.st_size, found.st_mtime)

    def list(self, prefix: str = "") -> Iterator[ObjectHead]:
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            try:
                found = self._tried(folder, partial(_listed, path=self._path(folder) or "."))
            except MissingObjectError:
                continue
            for one in found:
                key = f"{folder}/{one.filename}" if folder else one.filename
                if stat.S_ISDIR(one.st_mode or 0):
                    if key.startswith(prefix) or prefix.startswith(f"{key}/"):
                        folders.append(key)
                elif key.startswith(prefix):
                    yield ObjectHead(key, one.st_size or 0, one.st_mtime or 0)

    def delete(self, key: str) -> None:
        def remove(session: Any) -> None:
            session.remove(self._path(key))
            with suppress(OSError):  # others are in it
                folder = key
                while folder := folder.rpartition("/")[0]:
                    session.rmdir(self._path(folder))

        with suppress(MissingObjectError):
            self._tried(key, remove)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/")

    # --- sessions

    def _tried(self, key: str, act: Callable[[Any], T]) -> T:
        """Do what can be done again, once more where the connection broke."""
        for attempt in range(_TRIES):
            try:
                with self._said(key), self._session() as session:
                    return act(session)
            except _BrokenError:
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    @contextmanager
    def _session(self) -> Iterator[Any]:
        """Lend a session; one that was in an error is not lent again."""
        with self._guard:
            transport = self._client.get_transport() if self._client is not None else None
            if transport is None or not transport.is_active():
                self._idle.clear()
                self._client = self._connected()
            session = self._idle.pop() if self._idle else self._client.open_sftp()
            session.get_channel().settimeout(self._timeout_s)
        try:
            yield session
        except BaseException as error:
            if isinstance(error, OSError) and not _is_broken(error):
                self._idle.append(session)
            else:  # answers may still come that nobody waits for
                session.close()
            raise
        self._idle.append(session)

    @property
    def _timeout_s(self) -> float:
        return float(self._options.get("timeout") or _TIMEOUT_S)

    def _connected(self) -> Any:
        client = paramiko.SSHClient()
        try:
            if known := self._options.get("known_hosts"):
                client.load_host_keys(known)
            else:
                client.load_system_host_keys()
        except OSError as error:
            raise StorageError(f"the file of known hosts cannot be read: {error}") from error
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        given = {name: self._options[name] for name in ("password", "key_filename", "passphrase") if self._options.get(name)}
        client.connect(
            self._host,
            self._port,
            self._user,
            timeout=self._timeout_s,
            banner_timeout=self._timeout_s,
            auth_timeout=self._timeout_s,
            allow_agent="password" not in given,
            look_for_keys=not given,
            **given,
        )
        client.get_transport().set_keepalive(15)
        return client

    @contextmanager
    def _said(self, key: str) -> Iterator[None]:
        place = f"{self._url}/{key}"
        try:
            yield
        except FileNotFoundError as error:
            raise MissingObjectError(f"there is no {place}") from error
        except paramiko.BadHostKeyException as error:
            raise StorageError(
                f"{self._url}: the server has another key than the one that is known: it may be another server",
                fix=f"compare it, then: ssh-keygen -R {self._known_as}; ssh-keyscan -p {self._port} {self._host} >> known_hosts",
            ) from error
        except paramiko.AuthenticationException as error:
            fix = "give options: password, or key_filename and passphrase; or let ssh-agent have the key"
            raise StorageError(f"{self._url}: the server does not let us in: {error}", fix=fix) from error
        except paramiko.SSHException as error:
            if "not found in known_hosts" in str(error):
                raise StorageError(
                    f"{self._url}: the key of the server is not known",
                    fix=f"compare it, and add it: ssh-keyscan -p {self._port} {self._host} >> ~/.ssh/known_hosts, or to a file"
                    " of its own that options.known_hosts names",
                ) from error
            raise _BrokenError(f"{place}: {error or type(error).__name__}") from error
        except (EOFError, OSError, ValueError) as error:
            kind = _BrokenError if _is_broken(error) else StorageError
            raise kind(f"{place}: {str(error) or type(error).__name__}") from error

    @property
    def _known_as(self) -> str:
        return self._host if self._port == 22 else f"'[{self._host}]:{self._port}'"


class _BrokenError(StorageError):
    """The connection broke, or none came about."""


def _is_broken(error: BaseException) -> bool:
    """Tell whether an error is of the connection; what the server says of a file has a number or is `Failure`."""
    return isinstance(error, (EOFError, ConnectionError, TimeoutError)) or "closed" in str(error).lower()


def _listed(session: Any, path: str) -> Any:
    return session.listdir_attr(path)


def _opened(session: Any, path: str) -> Any:
    """Open a new file for writing, in folders that are made where they are missing; another run may remove them meanwhile."""
    for _ in range(_TRIES):
        try:
            file = session.open(path, "wx", 1 << 18)
            file.set_pipelined(True)
            return file
        except FileNotFoundError:
            _make_folders(session, path.rpartition("/")[0])
    return session.open(path, "wx")


def _make_folders(session: Any, folder: str) -> None:
    missing = []
    while folder:
        try:
            session.stat(folder)
            break
        except FileNotFoundError:
            missing.append(folder)
            folder = folder.rpartition("/")[0]
    for one in reversed(missing):
        with suppress(OSError):  # somebody else has made it; if not, the file says so
            session.mkdir(one, 0o700)


def _created(session: Any, path: str, data: bytes) -> bool:
    beside = f"{path.rpartition('/')[0]}/{WRITING}{secrets.token_hex(6)}"
    file = _opened(session, beside)
    try:
        try:
            file.write(data)
            _sync(session, file)
        finally:
            file.close()
        _must_be_whole(session, beside, len(data))
        try:
            session.rename(beside, path)
            return True
        except FileNotFoundError:
            raise
        except OSError:
            session.stat(path)  # there is one, or the error was another
            return False
    finally:
        with suppress(OSError):
            session.remove(beside)


def _sync(session: Any, file: Any) -> None:
    """Let the server write a file to its disk, where it can (fsync@openssh.com)."""
    file.flush()
    session._finish_responses(file)
    with suppress(OSError):  # it has no such extension
        session._request(_EXTENDED, "fsync@openssh.com", file.handle)


def _must_be_whole(session: Any, path: str, size: int) -> None:
    """Writes are not waited for one by one, so what became of them is looked at."""
    found = session.stat(path).st_size
    if found != size:
        raise StorageError(f"{path} has {found} bytes on the server instead of {size}", fix="check its free space and quota")


class _File:
    """Fills `ObjectWriter`."""

    def __init__(self, storage: SftpStorage, key: str, file: Any) -> None:
        self._storage, self._key, self._file = storage, key, file
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        with self._storage._said(self._key):
            self._file.write(bytes(data))
        self.size += len(data)
