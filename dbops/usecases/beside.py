"""Kinds that share a database: a schema does not manage the table in which Alembic keeps what it has run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from dbops.reconcile.planner import Work
    from dbops.reconcile.resource import Desired
    from dbops.resources.migrations.model import DesiredMigrations


def beside_alembic(work: tuple[Work, ...]) -> tuple[Work, ...]:
    """Return the work with Alembic's own table out of the scope of schemas that share its database.

    Raises:
        MigrationError: an env.py gives that table a name that only running it tells.
    """
    found: dict[str, set[str]] = {}
    shared = {name for item in work if item.resource.kind == "schema" for name in item.desired.connections}
    for item in work:
        if item.resource.kind == "migrationset" and cast("DesiredMigrations", item.desired).format == "alembic":
            from glob import escape

            from dbops.resources.migrations.alembic_env import history_table

            desired = cast("DesiredMigrations", item.desired)
            if desired.connection in shared:
                table = history_table(desired.directory, desired.alembic)
                found.setdefault(desired.connection, set()).add(escape(table))
    return tuple(replace(item, desired=_without(item.desired, found)) for item in work) if found else work


def _without(desired: Desired, tables: Mapping[str, set[str]]) -> Desired:
    from dbops.resources.schema.model import DesiredSchema

    if not isinstance(desired, DesiredSchema) or desired.connection not in tables:
        return desired
    scope = replace(desired.scope, exclude=(*desired.scope.exclude, *sorted(tables[desired.connection])))
    return replace(desired, scope=scope)
