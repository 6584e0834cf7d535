"""Values that programs give for a column: taken where they mean the same on every engine, refused where they do not fit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dbops.errors import RecordError

if TYPE_CHECKING:
    from sqlalchemy import Column

Fields = Mapping[str, "Column[Any]"]
"""The fields of a table by the name that a program says."""

Taker = Callable[[Any, str], Any]
"""Takes a value that is not None for the field of a name. Raises: RecordError: INVALID_VALUE."""

_INTEGERS = range(-(2**63), 2**63)


def unknown_field(field: object, fields: Fields, table: str) -> RecordError:
    """Return the error for a field that a table does not have."""
    from difflib import get_close_matches

    near = get_close_matches(str(field), fields, 1)
    return RecordError(
        f"the table {table!r} has no field {field!r}",
        {"table_name": table, "field": field if isinstance(field, str) else repr(field), "available_fields": sorted(fields)},
        "FIELD_NOT_FOUND",
        fix=f"did you mean {near[0]!r}?" if near else None,
    )


def checked(data: object, fields: Fields, table: str) -> dict[str, Any]:
    """Return the values of a record, each as its column takes it.

    Raises:
        RecordError: FIELD_NOT_FOUND, INVALID_VALUE, or INVALID_DATA for what is no mapping of names.
    """
    return all_checked([data], fields, table)[0]


def all_checked(rows: Iterable[object], fields: Fields, table: str) -> list[dict[str, Any]]:
    """Return the values of records. Raises as `checked` does, for the first that is wrong; also where there are no rows."""
    if not isinstance(rows, Iterable) or isinstance(rows, str | bytes | Mapping):
        raise RecordError(
            f"records of {table!r} are given as {type(rows).__name__}",
            {"table_name": table},
            "INVALID_DATA",
            expected="a list of mappings of fields to values",
        )
    takers: dict[str, Taker] = {}
    found = []
    for row in rows:
        if not isinstance(row, Mapping):
            raise RecordError(
                f"a record of {table!r} is given as {type(row).__name__}",
                {"table_name": table},
                "INVALID_DATA",
                expected="a mapping of fields to values",
            )
        values = {}
        for name, value in row.items():
            if name not in takers:
                if name not in fields:
                    raise unknown_field(name, fields, table)
                takers[name] = _writer(fields[name])
            values[name] = None if value is None else takers[name](value, name)
        found.append(values)
    return found


def coerced(value: Any, column: Column[Any], name: str) -> Any:
    """Return a value as the type of a column takes it: text that spells a number, a date, ... becomes one.

    Times with an offset become UTC. A type that a program has made itself takes what it takes.

    Raises:
        RecordError: INVALID_VALUE.
    """
    return None if value is None else _taker(column)(value, name)


def _writer(column: Column[Any]) -> Taker:
    """Return what takes a value to be stored: SQLite would keep what is too long, the others refuse it, so all refuse it."""
    from sqlalchemy import Enum

    taker, limit = _taker(column), getattr(column.type, "length", None)
    if not isinstance(limit, int) or isinstance(column.type, Enum):
        return taker

    def short(value: Any, name: str) -> Any:
        taken = taker(value, name)
        if isinstance(taken, str | bytes) and len(taken) > limit:
            raise invalid(value, name, f"at most {limit} {'characters' if isinstance(taken, str) else 'bytes'}")
        return taken

    return short


def _taker(column: Column[Any]) -> Taker:
    """Return what takes a value for the type of a column."""
    from sqlalchemy import JSON, Enum
    from sqlalchemy.types import TypeDecorator

    from dbops.resources.schema.bases import SQLiteJSON

    kind = column.type
    if isinstance(kind, JSON | SQLiteJSON):
        return _json
    if isinstance(kind, TypeDecorator):
        return _as_it_is
    if isinstance(kind, Enum):
        return partial(_choice, kind)
    try:
        python_type = kind.python_type
    except NotImplementedError:
        return _as_it_is
    if python_type is datetime:
        return partial(_moment, bool(getattr(kind, "timezone", False)))
    return _TAKERS.get(python_type, _as_it_is)


def _as_it_is(value: Any, name: str) -> Any:
    return value


def invalid(value: object, name: str, expected: str) -> RecordError:
    """Return the error for a value that does not fit."""
    text = repr(value)
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return RecordError(f"{shown} is no value for {name!r}", {"field": name}, "INVALID_VALUE", expected=expected)


def _json(value: Any, name: str) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(value, name, "what JSON can say") from error
    return value


def _choice(kind: Any, value: Any, name: str) -> Any:
    is_member = kind.enum_class is not None and isinstance(value, kind.enum_class)
    if not is_member and value not in kind.enums:
        raise invalid(value, name, f"one of {', '.join(kind.enums)}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise invalid(value, name, "text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise invalid(value, name, "text without half characters") from error
    if "\0" in value:
        raise invalid(value, name, "text without the character 0")
    return str(value)


def _integer(value: Any, name: str) -> int:
    if type(value) is int and value in _INTEGERS:
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError as error:
            raise invalid(value, name, "a whole number") from error
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(value, name, "a whole number")
    if value not in _INTEGERS:
        raise invalid(value, name, "a whole number of 64 bits")
    return int(value)


def _float(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise invalid(value, name, "a number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise invalid(value, name, "a number") from error
    if math.isnan(number) or math.isinf(number):
        raise invalid(value, name, "a number, not NaN or infinity, which not all engines store")
    return number


def _decimal(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise invalid(value, name, "a decimal number")
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise invalid(value, name, "a decimal number") from error
    if not number.is_finite():
        raise invalid(value, name, "a finite number")
    return number


_WORDS = {"true": True, "1": True, "false": False, "0": False}


def _boolean(value: Any, name: str) -> bool:
    found = _WORDS.get(str(value).lower()) if isinstance(value, bool | int | str) else None
    if found is None:
        raise invalid(value, name, "true or false")
    return found


def _moment(keeps_zone: bool, value: Any, name: str) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise invalid(value, name, "a date and time such as 2025-01-31T12:00:00") from error
    if not isinstance(value, datetime):
        raise invalid(value, name, "a date and time")
    if keeps_zone:
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def _day(value: Any, name: str) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise invalid(value, name, "a date such as 2025-01-31") from error
    if not isinstance(value, date) or isinstance(value, datetime):
        raise invalid(value, name, "a date")
    return value


def _clock(value: Any, name: str) -> time:
    if isinstance(value, str):
        try:
            return time.fromisoformat(value)
        except ValueError as error:
            raise invalid(value, name, "a time such as 12:00:00") from error
    if not isinstance(value, time):
        raise invalid(value, name, "a time")
    return value


def _bytes(value: Any, name: str) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise invalid(value, name, "bytes")
    return bytes(value)


def _uuid(value: Any, name: str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError as error:
        raise invalid(value, name, "a UUID") from error


_TAKERS: Mapping[type, Taker] = {
    str: _text,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    bool: _boolean,
    date: _day,
    time: _clock,
    bytes: _bytes,
    UUID: _uuid,
}
