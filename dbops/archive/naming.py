"""Names of backups and objects."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1) - 1
"""The last millisecond that a datetime can tell with another behind it; a ULID goes on for 892 years."""
_ID = re.compile(r"(\d{8}T\d{6}Z)-([a-z]+)-([0-7][0-9A-HJKMNP-TV-Z]{25})")
_WORD = re.compile(r"[^A-Za-z0-9@._-]+")


def new_id(kind: str, moment: datetime) -> str:
    """Return `20260131T120000Z-full-01KG...`; two of one moment differ."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}-{kind}-{ulid(moment)}"


def ulid(moment: datetime) -> str:
    """Return a ULID: 48 bits of milliseconds and 80 random bits in Crockford's base 32 (https://github.com/ulid/spec)."""
    number = (round(moment.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5))


def is_id(text: str) -> bool:
    try:
        begun_at(text)
    except ValueError:
        return False
    return True


def begun_at(backup_id: str) -> datetime:
    """Return the moment in an id, in UTC, to the millisecond that its ULID has.

    Raises:
        ValueError: it is none.
    """
    if (found := _ID.fullmatch(backup_id)) is None:
        raise ValueError(backup_id)
    number = 0
    for letter in found[3][:10]:  # 50 bits, of which the upper two are zero
        number = number << 5 | _CROCKFORD.index(letter)
    if number > _LAST:
        raise ValueError(backup_id)
    return _EPOCH + timedelta(milliseconds=number)


def kind_in(backup_id: str) -> str:
    """Return the kind in an id.

    Raises:
        ValueError: it is none.
    """
    if (found := _ID.fullmatch(backup_id)) is None:
        raise ValueError(backup_id)
    return found[2]


def word(text: str) -> str:
    """Return a text as it may stand in a key."""
    return _WORD.sub("-", text).strip("-.") or "-"
