"""adopt: the history that another runner keeps in a database becomes dbops's ledger, and nothing runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.errors import MigrationError
from dbops.reconcile.history import History, Tool
from dbops.resources.migrations.adoption import Adopted, adopted, part_of, record_of
from dbops.resources.migrations.run import Author
from dbops.state.histories import find_history
from dbops.usecases.apply import Consent, locked
from dbops.usecases.migrate.sets import MigrationWork, sets_of
from dbops.usecases.runtime import Workspace, connected, target_for_url, timestamp, who
from dbops.version import __version__


@dataclass(frozen=True, slots=True)
class Source:
    """Which history is meant: None for the only one there is. `part` is Django's app or sqitch's project.

    `registry` is the file in which sqitch keeps the history of SQLite databases, beside them.
    """

    tool: Tool | None = None
    table: str | None = None
    part: str | None = None
    ignore_checksums: bool = False
    registry: Path | None = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """What one set on one connection took over; `left` are the ids of the migrations that stay pending."""

    name: str
    connection: str
    history: History
    taken: tuple[Adopted, ...]
    left: tuple[str, ...]


def adopt(
    workspace: Workspace, consent: Consent, source: Source = Source(), name: str | None = None, *, dry_run: bool = False
) -> list[Adoption]:
    """Write what another runner applied into the ledger of each set, in one transaction for each database.

    The other runner's table stays as it is.

    Raises:
        MigrationError: there is no such history, or several; the ledger knows migrations already.
        Problems: of MigrationError: history and files disagree; nothing was written anywhere.
        LockTimeoutError: an apply held a lock for too long.
    """
    chosen = sets_of(workspace, name)
    with locked(workspace, consent, sorted({one.desired.connection for one in chosen})):
        found = [_read(workspace, one, source) for one in chosen]
        if not dry_run:
            for one, adoption in zip(chosen, found, strict=True):
                _write(workspace, one, adoption.taken)
    return found


def _read(workspace: Workspace, one: MigrationWork, source: Source) -> Adoption:
    desired, reader = one.desired, workspace.targets.reader(one.desired.connection)
    if reader is None:
        raise MigrationError(f"the database of {desired.connection} does not exist")
    known = workspace.targets.ledger(desired.connection, desired.table, desired.set_name).records()
    if known:
        raise MigrationError(
            f"the ledger of {desired.set_name} knows {known[0].version} and {len(known) - 1} more already",
            expected="an empty ledger: a history is taken over once, before the first run",
        )
    migrations = one.resource.migrations(desired)
    history = part_of(_history(reader, one, source), migrations, source.part)
    taken = adopted(history, migrations, ignore_checksums=source.ignore_checksums)
    versions = {item.migration.version for item in taken}
    left = tuple(migration.id for migration in migrations if migration.version not in versions)
    return Adoption(desired.name, desired.connection, history, tuple(taken), left)


def _history(reader: Connection, one: MigrationWork, source: Source) -> History:
    if source.registry is None:
        return find_history(reader, one.engine.dialect, source.tool, source.table)
    if source.tool not in (None, "sqitch"):
        raise MigrationError(f"{source.tool} keeps its history in the database", expected="no --registry, which is sqitch's")
    with connected(target_for_url(f"sqlite:///{source.registry.absolute()}")) as (engine, conn):
        return find_history(conn, engine.dialect, "sqitch", source.table or "changes")


def _write(workspace: Workspace, one: MigrationWork, taken: Sequence[Adopted]) -> None:
    desired = one.desired
    ledger = workspace.targets.ledger(desired.connection, desired.table, desired.set_name)
    author = Author(who(), __version__, timestamp)
    ledger.create()
    with workspace.targets.writer(desired.connection).transaction():
        for item in taken:
            ledger.put(record_of(item, author))
