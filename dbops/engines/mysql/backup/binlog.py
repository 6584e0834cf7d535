"""The events of a binary log, read raw: where each begins and ends, when it was written, and what it is about.

Layout: MySQL 8.4 Source Code Documentation, "Replication Protocol, Binlog Event"; MariaDB Knowledge Base, "Replication
Protocol". A file is the magic number and events; each has 19 bytes of header: timestamp 4, type 1, server id 4, size 4, end
position 4, flags 2, all little-endian. With checksums, its last 4 bytes are the CRC-32 of the others.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from dbops.dataclass import dataclass
from dbops.engines.base.backup import LATEST, Point, Reader
from dbops.errors import BackupError

MAGIC = b"\xfebin"
HEADER = 19
_HEADER = struct.Struct("<IBIIIH")

QUERY, STOP, ROTATE, INTVAR, RAND, USER_VAR, FORMAT, XID = 2, 3, 4, 5, 13, 14, 15, 16
BEGIN_LOAD, EXECUTE_LOAD, TABLE_MAP = 17, 18, 19
GTID_MYSQL, ANONYMOUS, PREVIOUS_GTIDS, PAYLOAD, GTID_TAGGED = 33, 34, 35, 40, 42
CHECKPOINT, GTID_MARIADB, GTID_LIST, QUERY_COMPRESSED = 161, 162, 163, 165
#: Rows in every version and, with MariaDB, compressed.
ROWS = frozenset({23, 24, 25, 30, 31, 32, 39, *range(166, 172)})
_KEPT_BODIES = frozenset({FORMAT, GTID_MARIADB, GTID_LIST, GTID_MYSQL, PREVIOUS_GTIDS})
_STANDALONE = 1
_NO_CHECKSUM, _CRC32 = 0, 1


class Event(NamedTuple):
    """One event: `start` is its place in its file, `data` all of it, header and checksum too."""

    kind: int
    timestamp: int
    server_id: int
    start: int
    size: int
    data: bytes

    @property
    def end(self) -> int:
        return self.start + self.size

    @property
    def begins_group(self) -> bool:
        """Tell whether a transaction, or a statement that is none, begins here."""
        return self.kind in (GTID_MARIADB, GTID_MYSQL, ANONYMOUS, GTID_TAGGED)

    @property
    def gtid(self) -> tuple[str, int, str] | None:
        """The domain or source, the number within it, and the whole as text; None for other events."""
        if self.kind == GTID_MARIADB:
            number, domain = struct.unpack_from("<QI", self.data, HEADER)
            return str(domain), number, f"{domain}-{self.server_id}-{number}"
        if self.kind == GTID_MYSQL:
            text = _uuid(self.data, HEADER + 1)
            (number,) = struct.unpack_from("<Q", self.data, HEADER + 17)
            return text, number, f"{text}:{number}"
        return None


def _uuid(data: bytes, place: int) -> str:
    return str(UUID(bytes=bytes(data[place : place + 16])))


class Format:
    """What the first event of a file says of the others: whether they have checksums."""

    def __init__(self, data: bytes) -> None:
        self.has_checksums: bool = data[-5] == _CRC32

    def body(self, event: Event) -> bytes:
        """Return an event without its header and checksum."""
        return event.data[HEADER : len(event.data) - 4 if self.has_checksums else None]

    def sealed(self, data: bytearray) -> bytes:
        """Return an event that was changed, with a checksum that fits."""
        if self.has_checksums:
            data[-4:] = struct.pack("<I", zlib.crc32(memoryview(data)[:-4]))
        return bytes(data)


def events(reader: Reader, name: str) -> Iterator[Event]:
    """Yield the events of a file; one is in memory at a time.

    Raises:
        BackupError: it is no binary log, or ends within an event.
    """
    if _exactly(reader, len(MAGIC)) != MAGIC:
        raise BackupError(f"{name} is no binary log")
    place = len(MAGIC)
    while head := _exactly(reader, HEADER):
        if len(head) < HEADER:
            raise BackupError(f"{name} ends within an event at {place}")
        timestamp, kind, server_id, size, _, _ = _HEADER.unpack(head)
        body = _exactly(reader, size - HEADER)
        if size < HEADER or len(body) < size - HEADER:
            raise BackupError(f"{name} ends within an event at {place}")
        yield Event(kind, timestamp, server_id, place, size, head + body)
        place += size


def _exactly(reader: Reader, size: int) -> bytes:
    pieces = []
    while size > 0 and (data := reader.read(size)):
        pieces.append(data)
        size -= len(data)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@dataclass(slots=True)
class Walk:
    """Looks at a file while it is copied: whether its events follow each other without a gap, and how far it goes.

    `boundary` is a place where an event must begin, and `gtids_at_boundary` the last that was written before it, by domain or
    source; the beginning of a file tells it of the files before.
    """

    name: str
    boundary: int = 0
    place: int = 0
    created: int = 0
    gtids: dict[str, str] = field(default_factory=dict)
    gtids_at_boundary: dict[str, str] | None = None
    _held: bytearray = field(default_factory=bytearray)
    _skip: int = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes.

        Raises:
            BackupError: they are not what follows.
        """
        view = memoryview(data)
        if self._skip:
            step = min(self._skip, len(view))
            self._skip -= step
            view = view[step:]
        if not view:
            return
        self._held += view
        used = self._events()
        del self._held[:used]

    @property
    def is_at_boundary(self) -> bool:
        """Tell whether all that came are whole events."""
        return not self._held and not self._skip

    def _events(self) -> int:
        held, used = self._held, 0
        if self.place == 0:
            if len(held) < len(MAGIC):
                return 0
            if not held.startswith(MAGIC):
                raise BackupError(f"{self.name} is no binary log")
            used = self.place = len(MAGIC)
        while len(held) - used >= HEADER:
            timestamp, kind, server_id, size, end, _ = _HEADER.unpack_from(held, used)
            if size < HEADER or end != (self.place + size) & 0xFFFFFFFF:
                raise BackupError(f"{self.name} has no event of the right length at {self.place}")
            is_whole = len(held) - used >= size
            if not is_whole and kind in _KEPT_BODIES:
                break
            self._reach(self.place)
            if kind in _KEPT_BODIES:
                self._look(Event(kind, timestamp, server_id, self.place, size, bytes(held[used : used + size])))
            self.place += size
            if not is_whole:
                self._skip = size - (len(held) - used)
                return len(held)
            used += size
        self._reach(self.place if used == len(held) else -1)
        return used

    def _reach(self, place: int) -> None:
        if self.boundary and place == self.boundary and self.gtids_at_boundary is None:
            self.gtids_at_boundary = dict(self.gtids)

    def _begin(self) -> None:
        if self.boundary == len(MAGIC):
            self.gtids_at_boundary = dict(self.gtids)

    def _look(self, event: Event) -> None:
        if event.kind == FORMAT:
            self.created = event.timestamp
        elif event.kind == GTID_LIST:
            (count,) = struct.unpack_from("<I", event.data, HEADER)
            for place in range(count & 0x0FFFFFFF):
                domain, server_id, number = struct.unpack_from("<IIQ", event.data, HEADER + 4 + 16 * place)
                self.gtids[str(domain)] = f"{domain}-{server_id}-{number}"
            self._begin()
        elif event.kind == PREVIOUS_GTIDS:
            self._look_back(event.data)
            self._begin()
        elif event.gtid:
            self.gtids[event.gtid[0]] = event.gtid[2]

    def _look_back(self, data: bytes) -> None:
        """Read the sets of MySQL: of each source 16 bytes, 8 with the number of intervals, 8 and 8 with begin and end of each.

        Since 8.3 a source may have tags, which the first bytes tell; such sets are not read.
        """
        (sources,) = struct.unpack_from("<Q", data, HEADER)
        if sources >> 32:
            return
        place = HEADER + 8
        for _ in range(sources):
            source, (count,) = _uuid(data, place), struct.unpack_from("<Q", data, place + 16)
            place += 24 + 16 * count
            if count:
                self.gtids[source] = f"{source}:{struct.unpack_from('<Q', data, place - 8)[0] - 1}"


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a replay ends: before all that was written from a moment on, behind a GTID, or before a place in a file."""

    moment: datetime | None = None
    gtid: tuple[str, int] | None = None
    file: str = ""
    offset: int = 0

    def is_before(self, event: Event, file: str) -> bool:
        """Tell whether a group that begins with `event` lies behind the point, and is not replayed."""
        if self.moment is not None:
            return event.timestamp >= self.moment.timestamp()
        if self.gtid is not None:
            own = event.gtid
            return own is not None and own[0] == self.gtid[0] and own[1] > self.gtid[1]
        return bool(self.file) and (_number(file), event.start) >= (_number(self.file), self.offset)

    def is_behind(self, end: Mapping[str, Any]) -> bool:
        """Tell whether a backup that ends at `end` holds everything up to the point."""
        if self.gtid is not None:
            return any(own[0] == self.gtid[0] and own[1] >= self.gtid[1] for own in gtids_of(str(end.get("gtid", ""))))
        return bool(end.get("file")) and (_number(end["file"]), int(end["offset"])) >= (_number(self.file), self.offset)

    def is_passed_by(self, base: Mapping[str, Any], ended_at: datetime) -> bool:
        """Tell whether a base holds more than the point, so that nothing leads back to it."""
        if self.moment is not None:
            return ended_at >= self.moment
        if self.gtid is not None:
            return any(own[0] == self.gtid[0] and own[1] > self.gtid[1] for own in gtids_of(str(base.get("gtid", ""))))
        if not self.file or not base.get("file"):
            return False
        return (_number(base["file"]), int(base["offset"])) > (_number(self.file), self.offset)


def stop_of(point: Point) -> Stop:
    """Read a point.

    Raises:
        BackupError: it is none of this engine.
    """
    if point == LATEST:
        return Stop()
    if point.what == "time" and point.time is not None:
        return Stop(moment=end_of_second(point.time))
    if point.what == "lsn":
        if found := gtids_of(point.text):
            if len(found) == 1:
                return Stop(gtid=found[0])
        else:
            file, _, offset = point.text.rpartition(":")
            if file and offset.isdigit():
                return Stop(file=file, offset=int(offset))
    raise BackupError(
        f"{point.text!r} is no point that MySQL or MariaDB can stop at",
        expected="a time, one GTID such as 0-1-42, or FILE:OFFSET",
    )


def gtids_of(text: str) -> list[tuple[str, int]]:
    """Read GTIDs: `0-1-42,1-1-7` of MariaDB, `3e11fa47-...:23` of MySQL; empty when it is something else."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        source, colon, number = part.rpartition(":")
        if colon and len(source) == 36 and number.isdigit():
            found.append((source.lower(), int(number)))
            continue
        numbers = part.split("-")
        if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
            return []
        found.append((numbers[0], int(numbers[2])))
    return found


def gtid_texts(text: str) -> list[tuple[str, str]]:
    """Return the domain or source of each GTID, and the GTID."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [(found[0][0], part) for part in parts if (found := gtids_of(part))]


def is_next(file: str, before: str) -> bool:
    """Tell whether a file of the log follows another."""
    return file.rpartition(".")[0] == before.rpartition(".")[0] and _number(file) == _number(before) + 1


def file_number(file: str) -> int:
    """Return the number that a file of the log has in its name."""
    return _number(file)


def _number(file: str) -> int:
    digits = str(file).rpartition(".")[2]
    return int(digits) if digits.isdigit() else 0


def end_of_second(moment: datetime) -> datetime:
    """Return the end of the second that a moment lies in: events know no less, so a restore takes all of it."""
    return moment.replace(microsecond=0) + timedelta(seconds=1)
