"""What is read from statements, and which indexes follow: equality first, shared columns first, nothing that is there."""

from __future__ import annotations

from typing import Any

import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Column, Index, IndexKey, PrimaryKey, Table
from dbops.usecases.indexing.candidates import begun_by, candidates
from dbops.usecases.indexing.reading import Reader


def table(name: str, *columns: str) -> Table:
    return Table(name=name, columns=tuple(Column(name=one, type="int") for one in columns))


def index(name: str, of: str, *columns: str, **other: Any) -> Index:
    return Index(name=name, parent=of, keys=tuple(IndexKey(column=one) for one in columns), **other)


ORDERS, LINES = table("orders", "id", "customer", "state", "at"), table("lines", "id", "order_id", "what", "number")
CATALOG = Catalog.of([ORDERS, LINES, PrimaryKey(name="pk", parent="orders", columns=("id",)), index("by_at", "orders", "at")])


def read(text: str, dialect: str = "sqlite") -> list[tuple[str, ...]]:
    reading = Reader(CATALOG, dialect).read(text)
    assert reading is not None
    return [(use.table.name, *map(" ".join, (use.equal, use.ranges, use.joins, use.sorts))) for use in reading.uses]


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("SELECT * FROM orders WHERE customer = 1 AND state IN (1, 2)", [("orders", "customer state", "", "", "")]),
        ("SELECT * FROM orders WHERE 5 = customer AND at BETWEEN 1 AND 2", [("orders", "customer", "at", "", "")]),
        ("SELECT * FROM orders WHERE customer = ? ORDER BY at DESC LIMIT ?", [("orders", "customer", "", "", "at")]),
        ("SELECT * FROM orders ORDER BY at, id DESC", []),
        ("SELECT state, count(*) FROM orders GROUP BY state", [("orders", "", "", "", "state")]),
        ("SELECT * FROM orders WHERE at < id OR lower(state) = 'x'", []),
        (
            "SELECT * FROM orders WHERE customer = 1 OR state = 2",
            [("orders", "customer", "", "", ""), ("orders", "state", "", "", "")],
        ),
        (
            "SELECT * FROM orders AS o JOIN lines l ON l.order_id = o.id WHERE l.what = 'x'",
            [("orders", "", "", "id", ""), ("lines", "what", "", "order_id", "")],
        ),
        (
            "SELECT * FROM orders o, lines WHERE order_id = o.id",
            [("orders", "", "", "id", ""), ("lines", "", "", "order_id", "")],
        ),
        (
            "SELECT * FROM orders o WHERE EXISTS (SELECT 1 FROM lines WHERE order_id = o.id AND number > 5)",
            [("lines", "order_id", "number", "", "")],
        ),
        ("WITH q AS (SELECT * FROM orders WHERE state IS NULL) SELECT * FROM q WHERE x = 1", [("orders", "state", "", "", "")]),
        ("UPDATE orders SET state = 2 WHERE customer = 5", [("orders", "customer", "", "", "")]),
        ("DELETE FROM lines WHERE order_id = 5", [("lines", "order_id", "", "", "")]),
        ("SELECT * FROM gone WHERE a = 1", []),
    ],
)
def test_what_a_statement_looks_for_joins_and_sorts_by_is_read(text: str, uses: list[tuple[str, ...]]) -> None:
    assert read(text) == uses


@pytest.mark.parametrize("text", ["CREATE TABLE x (a int)", "SELECT FROM WHERE", "SELECT 1; DROP TABLE orders", "VACUUM", ""])
def test_what_is_no_single_query_is_not_read(text: str) -> None:
    assert Reader(CATALOG, "sqlite").read(text) is None


def test_digests_and_open_parameters_are_read() -> None:
    assert read("SELECT * FROM `orders` WHERE `customer` IN (...) AND `state` = ?", "mysql") == [
        ("orders", "customer state", "", "", "")
    ]
    assert read("SELECT * FROM orders WHERE customer = ANY($1) LIMIT $2", "postgres") == [("orders", "customer", "", "", "")]
    assert read("SELECT * FROM orders WHERE customer IN ($1,$2,$3)", "postgres") == [("orders", "customer", "", "", "")]
    assert read("SELECT * FROM orders WHERE customer = ?1 AND state = :state") == [("orders", "customer state", "", "", "")]
    written = Reader(CATALOG, "postgres").read("INSERT INTO orders (id,customer) VALUES ($1,$2)")
    assert written is not None and written.writes == ORDERS and written.uses == ()
    reader = Reader(CATALOG, "mysql")
    reading = reader.read("DELETE FROM `orders` WHERE `customer` = ? AND ? < `at` LIMIT ?")
    assert reading is not None and reading.writes == ORDERS and reading.sql.startswith("SELECT * FROM")
    filled = reader.with_values(reading, lambda table, column, share: f"{table.name}.{column} at {share}")
    assert "`customer` = 'orders.customer at 0.5'" in filled and "'orders.at at 0.9' < `at`" in filled


def columns_of(*statements: str, most: int = 20) -> list[tuple[str, ...]]:
    readings = [Reader(CATALOG, "sqlite").read(text) for text in statements]
    uses = [use for reading in readings if reading is not None for use in reading.uses]
    return [(str(one.parent), *(str(key.column) for key in one.keys)) for one in candidates(uses, CATALOG, most)]


def test_equality_stands_before_the_range_and_the_order() -> None:
    found = columns_of("SELECT * FROM orders WHERE at > 5 AND state = 1 ORDER BY customer")
    assert ("orders", "state", "at") in found and ("orders", "state", "customer") in found
    assert not any(one[1] == "at" for one in found)


def test_columns_that_many_look_for_stand_first_so_that_indexes_are_shared() -> None:
    first, *_ = columns_of(
        "SELECT * FROM orders WHERE customer = 1 AND state = 2",
        "SELECT * FROM orders WHERE state = 2",
        "SELECT * FROM orders WHERE state = 3 AND at > 4",
    )
    assert first == ("orders", "state")
    assert ("orders", "state", "customer") in columns_of(
        "SELECT * FROM orders WHERE customer = 1 AND state = 2", "SELECT * FROM orders WHERE state = 2"
    )


def test_what_a_present_index_begins_with_is_no_candidate_and_their_number_is_bounded() -> None:
    assert columns_of("SELECT * FROM orders WHERE id = 1", "SELECT * FROM orders WHERE at = 2") == []
    many = [f"SELECT * FROM lines WHERE {a} = 1 AND {b} > 2" for a in ("what", "number") for b in ("id", "order_id")]
    assert len(columns_of(*many, most=3)) == 3


def test_indexes_that_a_new_one_makes_redundant_are_named() -> None:
    unique = index("only", "orders", "at", unique=True)
    catalog = Catalog.of([*CATALOG, unique])
    assert [one.name for one in begun_by(index("new", "orders", "at", "state"), catalog)] == ["by_at"]
