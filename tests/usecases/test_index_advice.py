"""Indexes that statements want are found on each engine, served statements are left alone, and what is advised is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.engines.base.advice import Verdict
from dbops.usecases.advise import Advised, advise, source_of
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, PostgresDatabase

MANIFEST = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{url}'}}\n"
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT i FROM n",
    "postgresql": "SELECT generate_series(1, 10000) AS i",
    "mysql": "SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS i FROM ten AS a, ten AS b, ten AS c, ten AS d",
}
SCHEMA = """
CREATE TABLE customers (id integer PRIMARY KEY, email varchar(60) NOT NULL, country varchar(20));
CREATE TABLE orders (id integer PRIMARY KEY, customer integer NOT NULL, state integer NOT NULL, at integer NOT NULL,
  note varchar(60));
CREATE INDEX orders_at ON orders (at, state);
INSERT INTO customers SELECT i, {email}, 'DE' FROM ({numbers}) AS n WHERE i <= 5000;
INSERT INTO orders SELECT i, (i * 7) % 5000, i % 4, (i * 13) % 10000, 'a note of some length' FROM ({numbers}) AS n;
{analyze};
"""
IDS = {"sqlite": "LT-IDX-004", "postgresql": "PG-IDX-008", "mysql": "MY-IDX-004"}


def planted(database: Database) -> None:
    email = {"mysql": "CONCAT('someone', i, '@example.org')"}.get(database.engine, "'someone' || i || '@example.org'")
    analyze = "ANALYZE TABLE customers, orders" if database.engine == "mysql" else "ANALYZE"
    if database.engine == "mysql":
        database.load(
            f"CREATE TABLE ten (n integer PRIMARY KEY); INSERT INTO ten VALUES {', '.join(f'({n})' for n in range(10))};"
        )
    database.load(SCHEMA.format(email=email, numbers=NUMBERS[database.engine], analyze=analyze))


def advised(database: Database, folder: Path, sql: str, sample: int = 20_000) -> Verdict:
    (folder / "c.yaml").write_text(MANIFEST.format(url=database.url))
    (folder / "queries.sql").write_text(sql)
    with open_workspace(folder) as workspace:
        (one,) = advise(workspace, rules=[IDS[database.engine]], source=source_of(folder / "queries.sql", sample))
    return _only(one)


def _only(one: Advised) -> Verdict:
    assert one.error is None
    (verdict,) = one.verdicts
    return verdict


WANTING = """
SELECT * FROM orders WHERE customer = 5 AND state = 1;
SELECT id FROM orders WHERE customer = 8;
SELECT * FROM orders WHERE customer = 9 AND at > 9500 ORDER BY at;
SELECT o.id FROM customers AS c JOIN orders o ON o.customer = c.id WHERE c.email = 'someone17@example.org';
"""
SERVED = """
SELECT * FROM orders WHERE id = 5;
SELECT count(*) FROM orders WHERE at = 15;
SELECT * FROM customers WHERE country = 'DE';
UPDATE orders SET state = 2 WHERE id = 8;
SELECT max(note) FROM orders;
"""


def test_missing_indexes_are_found_and_nothing_else(database: Database, tmp_path: Path) -> None:
    planted(database)
    before = database.dump()
    assert advised(database, tmp_path, SERVED).state == "pass"  # they are served, or no index would help
    verdict = advised(database, tmp_path, WANTING + SERVED)
    found = {tuple(finding.details["columns"]): finding for finding in verdict.findings}
    assert verdict.state == "fail", verdict.why
    assert {columns[0] for columns in found} == {"customer", "email"} and len(found) <= 3
    assert ("email",) in found
    for finding in found.values():
        saved = finding.details["statements"]
        assert saved and all(one["after"] <= 0.5 * one["before"] for one in saved)
        assert 1000 < finding.details["size_bytes"] < 4_000_000
        assert {hazard.code for hazard in finding.hazards} >= {"INDEX_BUILD"}
    assert database.dump() == before
    for finding in found.values():
        for statement in str(finding.sql).split(";\n"):
            database.load(f"{statement.rstrip(';')};")
    assert advised(database, tmp_path, WANTING + SERVED).state == "pass"


def test_without_leave_to_copy_rows_and_without_hypopg_the_answer_is_unknown(
    pg_database: PostgresDatabase, tmp_path: Path
) -> None:
    planted(pg_database)
    verdict = advised(pg_database, tmp_path, WANTING, sample=0)
    assert verdict.state == "unknown" and "CREATE EXTENSION hypopg" in verdict.fix and "--sample" in verdict.fix


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_hypopg_tries_on_the_live_database(database: Database, tmp_path: Path) -> None:
    if not database.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'"):
        pytest.skip("HypoPG is not installed: apt install postgresql-15-hypopg")
    planted(database)
    database.load("CREATE EXTENSION hypopg;")
    verdict = advised(database, tmp_path, WANTING + SERVED, sample=0)
    assert {finding.details["columns"][0] for finding in verdict.findings} == {"customer", "email"}
    assert all("HypoPG" in finding.evidence for finding in verdict.findings)
    assert advised(database, tmp_path, SERVED, sample=0).state == "pass"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_plans_that_read_sort_or_repeat_much_are_told(database: Database, tmp_path: Path) -> None:
    planted(database)
    (tmp_path / "c.yaml").write_text(MANIFEST.format(url=database.url))
    statements = {
        "LT-QRY-001": "SELECT * FROM orders WHERE note = 'x';",
        "LT-QRY-002": "SELECT count(*) FROM orders AS a JOIN orders AS b ON a.note = b.note WHERE a.state = 1;",
        "LT-QRY-003": "SELECT id FROM orders ORDER BY note;",
        "LT-QRY-004": "SELECT id FROM customers WHERE id > (SELECT max(o.at) FROM orders AS o WHERE o.at = customers.id);",
    }
    (tmp_path / "queries.sql").write_text("\n".join(statements.values()) + "SELECT * FROM orders WHERE id = 5;")
    with open_workspace(tmp_path) as workspace:
        (one,) = advise(workspace, rules=list(statements), source=source_of(tmp_path / "queries.sql", 0))
    told = {verdict.rule.id: [finding.object for finding in verdict.findings] for verdict in one.verdicts}
    assert [id_ for id_, text in statements.items() if text.rstrip(";") not in told[id_]] == []
    assert not any("id = 5" in text for texts in told.values() for text in texts)
    (tmp_path / "queries.sql").write_text("SELECT * FROM orders WHERE id = 5; SELECT id FROM orders ORDER BY id LIMIT 3;")
    with open_workspace(tmp_path) as workspace:
        (one,) = advise(workspace, rules=list(statements), source=source_of(tmp_path / "queries.sql", 0))
    assert {verdict.rule.id: verdict.state for verdict in one.verdicts} == dict.fromkeys(statements, "pass")
