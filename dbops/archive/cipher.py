"""Encryption of parts: age for recipients whose secret is elsewhere, AES-256-GCM in frames where one key does both.

An AES part is `dbops.aes/1\\n`, 32 random bytes, and frames of 1 MiB of content with 16 bytes of tag each. Each part has a key
of its own, HKDF-SHA256 of the backup's key with those bytes as salt. The nonce of a frame is its number in 11 bytes and one byte
that is 1 for the last frame, so that frames can neither be moved nor left out (STREAM, https://eprint.iacr.org/2015/189). The
additional data is the id of the backup and the name of the part.
"""

from __future__ import annotations

import base64
import binascii
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from functools import lru_cache
from typing import Any, Protocol

from dbops.dataclass import dataclass
from dbops.errors import BackupError

FRAME = 1 << 20
_TAG = 16
_SALT = 32
_MAGIC = b"dbops.aes/1\n"
_IDENTITY = b"AGE-SECRET-KEY-"
_PEM = b"-----BEGIN"
_AES = "aes-256-gcm"
_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1}


class WrongKeyError(BackupError):
    """The key does not open what is stored, or there is none."""


class Sealer(Protocol):
    """Encrypts one part; what comes out goes where it was told when it was made."""

    def update(self, data: bytes | bytearray | memoryview) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None:
        """End it without a result."""
        ...


@dataclass(frozen=True, slots=True)
class Keys:
    """What a policy says of encryption, fetched. `secret` is a symmetric key or passphrase, or age identities, one per line.

    With recipients and no secret, backups can be made and not read. `accepts` are methods of encryption that backups may claim
    besides those that the keys are for: who may write into the storage can put one there that claims less.
    """

    recipients: tuple[str, ...] = ()
    secret: bytes | None = field(default=None, repr=False)
    accepts: tuple[str, ...] = ()

    @property
    def is_age(self) -> bool:
        return bool(self.recipients) or (self.secret is not None and _IDENTITY in self.secret.upper())

    @property
    def methods(self) -> frozenset[str]:
        """The methods of encryption that these keys are for, none without a key."""
        if self.is_age:
            return frozenset({"age"})
        if self.secret is None:
            return frozenset()
        return frozenset({"age", _AES}) if _PEM in self.secret else frozenset({_AES})  # of an SSH key nobody knows

    def objection(self, facts: Mapping[str, Any]) -> str | None:
        """Say why a backup with these `facts` is none of ours: it claims another method than the keys are for."""
        method = facts["method"]
        if not self.methods or method in self.methods or method in self.accepts:
            return None
        what = "not encrypted" if method == "none" else f"encrypted by {method}"
        return (
            f"it says that it is {what}, and the key is for {' or '.join(sorted(self.methods))}; whoever may write into the"
            f" storage can put such a one there. If it is yours: encryption.accepts: [{method}], or --accept {method}"
        )

    def opens(self, facts: Mapping[str, Any]) -> bool:
        """Tell whether these keys are those of a backup with these `facts`, so that one of theirs can follow it."""
        match facts["method"]:
            case "none":
                return not self.methods or "none" in self.accepts
            case "age":
                known = self._own_recipients() if "age" in self.methods else frozenset()
                return known is None or not known.isdisjoint(facts["recipients"])
            case _:
                return self.secret is not None and not self.is_age and _Aes.fits(facts, self.secret)

    def _own_recipients(self) -> frozenset[str] | None:
        """Return those whose identities these keys are, None where a secret does not tell."""
        if self.recipients:
            return frozenset(self.recipients)
        if self.secret is None or _PEM in self.secret:
            return None
        return frozenset(str(one.to_public()) for one in _identities(self.secret))

    def encryption(self, like: Mapping[str, Any] | None = None) -> Encryption:
        """Return how a new backup is encrypted.

        With the salt of an earlier one whose `facts` are given, where the key is the same: stretching a passphrase costs a tenth
        of a second, and a chain has many links. Each part has a key of its own all the same.
        """
        if self.is_age:
            return _Age.made(self)
        if self.secret is None:
            return _Open()
        if like is not None and like["method"] == _AES:
            with suppress(WrongKeyError):
                return _Aes.known(like, self.secret)
        return _Aes.made(self.secret)


