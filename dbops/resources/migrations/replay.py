"""A set of migrations run from nothing on a scratch database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dbops.engines.base.connect import Connection
from dbops.engines.base.engine import Engine
from dbops.errors import DbopsError, MigrationError
from dbops.resources.migrations.model import ALEMBIC_TABLE, Direction, Migration
from dbops.resources.migrations.run import Author, Runner
from dbops.resources.migrations.script import placed, statements_of, title

BEYOND_SCRATCH = "BEYOND_SCRATCH"


def replay(
    migrations: Sequence[Migration], engine: Engine, conn: Connection, told: Callable[[str], None] = lambda text: None
) -> None:
    """Run migrations up, in order, on an empty scratch database.

    Raises:
        MigrationError: one of them fails there; says which statement, and why.
    """
    for migration in from_nothing(migrations):
        told(migration.id)
        run_on_scratch(migration, "up", engine, conn)
    if any(migration.kind == "alembic" for migration in migrations):
        conn.execute(f"DROP TABLE {ALEMBIC_TABLE}")  # what Alembic keeps for itself is no part of a schema


def run_on_scratch(
    migration: Migration,
    direction: Direction,
    engine: Engine,
    conn: Connection,
    heard: Callable[[str], None] = lambda sql: None,
) -> None:
    """Run one migration without a ledger; what a Python step sends is `heard`. Raises as `replay` does."""
    runner = Runner(conn, engine, None, Author("", "", lambda: ""), heard=heard)
    must_stay_inside(migration, direction, engine, conn)
    try:
        runner.run(migration, direction, None)
    except DbopsError as error:
        where = "up" if direction == "up" else "down"
        raise MigrationError(
            f"{migration.id} does not run {where} on a scratch database: {error.message}",
            error.context,
            at=error.at or migration.at,
            expected=error.expected,
            fix="; ".join(_ways_out(error, migration)),
        ) from error


def _ways_out(error: DbopsError, migration: Migration) -> Iterator[str]:
    """Yield what helps; what another file raised, such as Alembic's env.py, is not the migration's to mend."""
    if error.at is None or error.at.file == migration.at.file or not error.fix:
        yield "mend the migration, or let one before it make what it needs" if migration.kind == "sql" else "mend the migration"
    if migration.kind == "alembic" and error.fix:
        yield error.fix


def must_stay_inside(migration: Migration, direction: Direction, engine: Engine, conn: Connection) -> None:
    """Let a migration pass that a scratch holds in.

    Raises:
        MigrationError: of the code BEYOND_SCRATCH: a statement would change what the scratch shares with others.
    """
    script = migration.up if direction == "up" else migration.down
    if migration.kind != "sql" or script is None:
        return
    beyond = engine.scripts.beyond(conn)
    for statement in statements_of(script, engine):
        if beyond(statement):
            raise MigrationError(
                f"{migration.id} is not tried out: {title(statement)} would reach beyond a scratch database",
                at=placed(statement.at, script),
                error_code=BEYOND_SCRATCH,
            )


def from_nothing(migrations: Sequence[Migration]) -> list[Migration]:
    """Return what runs on an empty database: the latest checkpoint in place of what it stands for."""
    from dbops.resources.migrations.standing import behind_checkpoint

    left_out = behind_checkpoint(migrations, ())
    return [migration for migration in migrations if migration.version not in left_out]
