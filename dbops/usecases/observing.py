"""Observing a whole environment: each piece of work by itself, and then what several say of one database."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.reconcile.planner import Finding, observe
from dbops.usecases.runtime import Workspace


def observe_together(workspace: Workspace, only: Sequence[str] = ()) -> list[Finding]:
    """Observe an environment, and let schemas follow the migrations of their databases.

    Raises:
        PlanError: migrations do not lead to the schema of their database; names the objects.
        and what observing raises.
    """
    findings = observe(workspace.work, workspace.targets, only)
    if not workspace.environment.of_kind("MigrationSet"):
        return findings
    from dbops.usecases.agreement import following
    from dbops.usecases.migrate.elsewhere import warned

    return following(warned(findings, workspace), workspace)


def look_together(workspace: Workspace, only: Sequence[str] = ()) -> list[Finding]:
    """Observe an environment as `observe_together` does, without holding its locks: who holds one is told where it matters."""
    findings = observe_together(workspace, only)
    if not workspace.environment.of_kind("MigrationSet"):
        return findings
    from dbops.usecases.migrate.at_work import told

    return told(findings, workspace)
