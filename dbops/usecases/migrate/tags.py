"""verify from tags: a database of each release, brought up to date, is one that ran all migrations from nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import diff
from dbops.engines.base.connect import Target
from dbops.errors import DbopsError, Problems
from dbops.reconcile.ledger import Record
from dbops.resources.migrations.folder import migrations_of, read_contents
from dbops.resources.migrations.model import ALEMBIC_TABLE, Migration, Standing
from dbops.resources.migrations.replay import from_nothing, replay, run_on_scratch
from dbops.resources.migrations.standing import Rules, in_the_way, standings, to_run
from dbops.usecases.migrate.sets import MigrationWork, sets_of
from dbops.usecases.migrate.verify import Verified, in_words
from dbops.usecases.revision import tags_of, unpack
from dbops.usecases.runtime import Workspace


def verify_from_tags(workspace: Workspace, pattern: str, name: str | None = None) -> list[Verified]:
    """Run, for each tag of git, the migrations that it has from nothing, then those pending since; compare catalogs.

    What a tag has and the folder has not, or not as it was, is named. Tags with the same files are proved once.

    Raises:
        PlanError: no git, no repository, or no such tag.
        MigrationError: the migrations of now do not run from nothing.
    """
    found = []
    for one in sets_of(workspace, name):
        target = workspace.targets.target(one.desired.connection)
        tags: dict[str, list[str]] = {}
        for tag, tree in tags_of(one.desired.directory, pattern):
            tags.setdefault(tree, []).append(tag)
        with one.engine.scratch(target) as conn:
            replay(one.resource.migrations(one.desired), one.engine, conn)
            wanted = one.engine.inspect(conn)
        found += [_from(one, tree, ", ".join(named), wanted, target) for tree, named in tags.items()]
    return found


def _from(one: MigrationWork, tree: str, tags: str, wanted: Catalog, target: Target) -> Verified:
    with TemporaryDirectory() as place:
        folder = Path(place) / one.desired.directory.name
        folder.mkdir()
        unpack(one.desired.directory, tree, folder)
        try:
            then = migrations_of(read_contents(folder, one.desired.format), one.desired.format, one.desired.alembic)
            return Verified(tags, *_brought_up(one, from_nothing(then), wanted, target))
        except Problems as error:
            return Verified(tags, "", "; ".join(problem.message for problem in error.problems))
        except DbopsError as error:
            return Verified(tags, "", error.message)


def _brought_up(one: MigrationWork, then: Sequence[Migration], wanted: Catalog, target: Target) -> tuple[str, str]:
    """Return what was proved, and what was not as it should be."""
    texts = {migration.version: migration.up.text for migration in then}
    rules = Rules(one.engine.dialect, one.desired.out_of_order, texts.get, has_order=one.desired.has_order)
    found = standings(one.resource.migrations(one.desired), [_record(*numbered) for numbered in enumerate(then, 1)], rules)
    if stuck := [*in_the_way(found), *(standing for standing in found if _is_lost(standing))]:
        return "", "; ".join(f"{standing.id}: {standing.detail.splitlines()[0]}" for standing in stuck)
    pending = [standing.migration for standing in to_run(found) if standing.migration is not None]
    with one.engine.scratch(target) as conn:
        for migration in (*then, *pending):
            run_on_scratch(migration, "up", one.engine, conn)
        left = [str(change.ref) for change in diff(one.engine.inspect(conn), wanted) if change.ref.table.name != ALEMBIC_TABLE]
    if left:
        return "", f"brought up to date, it is not what all migrations give: {in_words(left)}"
    return f"{len(then)} applied then and {len(pending)} since give the same as all from nothing", ""


def _record(position: int, migration: Migration) -> Record:
    return Record(migration.version, migration.name, position, migration.checksum, "applied", "")


def _is_lost(standing: Standing) -> bool:
    """Tell whether a tag has a migration, later than every file now, that the folder has not."""
    return standing.state == "unknown" and not standing.id.startswith("R__")
