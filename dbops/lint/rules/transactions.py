"""Rules about transactions: what cannot be rolled back, what ends one unasked, what makes one long."""

from __future__ import annotations

from collections.abc import Iterator

from dbops.lint.facts import (
    AlterTable,
    AlterType,
    Create,
    CreateIndex,
    CreateTable,
    Dml,
    Drop,
    Fact,
    Insert,
    Maintenance,
    Name,
    Other,
    Rename,
    Setting,
    Transaction,
    Truncate,
)
from dbops.lint.rule import ENGINES, MY, PG, Hit, Spot, hazard, script_rule, statement_rule
from dbops.lint.statements import Read
from dbops.lint.work import EXCLUSIVE, SHARE_ROW, index_work, works
from dbops.lint.world import World
from dbops.sql.hazard import HAZARDS


def refused_in_transaction(fact: Fact, is_postgresql: bool) -> str:
    """Return the words of a statement that the engine refuses inside a transaction, empty for any other."""
    if not is_postgresql:
        return "VACUUM" if isinstance(fact, Maintenance) and fact.verb == "vacuum" else ""
    match fact:
        case CreateIndex() if fact.is_concurrent:
            return "CREATE INDEX CONCURRENTLY"
        case Drop("index", _, _, True):
            return "DROP INDEX CONCURRENTLY"
        case Drop("database" | "tablespace" as kind) | Create("database" | "tablespace" as kind):
            return f"{'DROP' if isinstance(fact, Drop) else 'CREATE'} {kind.upper()}"
        case Maintenance("reindex", _, _, True):
            return "REINDEX CONCURRENTLY"
        case Maintenance("vacuum"):
            return "VACUUM"
        case AlterTable(_, actions) if any(action.kind == "detach" and action.is_concurrent for action in actions):
            return "DETACH PARTITION CONCURRENTLY"
        case Other(("ALTER", "SYSTEM", *_)):
            return "ALTER SYSTEM"
    return ""


@hazard(
    "NOT_TRANSACTIONAL",
    (*PG, *MY),
    why="When a later statement of the file fails, this one stays done: the file can neither be taken back nor simply run again.",
    advice=(
        "Put it into a file of its own, or write the file so that it can run twice (IF NOT EXISTS). dbops keeps a "
        "journal of each statement."
    ),
)
def not_transactional(read: Read, world: World) -> Iterator[Hit]:
    if world.dialect.name == "postgresql":
        words = refused_in_transaction(read.fact, is_postgresql=True)
        if words and any(_is_change(other.fact) for other in world.script if other is not read):
            yield Hit(0, f"{words} cannot be rolled back with the other statements of this file")
        if isinstance(read.fact, AlterType) and read.fact.action == "add value" and not world.is_new(read.fact.type, "type"):
            value = read.fact.value
            later = [other for other in world.script[read.number + 1 :] if value and value in other.source.text]
            if later:
                yield Hit(0, f"label {value} can be used only once its transaction is committed, and this file uses it")
        return
    if not _changes_existing(read.fact, world):
        return
    before, behind = world.script[: read.number], world.script[read.number + 1 :]
    is_last = not any(_changes_existing(other.fact, world) for other in behind)
    if is_last and any(_changes_existing(other.fact, world) for other in before):
        yield Hit(0, "each statement commits by itself: when this one fails, those before it stay done")


def _is_change(fact: Fact) -> bool:
    return isinstance(fact, AlterTable | CreateTable | CreateIndex | Create | Drop | Rename | AlterType | Truncate | Dml | Insert)


def _changes_existing(fact: Fact, world: World) -> bool:
    match fact:
        case AlterTable(table) | CreateIndex(_, table):
            return not world.is_new(table)
        case Drop("table", names):
            return not all(world.is_new(name) for name in names)
        case Rename() | Truncate():
            return True
    return False


