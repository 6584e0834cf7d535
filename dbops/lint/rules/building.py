"""Hazards of building and dropping indexes and keys on tables that hold rows."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.lint.facts import AlterTable, CreateIndex, Drop, Maintenance, Name
from dbops.lint.rule import ENGINES, PG, Hit, hazard
from dbops.lint.statements import Read
from dbops.lint.work import index_work, works
from dbops.lint.world import World


@hazard(
    "INDEX_BUILD",
    ENGINES,
    why="Building an index reads and sorts the whole table: it costs CPU, disk and log, and on most forms blocks writers.",
    advice="PostgreSQL: CREATE INDEX CONCURRENTLY. MySQL: say ALGORITHM=INPLACE, LOCK=NONE. SQLite: in a quiet hour.",
)
def index_build(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case CreateIndex(name, table) if not world.is_new(table):
            is_asked_online = read.fact.is_concurrent or read.fact.options.get("lock", "").upper() == "NONE"
            if index_work(read.fact, world).builds and not is_asked_online:
                yield Hit(read.fact.at, f"index {name or 'without a name'} is built over the rows of {table}")
        case AlterTable(table) if not world.is_new(table) and read.fact.options.get("lock") != "NONE":
            for work in works(read.fact, world):
                if work.builds:
                    yield Hit(work.at, f"{table}: {work.builds} over all rows")
        case Maintenance("reindex", _, name, False) if world.exists(name):
            yield Hit(0, f"the indexes of {name or 'the database'} are built again")
        case _:
            pass


@hazard(
    "INDEX_DROPPED",
    ENGINES,
    why="Queries that used the index read whole tables from then on.",
    advice=(
        "See in the server's statistics that nothing uses it, and build what replaces it first. PostgreSQL: DROP "
        "INDEX CONCURRENTLY."
    ),
)
def index_dropped(read: Read, world: World) -> Iterator[Hit]:
    match read.fact:
        case Drop("index", names, _, _, _, table) if table is None or not world.is_new(table):
            for name in names:
                if not world.is_new(name, "index"):
                    yield Hit(name.at, f"queries that used {name}{f' of {table}' if table else ''} may slow down")
        case AlterTable(table, actions) if not world.is_new(table):
            for action in actions:
                if action.kind == "drop_index":
                    yield Hit(action.at, f"queries on {table} that used {action.name} may slow down")
                elif action.kind == "drop_primary_key":
                    yield Hit(action.at, f"the index of the primary key of {table} goes with it")
                elif action.kind == "drop_constraint" and (kind := _indexed_by(action.name, table, world)):
                    yield Hit(action.at, f"the index of the {kind} {action.name} of {table} goes with it")
        case _:
            pass


def _indexed_by(constraint: str, table: Name, world: World) -> str:
    state = world.table(table)
    found = state.constraints.get(world.fold(constraint)) if state else None
    return found.kind.replace("_", " ") if found and found.kind in ("primary_key", "unique", "exclude") else ""


@hazard(
    "CONSTRAINT_SWAP",
    PG,
    why="ADD PRIMARY KEY and ADD UNIQUE build their index under ACCESS EXCLUSIVE: nobody reads or writes meanwhile.",
    advice="CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT ... USING INDEX, which takes an instant.",
)
def constraint_swap(read: Read, world: World) -> Iterator[Hit]:
    if not isinstance(read.fact, AlterTable) or world.is_new(read.fact.table):
        return
    for action in read.fact.actions:
        constraint = action.constraint
        if (
            action.kind == "add_constraint"
            and constraint
            and constraint.kind in ("primary_key", "unique")
            and not constraint.using_index
        ):
            yield Hit(
                action.at,
                f"{constraint.name or constraint.kind.replace('_', ' ')} of {read.fact.table} builds its index under the lock",
            )
