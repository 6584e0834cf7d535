"""The binary log copied since the backup before, file by file as the server has it, through the engine's own tool.

`mariadb-binlog --read-from-remote-server --raw` writes files; here it writes into a named pipe of the file's name, so that
nothing is kept on this machine. Each file is copied from its beginning, for it can be read only from there. Where the account
may, the log is flushed first, so that whole files are copied and none twice; else the current file is copied up to where it
was.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbops.catalog.codec import digest
from dbops.engines.base.backup import Exit, Inventory, Link, Order, Position, Produced, Sink, Told, Writer, refuse_options
from dbops.engines.base.connect import Target
from dbops.engines.base.passing import passing_folder
from dbops.engines.mysql.backup.binlog import Walk, file_number, gtids_of
from dbops.engines.mysql.backup.dumping import database_clock, read_catalog, schema_state, server_facts
from dbops.engines.mysql.backup.privileges import privileges_of
from dbops.engines.mysql.backup.tools import Tool, tool_for, tool_running
from dbops.engines.mysql.backup.views import broken_views
from dbops.engines.mysql.connect import MysqlConnection
from dbops.errors import BackupError

PREFIX = "binlog/"
FIRST = 4  # where the first event of a file begins
_PIECE = 1 << 18


def produce(order: Order, conn: MysqlConnection, target: Target, sink: Sink, told: Told) -> Produced:
    """Copy the log from where the backup before ended."""
    parent = order.parent
    assert parent is not None
    if not parent.end.get("file"):
        raise BackupError(
            f"{parent.id} does not say where in the binary log it is, so no log can follow it",
            fix="make a full backup with log_bin on: dbops backup run --type full",
        )
    tool = tool_for("binlog", conn.server)
    refuse_options(order, tool.name)
    start = _start(order, parent, tool, target, _files(conn))
    first, offset = str(start["file"]), int(start["offset"])
    _must_have(_files(conn), first, offset)
    before, found = schema_state(conn), _catalog(conn)
    ended_at = database_clock(conn)
    flushed = not privileges_of(conn).lacks("RELOAD")
    if flushed:
        conn.execute("FLUSH BINARY LOGS")
    present = _files(conn)
    wanted = _from(present, first)
    if flushed:
        wanted, end_file = wanted[:-1], wanted[-1][0]
    walks: list[Walk] = []
    exits: list[Exit] = []
    for name, size in wanted:
        told(f"copying {name}")
        walk = Walk(name, boundary=offset if name == first else 0)
        with sink.stream(PREFIX + name) as writer:
            exits += _copy(tool, target, name, size, writer, walk)
        walks.append(walk)
        if name == first:
            _must_continue(walk, start, parent.details)
        elif name == parent.end["file"]:
            _must_be_the_file(walk, parent.end)
    last = walks[-1]
    end: dict[str, Any] = {"file": end_file, "offset": FIRST} if flushed else {"file": last.name, "offset": last.place}
    if last.gtids:
        end["gtid"] = ",".join(last.gtids[domain] for domain in sorted(last.gtids))
    files = [[walk.name, walk.place, walk.created] for walk in walks]
    return Produced(
        start=dict(start),
        end=end | began_at(tool, target, end),
        ended_at=ended_at,
        tools={tool.name: tool.version_text},
        exits=tuple(exits),
        inventory=Inventory(found if schema_state(conn) == before else None),
        details=server_facts(conn) | {"files": files},
    )


def _catalog(conn: MysqlConnection) -> str | None:
    """Return the digest of the catalog that a replay leads to; None where views are broken, which a dump leaves out."""
    return None if broken_views(conn) else digest(read_catalog(conn))


def _start(order: Order, parent: Link, tool: Tool, target: Target, present: Sequence[tuple[str, int]]) -> Position:
    """Return where the log begins: where the backup before ended.

    The first log behind another base begins where the log before it ended, if that is still there, so that each moment
    meanwhile has a log that leads to it.
    """
    before = order.log_end
    if before is None or "began" not in before:
        return parent.end
    place, base = ((file_number(str(one["file"])), int(one["offset"])) for one in (before, parent.end))
    is_there = any(name == before["file"] and size >= int(before["offset"]) for name, size in present)
    if place >= base or not is_there or began_at(tool, target, before).get("began") != before["began"]:
        return parent.end
    return before


_CREATED = re.compile(rb"^#(\d{6}) +(\d+):(\d\d):(\d\d) server id \d+ .*\bStart: binlog", re.MULTILINE)


def began_at(tool: Tool, target: Target, place: Position) -> dict[str, int]:
    """Return what a place in the log has besides file and offset: `began`, the second at which its file was begun, since a log
    that is begun anew has the same names again. Empty where the tool does not say.
    """
    arguments = ("--read-from-remote-server", f"--stop-position={FIRST + 1}", "--", str(place["file"]))
    with tool_running(tool, target, arguments, env={"TZ": "UTC"}) as pipeline:
        text = b"".join(iter(pipeline.read, b""))
    if (found := _CREATED.search(text)) is None:
        return {}
    moment = datetime.strptime(found[1].decode(), "%y%m%d").replace(tzinfo=UTC)
    return {"began": int(moment.timestamp()) + int(found[2]) * 3600 + int(found[3]) * 60 + int(found[4])}


def _files(conn: MysqlConnection) -> list[tuple[str, int]]:
    return [(str(row[0]), int(row[1])) for row in conn.query("SHOW BINARY LOGS")]


def _from(files: Sequence[tuple[str, int]], first: str) -> list[tuple[str, int]]:
    names = [name for name, _ in files]
    return list(files[names.index(first) :])


def _must_have(files: Sequence[tuple[str, int]], first: str, offset: int) -> None:
    """Let a log pass that goes on from where the backup before ended.

    Raises:
        BackupError: what lies between was purged, or the log was begun anew.
    """
    sizes = dict(files)
    if first not in sizes:
        raise BackupError(
            f"the binary log has a gap: {first}, where the backup before ended, is gone; the server has "
            f"{files[0][0]} to {files[-1][0]}",
            fix="make a full backup, and let the server keep its log longer (binlog_expire_logs_seconds)",
            error_code="LOG_GAP",
        )
    if sizes[first] < offset:
        raise _begun_anew(first)


def _must_continue(walk: Walk, start: Position, details: Mapping[str, Any]) -> None:
    """Let a file pass that is still the one that the backup before ended in.

    Raises:
        BackupError: it is another of the same name.
    """
    before = walk.gtids_at_boundary
    if before is None:
        raise _begun_anew(walk.name)
    numbers = dict(gtids_of(",".join(before.values())))
    for source, known in gtids_of(str(start.get("gtid", ""))):
        found = numbers.get(source, known)
        if found < known or (found > known and source.isdigit()):  # in a domain of MariaDB they are written in their order
            raise _begun_anew(walk.name)
    if any(name == walk.name and created != walk.created for name, _, created in details.get("files", ())):
        raise _begun_anew(walk.name)
    _must_be_the_file(walk, start)


def _must_be_the_file(walk: Walk, place: Position) -> None:
    """Let a file pass that was begun when the place in it says that it was; raises as `_must_continue` does."""
    if place.get("began", walk.created) != walk.created:
        raise _begun_anew(walk.name)


def _begun_anew(name: str) -> BackupError:
    return BackupError(
        f"the binary log was begun anew since the backup before: {name} is another file than it was",
        fix="make a full backup: dbops backup run --type full",
        error_code="LOG_GAP",
    )


def _copy(tool: Tool, target: Target, name: str, size: int, writer: Writer, walk: Walk) -> tuple[Exit, ...]:
    """Copy the first `size` bytes of a file; more may have been written meanwhile."""
    with passing_folder() as folder:
        pipe = folder / name
        os.mkfifo(pipe, 0o600)
        taker = _Taker(pipe, size, writer, walk)
        arguments = ("--read-from-remote-server", "--raw", f"--result-file={folder}/", "--", name)
        try:
            with tool_running(tool, target, arguments, stdout=False) as pipeline:
                exits = pipeline.finish()
        finally:
            taker.end(pipe)
        if walk.place != size or not walk.is_at_boundary:
            raise BackupError(f"{tool.name} brought {walk.place} bytes of {name} instead of {size}")
        return exits


class _Taker:
    """Takes in a thread what the tool writes into a pipe."""

    def __init__(self, pipe: Path, size: int, writer: Writer, walk: Walk) -> None:
        self._size, self._writer, self._walk = size, writer, walk
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._take, args=(pipe,), daemon=True)
        self._thread.start()

    def end(self, pipe: Path) -> None:
        """Wait until all is taken. The tool has ended; if it never opened the pipe, we do so in its place.

        Raises:
            BackupError: what came is no log, or the storage refused it.
        """
        while self._thread.is_alive():
            with suppress(OSError):  # nobody reads yet, or any more
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
            self._thread.join(0.05)
        if self._error is not None:
            raise self._error

    def _take(self, pipe: Path) -> None:
        try:
            left = self._size
            with pipe.open("rb", buffering=0) as file:
                while data := file.read(_PIECE):
                    piece = data[:left]
                    left -= len(piece)
                    if piece:
                        self._walk.feed(piece)
                        self._writer.write(piece)
        except BaseException as error:
            self._error = error