@hazard(
    "IMPLICIT_COMMIT",
    MY,
    why="MySQL commits the open transaction before any schema change: the data changes before it can no longer be rolled back.",
    advice="Put schema changes and data changes into files of their own.",
)
def implicit_commit(read: Read, world: World) -> Iterator[Hit]:
    is_ddl = isinstance(read.fact, AlterTable | CreateTable | CreateIndex | Drop | Rename | Truncate | Create)
    is_temporary = isinstance(read.fact, CreateTable | Drop) and read.fact.is_temporary
    if is_ddl and not is_temporary and (world.in_transaction or world.changed_rows):
        yield Hit(0, "this commits the data changes before it, which then cannot be rolled back")


@statement_rule(
    "CONCURRENTLY_IN_TRANSACTION",
    PG,
    "a statement that PostgreSQL refuses inside a transaction stands in one",
    why="CREATE INDEX CONCURRENTLY, VACUUM and their like run several transactions of their own; inside BEGIN they fail at once.",
    advice="Take it out of BEGIN and COMMIT, or tell the runner so (-- +goose NO TRANSACTION, transaction:false).",
    severity="error",
)
def concurrently_in_transaction(read: Read, world: World) -> Iterator[Hit]:
    words = refused_in_transaction(read.fact, is_postgresql=True)
    if words and (world.in_transaction or read.is_wrapped):
        yield Hit(0, f"{words} fails inside a transaction block")


@script_rule(
    "TRANSACTION_NESTING",
    ENGINES,
    "BEGIN and COMMIT of a file do not match",
    why=(
        "A BEGIN inside a transaction does nothing or fails, and the first COMMIT ends the outer one: what follows is"
        " not protected."
    ),
    advice="One BEGIN, one COMMIT; none where the migration runner opens the transaction itself.",
)
def transaction_nesting(script: tuple[Read, ...], world: World) -> Iterator[Spot]:
    opened: Read | None = None
    for read in script:
        if isinstance(read.fact, Setting) and read.fact.name == "autocommit":
            opened = read if read.fact.value.strip("'\"").lower() in ("0", "off", "false") else None
        if not isinstance(read.fact, Transaction):
            continue
        if read.is_wrapped:
            yield Spot(read, 0, "the runner of this file opens a transaction itself")
        elif read.fact.step == "begin":
            if opened is not None and not isinstance(opened.fact, Setting):
                yield Spot(read, 0, f"a transaction is open since line {opened.source.at.line}")
            opened = read
        elif opened is None:
            yield Spot(read, 0, f"{read.fact.step.upper()} without a BEGIN in this file")
        elif not isinstance(opened.fact, Setting):
            opened = None
    if opened is not None and isinstance(opened.fact, Transaction):
        yield Spot(opened, 0, "this transaction is never committed in this file")


@script_rule(
    "LONG_TRANSACTION",
    PG,
    HAZARDS["LONG_TRANSACTION"],
    why="Locks are held until the transaction ends: the first table stays locked while the second is worked on.",
    advice="One table and one strong lock in each transaction; data changes in another one.",
)
def long_transaction(script: tuple[Read, ...], world: World) -> Iterator[Spot]:
    locked: dict[tuple[str, str], Read] = {}
    is_told = False
    for read in script:
        if isinstance(read.fact, Transaction):
            locked, is_told = {}, False
        if read.is_undo or is_told:
            continue
        for table in _strongly_locked(read.fact, world):
            locked.setdefault(world.key(table), read)
        is_backfill = isinstance(read.fact, Dml) and locked and not world.is_new(read.fact.table)
        if len(locked) > 1 or is_backfill:
            names = ", ".join(name for _, name in locked)
            rows = f" while rows of {read.fact.table} change" if is_backfill and isinstance(read.fact, Dml) else ""
            yield Spot(read, 0, f"strong locks on {names} are held until the transaction ends{rows}")
            is_told = True


