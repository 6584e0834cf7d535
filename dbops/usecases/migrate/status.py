"""How each migration stands: applied by whom and when, pending, failed, edited, missing."""

from __future__ import annotations

from collections.abc import Sequence

from dbops.dataclass import dataclass
from dbops.errors import DbopsError
from dbops.reconcile.ledger import Record
from dbops.resources.migrations.graph import heads
from dbops.resources.migrations.model import Standing
from dbops.usecases.migrate.at_work import runner_of, running
from dbops.usecases.migrate.sets import sets_of
from dbops.usecases.runtime import Workspace


@dataclass(frozen=True, slots=True)
class SetStatus:
    """One set on one connection. `current` is the id of the migration that was applied last, None when none was.

    `error` says why nothing is known of one of several databases; `lock` how the folder differs from its lock file, which every
    run refuses.
    `runner` is who holds the apply lock while something is to be run, as far as the engine tells; None when nobody does.
    """

    name: str
    connection: str
    standings: tuple[Standing, ...]
    current: str | None
    heads: tuple[str, ...]
    runner: str | None = None
    error: str | None = None
    lock: DbopsError | None = None

    def count(self, *states: str) -> int:
        return sum(1 for standing in self.standings if standing.state in states)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is pending and nothing stands in the way, as far as can be told."""
        is_seen = self.error is None and self.lock is None
        return is_seen and not self.count("pending", "running", "failed", "changed", "missing", "late")


def status(workspace: Workspace, name: str | None = None) -> list[SetStatus]:
    """Return how the migrations of each set stand on each of its connections; read-only.

    Of several databases, one that cannot be reached does not hide the others.
    """
    found = []
    chosen = sets_of(workspace, name)
    for one in chosen:
        try:
            workspace.targets.reader(one.desired.connection)
        except DbopsError as error:
            if len(chosen) == 1:
                raise
            found.append(SetStatus(one.desired.name, one.desired.connection, (), None, (), error=error.message))
            continue
        migrations, difference = one.resource.seen(one.desired)
        standings = one.resource.standings(one.desired, workspace.targets, migrations)
        is_open = any(standing.state in ("pending", "failed") for standing in standings)
        runner = runner_of(workspace, one.desired.connection, one.engine) if is_open else None
        told = [migration.id for migration in heads(migrations) if migration.depends]
        found.append(
            SetStatus(
                one.desired.name,
                one.desired.connection,
                tuple(running(standing, runner) for standing in standings),
                _current(standings),
                tuple(told),
                runner,
                lock=difference,
            )
        )
    return found


def _current(standings: Sequence[Standing]) -> str | None:
    applied: list[tuple[Record, str]] = [
        (one.record, one.id) for one in standings if one.record is not None and one.record.state in ("applied", "baselined")
    ]
    return max(applied, key=lambda pair: pair[0].position)[1] if applied else None
