"""Indexes that are more than lists of columns are advised where plain ones leave statements costly, and are then taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import Database, PostgresDatabase
from tests.usecases.test_index_advice import NUMBERS, advised

SCHEMA = """
CREATE TABLE people (id integer PRIMARY KEY, email varchar(60) NOT NULL);
CREATE TABLE jobs (id integer PRIMARY KEY, queue integer, priority integer NOT NULL, state integer NOT NULL, note varchar(200));
CREATE TABLE sales (id integer PRIMARY KEY, at integer NOT NULL, total integer NOT NULL, note varchar(250));
INSERT INTO people SELECT i, 'Someone' || i || '@example.org' FROM ({numbers}) AS n;
INSERT INTO jobs SELECT i, i % 3, (i * 7919) % 10007, CASE WHEN i % 200 = 0 THEN 2 ELSE 1 END, '{note}' FROM ({numbers}) AS n;
INSERT INTO sales SELECT i, (i * 7919) % 10007, i, '{note}{note}' FROM ({numbers}) AS n;
ANALYZE;
"""
LOWER = "SELECT id FROM people WHERE lower(email) = 'someone17@example.org';"
FAILED = "SELECT id, note FROM jobs WHERE state <> 1 AND priority > 100 ORDER BY priority;"
SUMS = "SELECT sum(total) FROM sales WHERE at BETWEEN 100 AND 1900;"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.campaign)])
def forms(request: pytest.FixtureRequest) -> Database:
    engine = request.param
    database: Database = request.getfixturevalue({"sqlite": "sqlite_database", "postgresql": "pg_database"}[engine])
    database.load(SCHEMA.format(numbers=NUMBERS[engine], note="x" * 100))
    if engine == "postgresql":
        database.load("VACUUM ANALYZE;")
    return database


def test_an_expression_is_indexed_and_the_index_is_known_again(forms: Database, tmp_path: Path) -> None:
    (found,) = advised(forms, tmp_path, LOWER).findings
    assert [column.lower() for column in found.details["columns"]] == ["lower(email)"]
    ((one,),) = [found.details["statements"]]
    assert one["after"] <= 0.5 * one["before"]
    for statement in str(found.sql).split(";\n"):
        forms.load(f"{statement.rstrip(';')};")
    assert advised(forms, tmp_path, LOWER).state == "pass"
    assert advised(forms, tmp_path, "SELECT id FROM people WHERE length(email) > 3;").state == "pass"  # no equality


def test_rows_that_are_ever_wanted_alone_are_indexed_where_that_helps(forms: Database, tmp_path: Path) -> None:
    usual = "SELECT note FROM jobs WHERE state = 1 AND priority > 9900 ORDER BY priority;"
    assert all(one.details["where"] is None for one in advised(forms, tmp_path, usual).findings)  # nearly all rows are so
    (found,) = advised(forms, tmp_path, FAILED).findings
    assert found.details["columns"] == ["priority"] and found.details["where"] == "state <> 1"
    assert found.details["size_bytes"] < 40_000
    for statement in str(found.sql).split(";\n"):
        forms.load(f"{statement.rstrip(';')};")
    assert advised(forms, tmp_path, FAILED).state == "pass"


@pytest.mark.campaign
def test_all_columns_that_are_read_stand_in_the_index_where_that_halves_the_cost(
    pg_database: PostgresDatabase, tmp_path: Path
) -> None:
    pg_database.load(SCHEMA.format(numbers=NUMBERS["postgresql"], note="x" * 100) + "VACUUM ANALYZE;")
    (found,) = advised(pg_database, tmp_path, SUMS).findings
    assert (found.object, found.details["include"]) == ("public.sales (at) INCLUDE (total)", ["total"])
    for statement in str(found.sql).split(";\n"):
        pg_database.load(f"{statement.rstrip(';')};")
    pg_database.load("VACUUM ANALYZE sales;")
    plan = pg_database.rows("EXPLAIN " + SUMS.rstrip(";"))
    assert any("Index Only Scan" in line for (line,) in plan)
    assert advised(pg_database, tmp_path, SUMS).state == "pass"
    # a few rows are found well enough by a plain index, and all columns of a row are not to be had from one
    (few,) = advised(pg_database, tmp_path, "SELECT queue FROM jobs WHERE priority = 5;").findings
    assert few.object == "public.jobs (priority)"


PARTITIONED = """
CREATE EXTENSION hypopg;
CREATE TABLE visits (id integer, person integer NOT NULL, at integer NOT NULL, note text) PARTITION BY RANGE (at);
CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (0) TO (5000);
CREATE TABLE visits_new PARTITION OF visits FOR VALUES FROM (5000) TO (20000);
INSERT INTO visits SELECT i, i % 3000, i, repeat('x', 100) FROM generate_series(1, 10000) AS i;
VACUUM ANALYZE;
"""


@pytest.mark.campaign
def test_partitioned_tables_are_indexed_as_a_whole(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    if not pg_database.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'"):
        pytest.skip("HypoPG is not installed: apt install postgresql-15-hypopg")
    pg_database.load(PARTITIONED)
    asked = "SELECT note FROM visits WHERE person = 7;"
    (found,) = advised(pg_database, tmp_path, asked, sample=0).findings
    assert found.object == "public.visits (person)" and "ON public.visits" in str(found.sql)
    pg_database.load(str(found.sql))
    assert advised(pg_database, tmp_path, asked, sample=0).state == "pass"
    assert len(pg_database.rows("SELECT 1 FROM pg_indexes WHERE tablename LIKE 'visits%'")) == 3
    assert advised(pg_database, tmp_path, "SELECT note FROM visits WHERE at > 5000;", sample=0).state == "pass"  # pruned
