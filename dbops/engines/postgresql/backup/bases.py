"""A physical full, or the blocks that changed since a backup: pg_basebackup.

It writes one tar to its output where the server has one tablespace, and that passes on as it comes. Of several it makes files
only (manual, pg_basebackup, --format), which need room in the temporary folder. The log that a base needs to be consistent
comes in it (`--wal-method=fetch`), since `stream` cannot be written to the output; a slot keeps it until then.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbops.engines.base.backup import Exit, Inventory, Link, Order, Produced, Sink, Told, Writer, refuse_options, schema_digest
from dbops.engines.base.connect import Target
from dbops.engines.base.passing import passing_folder
from dbops.engines.base.processes import Stage, running
from dbops.engines.postgresql.backup import slots
from dbops.engines.postgresql.backup.abilities import WAL
from dbops.engines.postgresql.backup.dumping import be_patient
from dbops.engines.postgresql.backup.programs import find, stage, told_versions
from dbops.engines.postgresql.backup.tars import TarWatch
from dbops.engines.postgresql.connect import PostgresConnection
from dbops.engines.postgresql.fingerprint import fingerprint
from dbops.errors import BackupError

BASE, MANIFEST = "base.tar", "backup_manifest"
_PIECE = 1 << 20
_SEGMENT = re.compile(r"pg_wal/[0-9A-F]{24}")
_RANGE = re.compile(rb'"Timeline": (\d+), "Start-LSN": "([0-9A-F/]+)", "End-LSN": "([0-9A-F/]+)"')
_CHECKSUM = re.compile(rb'"Manifest-Checksum": "([0-9a-f]{64})"')
_TAIL = 1 << 16

_FACTS = """
SELECT pg_catalog.current_database()::text, (SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid = 10),
       (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'),
       (SELECT sum(pg_catalog.pg_database_size(oid))::bigint FROM pg_catalog.pg_database
        WHERE pg_catalog.has_database_privilege(oid, 'CONNECT')),
       (SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
       ARRAY(SELECT oid::text FROM pg_catalog.pg_tablespace WHERE oid >= 16384 ORDER BY oid)"""


def read_facts(conn: PostgresConnection) -> dict[str, Any]:
    """Return what a restore has to know of a server, as JSON values."""
    [(database, superuser, segment, size, oid, tablespaces)] = conn.query(_FACTS)
    return {
        "database": database,
        "database_oid": oid,
        "superuser": superuser or conn.server.user,
        "major": conn.server.version[0],
        "system": conn.server.identity.rsplit("/", 2)[0],
        "segment_size": segment,
        "size_bytes": size,
        "tablespaces": list(tablespaces),
    }


def produce(order: Order, conn: PostgresConnection, target: Target, sink: Sink, told: Told) -> Produced:
    """Make a base, or the blocks that changed since the last of the chain; see the port."""
    program = find("pg_basebackup", conn.server.version[0])
    refuse_options(order, "pg_basebackup", "checkpoint", "max_rate", "manifest_checksums")
    facts = read_facts(conn)
    slot = slots.name_for(order.owner)
    be_patient(conn)
    with ExitStack() as stack:
        if order.mechanism.family == WAL:
            warnings = slots.ensure(conn, slot)
            facts["slot"] = slot
        else:
            warnings = [*(slots.drop(conn, slot) if order.kinds else ()), *stack.enter_context(slots.passing(conn))]
        before = fingerprint(conn)
        arguments = [*_arguments(order)]
        if order.parent is not None:
            arguments.append(f"--incremental={stack.enter_context(_manifest_of(order.parent))}")
        told("copying the changed blocks" if order.parent else "copying the files")
        seen = _Seen(lambda: _clock(conn))
        make = _through_folder if facts["tablespaces"] else _through_pipe
        exit = make(stage(program, tuple(arguments), target), sink, seen)
    start, end = seen.span()
    digest = _digest(conn) if fingerprint(conn) == before else None
    return Produced(
        start=dict(order.parent.end) if order.parent is not None else start,
        end=end,
        ended_at=seen.ended_at or _clock(conn),
        tools=told_versions(program),
        exits=[exit],
        inventory=Inventory(digest, {}, facts["size_bytes"]),
        details={**facts, "redo": start["lsn"]},
        warnings=warnings,
    )


def _arguments(order: Order) -> Iterator[str]:
    yield "--format=tar"
    yield "--wal-method=fetch"
    yield f"--checkpoint={order.options.get('checkpoint', 'fast')}"
    yield f"--manifest-checksums={order.options.get('manifest_checksums', 'SHA256')}"
    yield f"--label={order.name}"
    if rate := order.options.get("max_rate"):
        yield f"--max-rate={rate}"


@contextmanager
def _manifest_of(parent: Link) -> Iterator[Path]:
    """Give the manifest of the backup before as a file."""
    if MANIFEST not in parent.source.names:
        raise BackupError(
            f"{parent.id} by {parent.tool} does not say which blocks it has, so none can follow it",
            fix="make a full backup: dbops backup run --type full",
        )
    with passing_folder() as folder:
        path = folder / MANIFEST
        with parent.source.stream(MANIFEST) as reader, path.open("xb") as file:
            shutil.copyfileobj(reader, file, _PIECE)
        yield path


class _Seen:
    """What a base says of itself while it passes: when its log began to come, and its manifest, checked."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._hash = hashlib.sha256()
        self._tail = b""
        self.ended_at: datetime | None = None

    def member(self, name: str, manifest: Writer | None) -> Callable[[memoryview], object] | None:
        """Return what takes a member's content. The log is sent when the copy has ended."""
        if self.ended_at is None and _SEGMENT.fullmatch(name):
            self.ended_at = self._clock()
        if name != MANIFEST or manifest is None:
            return None

        def take(piece: memoryview) -> None:
            self.manifest(bytes(piece))
            manifest.write(piece)

        return take

    def manifest(self, piece: bytes) -> None:
        """Take a piece of the manifest; of all but the end only the hash is kept."""
        self._tail += piece
        if len(self._tail) > 2 * _TAIL:
            self._hash.update(self._tail[:-_TAIL])
            self._tail = self._tail[-_TAIL:]

    def span(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return where the log that the base needs begins and ends.

        Raises:
            BackupError: the manifest is not complete, or not what it was (its last line is the hash of all lines before).
        """
        body, _, last = self._tail.rstrip(b"\n").rpartition(b"\n")
        self._hash.update(body + b"\n")
        ranges, checksum = _RANGE.findall(body), _CHECKSUM.match(last)
        if checksum is None or checksum[1].decode() != self._hash.hexdigest() or not ranges:
            raise BackupError("pg_basebackup ended well, and its manifest is damaged")
        first, final = ranges[0], ranges[-1]
        return _position(first[1], first[0]), _position(final[2], final[0])


def _position(lsn: bytes, timeline: bytes) -> dict[str, Any]:
    return {"lsn": lsn.decode(), "timeline": int(timeline)}


def _through_pipe(one: Stage, sink: Sink, seen: _Seen) -> Exit:
    buffer = memoryview(bytearray(_PIECE))
    piped = replace(one, arguments=("--pgdata=-", *one.arguments))
    with sink.stream(MANIFEST, is_kept=True) as manifest, sink.stream(BASE) as writer, running([piped]) as pipeline:
        watch = TarWatch(lambda name: seen.member(name, manifest))
        while size := pipeline.read_into(buffer):
            watch.feed(buffer[:size])
            writer.write(buffer[:size])
    return pipeline.exits[0]


def _through_folder(one: Stage, sink: Sink, seen: _Seen) -> Exit:
    with passing_folder() as place:
        folder = place / "base"
        filed = replace(one, arguments=(f"--pgdata={folder}", *one.arguments))
        with running([filed], stdout=False) as pipeline:
            pass
        for path in sorted(folder.iterdir(), key=lambda path: path.name != BASE):
            is_manifest = path.name == MANIFEST
            with path.open("rb") as file, sink.stream(path.name, is_kept=is_manifest) as writer:
                while piece := file.read(_PIECE):
                    writer.write(piece)
                    if is_manifest:
                        seen.manifest(piece)
            path.unlink()
    return pipeline.exits[0]


def _clock(conn: PostgresConnection) -> datetime:
    [(at,)] = conn.query("SELECT pg_catalog.clock_timestamp() AT TIME ZONE 'UTC'")
    moment: datetime = at.replace(tzinfo=UTC)
    return moment


def _digest(conn: PostgresConnection) -> str:
    """The catalog as it was all the while."""
    from dbops.engines.postgresql.engine import PostgresEngine

    return schema_digest(PostgresEngine(), conn)
