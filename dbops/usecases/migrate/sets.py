"""Which set of migrations is meant, and what its folder holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from dbops.dataclass import dataclass
from dbops.engines.base.engine import Engine
from dbops.errors import MigrationError
from dbops.reconcile.planner import Finding, Work
from dbops.resources.migrations.model import DesiredMigrations, Migration, ObservedMigrations, version_key
from dbops.resources.migrations.resource import MigrationResource
from dbops.usecases.runtime import Workspace


@dataclass(frozen=True, slots=True)
class MigrationWork:
    """One set on one connection, and the resource that knows it."""

    work: Work
    resource: MigrationResource
    desired: DesiredMigrations
    engine: Engine


def sets_of(workspace: Workspace, name: str | None = None) -> list[MigrationWork]:
    """Return the sets of an environment, or the one named `name`, on each connection it is bound to.

    Raises:
        MigrationError: there is none; names those there are.
    """
    found = [
        MigrationWork(work, work.resource, desired, workspace.targets.engine(desired.connection))
        for work in workspace.work
        if isinstance(work.resource, MigrationResource)
        for desired in [cast("DesiredMigrations", work.desired)]
    ]
    chosen = [one for one in found if name is None or name in (one.desired.name, one.desired.set_name)]
    if not chosen:
        names = ", ".join(sorted({one.desired.set_name for one in found}))
        what = f"no MigrationSet {name!r}" if name else "no manifest of kind MigrationSet"
        raise MigrationError(
            f"there is {what} in this environment", expected=f"one of {names}" if names else "one: specs/kinds.md shows it"
        )
    return chosen


def one_of_each_server(sets: Sequence[MigrationWork], workspace: Workspace) -> list[MigrationWork]:
    """Return sets without those whose files would run on the same server once more: what is proved there is proved."""
    found: dict[object, MigrationWork] = {}
    for one in sets:
        url, desired = workspace.targets.target(one.desired.connection).url, one.desired
        found.setdefault((desired.directory, desired.format, desired.alembic, url.engine, url.host, url.port, url.query), one)
    return list(found.values())


def one_set(workspace: Workspace, name: str | None) -> MigrationWork:
    """Return the only set, or the one named; bound to several connections, the first stands for the folder.

    Raises:
        MigrationError: there is none, or there are several and none is named.
    """
    return of_one_name(workspace, name)[0]


def of_one_name(workspace: Workspace, name: str | None) -> list[MigrationWork]:
    """Return the only set, or the one named, on each of its connections: versions of one mean nothing to another.

    Raises:
        MigrationError: there is none, or there are several and none is named.
    """
    found = sets_of(workspace, name)
    names = sorted({one.desired.set_name for one in found})
    if len(names) > 1:
        raise MigrationError(f"this environment has several sets: {', '.join(names)}", fix=f"name one: --set {names[0]}")
    return found


def find(migrations: list[Migration], word: str) -> Migration:
    """Return the migration that a version, an id or a name that only one has means.

    Raises:
        MigrationError: there is none; names the nearest.
    """
    for migration in migrations:
        if word in (migration.version, migration.id) or (word and version_key(word) == version_key(migration.version)):
            return migration
    called = [migration for migration in migrations if word and migration.name == word]
    if len(called) == 1:
        return called[0]
    from difflib import get_close_matches

    near = get_close_matches(word, [migration.id for migration in migrations], 1)
    raise MigrationError(
        f"Migration not found: {word}", fix=f"did you mean {near[0]}?" if near else "dbops migrate status lists them"
    )


Look = Callable[[Finding, DesiredMigrations, ObservedMigrations], Finding]


def of_sets(findings: Sequence[Finding], look: Look) -> list[Finding]:
    """Return findings, each of a set of migrations as `look` returns it."""
    found = []
    for finding in findings:
        desired, observed = finding.work.desired, finding.observed
        if isinstance(desired, DesiredMigrations) and isinstance(observed, ObservedMigrations):
            found.append(look(finding, desired, observed))
        else:
            found.append(finding)
    return found
