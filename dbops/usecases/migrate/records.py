"""baseline and resolve: what is written into the ledger alone, under the apply lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dbops.errors import MigrationError
from dbops.reconcile.ledger import Ledger, Record
from dbops.resources.migrations.graph import through
from dbops.resources.migrations.model import Migration
from dbops.resources.migrations.resource import baseline_record
from dbops.resources.migrations.run import Author
from dbops.resources.migrations.script import check
from dbops.resources.migrations.standing import aliases
from dbops.usecases.apply import Consent, locked
from dbops.usecases.migrate.sets import MigrationWork, find, of_one_name, sets_of
from dbops.usecases.runtime import Workspace, timestamp, who
from dbops.version import __version__

Write = Callable[[MigrationWork, Ledger], list[str]]
Check = Callable[[Sequence[tuple[MigrationWork, Ledger]]], None]


def baseline(workspace: Workspace, version: str, consent: Consent, name: str | None = None) -> dict[str, list[str]]:
    """Let the migrations up to a version count as applied, without running them; return their ids by connection.

    Raises:
        MigrationError: there is no such version, or one of the ledgers knows migrations already; or of several sets none is
            named. Then nothing is written.
    """

    def must_be_new(ledgers: Sequence[tuple[MigrationWork, Ledger]]) -> None:
        for one, ledger in ledgers:
            if any(record.state != "rolled back" for record in ledger.records()):
                others = f"; {_alone(one)} is about one database alone" if len(ledgers) > 1 else ""
                raise MigrationError(
                    f"{one.desired.connection} has had migrations already",
                    fix=f"dbops migrate status shows them{others}",
                    error_code="NOT_EMPTY",
                )

    def write(one: MigrationWork, ledger: Ledger) -> list[str]:
        migrations = one.resource.migrations(one.desired)
        last = find(migrations, version)
        versions = through(last, migrations, has_order=one.desired.has_order)
        chosen = [migration for migration in migrations if migration.version in versions]
        for migration in chosen:
            ledger.put(baseline_record(migration, _author()))
        return [migration.id for migration in chosen]

    return dict(_written(workspace, consent, of_one_name(workspace, name), write, must_be_new))


def resolve(
    workspace: Workspace, word: str, state: str, consent: Consent, name: str | None = None, reached: int | None = None
) -> list[str]:
    """Say how a migration stands that was mended by hand; return its id, and the connection where there are several.

    `state` is `applied`: all of it stands, as its file says now; `pending`: nothing of it does; `failed`: `reached` of its
    statements do, and the next run goes on behind them.

    Raises:
        MigrationError: there is no such migration, or nothing is to be said of it; there are several sets, and none is named;
            or it stands differently on several databases: what is true of one is not of another. Then nothing is written.
    """

    def must_be_alike(ledgers: Sequence[tuple[MigrationWork, Ledger]]) -> None:
        states: dict[str, list[MigrationWork]] = {}
        for one, ledger in ledgers:
            records = {record.version: record for record in ledger.records()}
            migrations = one.resource.migrations(one.desired)
            migration = _found(migrations, records, word)
            own = migration.version if isinstance(migration, Migration) else migration
            record = records.get(aliases(migrations, records).get(own, own))
            stands = record.state if record is not None and record.state != "rolled back" else "pending"
            states.setdefault(stands, []).append(one)
        if len(states) > 1:
            told = "; ".join(
                f"{stands} on {', '.join(one.desired.connection for one in ones)}" for stands, ones in states.items()
            )
            hurt = next((ones for stands, ones in states.items() if stands in ("failed", "running")), [ledgers[0][0]])
            raise MigrationError(
                f"{word} does not stand alike on all databases: {told}",
                fix=f"say it of each by itself: {_alone(hurt[0])}",
            )

    def write(one: MigrationWork, ledger: Ledger) -> list[str]:
        records = {record.version: record for record in ledger.records()}
        migrations = one.resource.migrations(one.desired)
        migration = _found(migrations, records, word)
        own = migration.version if isinstance(migration, Migration) else migration
        version = aliases(migrations, records).get(own, own)
        record = records.get(version)
        if state == "pending":
            if record is None:
                return []
            ledger.remove([version])
        elif isinstance(migration, Migration):
            _must_have(migration, reached, one)
            before = record or baseline_record(migration, _author())
            ledger.put(_as_said(before, migration, state, reached))
        else:
            raise MigrationError(f"{word} has no file, so it can only be forgotten: --pending")
        return [migration.id if isinstance(migration, Migration) else version]

    written = _told(_written(workspace, consent, of_one_name(workspace, name), write, must_be_alike))
    if not written:
        raise MigrationError(f"{word} is pending already: the ledger knows nothing of it")
    return written


def accept(workspace: Workspace, consent: Consent, name: str | None = None) -> list[str]:
    """Let edited files of applied migrations count as what was applied; return their ids as `resolve` does.

    A file with the text of one that is gone takes its place in the ledger.

    Raises:
        LockTimeoutError: another apply held a lock for too long.
    """

    def write(one: MigrationWork, ledger: Ledger) -> list[str]:
        records = {record.version: record for record in ledger.records()}
        found = one.resource.standings(one.desired, workspace.targets)
        gone = {
            standing.record.checksum: standing.record for standing in found if standing.state == "missing" and standing.record
        }
        accepted = []
        for standing in found:
            migration, record = standing.migration, standing.record
            if standing.state not in ("changed", "cosmetic") or migration is None:
                continue
            before = records[record.version] if record is not None and record.state != "rolled back" else None
            if before is None and (before := gone.pop(migration.checksum, None)) is not None:
                ledger.remove([before.version])
                before = replace(before, version=migration.version)
            if before is not None:
                ledger.put(_as_said(before, migration, "applied", None))
                accepted.append(migration.id)
        return accepted

    return _told(_written(workspace, consent, sets_of(workspace, name), write))


def _written(
    workspace: Workspace,
    consent: Consent,
    chosen: Sequence[MigrationWork],
    write: Write,
    check: Check = lambda ledgers: None,
) -> list[tuple[str, list[str]]]:
    """Write into the ledger of each set, once `check` has seen all of them; return the ids by connection."""
    with locked(workspace, consent, [one.desired.connection for one in chosen]):
        ledgers = []
        for one in chosen:
            connection = one.desired.connection
            if workspace.targets.reader(connection) is None:
                raise MigrationError(f"the database of {connection} does not exist", fix="dbops apply makes it")
            ledgers.append((one, workspace.targets.ledger(connection, one.desired.table, one.desired.set_name)))
        check(ledgers)
        written = []
        for one, ledger in ledgers:
            ledger.create()
            ledger.records()
            with workspace.targets.writer(one.desired.connection).transaction():
                written.append((one.desired.connection, write(one, ledger)))
    return written


def _told(written: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Return ids, with the connection of each where there are several."""
    return [f"{id} on {connection}" if len(written) > 1 else id for connection, ids in written for id in ids]


