"""Positions in the write-ahead log, names of its segments, and what their headers say. Pure."""

from __future__ import annotations

import struct

from dbops.dataclass import dataclass
from dbops.errors import BackupError


def lsn_number(text: str) -> int:
    """Return an LSN such as 16/B374D848 as a number.

    Raises:
        BackupError: it is none.
    """
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


@dataclass(frozen=True, slots=True)
class Span:
    """The segments that hold the log from one LSN to another: `first` to `last`, both in it."""

    timeline: int
    size: int
    start: int
    end: int

    @property
    def first(self) -> int:
        return self.start // self.size

    @property
    def last(self) -> int:
        return (self.end - 1) // self.size

    @property
    def names(self) -> list[str]:
        return [self.name(number) for number in range(self.first, self.last + 1)]

    def name(self, number: int) -> str:
        return segment_name(self.timeline, number, self.size)


def check_header(head: bytes, span: Span, number: int, system: str) -> None:
    """Compare the header of a segment's first page with what it must be (access/xlog_internal.h, XLogLongPageHeaderData).

    Raises:
        BackupError: it is another segment, or of another server.
    """
    for order in "<>":  # the server's own byte order
        _, _, timeline, address, _, _, system_id, size, _ = struct.unpack_from(f"{order}HHIQIIQII", head)
        if size == span.size:
            break
    else:
        raise BackupError(f"{span.name(number)} has no header of a segment")
    if system.isdigit() and system_id != int(system):
        raise BackupError(f"{span.name(number)} is of the server {system_id}, and the backup of {system}")
    if address != number * span.size or timeline > span.timeline:
        raise BackupError(
            f"{span.name(number)} says that it begins at {lsn_text(address)} of timeline {timeline}", error_code="WAL_GAP"
        )
