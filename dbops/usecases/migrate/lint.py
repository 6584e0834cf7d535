"""lint: the hazard and style rules over the files of a set, offline; with a git revision over what is new alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dbops.resources.migrations import python_files
from dbops.resources.migrations.folder import migrations_of, read_contents
from dbops.usecases.lint import LintReport, LintRequest, lint_sets
from dbops.usecases.migrate.sets import MigrationWork, sets_of
from dbops.usecases.runtime import Workspace

_KNOWN_HERE = frozenset({"CONCURRENTLY_IN_TRANSACTION"})
"""What stands alone is found out and run alone."""


def lint(workspace: Workspace, request: LintRequest, name: str | None = None) -> LintReport:
    """Return what the rules find in the files of each set, in those that are no SQL as far as they show what they run.

    Of ways back it is what they hold up; what they lose is in the nature of most.

    Raises:
        PlanError: a revision that git does not know.
        MigrationError, Problems: files that say nothing dbops understands.
    """
    found: dict[object, tuple[Path | None, str, Mapping[Path, str]]] = {}
    for one in sets_of(workspace, name):
        desired = one.desired
        engine = workspace.targets.target(desired.connection).url.engine
        key = (desired.directory, engine, desired.alembic.engine_name)
        if key not in found:
            found[key] = (desired.directory if desired.format == "sql" else None, engine, _no_sql(one))
    return lint_sets(list(found.values()), replace(request, ignore=request.ignore | _KNOWN_HERE))


def _no_sql(one: MigrationWork) -> Mapping[Path, str]:
    """Return the SQL of the files of a set that are none."""
    desired = one.desired
    files = [file for file in read_contents(desired.directory, desired.format) if file.path.suffix != ".sql"]
    if not files:
        return {}
    from dbops.resources.migrations.visible import Sight

    sight = Sight(one.engine.dialect)
    if desired.format == "sql":
        return {file.path: sight.file(python_files.migration_of(file.text, file.path, file.shown), file.text) for file in files}
    by_path = {file.path.resolve(): file for file in files}
    found = {}
    for migration in migrations_of(desired.directory, files, desired.format, desired.alembic):
        if file := by_path.get(Path(migration.at.file).resolve()):
            found[file.path] = sight.file(migration, file.text)
    return found
