"""Reasons: what differs, in words that show the difference."""

from __future__ import annotations

from dbops.catalog.changes import AlterColumn, AlterObject
from dbops.catalog.model import Column, Grant, Index, IndexKey, View
from dbops.catalog.ref import Ref
from dbops.resources.schema.describe import reason

COLUMNS = tuple((f"column_{number}", "bigint") for number in range(12))


def view(*columns: tuple[str, str]) -> View:
    return View(name="open_tickets", definition="SELECT 1", columns=columns)


def index(*keys: IndexKey) -> Index:
    return Index(name="by_user", parent="notes", keys=keys)


def test_long_values_are_shown_from_where_they_differ() -> None:
    change = AlterObject(view(*COLUMNS, ("estimate", "integer")), view(*COLUMNS, ("estimate", "text")))
    assert reason(change) == "columns: …column_11=bigint, estimate=integer → …column_11=bigint, estimate=text"


def test_a_long_value_that_only_grows_shows_what_is_new() -> None:
    assert reason(AlterObject(view(*COLUMNS), view(*COLUMNS, ("spent", "integer")))).endswith("spent=integer")


def test_short_values_are_shown_whole() -> None:
    change = AlterColumn(Ref("table", "", "notes"), Column(name="a", type="integer"), Column(name="a", type="bigint"))
    assert reason(change) == "type: integer → bigint"


def test_keys_are_told_in_words() -> None:
    before = index(IndexKey(column="user_id"), IndexKey(column="updated", descending=True))
    after = index(IndexKey(column="user_id"), IndexKey(expression="lower(title)"))
    assert reason(AlterObject(before, after)) == "keys: user_id, updated descending → user_id, lower(title)"


def test_grants_are_told_in_words() -> None:
    before = view(*COLUMNS[:1])
    after = View(name="open_tickets", definition="SELECT 1", columns=COLUMNS[:1], grants=(Grant("reader", "SELECT"),))
    assert reason(AlterObject(before, after)) == "grants: none → reader SELECT"
