"""A dump of one database in named streams.

`tables.sql` has tables, sequences and their rows, as of one moment; `views.sql`, `routines.sql`, `triggers.sql` and
`events.sql` what is made when these are there, each with the settings it was made under. `sections.json` says where each
table begins. Only the rows are read under a snapshot: what the server knows of tables, routines and views belongs to no
transaction. So the schema is looked at before and after, and a dump during which it changed is no backup.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dbops.catalog.catalog import Catalog
from dbops.catalog.codec import digest
from dbops.catalog.model import Event
from dbops.dataclass import dataclass
from dbops.engines.base.backup import Exit, Inventory, Order, Produced, Sink, Told, Writer, refuse_options
from dbops.engines.base.connect import Target
from dbops.engines.mysql.backup.broken_off import MARK
from dbops.engines.mysql.backup.mydumper import MYDUMPER, dump_rows
from dbops.engines.mysql.backup.sections import VIEWS, Cutter, Section
from dbops.engines.mysql.backup.tools import Tool, code_options, dump_options, dumps_history, tool_for, tool_running
from dbops.engines.mysql.backup.views import broken_views, definitions, left_out
from dbops.engines.mysql.backup.zones import has_zones
from dbops.engines.mysql.connect import MysqlConnection
from dbops.errors import BackupError

TABLES, VIEWS_SQL, SECTIONS, BROKEN = "tables.sql", "views.sql", "sections.json", "broken-views.sql"
CODE = ("routines", "triggers", "events")
DUMP_FAMILY = "dump"
_PIECE = 1 << 20
_NO_LIMIT = (1 << 64) - 1

#: Engines whose tables show rows of other tables, files or servers, which no dump takes (mariadb-dump, --no-data-med).
ELSEWHERE = frozenset({"MRG_MYISAM", "MRG_ISAM", "CONNECT", "OQGRAPH", "SPIDER", "VP", "FEDERATED"})
_ENGINES = """
SELECT table_name, engine FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type <> 'VIEW' AND engine IS NOT NULL ORDER BY table_name"""
_UNSAFE = """
SELECT table_name, engine FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type <> 'VIEW' AND table_type <> 'SEQUENCE' AND engine IS NOT NULL
AND engine NOT IN (SELECT engine FROM information_schema.engines WHERE transactions = 'YES')"""
_VERSIONED = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'SYSTEM VERSIONED'"
_SEQUENCES = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE'"
_SIZE = "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables WHERE table_schema = DATABASE()"
_DEFAULTS = "SELECT @@character_set_database, @@collation_database"
#: What decides what a statement of the log means, and does not stand in the log.
_MEANINGS = """
SHOW GLOBAL VARIABLES WHERE variable_name IN ('old_mode', 'default_storage_engine', 'character_set_collations')"""
_COMMENT = "SELECT schema_comment FROM information_schema.schemata WHERE schema_name = DATABASE()"
#: Where the engines of the tables are from, of those that a server does not have by itself.
_PLUGINS = """
SELECT DISTINCT plugin_library FROM information_schema.plugins
WHERE plugin_type = 'STORAGE ENGINE' AND plugin_library IS NOT NULL AND plugin_name IN
  (SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND engine IS NOT NULL
   UNION SELECT @@GLOBAL.default_storage_engine) ORDER BY plugin_library"""


@dataclass(frozen=True, slots=True)
class Dumped:
    """What a dump turned out to hold."""

    cutter: Cutter
    exits: tuple[Exit, ...]


def produce(order: Order, conn: MysqlConnection, target: Target, sink: Sink, told: Told) -> Produced:
    """Dump the database of `conn`, with its place in the binary log where there is one.

    Raises:
        BackupError: as the port says; also when the policy wants logs and the dump could not say where they go on.
    """
    tool = tool_for("dump", conn.server)
    _must_read_all_rows(conn)
    position, note = _position(order, conn)
    has_jobs = order.mechanism.tool == MYDUMPER
    refuse_options(order, order.mechanism.tool, *(("jobs",) if has_jobs else ()))
    before = schema_state(conn)
    broken = broken_views(conn)
    placed = set[str]()
    catalog = read_catalog(conn, broken, placed)
    facts, inventory = server_facts(conn), Inventory(digest(catalog), {}, int(conn.query(_SIZE)[0][0]))
    warnings = [note] if note else []
    warnings += left_out(broken)
    warnings += _warnings(conn, tool)
    began: list[datetime] = []

    def note_moment() -> None:
        began.append(database_clock(conn))

    rows = dump_rows(order.options, conn.database, _rowless(conn), target, sink, told, note_moment) if has_jobs else None
    dumped = dump(
        tool,
        target,
        conn.database,
        sink,
        told,
        position=position and rows is None,
        history=has_history(conn),
        rows=rows is None,
        without=tuple(broken),
        on_snapshot=note_moment,
    )
    if broken:
        with sink.stream(BROKEN) as writer:
            writer.write(definitions(conn, broken).encode())
    if schema_state(conn) != before:
        raise BackupError(
            "the schema was changed while it was being dumped, so that tables and rows may not belong together",
            fix="run it again when nobody changes the schema",
            error_code="SCHEMA_MOVED",
        )
    place = dumped.cutter.position if rows is None else rows.place if position else {}
    found = {**place, **beginning(order, conn, target, place)}
    if position and not found:
        raise BackupError(f"{order.mechanism.tool} wrote no place in the binary log")
    counts, longest, exits = dumped.cutter.rows(), dumped.cutter.longest, dumped.exits
    if rows is not None:
        counts = {one.name: rows.counts.get(one.name, 0) for one in dumped.cutter.sections if one.kind == "table"}
        longest, exits = max(longest, rows.longest_statement), (*rows.exits, *exits)
    return Produced(
        start=found,
        end=found,
        ended_at=began[0],
        tools={one.name: one.version_text for one in ((tool,) if rows is None else (rows.tool, tool))},
        exits=exits,
        inventory=replace(inventory, rows=counts),
        details=facts | {"longest_statement": longest, "begun_events": begun_events(catalog), "placed": sorted(placed)},
        warnings=tuple(warnings),
    )


def _must_read_all_rows(conn: MysqlConnection) -> None:
    """Let a server pass whose sessions read all rows: the tools do not ask for them.

    Raises:
        BackupError: they read some rows of each table.
    """
    [(limit,)] = conn.query("SELECT LEAST(@@GLOBAL.sql_select_limit, @@SESSION.sql_select_limit)")
    if int(limit) < _NO_LIMIT:
        raise BackupError(
            f"sql_select_limit is {limit} on the server: no more rows of a table would be dumped",
            fix="SET GLOBAL sql_select_limit = DEFAULT",
        )


def beginning(order: Order, conn: MysqlConnection, target: Target, place: Mapping[str, Any]) -> dict[str, int]:
    """Return when the file of a place in the log was begun; empty where no log is to follow, or none could."""
    from dbops.engines.mysql.backup.logs import began_at
    from dbops.engines.mysql.backup.mechanisms import log_reason, log_state
    from dbops.engines.mysql.backup.privileges import privileges_of

    if not place or "log" not in order.kinds or log_reason(conn, privileges_of(conn), log_state(conn))[0].text:
        return {}
    return began_at(tool_for("binlog", conn.server), target, place)


def dump(
    tool: Tool,
    target: Target,
    database: str,
    sink: Sink,
    told: Told,
    *,
    position: bool = False,
    history: bool = False,
    rows: bool = True,
    without: Sequence[str] = (),
    on_snapshot: Callable[[], None] = lambda: None,
) -> Dumped:
    """Write the streams of a dump, `without` some views. `on_snapshot` is called once the moment that the rows are of is over.

    Raises:
        BackupError: a program failed, or its end mark is missing.
    """
    told(f"dumping {database}")
    options = dump_options(tool, position=position, history=history)
    ignored = tuple(f"--ignore-table={database}.{name}" for name in (*without, MARK))
    arguments = (*options, *ignored, *(() if rows else ("--no-data",)), "--", database)
    cutter, views = Cutter(), bytearray()
    with sink.stream(TABLES) as writer, tool_running(tool, target, arguments) as pipeline:
        buffer, is_taken = memoryview(bytearray(_PIECE)), False
        while count := pipeline.read_into(buffer):
            for section, piece in cutter.feed(buffer[:count]):
                _write(section.kind, piece, writer, views)
            if not is_taken and cutter.has_begun:
                is_taken = True
                on_snapshot()
        for section, piece in cutter.finish():
            _write(section.kind, piece, writer, views)
        pipeline.finish()
        if not cutter.is_complete:
            raise BackupError(f"{tool.name} did not write its end mark; the dump is not whole")
    if not is_taken:
        on_snapshot()
    exits = [*pipeline.exits]
    with sink.stream(VIEWS_SQL) as writer:
        writer.write(views)
    for what in CODE:
        told(f"dumping {what}")
        exits += _dump_code(tool, target, database, sink, what, ignored)
    with sink.stream(SECTIONS) as writer:
        writer.write(json.dumps([_section(one) for one in cutter.sections], ensure_ascii=True).encode())
    return Dumped(cutter, tuple(exits))


def schema_state(conn: MysqlConnection) -> str:
    """Return a token of the schema; that somebody is granted something meanwhile is no matter."""
    from dbops.engines.mysql.fingerprint import fingerprint

    with without_grants(conn):
        return fingerprint(conn)


def _position(order: Order, conn: MysqlConnection) -> tuple[bool, str]:
    """Tell whether the place in the binary log is asked for, and what to say where it should be and cannot."""
    from dbops.engines.mysql.backup.mechanisms import log_state, position_reason
    from dbops.engines.mysql.backup.privileges import privileges_of

    log = log_state(conn)
    reason = position_reason(conn, privileges_of(conn), log)
    if not reason.text:
        return True, ""
    if "log" in order.kinds:
        raise BackupError(f"no log could follow this dump: {reason.text}", fix=reason.fix)
    return False, f"no log can follow this dump: {reason.text}" if log.is_on else ""


def _write(kind: str, piece: memoryview, tables: Writer, views: bytearray) -> None:
    if kind in VIEWS:
        views += piece
        return
    tables.write(piece)
    if kind == "header":
        views += piece


def _section(section: Section) -> list[Any]:
    return [section.kind, section.name, section.start, section.end, section.uses]


def _dump_code(tool: Tool, target: Target, database: str, sink: Sink, what: str, ignored: Sequence[str]) -> tuple[Exit, ...]:
    tail = b""
    arguments = (*code_options(tool, what), *ignored, "--", database)
    with sink.stream(f"{what}.sql") as writer, tool_running(tool, target, arguments) as pipeline:
        while data := pipeline.read(_PIECE):
            writer.write(data)
            tail = (tail + data)[-4096:]
        exits = pipeline.finish()
        if b"-- Dump completed" not in tail:
            raise BackupError(f"{tool.name} did not write its end mark; the dump of {what} is not whole")
    return exits


def _rowless(conn: MysqlConnection) -> list[str]:
    """Return what has rows that are dumped otherwise, or not at all: sequences, the mark of a restore, and tables that show rows
    from elsewhere, into which they would be written a second time.
    """
    return [MARK, *(str(name) for (name,) in conn.query(_SEQUENCES)), *tables_elsewhere(conn)]


def tables_elsewhere(conn: MysqlConnection) -> dict[str, str]:
    """Return the tables that show rows from elsewhere, and their engines."""
    return {str(name): str(engine) for name, engine in conn.query(_ENGINES) if str(engine).upper() in ELSEWHERE}


def listed_elsewhere(conn: MysqlConnection) -> str:
    """Return the tables, with their engines, whose rows no dump of the database holds; those of MERGE are other tables' rows."""
    return ", ".join(f"{name} ({engine})" for name, engine in tables_elsewhere(conn).items() if not engine.startswith("MRG_"))


