"""AES-256-GCM in frames, for keys that both make and read backups.

An AES part is `dbops.aes/1\\n`, 32 random bytes, and frames of 1 MiB of content with 16 bytes of tag each. Each part has a key
of its own, HKDF-SHA256 of the backup's key with those bytes as salt. The nonce of a frame is its number in 11 bytes and one byte
that is 1 for the last frame, so that frames can neither be moved nor left out (STREAM, https://eprint.iacr.org/2015/189). The
additional data is the id of the backup and the name of the part.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from functools import lru_cache
from typing import Any

from dbops.archive.encryption import KEY_FIX, Sealer, WrongKeyError
from dbops.archive.packages import needing
from dbops.dataclass import dataclass
from dbops.errors import BackupError

METHOD = "aes-256-gcm"
FRAME = 1 << 20
_TAG = 16
_SALT = 32
_MAGIC = b"dbops.aes/1\n"
_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1}


@dataclass(frozen=True, slots=True)
class Aes:
    """Fills `Encryption`; `key` is the backup's."""

    facts: Mapping[str, Any]
    key: bytes = field(repr=False)

    @classmethod
    def made(cls, secret: bytes) -> Aes:
        """Return how a new backup is encrypted, with a salt of its own."""
        salt = os.urandom(16)
        kdf = "none" if _as_key(secret) else "scrypt"
        key = _backup_key(secret, salt, kdf)
        facts = {"method": METHOD, "kdf": kdf, "salt": base64.b64encode(salt).decode(), "key_id": _key_id(key)}
        return cls(facts, key)

    @classmethod
    def fits(cls, facts: Mapping[str, Any], secret: bytes) -> bool:
        """Tell whether a backup whose manifest says `facts` was encrypted with this key."""
        try:
            cls.known(facts, secret)
        except WrongKeyError:
            return False
        return True

    @classmethod
    def known(cls, facts: Mapping[str, Any], secret: bytes) -> Aes:
        """Return what opens a backup whose manifest says `facts`; raises WrongKeyError where it was another key."""
        key = _backup_key(secret, base64.b64decode(facts["salt"]), facts["kdf"])
        if _key_id(key) != facts["key_id"]:
            raise WrongKeyError(f"the backup was encrypted with another key (key id {facts['key_id']})", fix=KEY_FIX)
        return cls(facts, key)

    def sealer(self, write: Callable[[bytes | bytearray | memoryview], None], context: bytes) -> Sealer:
        salt = os.urandom(_SALT)
        write(_MAGIC + salt)
        return _AesSealer(_aes(_derived(self.key, salt, b"part")), write, context)

    def opened(self, stored: Iterable[bytes], context: bytes) -> Iterator[bytes]:
        with needing("cryptography", "encryption needs"):
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
            is_over = is_over and len(buffer) <= FRAME + _TAG
            try:
                with memoryview(buffer) as view:
                    plain = cipher.decrypt(_nonce(number, is_over), view[: FRAME + _TAG], context)
            except InvalidTag:
                raise BackupError("a part was changed since it was encrypted, or is not the one it should be") from None
            del buffer[: FRAME + _TAG]
            yield plain
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
    with needing("cryptography", "encryption needs"):
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, b"dbops " + info).derive(key)


def _key_id(key: bytes) -> str:
    return _derived(key, b"", b"key id")[:8].hex()


def _aes(key: bytes) -> Any:
    with needing("cryptography", "encryption needs"):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)
