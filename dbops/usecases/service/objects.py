"""Rows as objects of a program's SQLAlchemy models, so that what a model does when it is written and read is done here too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from dbops.errors import RecordError
from dbops.usecases.service.filters import Filters
from dbops.usecases.service.records import key_values, not_found
from dbops.usecases.service.values import Fields, all_checked, checked, unknown_field

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement, CursorResult
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Mapper

    from dbops.engines.base.sessions import Sessions


class Objects:
    """The objects of one model. Methods work in the session that is given; what SQLAlchemy raises comes out as it is."""

    def __init__(self, model: type[Any], sessions: Sessions) -> None:
        """Raises: RecordError: NO_MODEL: the class is not mapped to a table."""
        from sqlalchemy import inspect
        from sqlalchemy.exc import NoInspectionAvailable

        try:
            self.mapper: Mapper[Any] = cast("Mapper[Any]", inspect(model))
        except NoInspectionAvailable as error:
            raise RecordError(
                f"{model!r:.80} is no SQLAlchemy model", error_code="NO_MODEL", expected="a class that is mapped to a table"
            ) from error
        self.model = model
        self.table: str = str(self.mapper.local_table.name) if hasattr(self.mapper.local_table, "name") else model.__name__
        self.fields: Fields = _fields(self.mapper)
        self.filters: Filters = Filters(self.fields, sessions, self.table)

    @property
    def key(self) -> list[Column[Any]]:
        """The columns of the primary key."""
        return [cast("Column[Any]", column) for column in self.mapper.primary_key]

    async def create(self, session: AsyncSession, data: object) -> Any:
        """Write one object and return it as the database has it. Raises: RecordError: as `checked`."""
        made = self.model(**checked(data, self.fields, self.table))
        session.add(made)
        await session.flush()
        await session.refresh(made)
        return made

    async def create_many(self, session: AsyncSession, rows: Sequence[object]) -> list[Any]:
        """Write objects, and return them with their keys. Raises: RecordError: as `checked`, before anything is written."""
        made = [self.model(**values) for values in all_checked(rows, self.fields, self.table)]
        session.add_all(made)
        await session.flush()
        return made

    async def read(self, session: AsyncSession, record_id: object, *, for_update: bool = False) -> Any:
        """Return the object of a key, locked against other writers with `for_update`.

        Raises:
            RecordError: RECORD_NOT_FOUND, INVALID_VALUE.
        """
        values = key_values(self.key, record_id, self.table)
        identity = values[0] if len(values) == 1 else tuple(values)
        found = await session.get(self.model, identity, with_for_update=for_update or None, populate_existing=True)
        if found is None:
            raise not_found(self.table, record_id)
        return found

    async def find(
        self,
        session: AsyncSession,
        condition: ColumnElement[bool] | None,
        order: Sequence[ColumnElement[Any]],
        skip: int = 0,
        limit: int | None = None,
        *,
        for_update: bool = False,
    ) -> list[Any]:
        """Return the objects that meet a condition."""
        from sqlalchemy import select

        statement = select(self.model).order_by(*order).offset(skip or None).limit(limit)
        if condition is not None:
            statement = statement.where(condition)
        if for_update:
            statement = statement.with_for_update()
        return list((await session.execute(statement.execution_options(populate_existing=True))).scalars().unique())

    async def count(self, session: AsyncSession, condition: ColumnElement[bool] | None) -> int:
        """Return how many objects meet a condition."""
        from sqlalchemy import func, select

        statement = select(func.count()).select_from(self.model)
        return int((await session.execute(statement if condition is None else statement.where(condition))).scalar_one())

    async def update(self, session: AsyncSession, record_id: object, data: object) -> Any:
        """Change one object and return it. Raises: RecordError: as `checked`; RECORD_NOT_FOUND; INVALID_DATA."""
        values = self._changes(data)
        return await self._changed(session, await self.read(session, record_id, for_update=True), values)

    async def delete(self, session: AsyncSession, record_id: object) -> None:
        """Delete one object, and what the model says goes with it. Raises: RecordError: RECORD_NOT_FOUND, INVALID_VALUE."""
        await session.delete(await self.read(session, record_id))
        await session.flush()

    async def create_or_update(self, session: AsyncSession, data: object, by: Sequence[str]) -> Any:
        """Change the object that has these values in the fields `by`, or write one where there is none.

        Two who do this at the same moment write one object: the later one finds its key taken, and changes it.

        Raises:
            RecordError: as `checked`; INVALID_DATA where a field of `by` has no value.
        """
        from sqlalchemy.exc import IntegrityError

        values = checked(data, self.fields, self.table)
        for name in by:
            if name not in self.fields:
                raise unknown_field(name, self.fields, self.table)
            if values.get(name) is None:
                raise RecordError(
                    f"create_or_update finds a record of {self.table!r} by {name!r}, which has no value",
                    {"table_name": self.table, "field": name},
                    "INVALID_DATA",
                )
        condition = self.filters.required({name: values[name] for name in by})
        changes = {name: value for name, value in values.items() if name not in by}
        # Nothing is locked that is not there: locks on gaps are how two who insert bring each other to a halt on MySQL.
        if await self.find(session, condition, (), limit=1):
            found = await self.find(session, condition, (), limit=1, for_update=True)
            if found:
                return await self._changed(session, found[0], changes)
        try:
            async with session.begin_nested():
                return await self.create(session, values)
        except IntegrityError:
            found = await self.find(session, condition, (), limit=1, for_update=True)
            if not found:
                raise
        return await self._changed(session, found[0], changes)

    async def update_many(self, session: AsyncSession, condition: ColumnElement[bool], data: object) -> int:
        """Give all objects that meet a condition these values; return how many. Raises: RecordError: as `checked`."""
        from sqlalchemy import update

        values = {self.fields[name]: value for name, value in self._changes(data).items()}
        statement = update(self.model).where(condition).values(cast(Any, values))
        result = await session.execute(
            statement.execution_options(synchronize_session="fetch" if session.identity_map else False)
        )
        return cast("CursorResult[Any]", result).rowcount

    async def update_each(self, session: AsyncSession, rows: Sequence[object]) -> int:
        """Change objects, each row naming its key; return how many.

        Raises:
            RecordError: as `update`, INVALID_DATA for a row without its key; all rows are checked before one is written.
        """
        names = [name for name, column in self.fields.items() if column in self.key]
        changes = []
        for row in rows:
            values = checked(row, self.fields, self.table)
            if any(values.get(name) is None for name in names):
                raise RecordError(
                    f"a record to change of {self.table!r} does not say its key",
                    {"table_name": self.table, "primary_key": names},
                    "INVALID_DATA",
                )
            key = [values.pop(name) for name in names]
            changes.append((key if len(key) > 1 else key[0], self._changes(values)))
        for key, values in changes:
            await self.update(session, key, values)
        return len(changes)

    async def delete_many(self, session: AsyncSession, condition: ColumnElement[bool]) -> int:
        """Delete all objects that meet a condition; return how many."""
        from sqlalchemy import delete

        statement = delete(self.model).where(condition)
        result = await session.execute(
            statement.execution_options(synchronize_session="fetch" if session.identity_map else False)
        )
        return cast("CursorResult[Any]", result).rowcount

    def _changes(self, data: object) -> dict[str, Any]:
        values = checked(data, self.fields, self.table)
        if not values:
            raise RecordError(
                "there is nothing to change", {"table_name": self.table}, "INVALID_DATA", expected="at least one field"
            )
        return values

    async def _changed(self, session: AsyncSession, found: Any, values: Mapping[str, Any]) -> Any:
        for name, value in values.items():
            setattr(found, name, value)
        await session.flush()
        await session.refresh(found)
        return found


def _fields(mapper: Mapper[Any]) -> Fields:
    """Return the columns of a model by the name of the attribute."""
    from sqlalchemy import Column

    found: dict[str, Column[Any]] = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if isinstance(column, Column):
            found[attribute.key] = column
    return found
