"""What `diff` can compare, and that all of it means the same schema."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from dbops.errors import BackupError, PlanError
from dbops.reconcile import plan as plans
from dbops.usecases.compare import compare
from dbops.usecases.importing import import_database
from dbops.usecases.inspect import inspect
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from dbops.usecases.saved import to_json, to_yaml
from tests.databases import Database, MysqlDatabase
from tests.usecases.policies import Shop

SQL = (
    "CREATE TABLE users (id integer NOT NULL PRIMARY KEY, boss integer,"
    " CONSTRAINT up FOREIGN KEY (boss) REFERENCES users (id));\nCREATE VIEW ids AS SELECT id FROM users;\n"
)
MORE = "CREATE TABLE wishes (id integer NOT NULL PRIMARY KEY);\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def programs_of_the_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the programs of the server that the tests run on found first."""
    if "database" in request.fixturenames and isinstance(found := request.getfixturevalue("database"), MysqlDatabase):
        monkeypatch.setenv("PATH", f"{Path(found.server.make.server).parent}{os.pathsep}{os.environ['PATH']}")


def test_all_kinds_of_sides_are_the_same_schema(database: Database, tmp_path: Path) -> None:
    database.load(SQL)
    env = tmp_path / "env"
    import_database(database.url, env, name="shop")
    inspection = inspect(database.url, None)
    (tmp_path / "saved.json").write_text(to_json(inspection))
    (tmp_path / "saved.yaml").write_text(to_yaml(inspection))
    (tmp_path / "own.sql").write_text(SQL)
    sides = [f"{env}:shop", str(env), f"{env}:schema/shop", str(env / "schema"), str(env / "shop.yaml")]
    sides += [str(tmp_path / name) for name in ("saved.json", "saved.yaml", "own.sql")]
    for side in sides:
        found = compare(database.url, side, None)
        assert found.changes == (), (side, found.differences)
    (tmp_path / "own.sql").write_text(SQL + MORE)
    found = compare(str(tmp_path / "saved.json"), str(tmp_path / "own.sql"), None)
    assert [one.address.endswith("wishes") for one in found.differences] == [True] and found.differences[0].action == "create"
    assert any("CREATE TABLE" in statement.sql for act in found.acts for statement in act.do)


def test_a_saved_plan_stands_for_the_schema_it_leads_to(database: Database, tmp_path: Path) -> None:
    database.load(SQL)
    env = tmp_path / "env"
    import_database(database.url, env, name="shop")
    (env / "schema/more.sql").write_text(MORE)
    with open_workspace(env) as workspace:
        (tmp_path / "plan.json").write_text(plans.to_json(plan(workspace)))
    assert compare(str(tmp_path / "plan.json"), str(env), None).changes == ()
    assert [one.action for one in compare(database.url, str(tmp_path / "plan.json"), None).differences] == ["create"]
    database.load(MORE)
    with pytest.raises(PlanError, match="does not run on a copy"):
        compare(str(tmp_path / "plan.json"), str(env), None)


def test_portable_tables_are_read_in_the_dialect_of_the_other_side(database: Database, tmp_path: Path) -> None:
    text = "TEXT" if database.engine == "sqlite" else "varchar(40)"
    database.load(f"CREATE TABLE users (id integer NOT NULL PRIMARY KEY, name {text});")
    file = tmp_path / "tables.yaml"
    file.write_text(to_yaml(inspect(database.url, None)))
    assert "tables" in yaml.safe_load(file.read_text())
    assert compare(str(file), database.url, None).changes == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [("[]", "neither a saved plan nor"), ("{", "no JSON"), (json.dumps({"format": "dbops.inspect/1"}), "damaged")],
)
def test_other_files_are_refused(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(PlanError, match=told):
        compare(str(file), "sqlite:///none.db", None)


def test_what_is_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="nothing that can be compared"):
        compare("nobody", str(tmp_path / "none.sql"), None)


def test_a_backup_is_what_a_restore_of_it_gives(database: Database, tmp_path: Path) -> None:
    database.load(SQL)
    shop = Shop(tmp_path / "env", database.url, schedule="[{type: full, cron: '0 3 * * 0'}]")
    made = shop.run()
    database.load(MORE)
    with shop.workspace() as workspace:
        for word in ("backup:latest", f"backup:{made.id}", "backup:shop/latest", f"{shop.folder}:backup/latest"):
            found = compare(word, "shop", workspace)
            assert [(one.address[-6:], one.action) for one in found.differences] == [("wishes", "create")]
            assert made.id in found.before
        assert compare(database.url, "backup:latest", workspace).differences[0].action == "delete"
        with pytest.raises(BackupError, match="no backup nobody"):
            compare("backup:nobody", "shop", workspace)
