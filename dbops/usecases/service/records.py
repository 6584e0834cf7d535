"""Rows as dictionaries: written, read, changed and deleted through SQLAlchemy Core, every name a column's, every value bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from dbops.errors import RecordError
from dbops.usecases.service.tables import fields_of
from dbops.usecases.service.values import all_checked, checked, coerced

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement, CursorResult, Table
    from sqlalchemy.ext.asyncio import AsyncSession

Record = dict[str, Any]
_LARGEST_PAGE = 10_000


def key_columns(table: Table) -> list[Column[Any]]:
    """Return the columns of the primary key.

    Raises:
        RecordError: NO_PRIMARY_KEY: a table or view has none.
    """
    columns = list(table.primary_key.columns)
    if not columns:
        raise RecordError(
            f"the table {table.name!r} has no primary key, so no record of it can be named",
            {"table_name": table.name},
            "NO_PRIMARY_KEY",
        )
    return columns


def key_values(columns: Sequence[Column[Any]], record_id: object, table: str) -> list[Any]:
    """Return the values of a key: of one column as it is, of several as a sequence in order or a mapping.

    Raises:
        RecordError: INVALID_VALUE.
    """
    names = [column.name for column in columns]
    if isinstance(record_id, Mapping):
        values = [record_id[name] for name in names] if set(record_id) == set(names) else None
    elif len(columns) == 1:
        values = [record_id]
    else:
        values = list(record_id) if isinstance(record_id, list | tuple) and len(record_id) == len(columns) else None
    if values is None or any(value is None for value in values):
        raise RecordError(
            f"{record_id!r:.80} names no record of {table!r}",
            {"table_name": table, "primary_key": names},
            "INVALID_VALUE",
            expected=f"the value of {names[0]}" if len(names) == 1 else f"values of {', '.join(names)}",
        )
    return [coerced(value, column, column.name) for value, column in zip(values, columns, strict=True)]


def by_key(table: Table, record_id: object) -> ColumnElement[bool]:
    """Return the condition that a record has this key. Raises as `key_values` does."""
    from sqlalchemy import and_

    columns = key_columns(table)
    pairs = zip(columns, key_values(columns, record_id, table.name), strict=True)
    return and_(*(column == value for column, value in pairs))


def not_found(table: str, record_id: object) -> RecordError:
    """Return the error for a record that is not there."""
    return RecordError(
        f"Record {record_id!r} not found in table {table!r}",
        {"table_name": table, "record_id": record_id},
        "RECORD_NOT_FOUND",
    )


def page(number: object, size: object) -> tuple[int, int]:
    """Return how many records to skip and how many to give for a page, counted from 1.

    Raises:
        RecordError: INVALID_PAGE.
    """
    count = whole(size, "page_size", 1)
    if count > _LARGEST_PAGE:
        raise RecordError(f"page_size is {count}", error_code="INVALID_PAGE", expected=f"at most {_LARGEST_PAGE}")
    return (whole(number, "page", 1) - 1) * count, count


def whole(value: object, name: str, least: int) -> int:
    """Return a whole number that counts records.

    Raises:
        RecordError: INVALID_PAGE.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**31:
        raise RecordError(f"{name} is {value!r:.40}", error_code="INVALID_PAGE", expected=f"a whole number from {least}")
    return value


async def insert(session: AsyncSession, table: Table, data: object) -> Record:
    """Write one record and return it as the database has it.

    Raises:
        RecordError: as `checked`.
        and what SQLAlchemy raises.
    """
    from sqlalchemy import insert as insert_into

    values = {table.c[_key(table, name)]: value for name, value in checked(data, fields_of(table), table.name).items()}
    statement = insert_into(table).values(cast(Any, values))
    if session.get_bind().dialect.insert_returning:
        return _record(table, (await session.execute(statement.returning(*table.columns))).one())
    result = cast("CursorResult[Any]", await session.execute(statement))
    key = list(result.inserted_primary_key or ())
    if not key:
        return {name: values.get(column) for name, column in fields_of(table).items()}
    return await first(session, table, by_key(table, key if len(key) > 1 else key[0])) or {}


