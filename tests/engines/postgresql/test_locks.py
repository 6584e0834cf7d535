"""What statements really lock, rewrite and read, measured, and what their hazards say about it: the two must agree.

All rows of `measured/locks.yaml` are one pair of schemas, planned online and not. Each statement runs, and pg_locks, the files
of tables and their counters tell: inside its transaction, or, where it refuses one, while it waits for an older one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import ChangeSet, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.model import Table
from dbops.engines.base.connect import Connection, TableSize
from dbops.engines.base.render import RenderContext
from dbops.errors import QueryError
from dbops.sql.statement import Statement
from tests.databases import PostgresDatabase, fresh_postgres
from tests.docs import hazards_page
from tests.engines.postgresql.sessions import ENGINE, session
from tests.failures.trial import wait_until
from tests.servers import PostgresServer

CASES: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "measured" / "locks.yaml").read_text())
ROWS = 2000
_TOO = """
CREATE TABLE parent (id int PRIMARY KEY);
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""
_FILL = f"INSERT INTO t SELECT g, g FROM generate_series(1, {ROWS}) AS g"
#: From the weakest to the strongest (manual, Table 13.2).
MODES = [
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]
_BLOCK_WRITERS = frozenset(MODES[4:])


def schema(side: str) -> str:
    """Return one side of all cases as a script."""
    parts = [_TOO]
    for name, case in CASES.items():
        if early := case.get({"from": "early_before", "to": "early_after"}[side]):
            parts.append(early)
        if side in case:
            tail = f" PARTITION BY {case['partition_by']}" if "partition_by" in case else ""
            parts.append(f"CREATE TABLE {name} ({case[side]}){tail}")
        if more := case.get({"from": "before", "to": "after"}[side]):
            parts.append(re.sub(r"\bt\b", name, more))
    return ";\n".join(parts) + ";"


def rows() -> str:
    parts = [f"INSERT INTO parent SELECT g FROM generate_series(1, {ROWS}) AS g"]
    parts += [re.sub(r"\bt\b", name, case.get("rows", _FILL)) for name, case in CASES.items()]
    return ";\n".join(parts) + "; ANALYZE;"


