"""How a backup is encrypted: by the keys that a policy gives, or as its manifest says; not at all without any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any

from dbops.archive import aes, age
from dbops.archive.encryption import KEY_FIX, Encryption, Sealer, WrongKeyError
from dbops.dataclass import dataclass
from dbops.errors import BackupError


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
        return bool(self.recipients) or age.is_identity(self.secret)

    @property
    def methods(self) -> frozenset[str]:
        """The methods of encryption that these keys are for, none without a key."""
        if self.is_age:
            return frozenset({age.METHOD})
        if self.secret is None:
            return frozenset()
        if age.is_ssh_key(self.secret):  # nobody knows which of the two it is meant for
            return frozenset({age.METHOD, aes.METHOD})
        return frozenset({aes.METHOD})

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
            case age.METHOD:
                known = self._own_recipients() if age.METHOD in self.methods else frozenset()
                return known is None or not known.isdisjoint(facts["recipients"])
            case _:
                return self.secret is not None and not self.is_age and aes.Aes.fits(facts, self.secret)

    def _own_recipients(self) -> frozenset[str] | None:
        """Return those whose identities these keys are, None where a secret does not tell."""
        if self.recipients:
            return frozenset(self.recipients)
        if self.secret is None or age.is_ssh_key(self.secret):
            return None
        return frozenset(age.recipients_of(self.secret))

    def encryption(self, like: Mapping[str, Any] | None = None) -> Encryption:
        """Return how a new backup is encrypted.

        With the salt of an earlier one whose `facts` are given, where the key is the same: stretching a passphrase costs a tenth
        of a second, and a chain has many links. Each part has a key of its own all the same.
        """
        if self.is_age:
            return age.Age.made(self.recipients, self.secret)
        if self.secret is None:
            return _Open()
        if like is not None and like["method"] == aes.METHOD:
            with suppress(WrongKeyError):
                return aes.Aes.known(like, self.secret)
        return aes.Aes.made(self.secret)


def encryption_of(facts: Mapping[str, Any], keys: Keys) -> Encryption:
    """Return what opens the parts of a backup whose manifest says `facts`.

    Raises:
        WrongKeyError: the key is another one, or missing.
        BackupError: the method is not known.
    """
    match facts["method"]:
        case "none":
            return _Open()
        case age.METHOD:
            return age.Age(tuple(facts["recipients"]), keys.secret)
        case aes.METHOD:
            if keys.secret is None or keys.is_age:
                raise WrongKeyError("the backup is encrypted with a symmetric key, and none was given", fix=KEY_FIX)
            return aes.Aes.known(facts, keys.secret)
        case other:
            raise BackupError(f"unknown encryption {other!r}", expected="one of none, age, aes-256-gcm")


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
