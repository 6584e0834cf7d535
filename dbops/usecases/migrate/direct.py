"""Migrations of a folder on the database of a URL, without an environment: JSON files, one at a time, and how each stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.engines.base.url import MEMORY
from dbops.errors import ApplyError, Mark, MigrationError, QueryError
from dbops.reconcile.change import MIGRATION_REFUSED
from dbops.reconcile.planner import Work
from dbops.resources.migrations.folder import read_text, shown
from dbops.resources.migrations.json_files import migration_of
from dbops.resources.migrations.lock_file import FILE_NAME
from dbops.resources.migrations.model import DesiredMigrations, Migration, Standing, checksum_of
from dbops.resources.migrations.replay import run_on_scratch
from dbops.resources.migrations.script import statements_of
from dbops.resources.migrations.standing import in_the_way
from dbops.sql.hazard import HAZARDS
from dbops.usecases.apply import Consent, locked
from dbops.usecases.databases.address import target_of
from dbops.usecases.migrate import files, records
from dbops.usecases.migrate.running import down_one, up_one
from dbops.usecases.migrate.sets import one_set
from dbops.usecases.runtime import OpenTargets, Workspace, engine_for, resources

_NAME = "database"
_STANDS = ("applied", "cosmetic", "baselined")
"""States in which nothing is to be run."""
Status = Literal["pending", "applied", "failed", "rolled_back"]


@dataclass(frozen=True, slots=True)
class Known:
    """One migration, of a file or of the ledger alone, and how it stands; times are UTC in ISO 8601.

    `sql` is empty where there is no file. `detail` says what is wrong with it, empty when nothing is.
    """

    id: str
    name: str
    description: str
    sql: str
    rollback_sql: str | None
    depends: tuple[str, ...]
    created_at: str | None
    checksum: str
    status: Status
    applied_at: str | None
    seconds: float
    statements: int
    error: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of running one migration: `error` is None when it ran; `is_new` is False where nothing was to be done."""

    seconds: float
    statements: int
    error: str | None = None
    is_new: bool = True


