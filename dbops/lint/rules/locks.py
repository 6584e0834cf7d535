"""Hazards of making others wait, and of writing or reading whole tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbops.lint.facts import AlterTable, Create, CreateIndex, Drop, Maintenance, Name, Truncate
from dbops.lint.rule import ENGINES, MY, PG, Hit, hazard
from dbops.lint.statements import Read
from dbops.lint.work import EXCLUSIVE, METADATA, NO_WRITES, SHARE, SHARE_ROW, Work, index_work, works
from dbops.lint.world import World

# LOCK TABLE (PostgreSQL manual, 13.3.1) and LOCK TABLES (MySQL manual, 15.3.6) without a mode lock everybody out.
_LOCKS_WRITERS = re.compile(r"\bIN (?:SHARE|SHARE ROW EXCLUSIVE|EXCLUSIVE) MODE\b|\bREAD\b")
_LOCKS_LESS = re.compile(r"\bIN (?!ACCESS EXCLUSIVE)[A-Z ]+ MODE\b|\bREAD\b")


def _works(read: Read, world: World) -> list[tuple[Name, Work]]:
    """Return the work of a statement on tables that were there before."""
    match read.fact:
        case AlterTable(table) if not world.is_new(table):
            return [(table, work) for work in works(read.fact, world)]
        case CreateIndex(_, table) if not world.is_new(table):
            return [(table, index_work(read.fact, world))]
    return []


@hazard(
    "REWRITES_TABLE",
    ENGINES,
    why="Writing every row again takes time and room in proportion to the table, fills the log, and delays replicas.",
    advice=(
        "Add a new column and fill it in batches, or find the form that changes the catalog alone (a constant "
        "default, a longer varchar, ALGORITHM=INSTANT)."
    ),
)
def rewrites_table(read: Read, world: World) -> Iterator[Hit]:
    for table, work in _works(read, world):
        if work.rewrites:
            yield Hit(work.at, f"{table} is written again: {work.rewrites}")
    match read.fact:
        case Maintenance("vacuum", _, name, _, words) if world.exists(name) and (
            "FULL" in words or world.dialect.name == "sqlite"
        ):
            yield Hit(0, f"{name or 'every table'} is written again")
        case Maintenance("cluster" | "optimize", _, name) if world.exists(name):
            yield Hit(0, f"{name or 'every clustered table'} is written again")
        case Drop("table", names):
            yield from (
                Hit(name.at, f"{name} is made anew and its rows are copied")
                for name in names
                if world.key(name) in world.rebuilt and not world.is_new(name)
            )
        case _:
            pass


@hazard(
    "BLOCKS_READS",
    (*PG, *MY),
    why="Nobody can read the table while the work is done, however long that takes.",
    advice=(
        "PostgreSQL: add constraints NOT VALID and validate them in a second statement, build unique indexes "
        "CONCURRENTLY and attach them with USING INDEX, prove NOT NULL by a validated CHECK first."
    ),
)
def blocks_reads(read: Read, world: World) -> Iterator[Hit]:
    for table, work in _works(read, world):
        if work.is_long and work.lock in (EXCLUSIVE, "LOCK=EXCLUSIVE"):
            yield Hit(work.at, f"{work.lock} on {table} while {_what(work)}")
    match read.fact:
        case Maintenance("vacuum", _, name, _, words) if (
            "FULL" in words and world.dialect.name == "postgresql" and world.exists(name)
        ):
            yield Hit(0, f"{EXCLUSIVE} on {name or 'every table'} while it is written again")
        case Maintenance("cluster", _, name) if world.exists(name):
            yield Hit(0, f"{EXCLUSIVE} on {name or 'every clustered table'} while it is written again")
        case Maintenance("refresh", _, Name() as name, False) if not world.is_new(name, "materialized view"):
            yield Hit(0, f"{EXCLUSIVE} on {name} while its query runs; CONCURRENTLY lets readers through")
        case Maintenance("lock", _, name, _, words) if world.exists(name) and not _LOCKS_LESS.search(" ".join(words)):
            yield Hit(0, f"{name or 'tables'} locked against readers until the lock is let go")
        case _:
            pass


def _what(work: Work) -> str:
    return work.scans or (work.builds and f"{work.builds} over all rows") or "all rows are written again"


@hazard(
    "BLOCKS_WRITES",
    (*PG, *MY),
    why="Whoever writes waits until the work on all rows is done, and soon every connection of the pool waits.",
    advice=(
        "PostgreSQL: CREATE INDEX CONCURRENTLY; foreign keys NOT VALID, then VALIDATE. MySQL: ALGORITHM=INPLACE, "
        "LOCK=NONE, which fails at once where it cannot be had; else an online schema change tool."
    ),
)
def blocks_writes(read: Read, world: World) -> Iterator[Hit]:
    for table, work in _works(read, world):
        if work.is_long and work.lock in (SHARE, SHARE_ROW, NO_WRITES):
            both = f" and {work.other_table}" if work.other_table and not world.is_new(work.other_table) else ""
            yield Hit(work.at, f"{work.lock} on {table}{both} while {_what(work)}")
    match read.fact:
        case Maintenance("reindex", kind, name, False) if world.exists(name):
            yield Hit(
                0, f"{SHARE} on {name or kind or 'the database'} while its indexes are built; CONCURRENTLY lets writers through"
            )
        case Maintenance("lock", _, name, _, words) if world.exists(name) and _LOCKS_WRITERS.search(" ".join(words)):
            yield Hit(0, f"{name or 'tables'} locked against writers until the lock is let go")
        case _:
            pass


@hazard(
    "LOCK_QUEUE",
    (*PG, *MY),
    why="The lock is short, but while it waits behind a long query every later query waits behind it.",
    advice="Set a timeout first and try again: SET lock_timeout = '3s' (PostgreSQL), SET lock_wait_timeout = 3 (MySQL).",
)
def lock_queue(read: Read, world: World) -> Iterator[Hit]:
    if world.has_timeout or "NOWAIT" in read.source.text.upper():
        return
    match read.fact:
        case AlterTable(table) if not world.is_new(table):
            done = [work for _, work in _works(read, world)]
            exclusive = [work for work in done if work.lock in (EXCLUSIVE, SHARE_ROW, METADATA)]
            if exclusive and not any(work.is_long and work.lock in (EXCLUSIVE, SHARE_ROW, NO_WRITES) for work in done):
                yield Hit(
                    exclusive[0].at, f"{exclusive[0].lock} on {table} for an instant; sessions queue behind it while it waits"
                )
        case Drop("table", names):
            known = [name for name in names if not world.is_new(name) and world.key(name) not in world.rebuilt]
            if known:
                yield Hit(known[0].at, f"an exclusive lock on {known[0]} for an instant; sessions queue behind it while it waits")
        case Drop("index", names, False) if world.dialect.name == "postgresql" and not read.fact.is_concurrent:
            if not all(world.is_new(name, "index") for name in names):
                yield Hit(
                    names[0].at, f"{EXCLUSIVE} on the table of {names[0]} for an instant; CONCURRENTLY waits without a queue"
                )
        case Truncate(tables) if not all(world.is_new(name) for name in tables):
            yield Hit(0, f"an exclusive lock on {tables[0]} for an instant; sessions queue behind it while it waits")
        case Create("trigger" | "constraint trigger" | "policy" | "rule", _, Name() as table) if not world.is_new(table):
            lock = SHARE_ROW if "trigger" in read.fact.kind else EXCLUSIVE
            lock = METADATA if world.dialect.name == "mysql" else lock
            yield Hit(0, f"{lock} on {table} for an instant; sessions queue behind it while it waits")
        case _:
            pass


@hazard(
    "SCANS_TABLE",
    ENGINES,
    why="Reading every row takes time in proportion to the table, and most locks are held meanwhile.",
    advice=(
        "Add the constraint NOT VALID, which reads nothing, and VALIDATE it in a transaction of its own, which lets "
        "reads and writes through."
    ),
)
def scans_table(read: Read, world: World) -> Iterator[Hit]:
    is_validated_alone = isinstance(read.fact, AlterTable) and all(action.kind == "validate" for action in read.fact.actions)
    for table, work in _works(read, world):
        if work.scans and not is_validated_alone:
            yield Hit(work.at, f"{table}: {work.scans}")


@hazard(
    "DETACH_BLOCKS",
    PG,
    why="DETACH PARTITION takes ACCESS EXCLUSIVE on the partitioned table: nobody reads any of its partitions meanwhile.",
    advice="DETACH PARTITION ... CONCURRENTLY, from PostgreSQL 14 on, outside a transaction.",
)
def detach_blocks(read: Read, world: World) -> Iterator[Hit]:
    if isinstance(read.fact, AlterTable) and not world.is_new(read.fact.table):
        for action in read.fact.actions:
            if action.kind == "detach" and not action.is_concurrent:
                yield Hit(action.at, f"{EXCLUSIVE} on {read.fact.table} while {action.name} is detached")
