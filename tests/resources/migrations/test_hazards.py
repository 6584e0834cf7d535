"""What pending migrations may lose or hold up is told by the plan, and gates them as it gates a schema's steps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dbops.engines.sqlite.engine import SqliteEngine
from dbops.errors import HazardError
from dbops.lint.check import Finding
from dbops.reconcile.plan import Plan
from dbops.resources.migrations.folder import migrations_of, read_contents
from dbops.resources.migrations.visible import Sight
from dbops.sql.hazard import Hazard
from dbops.usecases.apply import Consent
from dbops.usecases.lint import LintRequest
from dbops.usecases.migrate.lint import lint
from dbops.usecases.migrate.running import down, up
from dbops.usecases.runtime import open_workspace
from tests.databases import Database, PostgresDatabase, SqliteDatabase
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


def test_a_table_made_anew_by_hand_asks_for_what_stands_on_it_in_the_database(
    sqlite_database: SqliteDatabase, tmp_path: Path
) -> None:
    shop = Migrations.make(sqlite_database, tmp_path / "env")
    shop.write("0001_a.sql", "CREATE TABLE a (id integer, n integer);\nCREATE INDEX a_n ON a (n);\n")
    run(shop)
    sqlite_database.load("CREATE TRIGGER by_hand AFTER INSERT ON a BEGIN UPDATE a SET n = 0; END;")
    rebuild = (
        "CREATE TABLE a2 (id integer, n text);\nINSERT INTO a2 SELECT * FROM a;\nDROP TABLE a;\nALTER TABLE a2 RENAME TO a;\n"
    )
    shop.write("0002_text.sql", rebuild)
    assert [one.message for one in hazards(shop.plan()) if one.code == "LOST_IN_REBUILD"] == [
        "with a trigger by_hand and index a_n go: nothing here makes them again"
    ]
    with pytest.raises(HazardError, match="LOST_IN_REBUILD"):
        run(shop)
    again = "CREATE INDEX a_n ON a (n);\nCREATE TRIGGER by_hand AFTER INSERT ON a BEGIN UPDATE a SET n = 0; END;\n"
    shop.write("0002_text.sql", rebuild + again)
    assert codes(shop.plan()) == [] and run(shop) == "done"


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


PYTHON = '''\
GONE = "DROP TABLE b"

def up_fn(step):
    # dbops:allow DELETES_DATA nobody reads it
    step.execute(
        """
        DELETE FROM a
        """
    )
    rest(step)
    [step.execute(f"DELETE FROM {name}") for name in ()]

def rest(step):
    step.execute(GONE + "")

def down_fn(step):
    step.execute("CREATE TABLE b (id integer)")
    step.execute("CREATE INDEX a_n ON a (n)")
'''


def test_what_a_python_step_shows_of_its_sql_is_weighed(shop: Migrations) -> None:
    run(shop)
    shop.write("0002_gone.py", PYTHON)
    lost = [hazard for hazard in hazards(shop.plan()) if hazard.code == "DELETES_DATA"]
    found = {re.split(":| with ", hazard.message)[0]: hazard.allowed for hazard in lost}
    assert found == {"all rows of a are deleted": "nobody reads it", "table b is dropped": None}
    with pytest.raises(HazardError, match="table b is dropped"):
        run(shop)
    assert [(one.code, one.at.line) for one in linted(shop) if one.code in ("DELETES_DATA", "INDEX_BUILD")] == [
        ("DELETES_DATA", 14),
        ("INDEX_BUILD", 18),
    ]


PUT_TOGETHER = """\
def up_fn(step):
    for name in ("a", "b"):
        # dbops:allow DELETES_DATA moved to the archive
        step.execute("DELETE FROM " + name)
    step.execute("DROP" + f" TABLE {'b'}")
