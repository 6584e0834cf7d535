"""The files of a server from a chain: tars unpacked, changed blocks laid over, segments of the log laid out by name."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Link, Told
from dbops.engines.base.processes import running
from dbops.engines.postgresql.backup import tars
from dbops.engines.postgresql.backup.bases import BASE, MANIFEST
from dbops.engines.postgresql.backup.logs import LOG
from dbops.engines.postgresql.backup.programs import find, stage
from dbops.engines.postgresql.backup.segments import Span, check_header, lsn_number
from dbops.errors import BackupError

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Parts:
    """A chain taken apart: bases that lie on each other, and the log behind the last of them."""

    bases: tuple[Link, ...]
    logs: tuple[Link, ...]

    @property
    def end(self) -> dict[str, Any]:
        return dict((self.logs or self.bases)[-1].end)


def take_apart(chain: Sequence[Link]) -> Parts:
    """Take a chain apart; nothing is read.

    Raises:
        BackupError: there is a gap in its log, or another timeline; nothing was touched.
    """
    bases = tuple(link for link in chain if link.kind != "log" and LOG not in link.source.names)
    last = max(chain.index(link) for link in bases)
    logs = tuple(link for link in chain[last + 1 :])
    before = bases[-1]
    for link in logs:
        is_late = lsn_number(link.start["lsn"]) > lsn_number(before.end["lsn"])  # one behind a new base begins before its end
        if is_late or link.start["timeline"] != before.end["timeline"]:
            raise BackupError(
                f"the log of {link.id} begins at {link.start['lsn']} on timeline {link.start['timeline']}, and that of"
                f" {before.id} ends at {before.end['lsn']} on {before.end['timeline']}: what is between is not there",
                fix="choose a backup before the gap: dbops backup list",
                error_code="WAL_GAP",
            )
        before = link
    return Parts(bases, logs)


def lay_out(parts: Parts, data: Path, wal: Path, told: Told) -> list[Exit]:
    """Write the files into `data`, which must not exist, and the segments of the log into `wal`.

    Tablespaces lie beside: `<data>.tablespaces/<oid>`.
    """
    exits: list[Exit] = []
    must_fit(parts, data.parent)
    if len(parts.bases) == 1:
        unpack(parts.bases[0], data, told)
    else:
        exits.append(_combined(parts.bases, data, told))
    lay_out_log(parts, wal, told)
    return exits


def must_fit(parts: Parts, place: Path) -> None:
    """Refuse what there is no room for: all of it, and once more what several bases are joined into."""
    sizes = [sum(link.source.size(name) for name in link.source.names) for link in (*parts.bases, *parts.logs)]
    needed = sum(sizes) + (sizes[0] if len(parts.bases) > 1 else 0)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise BackupError(
            f"the files need {needed >> 20} MiB, and {place} has {free >> 20} MiB left; nothing was touched",
            fix="make room, restore to another disk, or set TMPDIR for what is thrown away",
            error_code="NO_ROOM",
        )


def lay_out_log(parts: Parts, wal: Path, told: Told) -> None:
    """Write the segments behind the bases into `wal`, which must not exist."""
    wal.mkdir(mode=0o700)
    for link in parts.logs:
        told(f"restoring {link.id}")
        _segments(link, wal)


def tablespaces_beside(data: Path) -> Path:
    """Return where the tablespaces of a restored server lie."""
    return data.with_name(f"{data.name}.tablespaces")


def unpack(link: Link, data: Path, told: Told) -> None:
    """Write the files of one base into `data`, which must not exist."""
    told(f"restoring {link.id}")
    data.mkdir(mode=0o700)
    _extract(link, BASE, data)
    beside = tablespaces_beside(data)
    oids = [name.removesuffix(".tar") for name in link.source.names if name.endswith(".tar") and name != BASE]
    for oid in oids:
        place = beside / oid
        place.mkdir(parents=True, mode=0o700)
        _extract(link, f"{oid}.tar", place)
        (data / "pg_tblspc" / oid).symlink_to(place)
    if MANIFEST in link.source.names:
        with link.source.stream(MANIFEST) as reader, (data / MANIFEST).open("wb") as file:
            shutil.copyfileobj(reader, file, _PIECE)


def map_tablespaces(data: Path, final: Path) -> None:
    """Let the server find its tablespaces beside `final`, where `data` will lie: at its start it makes the links that this file
    names (access/transam/xlogrecovery.c, read_tablespace_map).
    """
    links = sorted((data / "pg_tblspc").iterdir()) if (data / "pg_tblspc").is_dir() else []
    (data / "tablespace_map").unlink(missing_ok=True)
    for link in links:
        if link.is_symlink():
            link.unlink()
            link.symlink_to(tablespaces_beside(final) / link.name)


def _extract(link: Link, name: str, folder: Path) -> None:
    with link.source.stream(name) as reader:
        tars.unpack(reader, name, folder)


def _combined(bases: Sequence[Link], data: Path, told: Told) -> Exit:
    """Let pg_combinebackup make one copy of a full and the changed blocks since."""
    folders = []
    beside = tablespaces_beside(data)
    try:
        for number, link in enumerate(bases):
            folder = data.with_name(f"{data.name}.{number}")
            folders.append(folder)
            unpack(link, folder, told)
            (folder / "tablespace_map").unlink(missing_ok=True)
        told("joining the backups")
        last = folders[-1]
        mapped = tuple(
            f"--tablespace-mapping={link.resolve()}={beside / link.name}"
            for link in (last / "pg_tblspc").iterdir()
            if link.is_symlink()
        )
        if mapped:
            beside.mkdir(mode=0o700)
        program = find("pg_combinebackup", int(bases[-1].details["major"]))
        one = stage(program, ("--no-sync", f"--output={data}", *mapped, *map(str, folders)))
        with running([one], stdout=False) as pipeline:
            pass
        return pipeline.exits[0]
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(tablespaces_beside(folder), ignore_errors=True)


def _segments(link: Link, wal: Path) -> None:
    """Write each segment to a file of its name; one that an earlier backup had the beginning of is written over."""
    span = span_of(link)
    with link.source.stream(LOG) as reader:
        for number in range(span.first, span.last + 1):
            left = span.size
            with (wal / span.name(number)).open("wb") as file:
                while left and (piece := reader.read(min(left, _PIECE))):
                    if left == span.size:
                        check_header(piece, span, number, str(link.details["system"]))
                    file.write(piece)
                    left -= len(piece)
            if left:
                raise BackupError(f"{span.name(number)} is cut off in {link.id}", error_code="WAL_GAP")
        if reader.read(1):
            raise BackupError(f"{link.id} holds more log than it says", error_code="WAL_GAP")


def span_of(link: Link) -> Span:
    """Return what of the log a backup holds."""
    start, end = lsn_number(link.start["lsn"]), lsn_number(link.end["lsn"])
    return Span(int(link.end["timeline"]), int(link.details["segment_size"]), start, end)
