"""What pending migrations may lose or hold up is told by the plan, and gates them as it gates a schema's steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbops.errors import HazardError
from dbops.reconcile.plan import Plan
from dbops.sql.hazard import Hazard
from dbops.usecases.apply import Consent
from dbops.usecases.migrate.running import up
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, PostgresDatabase
from tests.resources.migrations.sets import Migrations


def hazards(plan: Plan) -> list[Hazard]:
    return [hazard for step in plan.steps for hazard in step.hazards]


def codes(plan: Plan) -> list[str]:
    return [hazard.code for hazard in hazards(plan)]


def run(shop: Migrations, *allow: str) -> str:
    with open_workspace(shop.folder) as workspace:
        return up(workspace, Consent(lambda _: True, allow=frozenset(allow))).state


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Migrations:
    shop = Migrations.make(database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer NOT NULL PRIMARY KEY, n integer);\nCREATE TABLE b (id integer);\n")
    return shop


def test_what_loses_rows_is_told_and_asks(shop: Migrations) -> None:
    assert run(shop) == "done"
    shop.write("0002_gone.sql", "DROP TABLE b;\n")
    plan = shop.plan()
    assert codes(plan) == ["DELETES_DATA"] and "table b is dropped" in hazards(plan)[0].message
    with pytest.raises(HazardError, match="DELETES_DATA"):
        run(shop)
    assert shop.states()["0002_gone"] == "pending"
    assert run(shop, "DELETES_DATA") == "done"


def test_a_remark_in_the_file_lets_its_statement_pass(shop: Migrations) -> None:
    run(shop)
    text = "-- dbops:allow DELETES_DATA moved to the archive\n-- migrate:up\nDROP TABLE b;\n"
    shop.write("0002_gone.sql", f"{text}-- migrate:down\nCREATE TABLE b (id integer);\n")
    [hazard] = hazards(shop.plan())
    assert hazard.allowed == "moved to the archive" and not hazard.is_blocking
    assert run(shop) == "done"
    shop.write("0003_two.sql", "-- dbops:allow DELETES_DATA nobody reads it\nALTER TABLE a DROP COLUMN n;\nDELETE FROM a;\n")
    with pytest.raises(HazardError, match="all rows of a") as caught:
        run(shop)
    assert "dropped with its values" not in caught.value.message


def test_the_manifest_lets_hazards_of_a_code_pass(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env", "policy: {allow: [DELETES_DATA]}")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer);\n")
    run(shop)
    shop.write("0002_gone.sql", "DROP TABLE a;\n")
    assert run(shop) == "done"


def test_what_pending_migrations_make_they_may_drop(shop: Migrations) -> None:
    shop.write("0002_gone.sql", "DROP TABLE b;\nALTER TABLE a DROP COLUMN n;\n")
    assert codes(shop.plan()) == []
    assert run(shop) == "done"


def test_tables_without_rows_make_nobody_wait(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    shop = Migrations.make(pg_database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer PRIMARY KEY, n integer);\nCREATE TABLE b (id integer, n integer);\n")
    run(shop)
    pg_database.load("INSERT INTO a SELECT i, i FROM generate_series(1, 5000) i; ANALYZE a")
    shop.write("0002_index.sql", "CREATE INDEX a_n ON a (n);\nCREATE INDEX b_n ON b (n);\nALTER TABLE a ALTER n TYPE bigint;\n")
    told = {hazard.code: hazard.message for hazard in hazards(shop.plan())}
    assert {"BLOCKS_WRITES", "INDEX_BUILD", "REWRITES_TABLE"} <= told.keys()
    assert told["INDEX_BUILD"].endswith("; a: about 5,000 rows")
    assert "from integer to bigint" in told["REWRITES_TABLE"], "what is there, the earlier migration says"
    assert run(shop) == "done", "what makes others wait is told, and does not stop"


def test_a_long_file_is_weighed_without_its_rows(shop: Migrations) -> None:
    run(shop)
    rows = "".join(f"INSERT INTO a VALUES ({n}, {n}); -- {'x' * 80}\n" for n in range(12_000))
    shop.write("0002_long.sql", f"{rows}-- dbops:allow DELETES_DATA old\nDROP TABLE b;\nDELETE FROM a;\n")
    found = [hazard for hazard in hazards(shop.plan()) if hazard.code == "DELETES_DATA"]
    assert [hazard.allowed for hazard in found] == ["old", None]


def test_a_saved_plan_keeps_what_the_file_allows(shop: Migrations, tmp_path: Path) -> None:
    from dbops.reconcile import step

    run(shop)
    shop.write("0002_gone.sql", "-- dbops:allow DELETES_DATA old\nDROP TABLE b;\n")
    [planned] = shop.plan().steps
    assert step.from_dict(step.to_dict(planned)) == planned
