"""Filters drawn by chance, and what Python itself says of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from tests.api.service.made import IMPORTS
from tests.databases import Database

#: Enough in every run to say something about the change; many in the campaign.
EXAMPLES = settings(max_examples=2000 if os.environ.get("HYPOTHESIS_PROFILE") == "campaign" else 25)

Record = Mapping[str, Any]

THINGS = (
    IMPORTS
    + """
from sqlalchemy import Boolean, Date, Double
DATABASE_NAME = "my_module"
MyBase = get_database_base("my_module")

class Thing(MyBase):
    __tablename__ = "things"
    id = Column(Integer, primary_key=True, autoincrement=False)
    name = Column(String(40))
    code = Column(String(10), unique=True)
    number = Column(Integer)
    ratio = Column(Double)
    flag = Column(Boolean)
    moment = Column(DateTime)
    day = Column(Date)
"""
)


#: A collation of the binary kind without padding, by the name that MariaDB and MySQL each have for it.
_NO_PADDING = (
    "SELECT collation_name FROM information_schema.collations WHERE collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')"
)


def things(database: Database) -> str:
    """Return the models; where a unique key would take "x" and "x " for the same, as on MySQL, it says that it does not."""
    if database.engine != "mysql":
        return THINGS
    [(collation,)] = database.rows(_NO_PADDING)
    return THINGS.replace("String(10)", f'String(10, "{collation}")')


_TEXT = st.text("aAbBéÉß %_\\'\"`*?[]^-;", max_size=4)
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "id": st.integers(1, 6),
    "name": _TEXT,
    "code": st.sampled_from(["x", "y", "z", "x "]),
    "number": st.integers(-3, 3) | st.sampled_from([2**31 - 1, -(2**31)]),
    "ratio": st.sampled_from([0.0, -1.5, 0.1, 1e100, 1e-300]),
    "flag": st.booleans(),
    "moment": st.datetimes(datetime(2024, 12, 30), datetime(2025, 1, 3)).map(lambda moment: moment.replace(microsecond=0)),
    "day": st.dates(date(2024, 12, 30), date(2025, 1, 3)),
}
_ORDERED = [name for name in VALUES if name != "flag"]


def records(*required: str) -> st.SearchStrategy[dict[str, Any]]:
    """Draw values for some fields, and for all that are required."""
    return st.fixed_dictionaries(
        {name: VALUES[name] for name in required},
        optional={name: st.none() | values for name, values in VALUES.items() if name != "id"},
    )


def _pattern(*, plain: bool) -> st.SearchStrategy[str]:
    letters = "aAbB *[" if plain else "aAbéÉ *?[]'"
    parts = st.sampled_from([*letters, "%", "_", "\\%", "\\_", "\\\\"])
    return st.lists(parts, max_size=4).map("".join)


@st.composite
def _comparison(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(
        st.sampled_from(
            ["=", "eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "between", "like", "ilike", "is_null", "not_null"]
        )
    )
    ordered = operator in ("gt", "gte", "lt", "lte", "between")
    field = "name" if operator in ("like", "ilike") else draw(st.sampled_from(_ORDERED if ordered else list(VALUES)))
    values = VALUES[field]
    if operator == "=":
        return {field: draw(st.none() | values)}
    operand: st.SearchStrategy[Any] = st.none() | values
    if operator in ("in", "not_in"):
        operand = st.lists(st.none() | values, max_size=4)
    elif operator == "between":
        operand = st.tuples(values, values).map(list)
    elif operator in ("like", "ilike"):
        operand = _pattern(plain=operator == "ilike")
    elif operator in ("is_null", "not_null"):
        operand = st.booleans()
    elif ordered:
        operand = values
    return {field: {operator: draw(operand)}}


def _joined(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.lists(inner, min_size=1, max_size=3)
    return (
        st.fixed_dictionaries({"AND": lists})
        | st.fixed_dictionaries({"OR": lists})
        | st.tuples(inner, inner).map(lambda pair: {**pair[0], **pair[1]})
    )


FILTERS = st.recursive(_comparison(), _joined, max_leaves=6)
ORDERS = st.lists(
    st.sampled_from([*VALUES, *(f"-{name}" for name in VALUES)]).filter(lambda name: "name" not in name), max_size=3
)


def meets(record: Record, filters: Mapping[str, Any]) -> bool:
    """Tell what Python says of a record."""
    return all(_meets(record, name, value) for name, value in filters.items())


def _meets(record: Record, name: str, value: Any) -> bool:
    if name == "AND":
        return all(meets(record, item) for item in value)
    if name == "OR":
        return any(meets(record, item) for item in value)
    found = record.get(name)
    if not isinstance(value, dict):
        return bool(found == value)
    return all(_compared(found, operator, operand) for operator, operand in value.items())


def _compared(found: Any, operator: str, operand: Any) -> bool:
    match operator:
        case "eq":
            return bool(found == operand)
        case "ne":
            return bool(found != operand)
        case "in":
            return found in operand
        case "not_in":
            return found not in operand
        case "is_null":
            return (found is None) == operand
        case "not_null":
            return (found is not None) == operand
    if found is None:
        return False
    match operator:
        case "gt":
            return bool(found > operand)
        case "gte":
            return bool(found >= operand)
        case "lt":
            return bool(found < operand)
        case "lte":
            return bool(found <= operand)
        case "between":
            return bool(operand[0] <= found <= operand[1])
        case "like":
            return _like(found, operand)
        case "ilike":
            return _like(found.lower(), operand.lower())
    raise AssertionError(operator)


def _like(text: str, pattern: str) -> bool:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def ordered(found: list[dict[str, Any]], order: list[str]) -> list[dict[str, Any]]:
    """Return records in an order, None before everything, the id deciding between equals."""
    result = sorted(found, key=lambda record: record["id"])
    for name in reversed(order):
        field = name.removeprefix("-")
        result.sort(
            key=lambda record, field=field: (record[field] is not None, record[field] if record[field] is not None else 0),
            reverse=name.startswith("-"),
        )
    return result
