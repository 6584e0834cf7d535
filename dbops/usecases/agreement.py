"""Migrations and schemas of one database: the migrations, run from nothing, must give what the schema says.

While migrations are pending, they are how the schema comes about, and the schema plans no steps of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.errors import MigrationError, PlanError
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.ledger import Ledger
from dbops.reconcile.planner import Finding
from dbops.reconcile.resource import Memory, Targets
from dbops.resources.migrations.model import DesiredMigrations, Migration, ObservedMigrations
from dbops.resources.migrations.replay import BEYOND_SCRATCH, replay
from dbops.resources.migrations.resource import MigrationResource
from dbops.resources.migrations.standing import to_run
from dbops.resources.schema.cache import CatalogCache, default_folder
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.observed import ObservedSchema
from dbops.resources.schema.resource import SchemaResource
from dbops.resources.schema.verdict import InOrder, source_digest
from dbops.usecases.runtime import Workspace
from dbops.version import __version__


def following(findings: Sequence[Finding], workspace: Workspace) -> list[Finding]:
    """Return findings in which schemas follow the migrations of their databases.

    Raises:
        PlanError: migrations do not lead to the schema of their database; names the objects.
    """
    sets = [finding for finding in findings if isinstance(finding.work.resource, MigrationResource)]
    return [_following(finding, sets, workspace) for finding in findings]


def _following(finding: Finding, sets: Sequence[Finding], workspace: Workspace) -> Finding:
    schema = finding.work.desired
    if not isinstance(schema, DesiredSchema):
        return finding
    own = [one for one in sets if schema.connection in one.work.desired.connections]
    if not own or not all(_is_whole(one) for one in own):
        return finding
    migrations = [migration for one in own for migration in _migrations(one)]
    untold = must_agree(migrations, schema, finding, workspace, {id for one in own for id in _to_run(one)})
    if untold is not None:
        observed = finding.observed
        assert isinstance(observed, ObservedSchema | InOrder)
        finding = replace(finding, observed=replace(observed, observations=(*observed.observations, untold)))
    if not any(one.entries for one in own):
        return finding
    differing = finding.work.resource.diff(schema, finding.observed)
    left_out = {change.address for change in differing} | {entry.change.address for entry in finding.entries} | finding.left_out
    return replace(finding, entries=(), left_out=frozenset(left_out))


def _is_whole(finding: Finding) -> bool:
    """Tell whether the files say all that was applied: then running them from nothing gives what there is."""
    observed = finding.observed
    assert isinstance(observed, ObservedMigrations)
    return all(one.migration is not None and one.state != "baselined" for one in observed.standings)


def _migrations(finding: Finding) -> list[Migration]:
    resource, desired = finding.work.resource, finding.work.desired
    assert isinstance(resource, MigrationResource) and isinstance(desired, DesiredMigrations)
    return resource.migrations(desired)


def _to_run(finding: Finding) -> list[str]:
    observed = finding.observed
    assert isinstance(observed, ObservedMigrations)
    return [one.id for one in to_run(observed.standings)]


def must_agree(
    migrations: Sequence[Migration], schema: DesiredSchema, finding: Finding, workspace: Workspace, pending: Collection[str]
) -> Observation | None:
    """Run migrations from nothing and compare with a schema; what was found to agree before is not run again.

    Where one that is applied already, and is none of `pending`, does not run from nothing, as in a history that was adopted
    without its beginning, and where one does something to the whole server, nothing is compared: that is returned.

    Raises:
        PlanError: they do not agree; names the objects.
    """
    cache, key = CatalogCache(default_folder()), _key(migrations, schema, workspace.targets)
    if key is not None and cache.get_text(key) is not None:
        return None
    resource = finding.work.resource
    assert isinstance(resource, SchemaResource)
    ran = ""

    def runs(id: str) -> None:
        nonlocal ran
        ran = id

    try:
        with replayed(migrations, resource, schema, workspace.targets, runs) as apart:
            changes = apart.changes
    except MigrationError as error:
        if error.error_code == BEYOND_SCRATCH:
            why = error.message
        elif ran and ran not in pending:
            why = f"{ran}, which is applied, does not run from nothing"
        else:
            raise
        text = f"the migrations of {schema.connection} are not compared with this schema: {why}"
        return Observation(schema.address, "MIGRATIONS_NOT_COMPARED", text)
    if changes:
        lines = "\n".join(f"  {change.address}: {_in_words(change)}" for change in changes)
        raise PlanError(
            f"the migrations of {schema.connection} do not lead to {schema.address}:\n{lines}",
            at=schema.at,
            fix="dbops migrate generate NAME writes the migration that is missing; or change the schema",
            error_code="MIGRATIONS_PART",
        )
    if key is not None:
        cache.put_text(key, "agreed")
    return None


def _in_words(change: Change) -> str:
    match change.action:
        case "create":
            return "no migration makes it"
        case "delete":
            return "migrations make it, and the schema does not name it"
        case _:
            return change.reason


def _key(migrations: Sequence[Migration], schema: DesiredSchema, targets: Targets) -> str | None:
    source, reader = source_digest(schema.source), targets.reader(schema.connection)
    if source is None or reader is None:
        return None
    state = hashlib.sha256(source)
    about = (__version__, reader.server.flavour, reader.server.version_text, schema.scope, schema.renames, schema.tolerated)
    state.update(repr((about, schema.unmanaged, [(one.version, one.checksum) for one in migrations])).encode())
    return f"agreement-{state.hexdigest()}"


@dataclass(frozen=True, slots=True)
class Apart:
    """What remains to be done, on a scratch on which migrations ran, to come to a schema."""

    resource: SchemaResource
    desired: DesiredSchema
    observed: ObservedSchema
    changes: Sequence[Change]
    targets: Targets


@contextmanager
def replayed(
    migrations: Sequence[Migration],
    resource: SchemaResource,
    schema: DesiredSchema,
    targets: Targets,
    told: Callable[[str], None] = lambda id: None,
) -> Iterator[Apart]:
    """Run migrations on a scratch, and compare it with a schema as if it were the live database; rows do not count.

    Raises:
        MigrationError: a migration does not run there.
    """
    structure = replace(schema, data=())
    engine = targets.engine(schema.connection)
    with engine.scratch(targets.target(schema.connection)) as conn:
        replay(migrations, engine, conn, told)
        scratch = ScratchTargets(engine, targets.target(schema.connection), conn)
        observed = resource.read_anew(structure, scratch)
        yield Apart(resource, structure, observed, resource.diff(structure, observed), scratch)


@dataclass(frozen=True, slots=True)
class ScratchTargets:
    """Fills `reconcile.resource.Targets` with a scratch in place of every database."""

    of: Engine
    real: Target
    conn: Connection

    def engine(self, connection: str) -> Engine:
        return self.of

    def target(self, connection: str) -> Target:
        return self.real

    def reader(self, connection: str) -> Connection | None:
        return self.conn

    def writer(self, connection: str) -> Connection:
        return self.conn

    def create(self, connection: str) -> None:
        """A scratch is there."""

    def memory(self, connection: str) -> Memory:
        return _Nothing()

    def ledger(self, connection: str, table: str, set_name: str) -> Ledger:
        raise PlanError("a scratch has no ledger")


class _Nothing:
    """The memory of a scratch."""

    def recall(self, key: str) -> str | None:
        return None

    def remember(self, key: str, text: str, apply_id: str) -> None:
        """Keep nothing: the scratch goes."""

    def latest_apply(self) -> str | None:
        return None