def has_history(conn: MysqlConnection) -> bool:
    """Tell whether there are versioned tables (MariaDB)."""
    return bool(conn.query(_VERSIONED)[0][0])


def _warnings(conn: MysqlConnection, tool: Tool) -> Iterator[str]:
    if elsewhere := listed_elsewhere(conn):
        yield f"defined without their rows, which are elsewhere: {elsewhere}"
    unsafe = [f"{name} ({engine})" for name, engine in conn.query(_UNSAFE) if str(engine).upper() not in ELSEWHERE]
    if unsafe:
        yield f"not of one moment with the rest, for their engine knows no transactions: {', '.join(unsafe)}"
    if has_history(conn) and not dumps_history(tool):
        yield f"old rows of versioned tables are left out: {tool.name} {tool.version_text} cannot dump them, that of 10.11 can"


def server_facts(conn: MysqlConnection) -> dict[str, Any]:
    """Return what a restore needs to know of the database and its server."""
    [(charset, collation)] = conn.query(_DEFAULTS)
    comments = conn.query(_COMMENT) if conn.server.flavour == "mariadb" else []
    [(folding, page_size, server_charset, server_collation, timestamps)] = conn.query(
        "SELECT @@lower_case_table_names, @@innodb_page_size, @@GLOBAL.character_set_server, @@GLOBAL.collation_server,"
        " @@GLOBAL.explicit_defaults_for_timestamp"
    )
    return {
        "database": conn.database,
        "character_set": charset,
        "collation": collation,
        "comment": str(comments[0][0]) if comments else None,
        "plugins": [str(library).removesuffix(".so") for (library,) in conn.query(_PLUGINS)],
        "zones": has_zones(conn),
        "account": conn.account,
        "flavour": conn.server.flavour,
        "version": list(conn.server.version),
        "sql_mode": conn.server_sql_mode,
        "settings": {
            "lower_case_table_names": int(folding),
            "innodb_page_size": int(page_size),
            "character_set_server": server_charset,
            "collation_server": server_collation,
            "explicit_defaults_for_timestamp": int(timestamps),
            **{str(name): str(value) for name, value in conn.query(_MEANINGS)},
        },
    }