def _alone(one: MigrationWork) -> str:
    """Return the option that means one set on one of its databases."""
    return f"--set {one.desired.name}"


def _must_have(migration: Migration, reached: int | None, one: MigrationWork) -> None:
    """Raise MigrationError where more statements are said to stand than a file has."""
    if reached and (count := check(migration.up, one.engine) if migration.kind == "sql" else 0) < reached:
        raise MigrationError(
            f"{migration.id} has {count} statements, so {reached} of them cannot stand",
            at=migration.at,
            expected=f"--reached 0 to {count}" if count else "--applied or --pending",
        )


def _as_said(record: Record, migration: Migration, state: str, reached: int | None) -> Record:
    text, down_text = migration.kept_texts
    return replace(
        record,
        name=migration.name,
        checksum=migration.checksum,
        state="failed" if state == "failed" else "applied",
        direction="up",
        finished_at=timestamp(),
        who=who(),
        reached=reached or 0 if state == "failed" else record.reached,
        trace=None,
        error=None if state != "failed" else record.error,
        text=text,
        down_text=down_text,
    )


def _found(migrations: Sequence[Migration], records: dict[str, Record], word: str) -> Migration | str:
    """Return the migration that is meant, or the version of one that has no file."""
    try:
        return find(list(migrations), word)
    except MigrationError:
        for version, record in records.items():
            if word in (version, f"{version}_{record.name}"):
                return version
        raise


def _author() -> Author:
    return Author(who(), __version__, timestamp)
