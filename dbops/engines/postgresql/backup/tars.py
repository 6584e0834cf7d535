"""What passes by in a tar: the names of its members, and the content of some; and what may be taken out of one."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from copy import copy
from pathlib import Path, PurePosixPath
from typing import Any, cast

from dbops.engines.base.backup import Reader
from dbops.errors import BackupError

_BLOCK = 512
_PIECE = 1 << 20


class TarWatch:
    """Reads the headers of a tar that is fed to it in pieces of any size.

    `seen` is called with the name of each member when its header has come; what it returns takes the content, None lets it pass.
    """

    def __init__(self, seen: Callable[[str], Callable[[memoryview], object] | None]) -> None:
        self._seen = seen
        self._header = bytearray()
        self._content, self._padding = 0, 0
        self._taker: Callable[[memoryview], object] | None = None

    def feed(self, data: memoryview) -> None:
        """Look at the next piece."""
        while data:
            if self._content:
                size = min(len(data), self._content)
                if self._taker is not None:
                    self._taker(data[:size])
                self._content -= size
            elif self._padding:
                size = min(len(data), self._padding)
                self._padding -= size
            else:
                size = min(len(data), _BLOCK - len(self._header))
                self._header += data[:size]
                if len(self._header) == _BLOCK:
                    self._read_header(bytes(self._header))
                    self._header.clear()
            data = data[size:]

    def _read_header(self, header: bytes) -> None:
        if not any(header):  # the end is two blocks of zeros
            return
        name = header[:100].rstrip(b"\0").decode("utf-8", "surrogateescape")
        is_file = header[156:157] in (b"0", b"\0")
        self._content = _number(header[124:136]) if is_file else 0
        self._padding = -self._content % _BLOCK
        self._taker = self._seen(name)


def _number(field: bytes) -> int:
    """Read a size: octal digits, or, from 8 GiB on, base 256 behind a byte 0x80."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.rstrip(b" \0") or b"0", 8)


def unpack(reader: Reader, name: str, folder: Path) -> None:
    """Write what a tar holds into a folder, as ours, readable by us alone; times come back, too. `name` is the stream's.

    Raises:
        BackupError: a member is neither a file nor a folder, or would lie elsewhere.
    """
    with tarfile.open(fileobj=cast(Any, _Buffered(reader)), mode="r|", bufsize=_PIECE) as archive:
        archive.extraction_filter = lambda member, folder: member  # Python before 3.11.4 has no argument for it
        for member in archive:
            archive.extract(_harmless(member, name), folder, set_attrs=True, numeric_owner=True)
    while reader.read(_PIECE):  # what lies behind the end of the tar is compared with its hash too
        pass


def _harmless(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    """Return a member as ours, readable by us alone.

    Raises:
        BackupError: it is neither a file nor a folder, or would lie elsewhere.
    """
    path = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()) or path.is_absolute() or ".." in path.parts:
        raise BackupError(f"{name} holds {member.name!r}, which is no file of a server")
    ours = copy(member)
    ours.mode = 0o700 if member.isdir() else 0o600
    ours.uid, ours.gid, ours.uname, ours.gname = os.geteuid(), os.getegid(), "", ""
    return ours


class _Buffered:
    """A reader as tarfile wants it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        return self._reader.read(size)
