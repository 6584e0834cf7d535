"""What changing a table costs: the lock it takes, and what is done to all rows while it is held.

PostgreSQL: manual, ALTER TABLE and 13.3 Explicit Locking, 11 to 18. MySQL: manual, Online DDL Operations, 8.0; MariaDB: knowledge
base, InnoDB Online DDL Operations. SQLite: lang_altertable.html.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from dbops.dataclass import dataclass
from dbops.lint.facts import Action, AlterTable, Column, CreateIndex, Name
from dbops.lint.types import mysql_keeps_rows, postgres_keeps_rows
from dbops.lint.world import World
from dbops.sql.keywords import words
from dbops.sql.tokens import Token

EXCLUSIVE = "ACCESS EXCLUSIVE"
SHARE_ROW = "SHARE ROW EXCLUSIVE"
SHARE = "SHARE"
LIGHT = "SHARE UPDATE EXCLUSIVE"
METADATA = "exclusive metadata lock"
NO_WRITES = "LOCK=SHARED"


@dataclass(frozen=True, slots=True)
class Work:
    """`rewrites`, `scans` and `builds` say why all rows are written, read or indexed; empty when they are not."""

    at: int
    lock: str = ""
    rewrites: str = ""
    scans: str = ""
    builds: str = ""
    other_table: Name | None = None
    """A second table that is locked likewise: the one a foreign key points to."""

    @property
    def is_long(self) -> bool:
        return bool(self.rewrites or self.scans or self.builds)


def works(fact: AlterTable, world: World) -> list[Work]:
    """Return the work of each action of ALTER TABLE."""
    match world.dialect.name:
        case "postgresql":
            return [_postgresql(action, fact.table, world) for action in fact.actions]
        case "mysql":
            return [_chosen(_mysql(action, fact.table, world), fact) for action in fact.actions]
        case _:
            return [_sqlite(action) for action in fact.actions]


def _postgresql(action: Action, table: Name, world: World) -> Work:
    work = Work(action.at, EXCLUSIVE)
    match action.kind:
        case "add_column" if action.column:
            return _postgresql_column(work, action.column, world)
        case "alter_type":
            return replace(work, rewrites=_retyped(action, table, world))
        case "set_not_null":
            state = world.table(table)
            is_proved = state is not None and world.fold(action.name) in state.made_not_null
            return work if is_proved else replace(work, scans=f"every row is read to see that {action.name} is not NULL")
        case "add_constraint" if action.constraint:
            return _postgresql_constraint(work, action, world)
        case "validate":
            return Work(action.at, LIGHT, scans=f"every row is read to validate {action.name}")
        case "set_logged":
            return replace(work, rewrites=f"{' '.join(action.words[:2])} writes the table again")
        case "set_tablespace" | "set_access_method":
            return replace(work, rewrites=f"{' '.join(action.words[:3])} writes the table again")
        case "attach":
            return Work(action.at, LIGHT, scans="the rows of the partition are read, unless a valid check proves its bounds")
        case "detach" if action.is_concurrent:
            return Work(action.at, LIGHT)
        case "set_statistics" | "options":
            return Work(action.at, LIGHT)
        case "set_expression":
            return replace(work, rewrites="the generated column is computed again for every row")
    return work


def _postgresql_column(work: Work, column: Column, world: World) -> Work:
    reason = ""
    if column.generated == "stored":
        reason = f"the stored generated column {column.name} is computed for every row"
    elif column.is_identity or column.counts_up:
        reason = f"{column.name} gets a new number in every row"
    elif column.default and (call := volatile_call(column.default)):
        reason = f"the default {call}() of {column.name} may differ from row to row"
    elif column.default and world.settings.is_older_than(11):
        reason = f"before PostgreSQL 11 the default of {column.name} is written into every row"
    if reason:
        return replace(work, rewrites=reason)
    builds = f"the index of the key on {column.name} is built" if column.is_unique or column.is_primary else ""
    scans = f"every row is read to prove the check of {column.name}" if column.has_check and column.default else ""
    if column.references is not None:
        return replace(work, builds=builds, scans=scans, other_table=column.references.table)
    return replace(work, builds=builds, scans=scans)


def _postgresql_constraint(work: Work, action: Action, world: World) -> Work:
    constraint = action.constraint
    assert constraint is not None
    name = constraint.name or constraint.kind.replace("_", " ")
    match constraint.kind:
        case "primary_key" | "unique" if not constraint.using_index:
            return replace(work, builds=f"the index of {name} is built")
        case "exclude":
            return replace(work, builds=f"the index of {name} is built")
        case "check" | "not_null" if constraint.is_validated:
            return replace(work, scans=f"every row is read to prove {name}")
        case "foreign_key" if constraint.references:
            scans = f"every row is read to prove {name}" if constraint.is_validated else ""
            return Work(action.at, SHARE_ROW, scans=scans, other_table=constraint.references.table)
    return work


def _retyped(action: Action, table: Name, world: World) -> str:
    if action.type is None:
        return ""
    known = world.column(table, action.name)
    old = known.type if known else None
    if old is not None and not action.has_using and postgres_keeps_rows(old, action.type):
        return ""
    was = f" from {old}" if old else ""
    return f"{action.name} changes its type{was} to {action.type}"


#: Functions of PostgreSQL whose value differs from row to row.
_VOLATILE = words("""
    random gen_random_uuid uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 uuidv4 uuidv7 clock_timestamp timeofday
    nextval setval
