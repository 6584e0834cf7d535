"""How far a run goes: the migrations of a set that lie within what was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.dataclass import dataclass
from dbops.resources.migrations.graph import through
from dbops.resources.migrations.model import Migration
from dbops.usecases.migrate.sets import MigrationWork, find


@dataclass(frozen=True, slots=True)
class Extent:
    """How far to go: `to` is the version to end at, `steps` how many migrations at most; None for all."""

    to: str | None = None
    steps: int | None = None


EVERYTHING = Extent()


def within(extent: Extent, pending: Sequence[Migration], one: MigrationWork) -> Sequence[Migration]:
    """Return those of the pending migrations of a set that an extent holds.

    Raises:
        MigrationError: there is no such version.
    """
    if extent.to is not None:
        migrations = one.resource.migrations(one.desired)
        versions = through(find(migrations, extent.to), migrations, has_order=one.desired.has_order)
        pending = [migration for migration in pending if migration.version in versions]
    return pending if extent.steps is None else pending[: extent.steps]