async def insert_many(session: AsyncSession, table: Table, rows: Sequence[object]) -> int:
    """Write records, all or none, in as few statements as the driver can; return how many. Raises as `insert` does."""
    from sqlalchemy import insert as insert_into

    fields = fields_of(table)
    values = all_checked(rows, fields, table.name)
    if renamed := {name: column.key for name, column in fields.items() if column.key != name}:
        values = [{renamed.get(name, name): value for name, value in item.items()} for item in values]
    groups: dict[tuple[str, ...], list[Record]] = {}
    for item in values:  # a statement for many rows names the same columns for all
        groups.setdefault(tuple(item), []).append(item)
    for items in groups.values():
        await session.execute(insert_into(table), items)
    return len(values)


async def first(
    session: AsyncSession, table: Table, condition: ColumnElement[bool], *, for_update: bool = False
) -> Record | None:
    """Return one record that meets a condition, locked against other writers with `for_update`; None where none does."""
    from sqlalchemy import select

    statement = select(table).where(condition).limit(1)
    row = (await session.execute(statement.with_for_update() if for_update else statement)).first()
    return None if row is None else _record(table, row)


async def find(
    session: AsyncSession,
    table: Table,
    condition: ColumnElement[bool] | None,
    order: Sequence[ColumnElement[Any]],
    skip: int = 0,
    limit: int | None = None,
) -> list[Record]:
    """Return the records that meet a condition."""
    from sqlalchemy import select

    statement = select(table).order_by(*order)
    if condition is not None:
        statement = statement.where(condition)
    if skip:
        statement = statement.offset(skip)
    if limit is not None:
        statement = statement.limit(limit)
    names = list(fields_of(table))
    return [dict(zip(names, row, strict=True)) for row in await session.execute(statement)]


async def count(session: AsyncSession, table: Table, condition: ColumnElement[bool] | None) -> int:
    """Return how many records meet a condition."""
    from sqlalchemy import func, select

    statement = select(func.count()).select_from(table)
    return int((await session.execute(statement if condition is None else statement.where(condition))).scalar_one())


async def update(session: AsyncSession, table: Table, record_id: object, data: object) -> Record:
    """Change one record and return it as the database has it then.

    Raises:
        RecordError: as `checked`; RECORD_NOT_FOUND; INVALID_DATA when nothing is to change.
        and what SQLAlchemy raises.
    """
    from sqlalchemy import update as change

    values = checked(data, fields_of(table), table.name)
    if not values:
        raise RecordError("there is nothing to change", {"table_name": table.name}, "INVALID_DATA", expected="at least one field")
    given = {table.c[_key(table, name)]: value for name, value in values.items()}
    changed = await session.execute(change(table).where(by_key(table, record_id)).values(cast(Any, given)))
    if not cast("CursorResult[Any]", changed).rowcount:
        raise not_found(table.name, record_id)
    columns = key_columns(table)
    key = key_values(columns, record_id, table.name)
    new = [values.get(column.name, value) for column, value in zip(columns, key, strict=True)]
    found = await first(session, table, by_key(table, new if len(new) > 1 else new[0]))
    if found is None:
        raise not_found(table.name, record_id)
    return found


async def delete(session: AsyncSession, table: Table, record_id: object) -> None:
    """Delete one record.

    Raises:
        RecordError: RECORD_NOT_FOUND, NO_PRIMARY_KEY, INVALID_VALUE.
        and what SQLAlchemy raises.
    """
    from sqlalchemy import delete as delete_from

    deleted = await session.execute(delete_from(table).where(by_key(table, record_id)))
    if not cast("CursorResult[Any]", deleted).rowcount:
        raise not_found(table.name, record_id)


def _key(table: Table, name: str) -> str:
    """Return what SQLAlchemy calls the column of that name."""
    return name if name in table.c and table.c[name].name == name else fields_of(table)[name].key


def _record(table: Table, row: Sequence[Any]) -> Record:
    return dict(zip(fields_of(table), row, strict=True))
