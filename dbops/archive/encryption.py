"""What every way to encrypt a backup gives: something that seals parts, opens them, and says what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from dbops.errors import BackupError

KEY_FIX = "give it in encryption.key of the policy, or with --key-env or --key-file"


class WrongKeyError(BackupError):
    """The key does not open what is stored, or there is none."""


class Sealer(Protocol):
    """Encrypts one part; what comes out goes where it was told when it was made."""

    def update(self, data: bytes | bytearray | memoryview) -> None: ...

    def finish(self) -> None: ...

    def abort(self) -> None:
        """End it without a result."""
        ...


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
