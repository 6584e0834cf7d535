"""lint: the hazard and style rules over the files of a set, offline; with a git revision over what is new alone."""

from __future__ import annotations

from dataclasses import replace

from dbops.errors import MigrationError
from dbops.usecases.lint import LintReport, LintRequest, lint_sets
from dbops.usecases.migrate.sets import sets_of
from dbops.usecases.runtime import Workspace

_KNOWN_HERE = frozenset({"CONCURRENTLY_IN_TRANSACTION"})
"""What stands alone is found out and run alone."""


def lint(workspace: Workspace, request: LintRequest, name: str | None = None) -> LintReport:
    """Return what the rules find in the SQL files of each set; ways down are not looked at.

    Raises:
        MigrationError: a set whose files are no SQL.
        PlanError: a revision that git does not know.
    """
    folders = {}
    for one in sets_of(workspace, name):
        if one.desired.format != "sql":
            raise MigrationError(f"the files of {one.desired.name} are no SQL files", at=one.desired.at, expected="format: sql")
        folders[one.desired.directory] = workspace.targets.target(one.desired.connection).url.engine
    return lint_sets(folders, replace(request, ignore=request.ignore | _KNOWN_HERE))
