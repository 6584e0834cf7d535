"""The database service: databases found in model files, made, opened, read and migrated, for asynchronous programs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dbops.api.service.databases import DatabaseInfo, DatabaseOperations
from dbops.api.service.result import Result, details_of
from dbops.arguments import checked
from dbops.errors import DbopsError, RecordError
from dbops.usecases.service import records
from dbops.usecases.service.filters import Filters
from dbops.usecases.service.retries import persistently
from dbops.usecases.service.settings import ServiceSettings, settings_of
from dbops.usecases.service.tables import fields_of, table_not_found
from dbops.usecases.service.transactions import session_for, transaction

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

T = TypeVar("T")


@checked
class DatabaseService:
    """All databases of a program.

    `root` is the folder below which `db_models.py` files are. `database_url`, `max_retries`, `connection_timeout` (seconds) and
    further settings are those of `DATABASE_MODULE_SETTINGS`: what is given here, else in the environment, else the default.
    `migrations` is the folder of Alembic's revisions, `migrations/` below the root unless given.

    A service belongs to the event loop in which it is used; `close()` gives its connections back.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] = ".",
        *,
        database_url: str | None = None,
        max_retries: int | None = None,
        connection_timeout: int | None = None,
        migrations: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """Open nothing yet.

        Raises:
            DbopsError: a setting is wrong.
            ConnectError: the database URL is none.
        """
        given = {"database_url": database_url, "max_retries": max_retries, "connection_timeout": connection_timeout, **settings}
        self.settings: ServiceSettings = settings_of(given, os.environ if environ is None else environ)
        self.root: Path = Path(root).absolute()
        folder = Path(migrations or self.root / "migrations").absolute()
        self.operations: DatabaseOperations = DatabaseOperations(self.root, self.settings, folder)
        self._initialization: dict[str, Any] = {"initialized": False, "databases": [], "tables_created": {}}

    # --- life

    async def initialize(self) -> dict[str, Any]:
        """Find all databases, make those and the tables that are missing, and open them.

        Returns `{initialized, databases: [name], tables_created: {name: [table]}}`. Calling it again finds what is new.

        Raises:
            SchemaError, Problems: model files are wrong.
            ConnectError, QueryError, MigrationError: a database refuses.
        """
        made = await asyncio.to_thread(self.operations.create_all_databases_now)
        self.operations.refresh()
        self._initialization = {"initialized": True, "databases": self.list_databases(), "tables_created": made}
        return dict(self._initialization)

    async def close(self) -> None:
        """Close the connections of all databases, which are opened anew when they are used."""
        for info in self.operations.databases.values():
            await info.pool.close()

    async def __aenter__(self) -> DatabaseService:
        await self.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- databases

    def discover_databases(self) -> dict[str, list[str]]:
        """Return the databases that model files name, with their tables. See `DatabaseOperations.discover_databases`."""
        return self.operations.discover_databases()

    def list_databases(self) -> list[str]:
        """Return the names of all databases that are open or registered."""
        return sorted(self.operations.databases)

    def get_database(self, name: str) -> DatabaseInfo:
        """Return an open database.

        Raises:
            DbopsError: DATABASE_NOT_FOUND.
        """
        try:
            return self.operations.databases[name]
        except KeyError:
            raise DbopsError(
                f"Database {name!r} not found",
                {"database": name, "available_databases": self.list_databases()},
                "DATABASE_NOT_FOUND",
                fix="initialize() opens those of the model files, register_database others",
            ) from None

    def get_database_session(self, name: str) -> async_sessionmaker[AsyncSession]:
        """Return the factory of sessions of a database: `async with factory() as session`. Raises as `get_database` does."""
        return self.get_database(name).session_factory

    @asynccontextmanager
    async def integrity_session(self, name: str, purpose: str = "") -> AsyncIterator[AsyncSession]:
        """Give a session in one transaction: committed at the end of the block, rolled back when it raises.

        It writes from the start, so on SQLite what it reads cannot change before it writes. `purpose` is for errors.

        Raises:
            DbopsError: DATABASE_NOT_FOUND; what the database refuses, said as an error of dbops.
        """
        try:
            async with transaction(self.get_database(name).pool) as opened:
                yield opened.session
        except DbopsError as error:
            if purpose:
                error.context.setdefault("purpose", purpose)
            raise

    def get_database_utilities(self) -> dict[str, Callable[..., Any]]:
        """Return what modules need to make databases of their own, by name.

        `get_database_url(name)`, `get_database_path(name)`, `create_database_engine(name, url=None)`,
        `create_tables_for_database(info, tables=None)`, `register_database(name, info, module_id)`, `get_database_base(name)`,
        `get_database_session(name)`, `execute_with_retry(operation)`.
        """
        return self.operations.utilities(self.get_database_session, self.execute_with_retry)

    async def execute_with_retry(self, operation: Callable[[], Awaitable[T]], max_retries: int | None = None) -> T:
        """Return what `operation()` returns; call it again when it failed for what may pass by itself.

        Those are locks, deadlocks, serialization failures and servers that do not answer yet, raised or in a failed `Result`.
        `max_retries` counts attempts in all, the setting's number unless given; pauses double from 0.1 s to 5 s, each between
        half and all of it.

        Raises:
            TypeError: a coroutine is given, which can be awaited once only.
            and what the last attempt raises.
        """
        attempts = self.settings.max_retries if max_retries is None else max_retries
        if not isinstance(attempts, int) or attempts < 1:
            raise DbopsError(f"max_retries is {attempts!r}", error_code="INVALID_SETTING", expected="at least 1")
        return await persistently(operation, attempts, self._translated, _is_passing_failure)

    def _translated(self, error: BaseException) -> BaseException:
        for info in self.operations.databases.values():
            ours = info.pool.translated(error)
            if ours is not error:
                return ours
        return error

    # --- tables

    async def get_all_tables(self, database: str | None = None) -> list[str]:
        """Return the names of all tables, of one database or of all, sorted."""
        found: set[str] = set()
        for info in self._among(database):
            found.update(await self._read(info, info.catalog.names))
        return sorted(found)

    async def get_table_schema(self, table_name: str, database: str | None = None) -> dict[str, Any]:
        """Return `{table, database, columns, primary_key, foreign_keys, indexes, unique_constraints}` of a live table.

        A column is `{name, type, nullable, default, primary_key}`.

        Raises:
            RecordError: TABLE_NOT_FOUND, or AMBIGUOUS_TABLE when databases share the name and none is given.
        """
        info = await self.database_of(table_name, database)
        info.catalog.forget()
        return await self._read(info, lambda session: info.catalog.described(session, table_name))

    async def get_table_data(
        self,
        table_name: str,
        page: int = 1,
        page_size: int = 50,
        sort_by: str | None = None,
        sort_desc: bool = False,
        filter_column: str | None = None,
        filter_value: Any = None,
        database: str | None = None,
    ) -> dict[str, Any]:
        """Return `{data: [record], total, page, page_size, total_pages}`; pages count from 1.

        Records are in the order of `sort_by`, then of the primary key.

        Raises:
            RecordError: TABLE_NOT_FOUND, AMBIGUOUS_TABLE, FIELD_NOT_FOUND, INVALID_VALUE, INVALID_PAGE, INVALID_FILTER.
        """
        skip, limit = records.page(page, page_size)
        if filter_column is None and filter_value is not None:
            raise RecordError("filter_value is given without filter_column", error_code="INVALID_FILTER")
        info = await self.database_of(table_name, database)

        async def read(session: AsyncSession) -> tuple[int, list[records.Record]]:
            table = await info.catalog.get(session, table_name)
            filters = Filters(fields_of(table), info.pool.sessions, table.name)
            condition = filters.condition(None if filter_column is None else {filter_column: {"eq": filter_value}})
            order = filters.order([] if sort_by is None else [f"-{sort_by}" if sort_desc else sort_by])
            total = await records.count(session, table, condition)
            return total, await records.find(session, table, condition, order, skip, limit)

        total, data = await self._read(info, read)
        return {"data": data, "total": total, "page": page, "page_size": page_size, "total_pages": -(-total // page_size)}

    async def database_of(self, table_name: object, database: str | None = None) -> DatabaseInfo:
        """Return the database that has a table.

        Raises:
            RecordError: TABLE_NOT_FOUND, or AMBIGUOUS_TABLE when several have it and none is given.
        """
        if database is not None:
            return self.get_database(database)
        infos = list(self._among(None))
        if len(infos) == 1:
            return infos[0]
        name = table_name if isinstance(table_name, str) else ""
        found = [info for info in infos if name and await self._has(info, name)]
        if not found:
            raise table_not_found(table_name, ", ".join(self.list_databases()), await self.get_all_tables())
        places = {info.pool.target.url for info in found}
        if len(places) > 1:
            raise RecordError(
                f"the databases {', '.join(info.name for info in found)} all have a table {name!r}",
                {"table_name": name, "databases": [info.name for info in found]},
                "AMBIGUOUS_TABLE",
                fix="say which with database=",
            )
        return found[0]

    async def _has(self, info: DatabaseInfo, name: str) -> bool:
        return await self._read(info, lambda session: info.catalog.has(session, name))

    def _among(self, database: str | None) -> list[DatabaseInfo]:
        return [self.get_database(name) for name in ([database] if database else self.list_databases())]

    async def _read(self, info: DatabaseInfo, question: Callable[[AsyncSession], Awaitable[T]]) -> T:
        async def ask() -> T:
            async with session_for(info.pool, writes=False) as session:
                return await question(session)

        return await persistently(ask, self.settings.max_retries, info.pool.translated)

    # --- status

    async def get_status(self) -> dict[str, Any]:
        """Return `{status, engine, initialization, databases, tables, table_count}`; each database is asked.

        `status` is connected, or error with `errors: {database: message}`; `engine` is the URL without its password.
        """
        tables: set[str] = set()
        databases, errors = {}, {}
        for info in self._among(None):
            try:
                names = await self._read(info, info.catalog.names)
            except DbopsError as error:
                errors[info.name] = error.message
                continue
            tables.update(names)
            databases[info.name] = {"url": info.url, "tables": names, "owner": info.owner}
        return {
            "status": "error" if errors or not self._initialization["initialized"] else "connected",
            "engine": self.operations.places.base.redacted(),
            "initialization": dict(self._initialization),
            "databases": databases,
            "tables": sorted(tables),
            "table_count": len(tables),
            **({"errors": errors} if errors else {}),
        }

    async def is_ready(self) -> dict[str, Any]:
        """Return `{ready, status}`: whether `initialize` is done and every database answers."""
        ready = (await self.get_status())["status"] == "connected"
        return {"ready": ready, "status": "ready" if ready else "not ready"}

    # --- migrations

    async def generate_migration(self, message: str, database: str | None = None) -> Result:
        """Write a migration for each database, or one, whose models say more than its migrations.

        The data of the result is `{revisions: {database: {revision, file, baseline}}, unchanged: [database]}`. Model files are
        read anew, and an error in one is the error of the result.
        """

        def generate() -> dict[str, Any]:
            self.operations.discover_databases()
            made, unchanged = {}, []
            for name in self._migrated(database):
                found = self.operations.revisions.generate(name, message, self.operations.metadata(name))
                if found is None:
                    unchanged.append(name)
                else:
                    made[name] = found
            return {"revisions": made, "unchanged": unchanged}

        return await self._migrating("generate", generate)

    async def run_migrations(self, target: str = "head", database: str | None = None) -> Result:
        """Run migrations up to `target`, of each database that has some, or of one.

        The data of the result is `{databases: {name: {from, to, applied: [revision]}}}`.
        """

        def run() -> dict[str, Any]:
            names = self._with_revision(target, database, "head")
            return {"databases": {name: self.operations.revisions.upgrade(name, target) for name in names}}

        return await self._migrating("run", run)

    async def downgrade_database(self, target: str, database: str | None = None) -> Result:
        """Undo migrations behind `target`: a revision, `base`, a step such as `-1`, or `previous_revision`.

        A step, or `base`, needs `database` where several have migrations. The data of the result is as of `run_migrations`.
        """

        def run() -> dict[str, Any]:
            names = self._with_revision(target, database, None)
            return {"databases": {name: self.operations.revisions.downgrade(name, target) for name in names}}

        return await self._migrating("downgrade", run)

    async def get_migration_status(self) -> dict[str, dict[str, Any]]:
        """Return `{database: {current, head, pending: [revision]}}`."""

        def status() -> dict[str, dict[str, Any]]:
            return {name: self.operations.revisions.status(name) for name in self._migrated(None)}

        return await asyncio.to_thread(status)

    def _migrated(self, database: str | None) -> list[str]:
        known = sorted(self.operations.discovered)
        if database is not None and database not in known:
            raise DbopsError(
                f"no model file names the database {database!r}",
                {"database": database, "available_databases": known},
                "DATABASE_NOT_FOUND",
            )
        return known if database is None else [database]

    def _with_revision(self, target: str, database: str | None, for_all: str | None) -> list[str]:
        """Return the databases that `target` is about; `for_all` is the one word that means all of them."""
        revisions = self.operations.revisions
        if database is not None:
            return self._migrated(database)
        names = [name for name in self._migrated(None) if revisions.governs(name)]
        if target == for_all or len(names) == 1:
            return names
        chosen = [name for name in names if revisions.knows(name, target)]
        if len(chosen) == 1:
            return chosen
        raise DbopsError(
            f"{target!r} does not say which database is meant" if names else "no database has migrations",
            {"target": target, "databases": names},
            "AMBIGUOUS_TARGET" if names else "NO_MIGRATIONS",
            fix="say which with database=" if names else "generate_migration makes the first",
        )

    async def _migrating(self, what: str, work: Callable[[], dict[str, Any]]) -> Result:
        try:
            return Result.success(await asyncio.to_thread(work))
        except DbopsError as error:
            code = error.error_code if error.error_code.isupper() else f"MIGRATION_{what.upper()}_FAILED"
            return Result.error(code=code, message=error.message, details=details_of(error))
        finally:
            self.operations.refresh()


def _is_passing_failure(value: object) -> bool:
    if not isinstance(value, Result) or value.error is None:
        return False
    return bool(value.error["details"].get("retryable"))
