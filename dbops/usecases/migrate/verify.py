"""verify and dry runs: what the migrations do on a scratch database, from nothing, and there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import diff
from dbops.engines.base.connect import Connection
from dbops.resources.migrations.model import Migration
from dbops.resources.migrations.replay import from_nothing, replay, run_on_scratch
from dbops.resources.migrations.standing import to_run
from dbops.usecases.migrate.sets import MigrationWork, sets_of
from dbops.usecases.runtime import Workspace


@dataclass(frozen=True, slots=True)
class DryRun:
    """What ran on a scratch database for one connection; `pending` is what an `up` would run here."""

    connection: str
    migrations: int
    pending: int
    duration_s: float


def dry_run(workspace: Workspace, name: str | None = None) -> list[DryRun]:
    """Run every set from nothing on a scratch database.

    Raises:
        MigrationError: a migration fails there; says which statement, and why.
    """
    found = []
    for one in sets_of(workspace, name):
        pending = to_run(one.resource.observe(one.desired, workspace.targets).standings)
        started = monotonic()
        migrations = one.resource.migrations(one.desired)
        with one.engine.scratch(workspace.targets.target(one.desired.connection)) as conn:
            replay(migrations, one.engine, conn)
        found.append(DryRun(one.desired.connection, len(from_nothing(migrations)), len(pending), monotonic() - started))
    return found


@dataclass(frozen=True, slots=True)
class Verified:
    """What was proved of one migration; `problem` says what was not as it should be, empty when all was."""

    migration: Migration
    outcome: str
    problem: str = ""


def verify(workspace: Workspace, name: str | None = None) -> list[Verified]:
    """Run each set from nothing, and each migration there, back and there again, comparing catalogs.

    Raises:
        MigrationError: a migration does not run up.
    """
    found = []
    for one in sets_of(workspace, name):
        with one.engine.scratch(workspace.targets.target(one.desired.connection)) as conn:
            found += _there_and_back(one, conn)
    return found


def _there_and_back(one: MigrationWork, conn: Connection) -> list[Verified]:
    found = []
    before = one.engine.inspect(conn)
    for migration in from_nothing(one.resource.migrations(one.desired)):
        run_on_scratch(migration, "up", one.engine, conn)
        after = one.engine.inspect(conn)
        if migration.down is None:
            why = migration.irreversible or "no way down is written"
            found.append(Verified(migration, f"runs up; {why}"))
        else:
            found.append(_back(one, migration, conn, before, after))
        before = after
    return found


def _back(one: MigrationWork, migration: Migration, conn: Connection, before: Catalog, after: Catalog) -> Verified:
    run_on_scratch(migration, "down", one.engine, conn)
    if left := _differences(one.engine.inspect(conn), before):
        problem = f"down does not lead back: {left}"
        run_on_scratch(migration, "up", one.engine, conn)
        return Verified(migration, "", problem)
    run_on_scratch(migration, "up", one.engine, conn)
    if left := _differences(one.engine.inspect(conn), after):
        return Verified(migration, "", f"up again does not give the same: {left}")
    return Verified(migration, "runs up, down and up again")


def _differences(found: Catalog, wanted: Catalog) -> str:
    return _in_words([str(change.ref) for change in diff(found, wanted)])


def _in_words(refs: Sequence[str]) -> str:
    shown = ", ".join(dict.fromkeys(refs[:5]))
    return f"{shown} and {len(refs) - 5} more" if len(refs) > 5 else shown
