"""Records created, read, updated and deleted, by table name or as objects of a model; every operation returns a Result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from dbops.api.service.databases import DatabaseInfo
from dbops.api.service.result import Result, details_of
from dbops.errors import DbopsError, QueryError, RecordError
from dbops.usecases.service import records
from dbops.usecases.service.discovery import DATABASE_KEY
from dbops.usecases.service.filters import Filters
from dbops.usecases.service.objects import Objects
from dbops.usecases.service.retries import may_pass, persistently
from dbops.usecases.service.tables import fields_of
from dbops.usecases.service.transactions import current, session_for, transaction

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from dbops.api.service.service import DatabaseService

Work = Callable[["AsyncSession"], Awaitable[Any]]


class CRUDService:
    """Create, read, update and delete records.

    Methods that take a table name work with dictionaries, on any table of the service's databases; `database` says which one
    where several have the table. The others work with objects of `model`.

    Filters are `{field: value}`, `{field: {operator: value}}` with eq ne gt gte lt lte in not_in between like ilike is_null
    not_null, and `AND` and `OR` with lists of filters. An unknown table, field or operator is an error, and nothing is touched.
    Each operation is one transaction, tried again when it meets a lock; operations in `transaction()` are one together.
    """

    def __init__(self, service: DatabaseService, model: type[Any] | None = None, *, database: str | None = None) -> None:
        """Open nothing yet."""
        self._service = service
        self._model = model
        self._database = database
        self._objects: Objects | None = None

    def of(self, model: type[Any], database: str | None = None) -> CRUDService:
        """Return the same service for objects of `model`."""
        return CRUDService(self._service, model, database=database or self._database)

    # --- by table name

    async def create_record(self, table_name: str, data: dict[str, Any]) -> Result:
        """Write a record; the data of the result is the record as the database has it."""
        return await self._on_table("create", table_name, lambda session, table, _: records.insert(session, table, data))

    async def create_records(self, table_name: str, rows: Sequence[dict[str, Any]]) -> Result:
        """Write records, all or none; the data of the result is how many."""
        return await self._on_table("create", table_name, lambda session, table, _: records.insert_many(session, table, rows))

    async def read_records(
        self,
        table_name: str,
        filters: dict[str, Any] | None = None,
        *,
        order_by: str | Sequence[str] | None = None,
        page: int | None = None,
        page_size: int = 50,
    ) -> Result:
        """Read records: all that meet the filters, or with `page` (from 1) one page of them. The data is a list of records.

        `order_by` names fields, `-` before those that descend; the primary key decides between equals.
        """

        async def read(session: AsyncSession, table: Table, filters_of: Filters) -> list[records.Record]:
            skip, limit = (0, None) if page is None else records.page(page, page_size)
            condition, order = filters_of.condition(filters), filters_of.order(order_by)
            return await records.find(session, table, condition, order, skip, limit)

        return await self._on_table("read", table_name, read)

    async def read_record(self, table_name: str, record_id: Any, *, for_update: bool = False) -> Result:
        """Read the record of a key; `for_update` keeps other writers off it until the transaction ends."""

        async def read(session: AsyncSession, table: Table, _: Filters) -> records.Record:
            found = await records.first(session, table, records.by_key(table, record_id), for_update=for_update)
            if found is None:
                raise records.not_found(table.name, record_id)
            return found

        return await self._on_table("read", table_name, read)

    async def count_records(self, table_name: str, filters: dict[str, Any] | None = None) -> Result:
        """Count the records that meet the filters."""

        async def count(session: AsyncSession, table: Table, filters_of: Filters) -> int:
            return await records.count(session, table, filters_of.condition(filters))

        return await self._on_table("read", table_name, count)

    async def update_record(self, table_name: str, record_id: Any, data: dict[str, Any]) -> Result:
        """Change a record; the data of the result is the record as the database has it then. A missing one is RECORD_NOT_FOUND.

        `record_id` is the value of the primary key; of a key of several columns, a mapping, or the values in order.
        """
        return await self._on_table(
            "update", table_name, lambda session, table, _: records.update(session, table, record_id, data)
        )

    async def delete_record(self, table_name: str, record_id: Any) -> Result:
        """Delete a record; the data of the result is True. A missing one is RECORD_NOT_FOUND."""

        async def delete(session: AsyncSession, table: Table, _: Filters) -> bool:
            await records.delete(session, table, record_id)
            return True

        return await self._on_table("delete", table_name, delete)

    # --- objects of a model

    async def create(self, data: dict[str, Any]) -> Result:
        """Write an object; the data of the result is the object as the database has it."""
        return await self._on_model("create", lambda session, model: model.create(session, data))

    async def read(self, record_id: Any, *, for_update: bool = False) -> Result:
        """Read the object of a key; `for_update` keeps other writers off it until the transaction ends."""
        return await self._on_model("read", lambda session, model: model.read(session, record_id, for_update=for_update))

    async def read_many(
        self,
        filters: dict[str, Any] | None = None,
        skip: int = 0,
        limit: int | None = 100,
        order_by: str | Sequence[str] | None = None,
    ) -> Result:
        """Read objects that meet the filters, `limit` at most behind the first `skip`; `limit` None gives all."""

        async def read(session: AsyncSession, model: Objects) -> list[Any]:
            start = records.whole(skip, "skip", 0)
            most = None if limit is None else records.whole(limit, "limit", 0)
            return await model.find(session, model.filters.condition(filters), model.filters.order(order_by), start, most)

        return await self._on_model("read", read)

    async def get_by_field(self, field: str, value: Any) -> Result:
        """Read the first object, by primary key, whose field has this value; none is RECORD_NOT_FOUND."""

        async def read(session: AsyncSession, model: Objects) -> Any:
            condition = model.filters.required({field: {"eq": value}})
            found = await model.find(session, condition, model.filters.order(None), limit=1)
            if not found:
                raise records.not_found(model.table, {field: value})
            return found[0]

        return await self._on_model("read", read)

    async def count(self, filters: dict[str, Any] | None = None) -> Result:
        """Count the objects that meet the filters."""
        return await self._on_model("read", lambda session, model: model.count(session, model.filters.condition(filters)))

    async def exists(self, filters: dict[str, Any]) -> Result:
        """Tell whether an object meets the filters."""

        async def exists(session: AsyncSession, model: Objects) -> bool:
            return bool(await model.find(session, model.filters.condition(filters), (), limit=1))

        return await self._on_model("read", exists)

    async def update(self, record_id: Any, data: dict[str, Any]) -> Result:
        """Change an object; the data of the result is the object as the database has it then."""
        return await self._on_model("update", lambda session, model: model.update(session, record_id, data))

    async def delete(self, record_id: Any) -> Result:
        """Delete an object; the data of the result is True."""

        async def delete(session: AsyncSession, model: Objects) -> bool:
            await model.delete(session, record_id)
            return True

        return await self._on_model("delete", delete)

    async def create_or_update(self, data: dict[str, Any], by: str | Sequence[str] | None = None) -> Result:
        """Change the object that has the values of `data` in the fields `by`, or write it where there is none.

        `by` are the fields of the primary key unless given, and should be unique: then two who do this at the same moment
        write one object.
        """

        async def write(session: AsyncSession, model: Objects) -> Any:
            keys = [name for name, column in model.fields.items() if column.primary_key]
            return await model.create_or_update(session, data, keys if by is None else [by] if isinstance(by, str) else by)

        return await self._on_model("update", write)

    async def bulk_create(self, rows: Sequence[dict[str, Any]]) -> Result:
        """Write objects, all or none; the data of the result is the list of them."""
        return await self._on_model("create", lambda session, model: model.create_many(session, rows))

    async def bulk_update(self, filters: dict[str, Any] | Sequence[dict[str, Any]], data: dict[str, Any] | None = None) -> Result:
        """Give all objects that meet the filters the values of `data`; or, given a list, change each row by the key it holds.

        All or none are changed; the data of the result is how many. Filters that would mean all rows are refused.
        """

        async def write(session: AsyncSession, model: Objects) -> int:
            if isinstance(filters, list | tuple):
                if data is not None:
                    raise RecordError("a list of rows and values for all are given", error_code="INVALID_DATA", expected="one")
                return await model.update_each(session, filters)
            return await model.update_many(session, model.filters.required(filters), data)

        return await self._on_model("update", write)

    async def bulk_delete(self, filters: dict[str, Any]) -> Result:
        """Delete all objects that meet the filters; the data of the result is how many. No filter is an error."""
        return await self._on_model("delete", lambda session, model: model.delete_many(session, model.filters.required(filters)))

    # --- transactions

    @asynccontextmanager
    async def transaction(self, database: str | None = None, isolation: str | None = None) -> AsyncIterator[CRUDService]:
        """Run a block in one transaction: what this service does in it, or another on the same database, holds together or not.

        It is rolled back when the block raises, and when an operation in it failed, whose error is then raised at the end of
        the block. Transactions inside it are savepoints. Tasks that are started in it are no part of it. `isolation` is a level
        of SQL, such as SERIALIZABLE, for engines with a server; SQLite's transactions are serializable.

        Raises:
            DbopsError: DATABASE_NOT_FOUND, or the error of an operation in it, or of the commit.
        """
        info = await self._info(database)
        async with transaction(info.pool, isolation if info.is_server else None):
            yield CRUDService(self._service, self._model, database=info.name)

    # --- how

    async def _info(self, database: str | None = None) -> DatabaseInfo:
        """Return the database of the model, or the one that is given, or the only one."""
        named = database or self._database
        if named is None and self._model is not None:
            named = self._model.metadata.info.get(DATABASE_KEY) if hasattr(self._model, "metadata") else None
            if named is None:
                return await self._service.database_of(getattr(self._model, "__tablename__", None))
        names = self._service.list_databases()
        if named is None and len(names) != 1:
            raise DbopsError(
                "which database is meant is not said",
                {"available_databases": names},
                "AMBIGUOUS_DATABASE" if names else "DATABASE_NOT_FOUND",
                fix="say which with database=",
            )
        return self._service.get_database(named or names[0])

    async def _on_table(self, verb: str, name: str, work: Callable[[AsyncSession, Table, Filters], Awaitable[Any]]) -> Result:
        async def run(info: DatabaseInfo) -> Any:
            async def on_table(session: AsyncSession) -> Any:
                table = await info.catalog.get(session, name)
                return await work(session, table, Filters(fields_of(table), info.pool.sessions, table.name))

            try:
                return await self._run(info, verb, on_table)
            except RecordError as error:
                if error.error_code != "FIELD_NOT_FOUND" or name in info.pool.models or current(info.pool) is not None:
                    raise
            info.catalog.forget()  # the table may have got the field since it was looked up
            return await self._run(info, verb, on_table)

        return await _answered(verb, "record", lambda: self._service.database_of(name, self._database), run)

    async def _on_model(self, verb: str, work: Callable[[AsyncSession, Objects], Awaitable[Any]]) -> Result:
        async def run(info: DatabaseInfo) -> Any:
            model = self._mapped(info)
            return await self._run(info, verb, lambda session: work(session, model))

        return await _answered(verb, "record", self._info, run)

    def _mapped(self, info: DatabaseInfo) -> Objects:
        if self._model is None:
            raise RecordError("this CRUDService has no model", error_code="NO_MODEL", fix="CRUDService(service, Model)")
        if self._objects is None:
            self._objects = Objects(self._model, info.pool.sessions)
        return self._objects

    async def _run(self, info: DatabaseInfo, verb: str, work: Work) -> Any:
        async def once() -> Any:
            async with session_for(info.pool, writes=verb != "read") as session:
                return await work(session)

        attempts = 1 if current(info.pool) is not None else self._service.settings.max_retries
        return await persistently(once, attempts, info.pool.translated)


async def _answered(
    verb: str, what: str, find: Callable[[], Awaitable[DatabaseInfo]], run: Callable[[DatabaseInfo], Awaitable[Any]]
) -> Result:
    try:
        return Result.success(await run(await find()))
    except RecordError as error:
        return Result.error(code=error.error_code, message=error.message, details=details_of(error))
    except DbopsError as error:
        if not isinstance(error, QueryError) and error.error_code.isupper():
            return Result.error(code=error.error_code, message=error.message, details=details_of(error))
        return _failed(verb, what, error, details_of(error))
    except Exception as error:  # what a model's own code raises is an answer too
        return _failed(verb, what, error, {})


def _failed(verb: str, what: str, error: Exception, details: dict[str, Any]) -> Result:
    cause = error.__cause__
    told = {"error": str(error), "error_type": type(cause if cause is not None else error).__name__, "retryable": may_pass(error)}
    return Result.error(code=f"{verb.upper()}_FAILED", message=f"Failed to {verb} {what}", details={**details, **told})