class DirectSet:
    """The migrations of a folder, called like the folder in the ledger, on one database; sessions stay open until `close`."""

    def __init__(self, url: str, folder: Path) -> None:
        """Open nothing yet, but make a SQLite file that is missing.

        Raises:
            ConnectError: not a database URL, or no folder for the file.
            MigrationError: a database in memory, which nobody else could see.
        """
        self._target = replace(target_of(url, timeout_s=30.0, attempts=3, tls_mode="prefer"), name="")
        if self._target.url.database == MEMORY:
            raise MigrationError(
                "migrations cannot reach a database in memory, which its own session alone sees", expected="a file or a server"
            )
        self._folder = folder
        self._engine = engine_for(self._target.url)
        self._stack = ExitStack()
        self._targets = OpenTargets({_NAME: self._target}, self._stack)
        if not self._engine.features.has_servers:
            self._engine.create_database(self._target)

    @property
    def _desired(self) -> DesiredMigrations:
        return _desired(self._folder)

    def all(self) -> list[Known]:
        """Return all migrations in the order in which they run, those without a file last.

        Raises:
            MigrationError, Problems: files that are wrong; names them.
        """
        created = created_times(self._folder)
        return [_known(standing, created) for standing in self._observed()]

    def up(self, migration_id: str) -> Outcome:
        """Run one migration.

        Raises:
            MigrationError: there is none of that id, one that it depends on is not applied, or applied ones were edited.
        """
        standing = self._runnable(migration_id)
        if standing.state in _STANDS:
            return Outcome(0.0, 0, is_new=False)
        return self._run(migration_id, lambda there, consent: up_one(there, consent, migration_id))

    def dry_run(self, migration_id: str) -> Outcome:
        """Try one migration out, and leave nothing of it: in a transaction on the database itself, else on a scratch copy of it.

        Raises as `up` does.
        """
        standing = self._runnable(migration_id)
        if standing.state in _STANDS:
            return Outcome(0.0, 0, is_new=False)
        migration = cast("Migration", standing.migration)
        statements = list(statements_of(migration.up, self._engine))
        conducts = [self._engine.scripts.conduct(statement) for statement in statements]
        is_whole = migration.up.is_transactional and self._engine.features.has_transactional_ddl
        if is_whole and not any(one.stands_alone or one.control or one.may_commit for one in conducts):
            return self._guarded(lambda conn: self._tried(conn, migration, len(statements)))
        return self._guarded(lambda conn: self._on_copy(conn, migration, len(statements)))

    def down(self, migration_id: str) -> Outcome:
        """Take one migration back.

        Raises:
            MigrationError: it is not applied, has no way back, or others that are applied depend on it.
        """
        found = self._observed()
        standing = next((item for item in found if _id(item) == migration_id), None)
        if standing is None:
            raise _not_found(migration_id, [_id(item) for item in found])
        if standing.record is None or standing.record.state == "rolled back":
            raise MigrationError(f"Migration is not applied: {migration_id}", migration_id=migration_id)
        return self._run(migration_id, lambda there, consent: down_one(there, consent, migration_id))

    def latest(self) -> str | None:
        """Return the id of the migration that was applied last, None when none is."""
        found = self._observed()
        applied = [
            (one.record.position, _id(one)) for one in found if one.record and one.record.state in ("applied", "baselined")
        ]
        return max(applied)[1] if applied else None

    def edited(self) -> list[str]:
        """Return the ids of applied migrations whose files are no longer what was applied."""
        return [_id(one) for one in self._observed() if one.state in ("changed", "cosmetic")]

    def accept(self) -> list[str]:
        """Let edited files of applied migrations count as what was applied; return the ids of those that were edited."""
        if edited := self.edited():
            records.accept(self._workspace(), Consent(lambda plan: True))
        return edited

    def close(self) -> None:
        """Close the sessions; they are opened again when they are needed."""
        self._stack.close()
        self._stack = ExitStack()
        self._targets = OpenTargets({_NAME: self._target}, self._stack)

    # --- running

    def _run(self, migration_id: str, act: Callable[[Workspace, Consent], object]) -> Outcome:
        consent = Consent(lambda plan: True, allow=frozenset(HAZARDS))
        error: str | None = None
        try:
            act(self._workspace(), consent)
        except (ApplyError, QueryError) as failed:
            if failed.error_code == MIGRATION_REFUSED:
                raise MigrationError(failed.message, failed.context, fix=failed.fix) from failed
            error = failed.message
        found = next((one for one in self.all() if one.id == migration_id), None)
        return Outcome(found.seconds if found else 0.0, found.statements if found else 0, error)

    def _guarded(self, act: Callable[[Connection], Outcome]) -> Outcome:
        consent = Consent(lambda plan: True)
        with locked(self._workspace(), consent, [_NAME]):
            return act(self._targets.writer(_NAME))

    def _tried(self, conn: Connection, migration: Migration, count: int) -> Outcome:
        from time import monotonic

        started = monotonic()
        try:
            with conn.transaction(schema_change=True):
                done, error = self._engine.scripts.run(conn, list(statements_of(migration.up, self._engine)))
                raise _Undone(done, error)
        except _Undone as end:
            return Outcome(monotonic() - started, end.done, None if end.error is None else end.error.message)

    def _on_copy(self, conn: Connection, migration: Migration, count: int) -> Outcome:
        from time import monotonic

        from dbops.resources.schema.copying import build

        live = self._engine.inspect(conn)
        started = monotonic()
        with self._engine.scratch(self._target) as scratch:
            build(live, self._engine, scratch)
            try:
                run_on_scratch(migration, "up", self._engine, scratch)
            except MigrationError as error:
                return Outcome(monotonic() - started, 0, error.message)
        return Outcome(monotonic() - started, count)

    # --- looking

    def _runnable(self, migration_id: str) -> Standing:
        found = self._observed()
        standing = next((item for item in found if _id(item) == migration_id and item.migration is not None), None)
        if standing is None or standing.migration is None:
            raise _not_found(migration_id, [_id(item) for item in found])
        if stuck := in_the_way(found):
            raise MigrationError(
                f"{_id(stuck[0])}: {stuck[0].detail}",
                at=stuck[0].migration.at if stuck[0].migration else None,
                fix="put the file back and write a new migration, or accept the change: verify_migrations(accept=True)",
                migration_id=_id(stuck[0]),
            )
        applied = {_id(item) for item in found if item.record and item.record.state in ("applied", "baselined")}
        missing = [name for name in standing.migration.depends if name not in applied]
        if missing and standing.state not in _STANDS:
            raise MigrationError(f"Dependency migration not applied: {missing[0]}", migration_id=migration_id)
        return standing

    def _observed(self) -> list[Standing]:
        if not self._folder.is_dir():
            return []
        one = one_set(self._workspace(), None)
        return list(one.resource.observe(one.desired, self._targets).standings)

    def _workspace(self) -> Workspace:
        """The files are read anew each time."""
        from dbops.manifests.environment import Environment

        kinds = resources()
        work = Work(kinds["MigrationSet"], self._desired)
        place = str(self._folder)
        return Workspace(place, Environment(self._folder, place, (), {}), kinds, (work,), self._targets)


