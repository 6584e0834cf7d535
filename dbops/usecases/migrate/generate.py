"""generate: the migration that takes what the migrations build to what the Schema says, written for tables in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.connect import TableSize
from dbops.engines.base.render import MANY
from dbops.errors import MigrationError
from dbops.resources.schema.model import DesiredSchema
from dbops.resources.schema.resource import SchemaResource
from dbops.usecases.agreement import replayed
from dbops.usecases.migrate.files import read_set
from dbops.usecases.migrate.parts import parts, write_part
from dbops.usecases.migrate.sets import MigrationWork, one_set, sets_of
from dbops.usecases.runtime import Workspace


@dataclass(frozen=True, slots=True)
class Generated:
    """The files that were written, none when there was nothing to write; `unreturnable` are steps without a way back."""

    files: tuple[Path, ...]
    titles: tuple[str, ...]
    unreturnable: tuple[str, ...] = ()


def generate(workspace: Workspace, title: str, name: str | None = None) -> Generated:
    """Write the migration that is missing between the migrations and the Schema of one database, and the lock file.

    It is planned as if every table that is there were large and in use. What must not share a transaction with the rest is a
    migration of its own.

    Raises:
        MigrationError: there is no Schema for the database, or several; a migration does not run on a scratch.
    """
    one = one_set(workspace, name)
    resource, schema = _schema_of(one, workspace)
    migrations = [
        migration
        for other in sets_of(workspace)
        if other.desired.connection == one.desired.connection
        for migration in read_set(other.desired)
    ]
    with replayed(migrations, resource, schema, workspace.targets) as apart:
        in_use = replace(apart.observed, sizes=dict.fromkeys(apart.observed.sizes, TableSize(MANY, 0)))
        entries = apart.resource.steps(apart.changes, apart.desired, in_use, apart.targets, archives=False)
    steps = sorted((step for entry in entries for step in entry.steps), key=lambda step: step.order)
    files: list[Path] = []
    for number, part in enumerate(parts(steps, one.engine), start=1):
        named = title if number == 1 else f"{title} {number}"
        files = [*files[:-1], *write_part(one.desired, part, named, one.engine.dialect)]
    stuck = tuple(step.title for step in steps if step.undo is None)
    return Generated(tuple(files), tuple(step.title for step in steps), stuck)


def _schema_of(one: MigrationWork, workspace: Workspace) -> tuple[SchemaResource, DesiredSchema]:
    found = [
        (work.resource, work.desired)
        for work in workspace.work
        if isinstance(work.resource, SchemaResource) and one.desired.connection in work.desired.connections
    ]
    if len(found) != 1:
        what = "several manifests" if found else "no manifest"
        raise MigrationError(
            f"there is {what} of kind Schema for {one.desired.connection}",
            at=one.desired.at,
            expected="one, which says what the migrations lead to",
        )
    resource, schema = found[0]
    assert isinstance(schema, DesiredSchema)
    return resource, schema
