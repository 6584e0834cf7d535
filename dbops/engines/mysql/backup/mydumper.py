"""A dump whose rows are read by several sessions at a time: mydumper.

mydumper writes a folder, a file or several for each table. Only rows are taken from it: tables, views, routines, triggers and
events come from the server's own dump program, which knows sequences and definers. Each file passes on into the stream
`rows.tar` as soon as mydumper has closed it, and is removed, so that the temporary folder holds the tables at work and no more.
`rows.json` says of which table each file of the tar is.
"""

from __future__ import annotations

import json
import re
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, cast

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Reader, Sink, Source, Told
from dbops.engines.base.connect import Target
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.processes import Pipeline
from dbops.engines.mysql.backup.tools import Tool, find, tool_running
from dbops.errors import BackupError

MYDUMPER, ROWS_TAR, ROWS_INDEX = "mydumper", "rows.tar", "rows.json"
_PIECE = 1 << 20
_STATEMENT = 1_000_000  # bytes that mydumper puts into one statement, unless a single row is longer
_WAIT_S = 0.05
_JOBS, _MOST = 4, 64
_TABLE = re.compile(rb"INSERT INTO `((?:[^`]|``)*)` ")
_PLACE = re.compile(r"Log: (\S+)\s+Pos: (\d+)(?:\s+GTID: ?(\S+))?")


@dataclass(slots=True)
class Rows:
    """What became of the rows: the files of the tar with their tables, the rows of each table, the longest line in bytes, and
    the place in the binary log that they are of, empty where the server keeps none.
    """

    tool: Tool
    files: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    longest: int = 0
    place: Mapping[str, Any] = field(default_factory=dict)
    exits: tuple[Exit, ...] = ()

    @property
    def longest_statement(self) -> int:
        return self.longest + _STATEMENT


def dump_rows(
    options: Mapping[str, Any],
    database: str,
    left_out: Sequence[str],
    target: Target,
    sink: Sink,
    told: Told,
    on_snapshot: Callable[[], None],
) -> Rows:
    """Write the streams of rows, `left_out` being tables without any. `on_snapshot` is called once the moment that they are of
    is over.

    Raises:
        BackupError: mydumper failed, or did not say that it was done.
    """
    rows, jobs = Rows(find(MYDUMPER)), _jobs(options)
    told(f"dumping the rows of {database} with {jobs} sessions")
    with passing_folder() as place:
        folder, omitted = place / "rows", place / "left-out"
        omitted.write_text("".join(f"{database}.{name}\n" for name in left_out), encoding="utf-8")
        arguments = (
            f"--outputdir={folder}",
            f"--database={database}",
            f"--threads={jobs}",
            f"--omit-from-file={omitted}",
            f"--statement-size={_STATEMENT}",
            "--complete-insert",
            "--build-empty-files",  # else it removes them when nobody looks for it
            "--no-schemas",
            "--no-views",
            "--trx-consistency-only",
        )
        with (
            sink.stream(ROWS_TAR) as writer,
            tarfile.open(fileobj=cast(Any, writer), mode="w|", bufsize=_PIECE) as archive,
            tool_running(rows.tool, target, arguments, stdout=False) as pipeline,
        ):
            _pass_on(pipeline, folder, archive, rows, on_snapshot)
            rows.exits = pipeline.finish()
            if not (folder / "metadata").exists():
                raise BackupError(f"{rows.tool.name} ended well and did not say that it was done; the dump is not whole")
            for path in sorted(folder.glob("*.sql")):
                _take(path, archive, rows)
        with sink.stream(ROWS_INDEX) as writer:
            writer.write(json.dumps(rows.files, ensure_ascii=True).encode())
        rows.place = _place((folder / "metadata").read_text(encoding="utf-8", errors="replace"))
    return rows


def _jobs(options: Mapping[str, Any]) -> int:
    text = str(options.get("jobs", _JOBS))
    if not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise BackupError(f"options.jobs is {text!r}", expected=f"a number of sessions, 1 to {_MOST}")
    return int(text)


def _pass_on(pipeline: Pipeline, folder: Path, archive: tarfile.TarFile, rows: Rows, on_snapshot: Callable[[], None]) -> None:
    has_begun = False
    while pipeline.is_running:
        there = sorted(folder.glob("*.sql")) if folder.is_dir() else []
        held = pipeline.open_files()  # behind the list: what is not open now was closed for good
        if there and not has_begun:
            has_begun = True
            on_snapshot()
        ready = [path for path in there if held is not None and path not in held]
        for path in ready:
            _take(path, archive, rows)
        if not ready:
            time.sleep(_WAIT_S)
    if not has_begun:
        on_snapshot()


def _take(path: Path, archive: tarfile.TarFile, rows: Rows) -> None:
    """Put a file of rows into the tar, under a number: its own name need not be one that a file may have elsewhere."""
    with path.open("rb") as file:
        table, count = None, 0
        for line in file:
            rows.longest = max(rows.longest, len(line))
            if table is None and (found := _TABLE.match(line)):
                table = found[1].replace(b"``", b"`").decode("utf-8", "surrogateescape")
            count += line.startswith((b"(", b",("))
        if table is not None:
            name = f"{len(rows.files):06}.sql"
            rows.files.append((name, table))
            rows.counts[table] = rows.counts.get(table, 0) + count
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            file.seek(0)
            archive.addfile(member, file)
    path.unlink()


def _place(text: str) -> dict[str, Any]:
    """Read the place in the binary log from what mydumper wrote of the dump."""
    found = _PLACE.search(text)
    if found is None:
        return {}
    return {"file": found[1], "offset": int(found[2])} | ({"gtid": found[3]} if found[3] else {})


# --- back again -----------------------------------------------------------------------------------------------------------

#: How a session loads rows: tables that refer to each other come in any order, and a zero in a numbered column stays one. Not in
#: one transaction, whose rows MariaDB would sort anew where the table was empty, in twice the time.
_BEFORE = (
    b"SET SESSION foreign_key_checks = 0, unique_checks = 0, autocommit = 1, sql_mode = 'NO_AUTO_VALUE_ON_ZERO',"
    b" time_zone = '+00:00';\n"
)
_BEHIND = b"\n"


def row_pieces(source: Source, has: Callable[[str], bool]) -> Iterator[bytes]:
    """Yield the statements that bring rows back, of the tables that `has` tells; nothing where the dump has no such rows."""
    if ROWS_TAR not in source.names:
        return
    with source.stream(ROWS_INDEX) as reader:
        tables: dict[str, str] = dict(json.loads(reader.read()))
    with source.stream(ROWS_TAR) as reader:
        with tarfile.open(fileobj=cast(Any, _Readable(reader)), mode="r|", bufsize=_PIECE) as archive:
            for member in archive:
                file = archive.extractfile(member) if has(tables[member.name]) else None
                if file is not None:
                    yield _BEFORE
                    while piece := file.read(_PIECE):
                        yield piece
                    yield _BEHIND
        while reader.read(_PIECE):  # what lies behind the end of the tar is compared with its hash too
            pass


class _Readable:
    """A reader as tarfile wants it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        return self._reader.read(size)
