"""Names, order and headers of WAL segments. Pure."""

from __future__ import annotations


def lsn_number(text: str) -> int:
    """Return an LSN such as 16/B374D848 as a number.

    Raises:
        BackupError: it is none.
    """
    from dbops.errors import BackupError

    high, separator, low = text.partition("/")
    try:
        if not separator or len(high) > 8 or len(low) > 8:
            raise ValueError
        return (int(high, 16) << 32) | int(low, 16)
    except ValueError:
        raise BackupError(f"{text!r} is no LSN", expected="two hexadecimal numbers, such as 16/B374D848") from None


def lsn_text(number: int) -> str:
    """Return a number as an LSN."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def segment_name(timeline: int, number: int, size: int) -> str:
    """Return the file name of a segment; `number` counts segments of `size` bytes from 0."""
    per_log = (1 << 32) // size
    return f"{timeline:08X}{number // per_log:08X}{number % per_log:08X}"