_LOCKS = """
SELECT relation::bigint, upper(regexp_replace(regexp_replace(mode, 'Lock$', ''), '([a-z])([A-Z])', '\\1 \\2', 'g'))
FROM pg_locks WHERE pid = ? AND granted AND locktype = 'relation'"""
_NAMES = "SELECT oid::bigint, relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
_FILES = (
    "SELECT relname::text, pg_relation_filenode(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)
_INDEXES = """
SELECT i.indexrelid::bigint, t.relname::text, pg_relation_filenode(i.indexrelid)
FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid WHERE t.relnamespace = 'public'::regnamespace"""
_READ = "SELECT relname::text, seq_tup_read FROM pg_stat_xact_user_tables WHERE schemaname = 'public'"


@dataclass
class Seen:
    """What one statement did to tables that were there before: the strongest lock of each, and who was written or read whole."""

    locks: dict[str, str] = field(default_factory=dict)
    rewritten: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    built: set[str] = field(default_factory=set)
    """Tables of which an index was built, while their rows stayed where they are."""


class Meter:
    """Runs the statements of a plan one by one and looks at what each does."""

    def __init__(self, conn: Connection, beside: Connection, database: PostgresDatabase) -> None:
        self.conn, self.beside, self.database = conn, beside, database
        self.names: dict[int, str] = {}
        [(self.pid,)] = conn.query("SELECT pg_backend_pid()")

    def run(self, statement: Statement) -> Seen:
        before = dict(self.conn.query(_FILES))
        self.names, indexes = dict(self.conn.query(_NAMES)), set(self.conn.query(_INDEXES))
        if re.search(r"\bCONCURRENTLY\b", statement.sql):
            seen = Seen(self._while_it_waits(statement.sql))
        else:
            with self.conn.transaction():
                had = dict(self.conn.query(_READ))  # what earlier transactions read may not have been handed over yet
                self.conn.execute(statement.sql)
                seen = Seen(self._locks(self.conn))
                seen.read = {table for table, count in self.conn.query(_READ) if count - had.get(table, 0) >= ROWS}
        after = dict(self.conn.query(_FILES))
        seen.rewritten = {table for table, file in before.items() if table in after and after[table] != file}
        built = {table for _, table, file in set(self.conn.query(_INDEXES)) - indexes if file and table in self.names.values()}
        seen.built = built - seen.rewritten
        return seen

    def _locks(self, conn: Connection) -> dict[str, str]:
        """The strongest lock of each table that was there before."""
        found: dict[str, str] = {}
        for number, mode in conn.query(_LOCKS, (self.pid,)):
            table = self.names.get(number)
            if table and MODES.index(mode) > MODES.index(found.get(table, MODES[0])):
                found[table] = mode
        return found

    def _while_it_waits(self, sql: str) -> dict[str, str]:
        """Transactions that are older make every CONCURRENTLY wait after it has taken its locks."""
        tables = [name for name in CASES if re.search(rf"\b{name}\b", sql) or f"{name}_" in sql]
        with older(self.database, [name for name in tables if self._is_there(name)]):
            running = threading.Thread(target=self.conn.execute, args=(sql,))
            running.start()
            wait_until(lambda: not running.is_alive() or bool(self._waits()))
            found = self._locks(self.beside)
        running.join()
        return found

    def _is_there(self, name: str) -> bool:
        return bool(self.beside.query("SELECT 1 FROM pg_class WHERE relname = ?", (name,)))

    def _waits(self) -> list[Any]:
        return self.beside.query("SELECT 1 FROM pg_locks WHERE pid = ? AND NOT granted", (self.pid,))


@contextmanager
def older(database: PostgresDatabase, tables: list[str]) -> Iterator[None]:
    """Have a transaction that has read the tables and keeps its snapshot."""
    with closing(database.server.connect(database.name)) as other:
        other.autocommit = False
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1")
        for table in tables:
            other.execute(f"SELECT FROM {table} LIMIT 1".encode())
        yield
        other.rollback()


_CLAIM = re.compile(r"(ACCESS EXCLUSIVE|SHARE ROW EXCLUSIVE|SHARE UPDATE EXCLUSIVE|SHARE) on (?:public\.)?(\w+)")


def lies(statement: Statement, seen: Seen, sized: set[str]) -> list[str]:
    """Compare what the hazards of a statement say with what was seen; `sized` are the tables with rows."""
    said = {(table, mode) for hazard in statement.hazards for mode, table in _CLAIM.findall(hazard.message)}
    said |= {
        (f"{table}_1", mode) for hazard in statement.hazards if " and its partitions" in hazard.message for table, mode in said
    }
    codes = {hazard.code for hazard in statement.hazards}
    found = [
        f"{mode} on {table} is said, seen is {seen.locks.get(table)}" for table, mode in said if seen.locks.get(table) != mode
    ]
    for table, mode in seen.locks.items():
        if table in sized and mode in _BLOCK_WRITERS and (table, mode) not in said:
            found.append(f"{mode} on {table} is seen and not said")
    for code, tables in (("REWRITES_TABLE", seen.rewritten & sized), ("INDEX_BUILD", seen.built & sized)):
        if (code in codes) != bool(tables):
            found.append(f"{code} is {'said' if code in codes else 'not said'}, seen is {sorted(tables)}")
    reads = bool(seen.read & sized) and not seen.rewritten and not seen.built
    if ("SCANS_TABLE" in codes) != reads:
        found.append(f"SCANS_TABLE is {'said' if 'SCANS_TABLE' in codes else 'not said'}, read are {sorted(seen.read)}")
    blocking = {mode for table, mode in seen.locks.items() if table in sized and mode in _BLOCK_WRITERS}
    works = reads or bool(seen.rewritten or seen.built)
    if "BLOCKS_READS" in codes and not (works and "ACCESS EXCLUSIVE" in blocking):
        found.append("BLOCKS_READS is said, and nobody has to wait for work")
    if works and "ACCESS EXCLUSIVE" in blocking and "BLOCKS_READS" not in codes:
        found.append("BLOCKS_READS is not said")
    if works and blocking and "ACCESS EXCLUSIVE" not in blocking and "BLOCKS_WRITES" not in codes:
        found.append("BLOCKS_WRITES is not said")
    return found


Found = list[tuple[Statement, Seen, list[str]]]


@pytest.fixture(scope="module", params=[True, False], ids=["online", "at once"])
def measured(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> tuple[bool, tuple[int, ...], Found]:
    """Whether it went online, the server's version, and every statement of the plan with what it did and what is said wrongly."""
    with fresh_postgres(postgres_server) as live, fresh_postgres(postgres_server) as wanted:
        live.load(schema("from") + rows())
        wanted.load(schema("to"))
        with session(wanted) as conn:
            goal = ENGINE.inspect(conn, declared=True)
        with session(live, lock_s=0) as conn, session(live) as beside:
            statements, sized = plan(conn, goal, online=request.param)
            meter = Meter(conn, beside, live)
            found = []
            for statement in statements:
                seen = meter.run(statement)
                found.append((statement, seen, lies(statement, seen, sized)))
            assert diff(as_declared(ENGINE.inspect(conn), goal), goal) == ()
            return request.param, conn.server.version, found


def plan(conn: Connection, goal: Catalog, *, online: bool) -> tuple[list[Statement], set[str]]:
    """Return the statements for tables of a million rows, and the names of the tables that have rows."""
    before = ENGINE.inspect(conn)
    sizes = {ref: TableSize(1_000_000, 80_000_000) for ref, size in ENGINE.sizes(conn).items() if size.rows}
    changes = diff(as_declared(before, goal), goal)
    acts = ENGINE.render(ChangeSet(before, goal, changes), RenderContext(conn.server, sizes, online=online))
    sized = {ref.name for ref in sizes} | {
        t.name
        for t in before.all(Table)
        if t.partition_by
        and any(other.partition_of and other.partition_of.parent == t.ref and other.ref in sizes for other in before.all(Table))
    }
    return [statement for act in acts for statement in act.do], sized


def test_hazards_say_what_statements_do(measured: tuple[bool, tuple[int, ...], Found]) -> None:
    wrong = {statement.sql: found for statement, _, found in measured[2] if found}
    assert not wrong, "\n".join(f"{sql}\n    {text}" for sql, found in wrong.items() for text in found)


def test_the_page_of_hazards_says_what_was_measured(measured: tuple[bool, tuple[int, ...], Found]) -> None:
    is_online, version, found = measured
    by_steps = re.compile(r"CONCURRENTLY|NOT VALID|VALIDATE|USING INDEX|dbops_|SET NOT NULL")
    shown = [row(statement, seen) for statement, seen, _ in found if not is_online or by_steps.search(statement.sql)]
    head = ("statement", "locks", "work", "hazards")
    hazards_page.check_part(
        "postgresql online" if is_online else "postgresql",
        hazards_page.table(head, sorted(set(shown))),
        f"PostgreSQL {version[0]}",
    )


def row(statement: Statement, seen: Seen) -> tuple[str, ...]:
    """Return what the page says of a statement; the case's table is called t."""
    name = next((name for name in sorted(CASES, key=len, reverse=True) if re.search(rf"\b{name}\b|\b{name}_", statement.sql)), "")
    short = lambda text: re.sub(rf"\b{name}(?=\b|_\w*\b)", "t", text.replace("public.", "")) if name else text  # noqa: E731
    locks = ", ".join(f"{mode} on {short(table)}" for table, mode in sorted(seen.locks.items()) if mode != "ACCESS SHARE")
    codes = sorted({hazard.code for hazard in statement.hazards})
    work = "writes the table again" if seen.rewritten else "builds an index" if seen.built else ""
    sql = "DO ..." if statement.sql.startswith("DO ") else statement.sql
    return hazards_page.code(short(sql)), locks, work or ("reads every row" if seen.read else ""), ", ".join(codes)


def test_what_a_failed_build_left_behind_is_built_again(pg_database: PostgresDatabase) -> None:
    pg_database.load("CREATE TABLE t (a int); INSERT INTO t SELECT g % 5 FROM generate_series(1, 2000) AS g; ANALYZE t;")
    with session(pg_database) as conn:
        with pytest.raises(QueryError):
            conn.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
        conn.execute("DELETE FROM t WHERE ctid NOT IN (SELECT min(ctid) FROM t GROUP BY a)")
        with fresh_postgres(pg_database.server) as wanted:
            wanted.load("CREATE TABLE t (a int); CREATE UNIQUE INDEX i ON t (a);")
            with session(wanted) as other:
                goal = ENGINE.inspect(other, declared=True)
        statements, _ = plan(conn, goal, online=True)
        assert "INVALID_INDEX" in {hazard.code for statement in statements for hazard in statement.hazards}
        for statement in statements:
            conn.execute(statement.sql)
        assert diff(as_declared(ENGINE.inspect(conn), goal), goal) == ()
        assert conn.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == [(True,)]
