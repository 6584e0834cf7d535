"""The write-ahead log since another backup: pg_receivewal, from a place in the log that is told to it to one just written.

What pg_receivewal finds in its folder tells it where to begin: behind the last complete segment (manual, pg_receivewal, Notes).
So an empty file of that size stands for the segment before the first that is wanted; this works on every version and leaves the
slot where it is. The slot moves at the next run, when this backup has been committed.

The state at the end is that of `ended_at`: a commit is written behind it, at which a restore to any moment before can stop.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Inventory, Link, Order, Position, Produced, Sink, Told, Writer, refuse_options
from dbops.engines.base.connect import Target
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.processes import Pipeline, Stage, running
from dbops.engines.postgresql.backup import slots
from dbops.engines.postgresql.backup.bases import read_facts
from dbops.engines.postgresql.backup.dumping import be_patient, timeline_of
from dbops.engines.postgresql.backup.programs import find, stage, told_versions
from dbops.engines.postgresql.backup.segments import Span, check_header, lsn_number, lsn_text
from dbops.engines.postgresql.connect import PostgresConnection, connect
from dbops.errors import BackupError

LOG = "wal"
_PIECE = 1 << 20
_WAIT_S = 0.02
_FULL = "make a full backup: dbops backup run --type full"


@dataclass(frozen=True, slots=True)
class Mark:
    """A commit of our own: everything that was committed before the moment `at` stands before it. `lsn_text` is where it ends."""

    at: datetime
    lsn_text: str


@dataclass(frozen=True, slots=True)
class _End:
    """Where the log is taken to, and the moment before which everything committed is in it."""

    lsn: int
    at: datetime


def produce(order: Order, conn: PostgresConnection, target: Target, sink: Sink, told: Told) -> Produced:
    """Take the log since the parent; see the port."""
    refuse_options(order, "pg_receivewal")
    parent, facts = order.chain[-1], read_facts(conn)
    timeline = timeline_of(conn)
    be_patient(conn)
    if parent.end["timeline"] != timeline:
        raise BackupError(
            f"the server is on timeline {timeline} now, and {parent.id} ended on {parent.end['timeline']}",
            fix=_FULL,
            error_code="TIMELINE_CHANGED",
        )
    program = find("pg_receivewal", conn.server.version[0])
    slot = slots.name_for(order.owner)
    start, warnings = _start(conn, order, slot)
    with closing(connect(target)) as writer:
        end = _end(writer, facts["segment_size"])
    span = Span(timeline, facts["segment_size"], lsn_number(start["lsn"]), end.lsn)
    if span.end <= span.start:
        raise BackupError(f"the log ends at {lsn_text(span.end)}, before the end of {parent.id}", fix=_FULL, error_code="WAL_GAP")
    told(f"taking {span.last - span.first + 1} segments of the log")
    with passing_folder() as folder, sink.stream(LOG) as stream:
        exit = _receive(stage(program, (), target), span, _Taking(folder, stream, span, facts["system"]), parent)
    return Produced(
        start=dict(start),
        end={"lsn": lsn_text(end.lsn), "timeline": timeline},
        ended_at=end.at,
        tools=told_versions(program),
        exits=[exit],
        inventory=Inventory(size_bytes=facts["size_bytes"]),
        details={**facts, "slot": slot, "first": span.name(span.first), "segments": span.last - span.first + 1},
        warnings=warnings,
    )


def _start(conn: PostgresConnection, order: Order, slot: str) -> tuple[Position, list[str]]:
    """Let go of what committed backups have, and return where this one begins.

    A differential goes back to the last full, so nothing behind that goes. The first log behind another base begins where the log
    before it ended, if that is still there: so each moment during the base has a log that leads to it.
    """
    parent = order.chain[-1]
    known = slots.find(conn, slot)
    if known is not None and known.status == "lost":
        raise BackupError(
            f"the server gave up the slot {slot}: more log came between two backups than max_slot_wal_keep_size allows",
            fix=f"{_FULL}; then raise max_slot_wal_keep_size, or make backups more often",
            error_code="WAL_GAP",
        )
    if known is None:
        return parent.end, [f"the slot {slot} was not there, and was made anew", *slots.ensure(conn, slot)]
    start = parent.end
    if order.log_end is not None and _is_kept(order.log_end, parent.end, known):
        start = order.log_end
    needed = order.chain[0].end if "differential" in order.kinds else parent.end
    slots.move(conn, slot, min(lsn_number(needed["lsn"]), lsn_number(start["lsn"])))
    return start, slots.danger(conn, slot)


def _is_kept(log_end: Position, base_end: Position, slot: slots.Slot) -> bool:
    lsn = lsn_number(log_end["lsn"])
    return (
        log_end["timeline"] == base_end["timeline"]
        and lsn < lsn_number(base_end["lsn"])
        and slot.restart is not None
        and slot.restart <= lsn
    )


def _end(conn: PostgresConnection, size: int) -> _End:
    """Write a commit, and end the segment where the account may; else the log is taken up to its middle."""
    at = write_mark(conn).at
    [(may_switch,)] = conn.query("SELECT pg_catalog.has_function_privilege('pg_catalog.pg_switch_wal()', 'EXECUTE')")
    if may_switch:
        [(lsn,)] = conn.query("SELECT pg_catalog.pg_switch_wal()::text")
        return _End(-(-lsn_number(lsn) // size) * size, at)
    [(lsn,)] = conn.query("SELECT pg_catalog.pg_current_wal_flush_lsn()::text")
    return _End(lsn_number(lsn), at)


def write_mark(conn: PostgresConnection) -> Mark:
    """Write a commit into the log, at which a restore can stop."""
    [(at,)] = conn.query("SELECT pg_catalog.clock_timestamp() AT TIME ZONE 'UTC'")
    with conn.transaction():
        conn.execute("SET LOCAL synchronous_commit = local")
        # it has to write something: the commit of a mere number is not waited for (xact.c, RecordTransactionCommit)
        [(lsn,)] = conn.query("SELECT pg_catalog.pg_logical_emit_message(true, 'dbops', '')::text")
    return Mark(at.replace(tzinfo=UTC), str(lsn))


class _Taking:
    """Moves complete segments from the folder into the stream, while more of them come."""

    def __init__(self, folder: Path, stream: Writer, span: Span, system: str) -> None:
        self.folder, self._stream, self._span, self._system = folder, stream, span, system
        self._next = span.first

    def take(self, suffix: str = "") -> bool:
        """Take the next segment if it is there; False when it is not, or all were taken."""
        path = self.folder / f"{self._span.name(self._next)}{suffix}"
        if self._next > self._span.last or not path.exists():
            return False
        with path.open("rb", buffering=0) as file:
            piece = file.read(_PIECE)
            check_header(piece, self._span, self._next, self._system)
            while piece:
                self._stream.write(piece)
                piece = file.read(_PIECE)
        path.unlink()
        self._next += 1
        return True

    @property
    def is_done(self) -> bool:
        return self._next > self._span.last


def _receive(one: Stage, span: Span, taking: _Taking, parent: Link) -> Exit:
    with (taking.folder / span.name(span.first - 1)).open("xb") as file:
        os.truncate(file.fileno(), span.size)
    options = (f"--directory={taking.folder}", f"--endpos={lsn_text(span.end - 1)}", "--no-loop", "--no-sync")
    try:
        with running([replace(one, arguments=(*options, *one.arguments))], stdout=False) as pipeline:
            _while_running(pipeline, taking)
    except BackupError as error:
        if any("has already been removed" in exit["stderr"] for exit in error.context.get("exits", ())):
            raise BackupError(
                f"the server has removed log that came after {parent.id}", error.context, fix=_FULL, error_code="WAL_GAP"
            ) from error
        raise
    while taking.take():
        pass
    taking.take(".partial")
    if not taking.is_done:
        raise BackupError("pg_receivewal ended well, and did not write all of the log", error_code="WAL_GAP")
    return pipeline.exits[0]


def _while_running(pipeline: Pipeline, taking: _Taking) -> None:
    while pipeline.is_running:
        if not taking.take():
            time.sleep(_WAIT_S)
