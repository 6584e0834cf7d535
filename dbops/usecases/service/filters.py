"""Filters and orders as SQL: every field and operator is known, every value is bound, and nothing is passed over.

What a filter says is what Python would say of the values: text is compared character by character whatever the column's
collation, and None equals None, differs from all else, and is neither less nor greater than anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dbops.engines.base.sessions import Sessions
from dbops.errors import RecordError
from dbops.usecases.service.values import Fields, coerced, invalid, unknown_field

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement

_DEEPEST, _MOST = 32, 10_000
_JOINTS = ("AND", "OR")


class Filters:
    """The filters of one table; `table` is its name in messages."""

    def __init__(self, fields: Fields, sessions: Sessions, table: str) -> None:
        self._fields, self._sessions, self._table = fields, sessions, table

    def condition(self, filters: object) -> ColumnElement[bool] | None:
        """Return what a filter means, None for one that is None or empty.

        `{field: value}`, `{field: {operator: value, ...}}`, `{"AND": [...], "OR": [...]}`; entries of one mapping all hold.

        Raises:
            RecordError: FIELD_NOT_FOUND, UNKNOWN_OPERATOR, INVALID_FILTER, INVALID_VALUE.
        """
        if filters is None or filters == {}:
            return None
        return self._all_of(filters, 0)

    def required(self, filters: object) -> ColumnElement[bool]:
        """Return what a filter means, refusing one that would mean all rows.

        Raises:
            RecordError: as `condition`; INVALID_FILTER where there is none.
        """
        condition = self.condition(filters)
        if condition is None:
            raise self._wrong("a filter is missing", "at least one field: without a filter all rows would be meant")
        return condition

    def order(self, by: object) -> list[ColumnElement[Any]]:
        """Return the terms of ORDER BY for field names, `-` before those that descend; then the key, so that pages are sure.

        Raises:
            RecordError: FIELD_NOT_FOUND.
        """
        names = [by] if isinstance(by, str) else list(by) if isinstance(by, Sequence) else [] if by is None else [by]
        terms, seen = [], set()
        for name in names:
            is_down = isinstance(name, str) and name.startswith("-")
            field = str(name)[1:] if is_down else name
            column = self._column(field)
            seen.add(column.name)
            terms.append(self._sessions.in_order(column, descending=is_down))
        keys = [column for column in self._fields.values() if column.primary_key and column.name not in seen]
        return [*terms, *(column.asc() for column in keys)]

    def _column(self, field: object) -> Column[Any]:
        if not isinstance(field, str) or field not in self._fields:
            raise unknown_field(field, self._fields, self._table)
        return self._fields[field]

    def _all_of(self, filters: object, depth: int) -> ColumnElement[bool]:
        from sqlalchemy import and_

        if not isinstance(filters, Mapping) or not filters:
            raise self._wrong(f"{filters!r:.80} is no filter", "a mapping with at least one entry")
        if depth > _DEEPEST:
            raise self._wrong("the filter is nested too deeply", f"at most {_DEEPEST} levels")
        parts = [
            self._joined(name, value, depth) if name in _JOINTS else self._about(name, value) for name, value in filters.items()
        ]
        return and_(*parts)

    def _joined(self, joint: str, filters: object, depth: int) -> ColumnElement[bool]:
        from sqlalchemy import and_, or_

        if not isinstance(filters, list | tuple) or not filters:
            raise self._wrong(f"{joint} holds {filters!r:.80}", "a list with at least one filter")
        parts = [self._all_of(item, depth + 1) for item in filters]
        return and_(*parts) if joint == "AND" else or_(*parts)

    def _about(self, field: object, value: object) -> ColumnElement[bool]:
        from sqlalchemy import and_

        column = self._column(field)
        if not isinstance(value, Mapping):
            return self._comparison("eq", column, str(field), value)
        if not value:
            raise self._wrong(f"{field!r} is compared with nothing", f"an operator: {', '.join(OPERATORS)}")
        return and_(*(self._comparison(name, column, str(field), operand) for name, operand in value.items()))

    def _comparison(self, name: object, column: Column[Any], field: str, operand: Any) -> ColumnElement[bool]:
        operator = OPERATORS.get(name) if isinstance(name, str) else None
        if operator is None:
            raise RecordError(
                f"there is no operator {name!r}",
                {"table_name": self._table, "field": field, "operator": str(name), "available_operators": list(OPERATORS)},
                "UNKNOWN_OPERATOR",
                expected=f"one of {', '.join(OPERATORS)}",
            )
        if name not in _FOR_ALL and _is_opaque(column):
            raise self._wrong(f"{field!r} holds JSON, which is not compared with {name}", "is_null or not_null")
        return operator(self, column, field, operand)

    # --- operators; NULL counts as false, so it never stands inside a negation

    def _eq(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        if value is None:
            return column.is_(None)
        found = coerced(value, column, field)
        return self._sessions.among(column, [found]) if _is_text(column) else column == found

    def _ne(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        from sqlalchemy import not_, or_

        if value is None:
            return column.is_not(None)
        return or_(column.is_(None), not_(self._eq(column, field, value)))

    def _in(self, column: Column[Any], field: str, values: Any) -> ColumnElement[bool]:
        from sqlalchemy import false, or_

        found = [coerced(value, column, field) for value in self._list(field, values)]
        present = [value for value in found if value is not None]
        parts: list[ColumnElement[bool]] = [column.is_(None)] if len(present) < len(found) else []
        if present:
            parts.append(self._sessions.among(column, present) if _is_text(column) else column.in_(present))
        return or_(*parts) if parts else false()

    def _not_in(self, column: Column[Any], field: str, values: Any) -> ColumnElement[bool]:
        from sqlalchemy import and_, not_, or_

        given = self._list(field, values)
        present = [value for value in given if value is not None]
        differs = not_(self._in(column, field, present))
        is_none = column.is_(None)
        return and_(column.is_not(None), differs) if len(present) < len(given) else or_(is_none, differs)

    def _ordered(self, column: Column[Any], field: str, value: Any) -> tuple[Any, Any]:
        """Return both sides of a comparison by order."""
        from sqlalchemy import Boolean, Enum

        if value is None or isinstance(column.type, Boolean | Enum):
            raise invalid(value, field, "a value that has an order")
        return (self._sessions.exact(column) if _is_text(column) else column), coerced(value, column, field)

    def _gt(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        left, right = self._ordered(column, field, value)
        return left > right  # type: ignore[no-any-return]  # whose sides are expressions

    def _gte(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        left, right = self._ordered(column, field, value)
        return left >= right  # type: ignore[no-any-return]  # whose sides are expressions

    def _lt(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        left, right = self._ordered(column, field, value)
        return left < right  # type: ignore[no-any-return]  # whose sides are expressions

    def _lte(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        left, right = self._ordered(column, field, value)
        return left <= right  # type: ignore[no-any-return]  # whose sides are expressions

    def _between(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        from sqlalchemy import and_

        if not isinstance(value, list | tuple) or len(value) != 2:
            raise self._wrong(f"between for {field!r} holds {value!r:.80}", "a list of two values, both included")
        return and_(self._gte(column, field, value[0]), self._lte(column, field, value[1]))

    def _like(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        return self._sessions.matches(column, self._pattern(column, field, value), ignore_case=False)

    def _ilike(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        return self._sessions.matches(column, self._pattern(column, field, value), ignore_case=True)

    def _pattern(self, column: Column[Any], field: str, value: Any) -> str:
        if not _is_text(column):
            raise self._wrong(f"{field!r} is no text, so it is like nothing", "a field of text")
        if not isinstance(value, str) or (len(value) - len(value.rstrip("\\"))) % 2:
            raise invalid(value, field, r"a pattern: % for any text, _ for a character, \ before one of them that is meant")
        return str(coerced(value, column, field))

    def _is_null(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        if not isinstance(value, bool):
            raise invalid(value, field, "true or false")
        return column.is_(None) if value else column.is_not(None)

    def _not_null(self, column: Column[Any], field: str, value: Any) -> ColumnElement[bool]:
        if not isinstance(value, bool):
            raise invalid(value, field, "true or false")
        return column.is_not(None) if value else column.is_(None)

    def _list(self, field: str, values: Any) -> list[Any]:
        if not isinstance(values, list | tuple | set | frozenset):
            raise self._wrong(f"{field!r} is compared with {values!r:.80}", "a list of values")
        if len(values) > _MOST:
            raise self._wrong(f"{field!r} is compared with {len(values):,} values", f"at most {_MOST:,}")
        return list(values)

    def _wrong(self, message: str, expected: str) -> RecordError:
        return RecordError(message, {"table_name": self._table}, "INVALID_FILTER", expected=expected)


def _is_text(column: Column[Any]) -> bool:
    from sqlalchemy import Enum, String

    return isinstance(column.type, String) and not isinstance(column.type, Enum)


def _is_opaque(column: Column[Any]) -> bool:
    from sqlalchemy import JSON

    from dbops.resources.schema.bases import SQLiteJSON

    return isinstance(column.type, JSON | SQLiteJSON)


Operator = Callable[[Filters, "Column[Any]", str, Any], "ColumnElement[bool]"]
OPERATORS: Mapping[str, Operator] = {
    "eq": Filters._eq,
    "ne": Filters._ne,
    "gt": Filters._gt,
    "gte": Filters._gte,
    "lt": Filters._lt,
    "lte": Filters._lte,
    "in": Filters._in,
    "not_in": Filters._not_in,
    "between": Filters._between,
    "like": Filters._like,
    "ilike": Filters._ilike,
    "is_null": Filters._is_null,
    "not_null": Filters._not_null,
}
_FOR_ALL = frozenset({"is_null", "not_null"})