"""


def test_what_a_python_step_puts_together_is_heard_on_a_scratch(shop: Migrations) -> None:
    run(shop)
    shop.write("0002_gone.py", PUT_TOGETHER)
    lost = [hazard for hazard in hazards(shop.plan()) if hazard.code == "DELETES_DATA"]
    found = {re.split(":| with ", hazard.message)[0]: hazard.allowed for hazard in lost if "all rows of b" not in hazard.message}
    assert found == {"all rows of a are deleted": "moved to the archive", "table b is dropped": None}
    with pytest.raises(HazardError, match="table b is dropped"):
        run(shop)


def linted(shop: Migrations) -> tuple[Finding, ...]:
    with open_workspace(shop.folder) as workspace:
        return lint(workspace, LintRequest(())).findings


def test_what_a_way_back_does_is_told_and_does_not_ask(shop: Migrations) -> None:
    run(shop)
    shop.database.load("INSERT INTO a VALUES (1, 1);")
    shop.write("0002_more.sql", "-- migrate:up\nALTER TABLE a ADD COLUMN m integer;\n"
               "-- migrate:down\nALTER TABLE a DROP COLUMN m;\nCREATE INDEX a_n ON a (n);\n")  # fmt: skip
    assert "INDEX_BUILD" not in codes(shop.plan()), "it is not on the way up"
    run(shop)
    told: list[Plan] = []

    def shown(plan: Plan) -> bool:
        told.append(plan)
        return True

    with open_workspace(shop.folder) as workspace:
        assert down(workspace, Consent(shown)).state == "done"
    assert {"DELETES_DATA", "INDEX_BUILD"} <= set(codes(told[0]))
    found = {one.code: one.at.line for one in linted(shop)}
    assert found.get("INDEX_BUILD") == 5 and "DELETES_DATA" not in found, "what it loses the way there has made"


def test_ways_back_are_not_what_the_next_file_finds(shop: Migrations) -> None:
    shop.write("0001_a.sql", "-- migrate:up\nCREATE TABLE a (id integer PRIMARY KEY);\nCREATE TABLE b (id integer);\n"
               "-- migrate:down\nDROP TABLE a;\nDROP TABLE b;\n")  # fmt: skip
    shop.write("0002_b.sql", "ALTER TABLE b ADD COLUMN n integer;\n")
    assert "NO_PRIMARY_KEY" in [one.code for one in linted(shop)]


REVISION = '''\
"""gone"""
from alembic import op
import sqlalchemy as sa
revision = "b11"
down_revision = "a00"

def upgrade():
    op.create_index("a_n", "a", ["n"])
    op.drop_table("b")  # dbops:allow DELETES_DATA old
    op.execute(
        "DELETE FROM a"
    )

def downgrade():
    op.create_table("b", sa.Column("id", sa.Integer))
    op.create_index("b_n", "a", ["id"])
'''


FIRST = """\
from alembic import op
revision = "a00"
down_revision = None

def upgrade():
    op.execute("CREATE TABLE a (id integer NOT NULL PRIMARY KEY, n integer)")
    op.execute("CREATE TABLE b (id integer)")

def downgrade():
    pass
"""


def test_what_a_revision_of_alembic_writes_offline_is_weighed(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env", "format: alembic")
    versions = shop.folder / "migrations" / "versions"
    versions.mkdir()
    (versions / "a00.py").write_text(FIRST)
    run(shop)
    (versions / "b11.py").write_text(REVISION)
    lost = [hazard for hazard in hazards(shop.plan()) if hazard.code == "DELETES_DATA"]
    found = {re.split(":| with ", hazard.message)[0]: hazard.allowed for hazard in lost}
    assert found == {"table b is dropped": "old", "all rows of a are deleted": None}
    with pytest.raises(HazardError, match="all rows of a"):
        run(shop)
    told = {(one.code, one.at.line) for one in linted(shop) if Path(one.at.file).name == "b11.py"}
    assert {("DELETES_DATA", 10), ("INDEX_BUILD", 8), ("INDEX_BUILD", 16)} <= told and ("DELETES_DATA", 9) not in told
    assert run(shop, "DELETES_DATA") == "done"


def test_a_revision_that_asks_the_database_is_weighed_as_far_as_it_comes(shop: Migrations) -> None:
    text = "def upgrade():\n    op.execute('DELETE FROM a')\n    op.get_bind().execute('x').fetchall()\n    op.drop_table('b')\n"
    head = 'from alembic import op\nrevision = "a00"\ndown_revision = None\n'
    path = shop.write("a00.py", f"{head}{text}def downgrade():\n    pass\n")
    (folder := path.parent / "versions").mkdir()
    path.rename(folder / path.name)
    (migration,) = migrations_of(path.parent, read_contents(path.parent, "alembic"), "alembic")
    assert Sight(SqliteEngine().dialect).one_way(migration, "up").split() == ["DELETE", "FROM", "a;", "x;"]


def test_sql_of_json_files_is_linted(database: Database, tmp_path: Path) -> None:
    shop = Migrations.make(database, tmp_path / "env", "format: json")
    sql = "CREATE TABLE a (id integer);\nINSERT INTO a VALUES (1);"
    shop.write("1.json", json.dumps({"id": "1", "name": "one", "sql": sql, "rollback_sql": "DROP TABLE a;"}, indent=1))
    shop.write("2.json", json.dumps({"id": "2", "name": "two", "sql": "DROP TABLE a;", "dependencies": ["1"]}, indent=1))
    assert [(Path(one.at.file).name, one.code, one.at.line) for one in linted(shop) if one.code == "DELETES_DATA"] == [
        ("2.json", "DELETES_DATA", 4)
    ]
    ends = {"id": "3", "name": "three", "sql": "CREATE TABLE b (id integer) -- ends", "rollback_sql": "DROP TABLE b -- here"}
    shop.write("3.json", json.dumps(ends))
    assert [one for one in linted(shop) if one.code == "SYNTAX_ERROR"] == []
