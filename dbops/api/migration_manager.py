"""Migrations from Python: JSON files in a folder, steps that are functions, records that are transformed, whole databases moved.

What was applied is remembered in a ledger inside the database, which the command line (`dbops migrate`) and every other program
share; failures and ways back are kept there too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from dbops.api.db_manager import DatabaseManager
from dbops.dataclass import dataclass
from dbops.errors import DbopsError, MigrationError

if TYPE_CHECKING:
    from dbops.usecases.migrate.by_steps import StepLedger, StepSession
    from dbops.usecases.migrate.direct import DirectSet, Known

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

Record = dict[str, Any]


@dataclass()
class Migration:
    """One migration; `m["id"]` and `m.id` are the same.

    `status` is pending, applied, failed or rolled_back. `checksum` is the SHA-256 of `sql`, filled in when it is not given.
    """

    id: str
    name: str
    description: str
    sql: str
    rollback_sql: str | None = None
    dependencies: list[str] = field(default_factory=list)
    created_at: datetime = field(default_factory=datetime.now)
    applied_at: datetime | None = None
    status: str = "pending"
    checksum: str = ""

    def __post_init__(self) -> None:
        """Fill in the checksum."""
        if not self.checksum:
            from hashlib import sha256

            self.checksum = sha256(self.sql.encode()).hexdigest()

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name.

        Raises:
            KeyError: there is no such field.
        """
        if name not in _MIGRATION_FIELDS:
            raise KeyError(name)
        return getattr(self, name)

    def keys(self) -> tuple[str, ...]:
        """Return the names of the fields, so that `dict(migration)` works."""
        return _MIGRATION_FIELDS

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field by its name, `default` where there is none."""
        return getattr(self, name) if name in _MIGRATION_FIELDS else default


_MIGRATION_FIELDS = (
    *("id", "name", "description", "sql", "rollback_sql", "dependencies", "created_at", "applied_at", "status", "checksum"),
)


@dataclass()
class MigrationResult:
    """What came of a migration; true when it succeeded.

    `execution_time` is in seconds. `error_message` says why it failed, or that nothing was to be done or nothing kept ("Already
    applied", "Dry run"). `statements_executed` are those of its text that ran. `rows_affected` counts the rows that steps and
    transfers wrote; of a text it is 0, for its statements go to the server together.
    """

    migration_id: str
    success: bool
    execution_time: float
    error_message: str | None = None
    rows_affected: int = 0
    statements_executed: int = 0

    def __bool__(self) -> bool:
        return self.success


@dataclass()
class MigrationStatus:
    """How a set stands: `current` is what was applied last, None when nothing is; the others are ids in the order of running."""

    current: str | None
    pending: list[str]
    applied: list[str]
    failed: list[str]


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
        self.workspace_dir = Path(workspace_dir or Path.cwd())
        self.migrations_dir = self.workspace_dir / "migrations"
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

        migration_id, _ = create(self.migrations_dir, name, description, sql, rollback_sql, list(dependencies or ()))
        return Migration(migration_id, name, description, sql, rollback_sql, list(dependencies or ()))

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
            "created_at": _moment(found.created_at),
            "applied_at": _moment(found.applied_at),
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

            return [_migration(one) for one in read(self.migrations_dir)]
        return [_migration(one) for one in self._opened().all()]

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


# --- steps that are functions


@dataclass()
class MigrationStep:
    """A migration in Python.

    `up_fn` and `down_fn` are called with a session (`query(sql, params)` returns rows, `execute(sql, params)` the number of rows
    changed) in a transaction, or without arguments where they take none. Without `down_fn` nothing leads back.
    """

    id: str
    name: str
    description: str = ""
    up_fn: Callable[..., object] | None = None
    down_fn: Callable[..., object] | None = None
    dependencies: list[str] = field(default_factory=list)


class MigrationRunner:
    """Runs steps in the order of their dependencies, equal ones by id.

    With a URL or a `DatabaseManager` the database's ledger remembers them; without, they are remembered as long as the runner
    lives, and their functions are called without a session.
    """

    def __init__(self, database: str | DatabaseManager | None = None) -> None:
        if isinstance(database, DatabaseManager):
            connection = database.get_connection()
            database = connection.get_connection_string() if connection is not None else None
        self._steps: dict[str, MigrationStep] = {}
        self._applied: list[str] = []
        self._ledger: StepLedger | None = None
        if database is not None:
            from dbops.usecases.migrate.by_steps import StepLedger

            self._ledger = StepLedger(database)

    def add_step(self, step: MigrationStep) -> MigrationRunner:
        """Add a step, and return the runner.

        Raises:
            MigrationError: there is a step of that id, or it has no `up_fn`.
        """
        from dbops.usecases.migrate.by_steps import must_be_new

        must_be_new(step.id, list(self._steps))
        if step.up_fn is None:
            raise MigrationError(f"the step {step.id} has no up_fn")
        self._steps[step.id] = step
        return self

    def get_steps(self) -> list[MigrationStep]:
        """Return all steps in the order in which they run.

        Raises:
            Problems: unknown dependencies, or a circle.
        """
        from dbops.usecases.migrate.by_steps import in_order

        return [self._steps[one] for one in in_order({step.id: step.dependencies for step in self._steps.values()})]

    def get_completed(self) -> list[str]:
        """Return the ids of what stands, in the order in which it ran."""
        return self._ledger.applied() if self._ledger is not None else list(self._applied)

    def get_pending(self) -> list[MigrationStep]:
        """Return the steps that are still to run, in order."""
        completed = set(self.get_completed())
        return [step for step in self.get_steps() if step.id not in completed]

    def run_up(self, target: str | None = None) -> list[MigrationResult]:
        """Run what is pending, up to the step `target` if one is named, until one fails.

        Raises:
            MigrationError: there is no step `target`.
        """
        if target is not None and target not in self._steps:
            raise MigrationError(f"Migration not found: {target}")
        results: list[MigrationResult] = []
        for step in self.get_pending():
            results.append(self._run(step, is_up=True))
            if not results[-1].success or step.id == target:
                break
        return results

    def run_down(self, steps: int = 1) -> list[MigrationResult]:
        """Take the last `steps` back, last first, until one fails.

        Raises:
            MigrationError: a step has no way back, or is not known here; nothing was done.
        """
        going = [self._steps.get(one) or MigrationStep(one, one) for one in reversed(self.get_completed())][:steps]
        if stuck := next((step for step in going if step.down_fn is None), None):
            raise MigrationError(f"nothing leads back from {stuck.id}", expected="a step with down_fn")
        results: list[MigrationResult] = []
        for step in going:
            results.append(self._run(step, is_up=False))
            if not results[-1].success:
                break
        return results

    def close(self) -> None:
        """Close the sessions."""
        if self._ledger is not None:
            self._ledger.close()

    def _run(self, step: MigrationStep, *, is_up: bool) -> MigrationResult:
        function = step.up_fn if is_up else step.down_fn
        assert function is not None
        if self._ledger is not None:
            seconds, error = self._ledger.run(step.id, step.name, lambda session: _called(function, session), is_up=is_up)
        else:
            began, error = monotonic(), None
            try:
                function()
            except Exception as failed:  # whatever the program's function raises is the answer
                error = f"{type(failed).__name__}: {failed}"
            seconds = monotonic() - began
        if error is None and is_up:
            self._applied.append(step.id)
        elif error is None and step.id in self._applied:
            self._applied.remove(step.id)
        return MigrationResult(step.id, error is None, seconds, error)


def _called(function: Callable[..., object], session: StepSession) -> object:
    return function(session) if inspect.signature(function).parameters else function()


# --- records


class Transformer(Protocol):
    """What makes another record of a record."""

    def transform(self, record: Record) -> Record:
        """Return the new record; the given one stays as it is."""
        ...


class FieldRenameTransformer:
    """Renames fields: `{"old": "new"}`; fields that are not there are passed over."""

    def __init__(self, renames: Mapping[str, str]) -> None:
        self.renames = dict(renames)

    def transform(self, record: Record) -> Record:
        """Return the record under its new names, in the old order.

        Raises:
            MigrationError: two fields would have one name.
        """
        names = [self.renames.get(name, name) for name in record]
        if len(set(names)) < len(names):
            twin = next(name for name in names if names.count(name) > 1)
            raise MigrationError(f"two fields of the record would be called {twin!r}")
        return dict(zip(names, record.values(), strict=True))


class FieldTypeTransformer:
    """Converts fields: `{"age": int}`; None stays None, fields that are not there are passed over."""

    def __init__(self, conversions: Mapping[str, Callable[[Any], Any]]) -> None:
        self.conversions = dict(conversions)

    def transform(self, record: Record) -> Record:
        """Return the record with its fields converted.

        Raises:
            MigrationError: a value cannot be converted; names the field.
        """
        return {name: self._converted(name, value) for name, value in record.items()}

    def _converted(self, name: str, value: Any) -> Any:
        convert = self.conversions.get(name)
        if convert is None or value is None:
            return value
        try:
            return convert(value)
        except (TypeError, ValueError, ArithmeticError) as error:
            kind = getattr(convert, "__name__", "value")
            raise MigrationError(f"the field {name!r} cannot become {kind}: {error}", field=name) from error


class CompositeTransformer:
    """Several transformers, one after the other."""

    def __init__(self, transformers: Iterable[Transformer]) -> None:
        self.transformers = list(transformers)

    def transform(self, record: Record) -> Record:
        """Return what the last of them makes of it."""
        for transformer in self.transformers:
            record = transformer.transform(record)
        return record


@dataclass()
class DataMigrationResult:
    """What came of moving records; true when all were written. `execution_time` is in seconds."""

    success: bool
    records_read: int
    records_written: int
    execution_time: float
    error_message: str | None = None

    def __bool__(self) -> bool:
        return self.success


class DataMigrator:
    """Transforms records, in memory or from one table into another, `batch_size` at a time."""

    def __init__(self, transformer: Transformer, batch_size: int = 1000) -> None:
        if batch_size < 1:
            raise ValueError("batch_size is at least 1")
        self.transformer = transformer
        self.batch_size = batch_size

    def migrate(self, records: Iterable[Record]) -> list[Record]:
        """Return the transformed records."""
        return [self.transformer.transform(record) for record in records]

    def migrate_table(
        self, source: DatabaseManager, source_table: str, target: DatabaseManager | None = None, target_table: str | None = None
    ) -> DataMigrationResult:
        """Write the transformed rows of a table into another, of the same database unless told otherwise: all of them, or none.

        Raises:
            MissingTableError: there is no such table.
            ValueError: source and target are the same table.
        """
        into, table = target or source, target_table or source_table
        if into is source and table == source_table:
            raise ValueError("the rows of a table cannot be written into the same table")
        began, counts = monotonic(), [0, 0]
        try:
            with into.transaction():
                for batch in self._batches(source, source_table):
                    counts[0] += len(batch)
                    counts[1] += _written(into, table, self.migrate(batch))
        except DbopsError as error:
            return DataMigrationResult(False, counts[0], 0, monotonic() - began, error.message)
        return DataMigrationResult(True, counts[0], counts[1], monotonic() - began)

    def _batches(self, source: DatabaseManager, table: str) -> Iterator[list[Record]]:
        from dbops.usecases.databases.tables import rows_of

        connection = source.get_connection()
        assert connection is not None or not source.list_connections()
        if connection is None:
            raise MigrationError("the manager has no connection")
        yield from rows_of(connection._database(), table, self.batch_size)


def _written(into: DatabaseManager, table: str, records: Sequence[Record]) -> int:
    from dbops.usecases.databases.tables import write_rows

    connection = into.get_connection()
    if connection is None:
        raise MigrationError("the manager has no connection")
    return write_rows(connection._database(), table, records)


# --- whole databases


@dataclass()
class TransferResult:
    """What was moved; true when all of it was. `tables` are the rows written by table, `left_out` objects that are no tables."""

    success: bool
    tables: dict[str, int]
    rows_transferred: int
    execution_time: float
    left_out: list[str] = field(default_factory=list)
    error_message: str | None = None

    def __bool__(self) -> bool:
        return self.success


def transfer(
    source_url: str,
    target_url: str,
    tables: Sequence[str] | None = None,
    batch_size: int = 1000,
    transformers: Mapping[str, Transformer] | None = None,
) -> TransferResult:
    """Copy tables with their keys, indexes and rows into another database, of another engine too.

    `tables` are all of them unless named. `transformers` make other records of the rows of a table on the way; the table
    keeps its columns. Foreign keys are made when all rows are there, and numbering goes on behind the highest number. A table
    that is there already is an error, and nothing is touched.

    Raises:
        SchemaError: a table has what the other engine cannot have; names all of it. Or a table is there already.
        ConnectError: one of the databases cannot be reached.
    """
    from dbops.usecases.transfer import transfer as carry

    began = monotonic()
    changes = {table: transformer.transform for table, transformer in (transformers or {}).items()}
    done = carry(source_url, target_url, tables, batch_size, changes)
    total = sum(done.rows.values())
    return TransferResult(done.error is None, dict(done.rows), total, monotonic() - began, list(done.left_out), done.error)


# --- in the words of this face


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


def _migration(known: Known) -> Migration:
    return Migration(
        known.id,
        known.name,
        known.description,
        known.sql,
        known.rollback_sql,
        list(known.depends),
        _moment(known.created_at) or datetime.now(),
        _moment(known.applied_at),
        known.status,
        known.checksum,
    )


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