class Encryption(Protocol):
    """How the parts of one backup are encrypted; `facts` stand in its manifest and hold no secret."""

    @property
    def facts(self) -> Mapping[str, Any]: ...

    def sealer(self, write: Callable[[bytes | bytearray | memoryview], None], context: bytes) -> Sealer: ...

    def opened(self, stored: Iterable[bytes], context: bytes) -> Iterator[bytes]:
        """Yield the content of a part.

        Raises:
            WrongKeyError, BackupError: it cannot be opened, or was changed.
        """
        ...

    def mac_key(self) -> bytes | None:
        """Return the key that authenticates the manifest, None where only a digest can be had."""
        ...


def encryption_of(facts: Mapping[str, Any], keys: Keys) -> Encryption:
    """Return what opens the parts of a backup whose manifest says `facts`.

    Raises:
        WrongKeyError: the key is another one, or missing.
        BackupError: the method is not known.
    """
    match facts["method"]:
        case "none":
            return _Open()
        case "age":
            return _Age(tuple(facts["recipients"]), keys.secret)
        case "aes-256-gcm":
            if keys.secret is None or keys.is_age:
                raise WrongKeyError("the backup is encrypted with a symmetric key, and none was given", fix=_KEY_FIX)
            return _Aes.known(facts, keys.secret)
        case other:
            raise BackupError(f"unknown encryption {other!r}", expected="one of none, age, aes-256-gcm")


_KEY_FIX = "give it in encryption.key of the policy, or with --key-env or --key-file"


# --- none -----------------------------------------------------------------------------------------------------------------


class _Open:
    facts: Mapping[str, Any] = {"method": "none"}

    def sealer(self, write: Callable[[bytes | bytearray | memoryview], None], context: bytes) -> Sealer:
        return _Through(write)

    def opened(self, stored: Iterable[bytes], context: bytes) -> Iterator[bytes]:
        yield from stored

    def mac_key(self) -> bytes | None:
        return None


@dataclass(frozen=True, slots=True)
class _Through:
    update: Callable[[bytes | bytearray | memoryview], None]

    def finish(self) -> None:
        return

    def abort(self) -> None:
        return


# --- AES-256-GCM ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Aes:
    facts: Mapping[str, Any]
    key: bytes = field(repr=False)

    @classmethod
    def made(cls, secret: bytes) -> _Aes:
        salt = os.urandom(16)
        kdf = "none" if _as_key(secret) else "scrypt"
        key = _backup_key(secret, salt, kdf)
        facts = {"method": _AES, "kdf": kdf, "salt": base64.b64encode(salt).decode(), "key_id": _key_id(key)}
        return cls(facts, key)

    @classmethod
    def fits(cls, facts: Mapping[str, Any], secret: bytes) -> bool:
        try:
            cls.known(facts, secret)
        except WrongKeyError:
            return False
        return True

    @classmethod
    def known(cls, facts: Mapping[str, Any], secret: bytes) -> _Aes:
        key = _backup_key(secret, base64.b64decode(facts["salt"]), facts["kdf"])
        if _key_id(key) != facts["key_id"]:
            raise WrongKeyError(f"the backup was encrypted with another key (key id {facts['key_id']})", fix=_KEY_FIX)
        return cls(facts, key)

    def sealer(self, write: Callable[[bytes | bytearray | memoryview], None], context: bytes) -> Sealer:
        salt = os.urandom(_SALT)
        write(_MAGIC + salt)
        return _AesSealer(_aes(_derived(self.key, salt, b"part")), write, context)

    def opened(self, stored: Iterable[bytes], context: bytes) -> Iterator[bytes]:
        from cryptography.exceptions import InvalidTag

        pieces = iter(stored)
        buffer = bytearray()
        head = len(_MAGIC) + _SALT
        while len(buffer) < head and (piece := next(pieces, None)) is not None:
            buffer += piece
        if not buffer.startswith(_MAGIC) or len(buffer) < head:
            raise BackupError("a part is no AES part of dbops")
        cipher = _aes(_derived(self.key, bytes(buffer[len(_MAGIC) : head]), b"part"))
        del buffer[:head]
        number, is_over = 0, False
        while not is_over:
            while len(buffer) <= FRAME + _TAG and not is_over:
                piece = next(pieces, None)
                is_over = piece is None
                buffer += piece or b""
            frame = bytes(buffer[: FRAME + _TAG])
            del buffer[: FRAME + _TAG]
            is_over = is_over and not buffer
            try:
                yield cipher.decrypt(_nonce(number, is_over), frame, context)
            except InvalidTag:
                raise BackupError("a part was changed since it was encrypted, or is not the one it should be") from None
            number += 1

    def mac_key(self) -> bytes | None:
        return _derived(self.key, b"", b"manifest")