def database_clock(conn: MysqlConnection) -> datetime:
    """Return the server's time."""
    [(text,)] = conn.query("SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)")
    return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)


def read_catalog(conn: MysqlConnection, without: Collection[str] = (), placed: set[str] | None = None) -> Catalog:
    """Return the catalog without some views, without grants, which belong to accounts, and accounts to the server, and without
    the folders that tables have of their own, which belong to a machine. Those tables are noted in `placed`.
    """
    from dbops.engines.mysql.inspect import inspect

    conn.placed = set() if placed is None else placed
    try:
        with without_grants(conn):
            catalog = inspect(conn)
    finally:
        conn.placed = None
    if without:
        catalog = catalog.only(ref for ref in catalog.objects if ref.kind != "view" or ref.name not in without)
    return catalog


def begun_events(catalog: Catalog) -> list[str]:
    """Return the events whose start the server filled in, as a dump does not say."""
    schedules = {event.name: dict(event.options)["schedule"] for event in catalog.all(Event)}
    return [name for name, text in schedules.items() if text.startswith("EVERY ") and " STARTS " not in text]


@contextmanager
def without_grants(conn: MysqlConnection) -> Iterator[None]:
    """Let inspection see no grants, as on a scratch."""
    from dbops.engines.mysql.flavour import flavour_of
    from dbops.engines.mysql.grants import Ledger

    kept, conn.ledger = conn.ledger, Ledger(flavour_of(conn.server), conn.account, {conn.database})
    try:
        yield
    finally:
        conn.ledger = kept


def database_of(details: Mapping[str, Any]) -> str:
    """Return the name of the database that a backup is of."""
    return str(details["database"])
