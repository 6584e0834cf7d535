"""Where a source makes what, whatever the names."""

from __future__ import annotations

import pytest

from dbops.engines.sqlite.engine import SqliteEngine
from dbops.resources.schema.sources import places
from dbops.sql.splitter import split


@pytest.mark.parametrize(
    ("statement", "key"),
    [
        ("CREATE TABLE Customers (id int)", ("", "customers")),
        ('CREATE VIEW "My View" AS SELECT 1', ("", "my view")),
        ("CREATE OR REPLACE VIEW `say ``it```  AS SELECT 1", ("", "say `it`")),
        ('CREATE TABLE IF NOT EXISTS "Sales.EU"."a ""b""" (id int)', ("sales.eu", 'a "b"')),
        ("CREATE TABLE [two words].[日本](id int)", ("two words", "日本")),
        ("CREATE FUNCTION shop.f(a int) RETURNS int", ("shop", "f")),
        ('CREATE UNIQUE INDEX CONCURRENTLY "i 1" ON t (a)', ("", "i 1")),
    ],
)
def test_an_object_is_found_where_it_is_made(statement: str, key: tuple[str, str]) -> None:
    dialect = SqliteEngine().dialect
    (found,) = places(split(f"SELECT 1;\n{statement};", dialect, "a.sql"), dialect).items()
    assert found[0] == key and str(found[1]) == "a.sql:2:1"
