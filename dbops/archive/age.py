"""age, for recipients whose secret is elsewhere: what makes backups need not be able to read them (https://age-encryption.org/v1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from dbops.archive.encryption import KEY_FIX, Sealer, WrongKeyError
from dbops.archive.packages import needing
from dbops.archive.pumps import PiecesReader, PulledSealer, Pump
from dbops.dataclass import dataclass
from dbops.errors import BackupError

METHOD = "age"
_IDENTITY = b"AGE-SECRET-KEY-"
_PEM = b"-----BEGIN"


def is_identity(secret: bytes | None) -> bool:
    """Tell whether a secret is an age identity, not a symmetric key."""
    return secret is not None and _IDENTITY in secret.upper()


def is_ssh_key(secret: bytes) -> bool:
    """Tell whether a secret is the text of an SSH key, of which the recipient cannot be had."""
    return _PEM in secret


def recipients_of(secret: bytes) -> tuple[str, ...]:
    """Return the recipients whose identities a secret is."""
    return tuple(str(one.to_public()) for one in _identities(secret))


@dataclass(frozen=True, slots=True)
class Age:
    """Fills `Encryption`; without `secret`, which is identities, it seals and does not open."""

    recipients: tuple[str, ...]
    secret: bytes | None = field(default=None, repr=False)

    @classmethod
    def made(cls, recipients: tuple[str, ...], secret: bytes | None) -> Age:
        """Return how a new backup is encrypted: for the recipients, or where none are named, for those of the identities."""
        recipients = recipients or recipients_of(secret or b"")
        for recipient in recipients:
            _recipient(recipient)
        return cls(recipients, secret)

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"method": METHOD, "recipients": list(self.recipients)}

    def sealer(self, write: Callable[[bytes | bytearray | memoryview], None], context: bytes) -> Sealer:
        pyrage = _pyrage()
        recipients = [_recipient(text) for text in self.recipients]
        return PulledSealer(lambda reader, writer: pyrage.encrypt_io(reader, writer, recipients), write)

    def opened(self, stored: Iterable[bytes], context: bytes) -> Iterator[bytes]:
        pyrage = _pyrage()
        if self.secret is None:
            raise WrongKeyError("the backup is encrypted for age recipients, and no identity was given", fix=KEY_FIX)
        identities = _identities(self.secret)
        pieces = PiecesReader(iter(stored))
        pump = Pump(lambda writer: pyrage.decrypt_io(pieces, writer, identities))
        try:
            yield from pump
        except pyrage.DecryptError as error:
            raise WrongKeyError(f"age cannot open a part: {error}", fix=KEY_FIX) from error
        except OSError as error:
            if pieces.error is not None:
                raise pieces.error from error
            raise BackupError("a part was changed since it was encrypted") from error
        finally:
            pump.stop()

    def mac_key(self) -> bytes | None:
        return None


def _pyrage() -> Any:
    with needing("pyrage", "encryption needs"):
        import pyrage  # type: ignore[import-untyped]
    return pyrage


def _recipient(text: str) -> Any:
    pyrage = _pyrage()
    try:
        return pyrage.ssh.Recipient.from_str(text) if text.startswith("ssh-") else pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise BackupError(
            f"'{text}' is no age recipient: {error}", expected="age1..., or the line of an SSH public key"
        ) from None


def _identities(secret: bytes) -> list[Any]:
    pyrage = _pyrage()
    lines = [line.strip() for line in secret.decode("utf-8", "replace").splitlines()]
    try:
        if is_ssh_key(secret):
            return [pyrage.ssh.Identity.from_buffer(secret)]
        return [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        raise WrongKeyError("the key holds no age identity", expected="lines that begin with AGE-SECRET-KEY-1") from None