class _AesSealer:
    def __init__(self, cipher: Any, write: Callable[[bytes | bytearray | memoryview], None], context: bytes) -> None:
        self._cipher, self._write, self._context = cipher, write, context
        self._buffer = bytearray()
        self._number = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._buffer += data
        start = 0
        while len(self._buffer) - start > FRAME:  # the last frame is only known when no more comes
            with memoryview(self._buffer) as view:
                self._frame(view[start : start + FRAME], False)
            start += FRAME
        del self._buffer[:start]

    def finish(self) -> None:
        self._frame(self._buffer, True)

    def abort(self) -> None:
        return

    def _frame(self, content: bytearray | memoryview, is_last: bool) -> None:
        self._write(self._cipher.encrypt(_nonce(self._number, is_last), content, self._context))
        self._number += 1


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes((is_last,))


@lru_cache(maxsize=16)
def _backup_key(secret: bytes, salt: bytes, kdf: str) -> bytes:
    if kdf == "none" and (key := _as_key(secret)):
        return _derived(key, salt, b"backup")
    from hashlib import scrypt

    return _derived(scrypt(secret, salt=salt, maxmem=1 << 26, dklen=32, **_SCRYPT), salt, b"backup")


def _as_key(secret: bytes) -> bytes | None:
    """Return the 32 bytes that a secret spells in hexadecimal or base 64, None for a passphrase."""
    text = secret.strip()
    try:
        if len(text) == 64:
            return binascii.unhexlify(text)
        if len(text) in (43, 44):
            key = base64.b64decode(
                text + b"=" * (44 - len(text)), altchars=b"-_" if b"-" in text or b"_" in text else None, validate=True
            )
            return key if len(key) == 32 else None
    except (binascii.Error, ValueError):
        pass
    return None


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, b"dbops " + info).derive(key)


def _key_id(key: bytes) -> str:
    return _derived(key, b"", b"key id")[:8].hex()


def _aes(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


# --- age ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Age:
    recipients: tuple[str, ...]
    secret: bytes | None = field(default=None, repr=False)

    @classmethod
    def made(cls, keys: Keys) -> _Age:
        recipients = keys.recipients or tuple(str(one.to_public()) for one in _identities(keys.secret or b""))
        for recipient in recipients:
            _recipient(recipient)
        return cls(recipients, keys.secret)

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"method": "age", "recipients": list(self.recipients)}

    def sealer(self, write: Callable[[bytes | bytearray | memoryview], None], context: bytes) -> Sealer:
        import pyrage  # type: ignore[import-untyped]

        recipients = [_recipient(text) for text in self.recipients]
        return _AgeSealer(lambda reader, writer: pyrage.encrypt_io(reader, writer, recipients), write)

    def opened(self, stored: Iterable[bytes], context: bytes) -> Iterator[bytes]:
        import pyrage

        if self.secret is None:
            raise WrongKeyError("the backup is encrypted for age recipients, and no identity was given", fix=_KEY_FIX)
        identities = _identities(self.secret)
        pieces = _Pieces(iter(stored))
        pump = _Pump(lambda writer: pyrage.decrypt_io(pieces, writer, identities))
        try:
            yield from pump
        except pyrage.DecryptError as error:
            raise WrongKeyError(f"age cannot open a part: {error}", fix=_KEY_FIX) from error
        except OSError as error:
            if pieces.error is not None:
                raise pieces.error from error
            raise BackupError("a part was changed since it was encrypted") from error
        finally:
            pump.stop()

    def mac_key(self) -> bytes | None:
        return None


