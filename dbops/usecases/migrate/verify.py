"""verify and dry runs: what the migrations do on a scratch database, from nothing, and there and back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from time import monotonic

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import diff
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Target
from dbops.errors import MigrationError
from dbops.resources.migrations.model import ALEMBIC_TABLE, Migration
from dbops.resources.migrations.replay import from_nothing, replay, run_on_scratch
from dbops.resources.migrations.standing import to_run
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.resource import SchemaResource
from dbops.usecases.agreement import replayed
from dbops.usecases.migrate.extent import EVERYTHING, Extent, within
from dbops.usecases.migrate.sets import MigrationWork, of_one_name, one_of_each_server, sets_of
from dbops.usecases.runtime import Workspace


@dataclass(frozen=True, slots=True)
class DryRun:
    """What ran on a scratch database for one connection; `pending` is how many an `up` would run here."""

    connection: str
    migrations: int
    pending: int
    duration_s: float


def dry_run(workspace: Workspace, name: str | None = None, extent: Extent = EVERYTHING) -> list[DryRun]:
    """Run every set from nothing on a scratch database, without what is pending and lies behind the extent.

    Raises:
        MigrationError: a migration fails there; says which statement, and why. There is no version to end at.
    """
    found = []
    for one in sets_of(workspace, name) if extent == EVERYTHING else of_one_name(workspace, name):
        standing = [found.migration for found in to_run(one.resource.standings(one.desired, workspace.targets))]
        pending = [migration for migration in standing if migration is not None]
        chosen = within(extent, pending, one)
        left = {migration.version for migration in pending} - {migration.version for migration in chosen}
        started = monotonic()
        migrations = [migration for migration in one.resource.migrations(one.desired) if migration.version not in left]
        with one.engine.scratch(workspace.targets.target(one.desired.connection)) as conn:
            replay(migrations, one.engine, conn)
        found.append(DryRun(one.desired.connection, len(from_nothing(migrations)), len(chosen), monotonic() - started))
    return found


@dataclass(frozen=True, slots=True)
class Verified:
    """What was proved of one migration, or of a set; `problem` says what was not as it should be, empty when all was."""

    subject: str
    outcome: str
    problem: str = ""


def verify(workspace: Workspace, name: str | None = None) -> list[Verified]:
    """Run each set from nothing, and each migration there, back and there again, comparing catalogs; once on each server.

    Raises:
        MigrationError: a migration does not run up.
    """
    found = []
    for one in one_of_each_server(sets_of(workspace, name), workspace):
        found += _there_and_back(one, workspace.targets.target(one.desired.connection))
    return [*found, *_schemas(workspace, {one.desired.connection for one in sets_of(workspace, name)})]


def _schemas(workspace: Workspace, connections: Collection[str]) -> Iterator[Verified]:
    """Compare what the migrations of each database lead to with its schema."""
    for work in workspace.work:
        schema, resource = work.desired, work.resource
        if (
            not isinstance(schema, DesiredSchema)
            or not isinstance(resource, SchemaResource)
            or schema.connection not in connections
        ):
            continue
        sets = [one for one in sets_of(workspace) if one.desired.connection == schema.connection]
        migrations = [migration for one in sets for migration in one.resource.migrations(one.desired)]
        with replayed(migrations, resource, schema, workspace.targets) as apart:
            differing = in_words([change.address for change in apart.changes])
        outcome = "is what the migrations lead to"
        yield Verified(
            schema.address, "" if differing else outcome, f"the migrations do not lead to it: {differing}" if differing else ""
        )


def _there_and_back(one: MigrationWork, target: Target) -> list[Verified]:
    """Prove migrations in order; behind one that does not lead back, the others are proved on another scratch."""
    migrations = from_nothing(one.resource.migrations(one.desired))
    found: list[Verified] = []
    while len(found) < len(migrations):
        with one.engine.scratch(target) as conn:
            for migration in migrations[: len(found)]:
                run_on_scratch(migration, "up", one.engine, conn)
            for migration in migrations[len(found) :]:
                found.append(_proved(one, migration, conn))
                if found[-1].problem:
                    break
    return found


def _proved(one: MigrationWork, migration: Migration, conn: Connection) -> Verified:
    """Run one migration up, down and up again.

    Raises:
        MigrationError: it does not run up.
    """
    before = one.engine.inspect(conn)
    run_on_scratch(migration, "up", one.engine, conn)
    if migration.down is None:
        why = migration.irreversible or "no way down is written"
        return Verified(migration.id, f"runs up; {why}")
    after = one.engine.inspect(conn)
    try:
        run_on_scratch(migration, "down", one.engine, conn)
    except MigrationError as error:
        return Verified(migration.id, "", error.message)
    if left := _differences(one.engine.inspect(conn), before):
        return Verified(migration.id, "", f"down does not lead back: {left}")
    try:
        run_on_scratch(migration, "up", one.engine, conn)
    except MigrationError as error:
        return Verified(migration.id, "", f"it runs up and down, and then not up again: {error.message}")
    if left := _differences(one.engine.inspect(conn), after):
        return Verified(migration.id, "", f"up again does not give the same: {left}")
    return Verified(migration.id, "runs up, down and up again")


def _differences(found: Catalog, wanted: Catalog) -> str:
    return in_words([str(change.ref) for change in diff(found, wanted) if change.ref.table.name != ALEMBIC_TABLE])


def in_words(refs: Sequence[str]) -> str:
    """Return the first of what differs, and how many more do."""
    shown = ", ".join(dict.fromkeys(refs[:5]))
    return f"{shown} and {len(refs) - 5} more" if len(refs) > 5 else shown
