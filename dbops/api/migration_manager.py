"""Migrations from Python: JSON files in a folder, and beside them steps that are functions, records, whole databases.

What was applied is remembered in a ledger inside the database, which the command line (`dbops migrate`) and every other program
share; failures and ways back are kept there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbops.api.db_manager import DatabaseManager
from dbops.api.migration_data import Migration, MigrationResult, MigrationStatus, migration_of, moment_made, moment_of
from dbops.api.migration_records import (
    CompositeTransformer,
    DataMigrationResult,
    DataMigrator,
    FieldRenameTransformer,
    FieldTypeTransformer,
)
from dbops.api.migration_steps import MigrationRunner, MigrationStep
from dbops.api.transfer import TransferResult, transfer
from dbops.arguments import checked
from dbops.errors import MigrationError

if TYPE_CHECKING:
    from dbops.usecases.migrate.direct import DirectSet

__all__ = [
    "CompositeTransformer",
    "DataMigrationResult",
    "DataMigrator",
    "FieldRenameTransformer",
    "FieldTypeTransformer",
    "Migration",
    "MigrationManager",
    "MigrationResult",
    "MigrationRunner",
    "MigrationStatus",
    "MigrationStep",
    "TransferResult",
    "run_migrations",
    "transfer",
]


@checked
class MigrationManager:
    """The JSON migrations of a workspace's folder `migrations`, on one database.

    `workspace_dir` defaults to the working directory; a `DatabaseManager` in its place gives the database of its default
    connection. Files are read anew for every call.
    """

    def __init__(self, workspace_dir: str | Path | DatabaseManager | None = None, database_url: str | None = None) -> None:
        if isinstance(workspace_dir, DatabaseManager):
            connection = workspace_dir.get_connection()
            if database_url is None and connection is not None:
                database_url = connection.get_connection_string()
            workspace_dir = None
        self.workspace_dir: Path = Path(workspace_dir or Path.cwd())
        self.migrations_dir: Path = self.workspace_dir / "migrations"
        self._url = database_url
        self._set: DirectSet | None = None

    def set_database_url(self, database_url: str) -> None:
        """Work on another database from now on."""
        self.close()
        self._url = database_url

    def load_migrations_from_directory(self) -> list[Migration]:
        """Read the folder and return its migrations in the order in which they run.

        Raises:
            MigrationError, Problems: a file is no migration, two have one id, a dependency is not there or leads in a circle.
        """
        return self.list_migrations()

    def create_migration(
        self,
        name: str,
        description: str,
        sql: str,
        rollback_sql: str | None = None,
        dependencies: Sequence[str] | None = None,
    ) -> Migration:
        """Write the next migration into the folder, `<id>.json`, and return it; no database is needed.

        Raises:
            MigrationError: a dependency is not there, the name has no letter, or the folder holds what is wrong.
        """
        from dbops.usecases.migrate.direct import create

        needs = list(dependencies or ())
        migration_id, file = create(self.migrations_dir, name, description, sql, rollback_sql, needs)
        return Migration(migration_id, name, description, sql, rollback_sql, needs, created_at=moment_made(file))

    def apply_migration(self, migration_id: str, dry_run: bool = False) -> MigrationResult:
        """Run one migration.

        SQL that fails comes back as `success=False`, and nothing of it stands where the engine can undo changes of tables;
        elsewhere the ledger says what does, and the next try goes on there. A dry run is undone (a transaction), or runs on a
        scratch copy of the database where it cannot be.

        Raises:
            MigrationError: "Migration not found: ...", "Dependency migration not applied: ...", or applied files were edited.
        """
        found = self._opened()
        if dry_run:
            outcome = found.dry_run(migration_id)
            if not outcome.is_new:
                return MigrationResult(migration_id, True, 0.0, "Already applied")
            told = "Dry run: it would run, and nothing was kept" if outcome.error is None else f"Dry run failed: {outcome.error}"
            return MigrationResult(
                migration_id, outcome.error is None, outcome.seconds, told, statements_executed=outcome.statements
            )
        outcome = found.up(migration_id)
        if not outcome.is_new:
            return MigrationResult(migration_id, True, 0.0, "Already applied")
        return MigrationResult(
            migration_id, outcome.error is None, outcome.seconds, outcome.error, statements_executed=outcome.statements
        )

    def rollback_migration(self, migration_id: str) -> MigrationResult:
        """Take one migration back by its `rollback_sql`; SQL that fails comes back as `success=False`.

        Raises:
            MigrationError: there is none, it is not applied, it has no way back, or others that are applied depend on it.
        """
        outcome = self._opened().down(migration_id)
        return MigrationResult(
            migration_id, outcome.error is None, outcome.seconds, outcome.error, statements_executed=outcome.statements
        )

    def get_migration_status(self, migration_id: str | None = None) -> Any:
        """Return how one migration stands, None when there is none of that id; without an id, a `MigrationStatus` of all.

        `{id, name, description, status, created_at, applied_at, execution_time, error_message, dependencies, checksum, detail}`;
        times are datetimes, `detail` says what is wrong with it.
        """
        known = self._opened().all()
        if migration_id is None:
            return MigrationStatus(
                self._opened().latest(),
                [one.id for one in known if one.status in ("pending", "rolled_back")],
                [one.id for one in known if one.status == "applied"],
                [one.id for one in known if one.status == "failed"],
            )
        found = next((one for one in known if one.id == migration_id), None)
        if found is None:
            return None
        return {
            "id": found.id,
            "name": found.name,
            "description": found.description,
            "status": found.status,
            "created_at": moment_of(found.created_at),
            "applied_at": moment_of(found.applied_at),
            "execution_time": found.seconds,
            "error_message": found.error,
            "dependencies": list(found.depends),
            "checksum": found.checksum,
            "detail": found.detail,
        }

    def list_migrations(self) -> list[Migration]:
        """Return all migrations in the order in which they run; without a database, those of the folder, all pending."""
        if self._url is None:
            from dbops.usecases.migrate.direct import read

            return [migration_of(one) for one in read(self.migrations_dir)]
        return [migration_of(one) for one in self._opened().all()]

    def get_pending_migrations(self) -> list[Migration]:
        """Return what is still to run, in order: pending, failed and rolled back migrations."""
        return [one for one in self.list_migrations() if one.status != "applied" and one.sql]

    def apply_pending_migrations(self) -> list[MigrationResult]:
        """Run what is pending, in order, until one fails; return a result for each that was tried."""
        results: list[MigrationResult] = []
        for migration in self.get_pending_migrations():
            results.append(self.apply_migration(migration.id))
            if not results[-1].success:
                break
        return results

    def apply_pending(self) -> list[MigrationResult]:
        """Run what is pending; see `apply_pending_migrations`."""
        return self.apply_pending_migrations()

    def verify_migrations(self, accept: bool = False) -> list[str]:
        """Return the ids of applied migrations whose files were edited since; with `accept` they count as what was applied.

        Until then nothing runs, unless comments and blanks alone were edited.
        """
        return self._opened().accept() if accept else self._opened().edited()

    def run_migration(self, migration_file: str | Path) -> bool:
        """Run the migration of one file, by its path or its name in the folder; return whether it stands.

        A file of another folder belongs to the set of that folder.

        Raises:
            MigrationError: there is no such file, or what `apply_migration` raises.
        """
        path = Path(migration_file)
        if not path.is_absolute() and not path.exists():
            path = self.migrations_dir / path
        if path.suffix != ".json":
            path = path.with_name(f"{path.name}.json")
        if not path.is_file():
            raise MigrationError(f"Migration file not found: {migration_file}")
        from dbops.usecases.migrate.direct import id_of

        migration_id = id_of(path)
        if path.parent.resolve() == self.migrations_dir.resolve():
            return self.apply_migration(migration_id).success
        other = _of_folder(path.parent, self._required_url())
        try:
            return other.apply_migration(migration_id).success
        finally:
            other.close()

    def close(self) -> None:
        """Close the sessions; the next call opens them again."""
        if self._set is not None:
            self._set.close()
            self._set = None

    def __enter__(self) -> MigrationManager:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _required_url(self) -> str:
        if self._url is None:
            raise MigrationError("no database is set", fix="MigrationManager(database_url=...) or set_database_url(url)")
        return self._url

    def _opened(self) -> DirectSet:
        if self._set is None:
            from dbops.usecases.migrate.direct import DirectSet

            self._set = DirectSet(self._required_url(), self.migrations_dir)
        return self._set


@checked
def run_migrations(migration_dir: str | Path, database_url: str, direction: str = "up") -> dict[str, Any]:
    """Run what is pending in a folder (`up`), or take the migration applied last back (`down`).

    Up: `{direction, migrations_processed, successful, failed, success, results: [{migration_id, success, execution_time,
    error_message}]}`; down: `{direction, migrations_processed, success, result}`, with `message` in place of `result` when
    nothing is applied. Times are seconds.

    Raises:
        MigrationError: "Invalid migration direction: ...", files that are wrong, or no way back.
        ConnectError: the database cannot be reached.
    """
    if direction not in ("up", "down"):
        raise MigrationError(f"Invalid migration direction: {direction}", expected="up or down")
    manager = _of_folder(Path(migration_dir), database_url)
    if not manager.migrations_dir.is_dir():
        raise MigrationError(f"there is no folder {migration_dir} for the migrations")
    try:
        if direction == "up":
            results = manager.apply_pending_migrations()
            return {
                "direction": "up",
                "migrations_processed": len(results),
                "successful": sum(1 for one in results if one.success),
                "failed": sum(1 for one in results if not one.success),
                "success": all(one.success for one in results),
                "results": [_shown(one) for one in results],
            }
        latest = manager.get_migration_status().current
        if latest is None:
            message = "No applied migrations to roll back"
            return {"direction": "down", "migrations_processed": 0, "success": True, "message": message}
        result = manager.rollback_migration(latest)
        return {"direction": "down", "migrations_processed": 1, "success": result.success, "result": _shown(result)}
    finally:
        manager.close()


def _of_folder(folder: Path, url: str) -> MigrationManager:
    manager = MigrationManager(folder.parent, url)
    manager.migrations_dir = folder
    return manager


def _shown(result: MigrationResult) -> dict[str, Any]:
    return {
        "migration_id": result.migration_id,
        "success": result.success,
        "execution_time": result.execution_time,
        "error_message": result.error_message,
    }