def _recipient(text: str) -> Any:
    import pyrage

    try:
        return pyrage.ssh.Recipient.from_str(text) if text.startswith("ssh-") else pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise BackupError(
            f"'{text}' is no age recipient: {error}", expected="age1..., or the line of an SSH public key"
        ) from None


def _identities(secret: bytes) -> list[Any]:
    import pyrage

    lines = [line.strip() for line in secret.decode("utf-8", "replace").splitlines()]
    try:
        if any(line.startswith("-----BEGIN") for line in lines):
            return [pyrage.ssh.Identity.from_buffer(secret)]
        return [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        raise WrongKeyError("the key holds no age identity", expected="lines that begin with AGE-SECRET-KEY-1") from None


_DEPTH = 4


class _Stopped(Exception):
    """Ends a thread whose work nobody wants any more."""


class _AgeSealer:
    """pyrage pulls from a reader until it ends, so it runs in a thread of its own, fed through a short queue."""

    def __init__(self, run: Callable[[Any, Any], None], write: Callable[[bytes | bytearray | memoryview], None]) -> None:
        self._queue: queue.Queue[bytes | bytearray | memoryview | None] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._is_stopped = False
        self._write = write
        self._thread = threading.Thread(target=self._work, args=(run,), daemon=True)
        self._thread.start()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._put(data)

    def finish(self) -> None:
        self._put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        self._is_stopped = True
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.1)
            except queue.Full:
                continue
            self._thread.join(0.1)

    def _put(self, data: bytes | bytearray | memoryview | None) -> None:
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(data, timeout=1.0)
                return
            except queue.Full:
                continue

    def _work(self, run: Callable[[Any, Any], None]) -> None:
        try:
            run(_Pieces(self._fed()), _To(self._write))
        except BaseException as error:
            self._error = error

    def _fed(self) -> Iterator[bytes | bytearray | memoryview]:
        while (data := self._queue.get()) is not None:
            yield data
        if self._is_stopped:
            raise _Stopped


class _Pump:
    """Runs what pushes into a writer in a thread, and gives what was pushed to whoever iterates."""

    def __init__(self, run: Callable[[Any], None]) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._is_stopped = False
        self._thread = threading.Thread(target=self._work, args=(run,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[bytes]:
        while (data := self._queue.get()) is not None:
            yield data
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._is_stopped = True
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.05)

    def _work(self, run: Callable[[Any], None]) -> None:
        try:
            run(_To(self._push))
        except BaseException as error:
            self._error = error
        while not self._is_stopped:
            try:
                self._queue.put(None, timeout=0.1)
                return
            except queue.Full:
                continue

    def _push(self, data: bytes | bytearray | memoryview) -> None:
        while not self._is_stopped:
            try:
                self._queue.put(bytes(data), timeout=0.1)
                return
            except queue.Full:
                continue
        raise _Stopped


class _Pieces:
    """A file-like reader over pieces."""

    def __init__(self, pieces: Iterator[bytes | bytearray | memoryview]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            try:
                piece = next(self._pieces, None)
            except BaseException as error:
                self.error = error
                raise
            if piece is None:
                return b""
            self._left = memoryview(piece)
        size = len(self._left) if size < 0 else size
        taken, self._left = self._left[:size], self._left[size:]
        return bytes(taken)


@dataclass(frozen=True, slots=True)
class _To:
    """A file-like writer over a function."""

    put: Callable[[bytes | bytearray | memoryview], None]

    def write(self, data: bytes) -> int:
        self.put(data)
        return len(data)

    def flush(self) -> None:
        return
