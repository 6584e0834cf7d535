"""A logical full: one snapshot, of which pg_dump writes everything while this session reads what a dump does not say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Inventory, Order, Produced, Sink, Told, Writer, refuse_options, schema_digest
from dbops.engines.base.beside import beside
from dbops.engines.base.connect import Target, Timeouts
from dbops.engines.base.processes import Pipeline, Stage, run, running
from dbops.engines.postgresql.backup import parallel, slots
from dbops.engines.postgresql.backup.facts import read_facts
from dbops.engines.postgresql.backup.parallel import DUMP, jobs_of
from dbops.engines.postgresql.backup.programs import find, stage, told_versions
from dbops.engines.postgresql.connect import PostgresConnection, connect, database_of, quoted
from dbops.errors import BackupError

GLOBALS, RELATIONS = "globals.sql", "relations.json"
_PIECE = 1 << 20
_COUNTED_BYTES = 64 << 20
"""Rows are counted where all tables together are no larger: they are read once more for it."""
_LOCK_WAIT = "10min"
_END_OF_GLOBALS = b"-- PostgreSQL database cluster dump complete"
_MAGIC = b"PGDMP"


@dataclass(frozen=True, slots=True)
class Moment:
    """A state of the database: `snapshot` is None on a standby, which exports none."""

    snapshot: str | None
    at: datetime
    lsn: str
    timeline: int

    @property
    def position(self) -> dict[str, Any]:
        return {"lsn": self.lsn, "timeline": self.timeline}


def produce(order: Order, reader: PostgresConnection | None, target: Target, sink: Sink, told: Told) -> Produced:
    """Make a logical full; see the port. `reader` drops a slot that the schedule needs no more, None where there is none."""
    refuse_options(order, "pg_dump", "lock_wait", "jobs")
    jobs = jobs_of(order.options)
    with closing(connect(replace(target, timeouts=Timeouts(target.timeouts.connect_s, 0, 0)), readonly=True)) as conn:
        program = find("pg_dump", conn.server.version[0])
        exits, warnings = _globals(conn, target, sink)  # not beside the dump: accounts may have few connections
        with held_moment(conn) as moment:
            facts = read_facts(conn)
            told(f"dumping {facts['database']}")
            one = stage(program, _arguments(order, moment), target)

            def read() -> tuple[list[list[Any]], Inventory]:
                inventory = read_inventory(conn, facts["size_bytes"], is_exact=moment.snapshot is not None)
                return read_relations(conn), inventory

            with beside(read, conn.stop) as found, _explained():
                exits.insert(0, parallel.dump(one, jobs, sink) if jobs > 1 else _dump(one, sink))
                relations, inventory = found()
    with sink.stream(RELATIONS) as writer:
        writer.write(json.dumps(relations, ensure_ascii=False).encode())
    if reader is not None and order.kinds:  # what no schedule makes leaves what the schedule needs
        warnings += slots.drop(reader, slots.name_for(order.owner))
    return Produced(
        start=moment.position,
        end=moment.position,
        ended_at=moment.at,
        tools=told_versions(program),
        exits=exits,
        inventory=inventory,
        details={**facts, "dump_major": int(told_versions(program)["pg_dump"]), "jobs": jobs},
        warnings=warnings,
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Say what to do where a dump waited for a lock in vain: pg_dump ends its statement by a time limit for all statements."""
    try:
        yield
    except BackupError as error:
        if any("LOCK TABLE" in one["stderr"] and "timeout" in one["stderr"] for one in error.context.get("exits", ())):
            error.fix = (
                "run it when nobody holds a table locked (pg_locks tells who does), or raise options.lock_wait of the schedule"
            )
        raise


def _arguments(order: Order, moment: Moment) -> tuple[str, ...]:
    wait = str(order.options.get("lock_wait", _LOCK_WAIT))
    given = ["--compress=0", f"--lock-wait-timeout={wait}"]
    return (*given, f"--snapshot={moment.snapshot}") if moment.snapshot else tuple(given)