class _Undone(Exception):
    def __init__(self, done: int, error: QueryError | None) -> None:
        super().__init__()
        self.done, self.error = done, error


def read(folder: Path) -> list[Known]:
    """Return the migrations of a folder in the order in which they run, all pending: no database is asked.

    Raises:
        MigrationError, Problems: files that are wrong; names them.
    """
    created = created_times(folder)
    return [_known(Standing("pending", migration, None), created) for migration in files.read_set(_desired(folder))]


def create(
    folder: Path, name: str, description: str, sql: str, rollback_sql: str | None, dependencies: Sequence[str]
) -> tuple[str, Path]:
    """Write the next migration into a folder; return its id and the file.

    Raises:
        MigrationError: a dependency is not there, or the folder holds what is wrong.
    """
    desired = _desired(folder)
    there = files.read_set(desired)
    known = {migration.version for migration in there}
    if unknown := [one for one in dependencies if one not in known]:
        raise MigrationError(f"the new migration depends on {unknown[0]}, which is not there", expected="the id of another one")
    if not sql.strip():
        raise MigrationError("the new migration has no SQL")
    written = files.write_json(
        desired,
        there,
        name,
        sql,
        rollback_sql,
        description=description,
        dependencies=dependencies,
        extras={"status": "pending", "checksum": checksum_of(sql)},
        locks=(folder / FILE_NAME).exists(),
    )
    return written[0].stem, written[0]


def id_of(file: Path) -> str:
    """Return the id of the migration in a file.

    Raises:
        MigrationError: it holds none.
    """
    return migration_of(read_text(file), shown(file)).version


def _desired(folder: Path) -> DesiredMigrations:
    """The set is called like its folder."""
    name = folder.absolute().name or "migrations"
    return DesiredMigrations(
        name=name,
        set_name=name,
        connection=_NAME,
        at=Mark(shown(folder.absolute())),
        directory=folder.absolute(),
        format="json",
        table="dbops_migrations",
        out_of_order=True,
        baseline=None,
        drift="adopt",
    )


def created_times(folder: Path) -> Mapping[str, str]:
    """Return when the migrations of files were made, by id."""
    found = (made_at(file) for file in sorted(folder.glob("*.json")) if folder.is_dir())
    return {migration_id: moment for migration_id, moment in found if migration_id}


def made_at(file: Path) -> tuple[str, str]:
    """Return the id of the migration in a file and when it was made: what the file says, else when it was written last.

    Both are empty where the file holds no JSON: whoever reads the set says what is wrong with it.
    """
    try:
        data, written = json.loads(file.read_text(encoding="utf-8-sig")), file.stat().st_mtime
    except (OSError, ValueError):
        return "", ""
    if not isinstance(data, dict):
        return "", ""
    said = data.get("created_at")
    return str(data.get("id")), said if isinstance(said, str) else datetime.fromtimestamp(written, UTC).isoformat()


def _id(standing: Standing) -> str:
    """Return the id that the file says, without the name that messages of the command line add."""
    if standing.migration is not None:
        return standing.migration.version
    return standing.record.version if standing.record is not None else standing.id


_STATUS: dict[str, Status] = {"applied": "applied", "baselined": "applied", "rolled back": "rolled_back"}


def _known(standing: Standing, created: Mapping[str, str]) -> Known:
    migration, record = standing.migration, standing.record
    status: Status = "pending" if record is None else _STATUS.get(record.state, "failed")
    return Known(
        id=_id(standing),
        name=(migration.name or migration.version) if migration else record.name if record else "",
        description=migration.description if migration else "",
        sql=migration.up.text if migration else "",
        rollback_sql=migration.down.text if migration and migration.down else None,
        depends=migration.depends if migration else (),
        created_at=created.get(_id(standing)),
        checksum=migration.checksum if migration else record.checksum if record else "",
        status=status,
        applied_at=record.finished_at if record is not None and status == "applied" else None,
        seconds=record.duration_ms / 1000 if record is not None else 0.0,
        statements=record.reached if record is not None else 0,
        error=record.error if record is not None else None,
        detail=standing.detail if standing.state not in ("pending", "applied") else "",
    )


def _not_found(migration_id: str, known: Sequence[str]) -> MigrationError:
    from difflib import get_close_matches

    near = get_close_matches(migration_id, known, 1)
    return MigrationError(
        f"Migration not found: {migration_id}", fix=f"did you mean {near[0]}?" if near else None, migration_id=migration_id
    )