def _strongly_locked(fact: Fact, world: World) -> list[Name]:
    match fact:
        case AlterTable(table) if not world.is_new(table):
            strong = [work for work in works(fact, world) if work.lock in (EXCLUSIVE, SHARE_ROW)]
            return [table] if strong else []
        case CreateIndex(_, table) if not world.is_new(table) and not fact.is_concurrent and index_work(fact, world).builds:
            return [table]
        case Truncate(tables):
            return [table for table in tables if not world.is_new(table)]
    return []


@script_rule(
    "TIMEOUT_MISSING",
    (*PG, *MY),
    "a file that takes strong locks sets no timeout",
    why="Without a timeout a statement waits for its lock as long as it takes, and everybody waits behind it.",
    advice="Begin the file with SET lock_timeout and SET statement_timeout (PostgreSQL), or SET lock_wait_timeout (MySQL).",
    severity="off",
)
def timeout_missing(script: tuple[Read, ...], world: World) -> Iterator[Spot]:
    wanted = ("lock_timeout", "statement_timeout") if world.dialect.name == "postgresql" else ("lock_wait_timeout",)
    given: set[str] = set()
    for read in script:
        if isinstance(read.fact, Setting):
            given.add(read.fact.name)
        existing = isinstance(read.fact, AlterTable | CreateIndex) and not world.is_new(read.fact.table)
        if existing or (isinstance(read.fact, Drop) and read.fact.kind in ("table", "index")):
            missing = [name for name in wanted if name not in given]
            if missing:
                yield Spot(read, 0, f"{' and '.join(missing)} not set before this takes its lock")
            return


@script_rule(
    "NOT_IDEMPOTENT",
    ENGINES,
    "a statement fails when the file is run a second time",
    why="A file that failed half way must be run again, and then trips over what it did the first time.",
    advice="IF NOT EXISTS and IF EXISTS, or OR REPLACE, where the engine has them.",
    severity="off",
)
def not_idempotent(script: tuple[Read, ...], world: World) -> Iterator[Spot]:
    dropped: set[tuple[str, tuple[str, str]]] = set()
    for read in script:
        match read.fact:
            case Drop(kind, names) if read.fact.is_guarded:
                dropped |= {(kind, world.key(name)) for name in names}
            case Drop(kind, names) if (
                not read.fact.is_temporary
                and names
                and not (kind == "index" and world.dialect.name == "mysql" and world.settings.engine == "mysql")
            ):
                yield Spot(read, 0, f"DROP {kind.upper()} without IF EXISTS")
            case CreateTable(table) if not read.fact.is_guarded and ("table", world.key(table)) not in dropped:
                yield Spot(read, 0, "CREATE TABLE without IF NOT EXISTS")
            case CreateIndex(name, _) if not read.fact.is_guarded and name and world.settings.engine != "mysql":
                if ("index", world.key(name)) not in dropped:
                    yield Spot(read, 0, "CREATE INDEX without IF NOT EXISTS")
            case Create(kind, name) if not read.fact.is_guarded and kind in _GUARDED and (kind, world.key(name)) not in dropped:
                yield Spot(read, 0, f"CREATE {kind.upper()} without {_GUARDED[kind]}")
            case AlterTable(_, actions) if world.settings.engine in ("postgresql", "mariadb"):
                for action in actions:
                    if action.kind in ("add_column", "drop_column", "drop_constraint") and not action.is_guarded:
                        word = "IF NOT EXISTS" if action.kind == "add_column" else "IF EXISTS"
                        yield Spot(read, action.at, f"{action.kind.replace('_', ' ').upper()} without {word}")
            case _:
                pass


_GUARDED = {
    "view": "OR REPLACE or IF NOT EXISTS",
    "function": "OR REPLACE",
    "procedure": "OR REPLACE",
    "sequence": "IF NOT EXISTS",
    "schema": "IF NOT EXISTS",
    "extension": "IF NOT EXISTS",
    "materialized view": "IF NOT EXISTS",
}