def _dump(one: Stage, sink: Sink) -> Exit:
    custom = replace(one, arguments=("--format=custom", *one.arguments))
    with sink.stream(DUMP) as writer, running([custom]) as pipeline:
        if pour(pipeline, writer)[:5] != _MAGIC:
            pipeline.finish()
            raise BackupError("pg_dump ended well and wrote no archive")
    return pipeline.exits[0]


def pour(pipeline: Pipeline, writer: Writer) -> bytes:
    """Write all that the last program says, and return the beginning of it."""
    buffer = memoryview(bytearray(_PIECE))
    beginning = b""
    while size := pipeline.read_into(buffer):
        if len(beginning) < 16:
            beginning += bytes(buffer[:16])
        writer.write(buffer[:size])
    return beginning


_EXPORT = "SELECT pg_catalog.pg_export_snapshot()"
_MOMENT = """
SELECT pg_catalog.clock_timestamp() AT TIME ZONE 'UTC',
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_flush_lsn() END::text"""
_TIMELINE = """
SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())
            ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int END"""


def timeline_of(conn: PostgresConnection) -> int:
    """Return the timeline that the server is on."""
    return int(conn.query(_TIMELINE)[0][0])


_PATIENCE = """
SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')"""


def be_patient(conn: PostgresConnection) -> None:
    """Let a session sit there for as long as a program runs, whatever the server usually allows."""
    conn.query(_PATIENCE)


@contextmanager
def held_moment(conn: PostgresConnection) -> Iterator[Moment]:
    """Hold a snapshot for a block, exported for other sessions.

    Its time is read before it is taken: what was committed by then is in it.
    """
    be_patient(conn)
    [(is_standby,)] = conn.query("SELECT pg_catalog.pg_is_in_recovery()")
    at, lsn = conn.query(_MOMENT)[0]
    timeline = timeline_of(conn)
    conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        snapshot = None if is_standby else str(conn.query(_EXPORT)[0][0])
        yield Moment(snapshot, at.replace(tzinfo=UTC), lsn, timeline)
    finally:
        conn.execute("ROLLBACK")


_RELATIONS = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 2, 3"""


def read_relations(conn: PostgresConnection) -> list[list[Any]]:
    """Return oid, schema, name and kind of every relation: a dump's list names them in a way that cannot be taken apart."""
    return [list(row) for row in conn.query(_RELATIONS)]


_SIZES = """
SELECT n.nspname::text, c.relname::text, pg_catalog.pg_relation_size(c.oid)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'dbops')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2"""


def read_inventory(conn: PostgresConnection, size: int, *, is_exact: bool) -> Inventory:
    """Return what the snapshot of `conn` holds; nothing but the size where it is not the dump's."""
    from dbops.engines.postgresql.engine import PostgresEngine

    if not is_exact:
        return Inventory(size_bytes=size)
    tables = conn.query(_SIZES)
    rows = count_rows(conn) if sum(table[2] for table in tables) <= _COUNTED_BYTES else {}
    return Inventory(schema_digest(PostgresEngine(), conn), rows, size)


def count_rows(conn: PostgresConnection) -> dict[str, int]:
    """Return the rows of every plain table; those of partitions are counted there."""
    tables = [(schema, name) for schema, name, _ in conn.query(_SIZES)]
    return {
        f"{schema}.{name}": int(conn.query(f"SELECT count(*) FROM ONLY {quoted(schema)}.{quoted(name)}")[0][0])
        for schema, name in tables
    }


def _globals(conn: PostgresConnection, target: Target, sink: Sink) -> tuple[list[Exit], list[str]]:
    """Save roles without their passwords, as far as the account may read them; say why where it may not."""
    try:
        program = find("pg_dumpall", conn.server.version[0])
        options = ("--globals-only", "--no-role-passwords", f"--database={database_of(target)}")
        text, exit = run(stage(program, options, target))
        if _END_OF_GLOBALS not in text:
            raise BackupError("pg_dumpall did not write its end mark")
    except BackupError as error:
        return [], [f"roles were not saved: {error.message}"]
    with sink.stream(GLOBALS) as writer:
        writer.write(text)
    return [exit], []