""")
_MYSQL_VOLATILE = frozenset(["uuid", "rand", "uuid_short", "sys_guid", "random_bytes"])


def volatile_call(default: tuple[Token, ...]) -> str:
    """Return the name of a function in a default that gives another value for each row, empty when none is known to."""
    for token, following in itertools.pairwise(default):
        name = token.text.lower().strip('"')
        if following.text == "(" and token.kind in ("word", "name") and name in _VOLATILE:
            return name
    return ""


def _mysql(action: Action, table: Name, world: World) -> Work:
    work = Work(action.at, METADATA)
    match action.kind:
        case "add_column" if action.column:
            return _mysql_column(work, action.column, world)
        case "modify_column" if action.column:
            return _mysql_modified(work, action, table, world)
        case "add_index" if action.constraint and action.constraint.kind in ("fulltext", "spatial"):
            return replace(work, lock=NO_WRITES, builds=f"the {action.constraint.kind} index is built")
        case "add_index":
            return replace(work, builds="the index is built, in place")
        case "add_constraint" if action.constraint:
            return _mysql_constraint(work, action)
        case "drop_primary_key":
            return replace(
                work, lock=NO_WRITES, rewrites="the table is ordered by its primary key, and is written again without it"
            )
        case "convert_charset":
            return replace(work, lock=NO_WRITES, rewrites="every text is converted to another character set")
        case "engine":
            state = world.table(table)
            is_same = state is not None and state.options.get("engine", "").lower() == action.to.lower()
            return work if is_same else replace(work, lock=NO_WRITES, rewrites=f"the table moves to {action.to}")
        case "force" | "row_format":
            return replace(work, rewrites=f"{action.words[0]} writes the table again, in place")
        case "repartition" | "add_partition" if action.words[:1] != ("ADD",):
            return replace(work, lock=NO_WRITES, rewrites="the rows are put into other partitions")
    return work


def _mysql_column(work: Work, column: Column, world: World) -> Work:
    if column.generated == "stored":
        return replace(work, lock=NO_WRITES, rewrites=f"the stored generated column {column.name} is computed for every row")
    if column.counts_up:
        return replace(work, lock=NO_WRITES, rewrites=f"{column.name} gets a new number in every row")
    if column.default and any(token.text.lower() in _MYSQL_VOLATILE for token in column.default):
        return replace(work, lock=NO_WRITES, rewrites=f"the default of {column.name} differs from row to row")
    if column.is_unique or column.is_primary:
        return replace(work, builds=f"the index of the key on {column.name} is built")
    oldest = (10, 3) if world.settings.engine == "mariadb" else (8, 0, 12)
    if world.settings.is_older_than(*oldest):
        return replace(work, rewrites="before MySQL 8.0.12 and MariaDB 10.3 a new column is written into every row")
    return work


def _mysql_modified(work: Work, action: Action, table: Name, world: World) -> Work:
    assert action.column is not None
    known = world.column(table, action.name)
    new = action.column.type
    if known is None or known.type is None or new is None:
        return replace(
            work, lock=NO_WRITES, rewrites=f"{action.name} is written again, unless only its length or its default changes"
        )
    charset = replace(known.type, charset=new.charset if not known.type.charset else known.type.charset)
    if not mysql_keeps_rows(charset, new):
        reason = f"{action.name} changes its type from {known.type} to {new}"
        return replace(work, lock=NO_WRITES, rewrites=reason)
    if known.is_not_null != action.column.is_not_null:
        return replace(
            work, rewrites=f"{action.name} {'becomes' if action.column.is_not_null else 'is no longer'} NOT NULL, in place"
        )
    if action.column.is_placed:
        return replace(work, rewrites=f"{action.name} moves to another place, in place")
    return work


def _mysql_constraint(work: Work, action: Action) -> Work:
    constraint = action.constraint
    assert constraint is not None
    name = constraint.name or constraint.kind.replace("_", " ")
    match constraint.kind:
        case "primary_key":
            return replace(work, rewrites="the table is ordered by its primary key, and is written again, in place")
        case "unique":
            return replace(work, builds=f"the index of {name} is built, in place")
        case "foreign_key" if constraint.references:
            reason = f"every row is read to prove {name}, unless foreign_key_checks is off"
            return replace(work, lock=NO_WRITES, scans=reason, other_table=constraint.references.table)
        case "check":
            return replace(work, lock=NO_WRITES, rewrites=f"the table is copied to prove {name}")
    return work


def _chosen(work: Work, fact: AlterTable) -> Work:
    """Return the work under the ALGORITHM and LOCK that are asked for: the server refuses the statement rather than do more."""
    algorithm, lock = fact.options.get("algorithm", ""), fact.options.get("lock", "")
    if algorithm == "INSTANT":
        return Work(work.at, METADATA)
    if algorithm == "COPY":
        work = replace(work, lock=NO_WRITES, rewrites=work.rewrites or "ALGORITHM=COPY writes the table again")
    if lock == "NONE":
        return replace(work, lock=METADATA)
    if lock in ("SHARED", "EXCLUSIVE"):
        work = replace(work, lock=f"LOCK={lock}", scans=work.scans or ("" if work.is_long else "the lock is asked for"))
    if algorithm in ("INPLACE", "NOCOPY") and lock == "" and work.lock == NO_WRITES and not work.builds:
        return replace(work, lock=METADATA)
    return work


def _sqlite(action: Action) -> Work:
    match action.kind:
        case "drop_column":
            return Work(action.at, rewrites=f"every row is written again without {action.name}")
        case "add_column" if action.column and (action.column.has_check or action.column.generated):
            return Work(action.at, scans=f"every row is read to test {action.column.name}")
        case "set_not_null" | "add_constraint":
            return Work(action.at, scans="every row is read to prove it")
    return Work(action.at)


def index_work(fact: CreateIndex, world: World) -> Work:
    """Return the work of CREATE INDEX."""
    what = f"index {fact.name.name}" if fact.name else "the index"
    builds = f"{what} is built"
    if fact.is_concurrent or fact.is_on_only:
        return Work(fact.at, LIGHT if fact.is_concurrent else SHARE, builds="" if fact.is_on_only else builds)
    if world.dialect.name == "postgresql":
        return Work(fact.at, SHARE, builds=builds)
    if world.dialect.name == "mysql":
        is_online = fact.method not in ("fulltext", "spatial") and fact.options.get("lock", "NONE").upper() in ("NONE", "DEFAULT")
        copies = fact.options.get("algorithm", "").upper() == "COPY"
        return Work(fact.at, METADATA if is_online and not copies else NO_WRITES, builds=builds)
    return Work(fact.at, builds=builds)
