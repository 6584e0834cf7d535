"""What a rehearsal runs its steps on."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dbops.engines.base.connect import Target
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.engine import SqliteEngine
from dbops.errors import RehearsalError
from dbops.usecases.apply import Consent, apply
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.conformance.test_main_job import MANIFEST
from tests.databases import MysqlDatabase, PostgresDatabase

MANY = SqliteEngine().features.portion + 10


@pytest.fixture
def scratches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Target]:
    """The scratch databases that were opened."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    opened: list[Target] = []
    scratch = SqliteEngine.scratch

    def counted(self: SqliteEngine, target: Target) -> AbstractContextManager[SqliteConnection]:
        opened.append(target)
        return scratch(self, target)

    monkeypatch.setattr(SqliteEngine, "scratch", counted)
    return opened


def _opened(folder: Path, sql: str, scratches: list[Target]) -> int:
    """Plan a new database with this source, and return how many scratches that took."""
    (folder / "env.yaml").write_text(MANIFEST.format(url="sqlite:///new.db"))
    (folder / "shop.sql").write_text(sql)
    with open_workspace(folder) as workspace:
        made = plan(workspace)
    assert made.rehearsal is not None and made.rehearsal.ok
    return len(scratches)


def test_many_new_tables_are_rehearsed_in_portions(tmp_path: Path, scratches: list[Target]) -> None:
    sql = "".join(f"CREATE TABLE t{number} (id integer PRIMARY KEY);\n" for number in range(MANY))
    assert _opened(tmp_path, sql, scratches) == 1 + 2 + 2  # what is blank, the source, the steps


def test_what_depends_on_everything_is_rehearsed_on_one_scratch(tmp_path: Path, scratches: list[Target]) -> None:
    tables = "".join(f"CREATE TABLE t{number} (id integer PRIMARY KEY);\n" for number in range(MANY))
    views = "".join(f"CREATE VIEW v{n} AS SELECT t{n}.id FROM t{n} JOIN t{n + 1} USING (id);\n" for n in range(MANY - 1))
    assert _opened(tmp_path, tables + views, scratches) == 1 + 1 + 1


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a bigint); CREATE VIEW x AS SELECT a FROM t;",
        "CREATE TABLE t (a int); CREATE TABLE g (b int); CREATE VIEW v AS SELECT b FROM g;"
        "CREATE VIEW w AS SELECT b + 1 AS c FROM v; CREATE VIEW x AS SELECT a FROM t;",
        "CREATE TABLE t (z int -- dbops:renamed_from a\n); CREATE TABLE g (b int); CREATE VIEW v AS SELECT 1 AS b FROM t;"
        "CREATE VIEW w AS SELECT b + 1 AS c FROM v;",
    ],
)
def test_views_over_a_table_that_is_gone_are_in_no_rehearsals_way(my_database: MysqlDatabase, tmp_path: Path, sql: str) -> None:
    my_database.load("CREATE TABLE t (a int); CREATE TABLE g (b int); CREATE VIEW v AS SELECT b FROM g;")
    my_database.load("CREATE VIEW w AS SELECT b + 1 AS c FROM v; CREATE VIEW x AS SELECT a FROM t; DROP TABLE g;")
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=my_database.url))
    (tmp_path / "shop.sql").write_text(sql)
    with open_workspace(tmp_path) as workspace:
        made = plan(workspace)
        assert made.rehearsal is not None and made.rehearsal.ok
        apply(workspace, Consent(lambda plan: True, allow=("all",)))
        assert plan(workspace).is_empty


def test_a_body_that_names_what_is_not_there_is_told_with_its_place(
    pg_database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    (tmp_path / "shop.sql").write_text(
        "CREATE TABLE t (id int);\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1 FROM u';"
    )
    with open_workspace(tmp_path) as workspace, pytest.raises(RehearsalError) as caught:
        plan(workspace)
    told = caught.value.explain()
    assert "shop.sql:2:1: " in told and 'relation "u" does not exist' in told and "mend its body" in told


def test_a_body_that_names_what_is_not_there_is_made_where_its_file_says_so(
    pg_database: PostgresDatabase, tmp_path: Path
) -> None:
    (tmp_path / "env.yaml").write_text(MANIFEST.format(url=json.dumps(pg_database.url)))
    source = tmp_path / "shop.sql"
    body = "FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT {} FROM u';"
    source.write_text(f"SET check_function_bodies = false;\nCREATE {body.format(1)}\nRESET ALL;\nCREATE TABLE t (id int);")
    with open_workspace(tmp_path) as workspace:
        apply(workspace, Consent(lambda plan: True))
        source.write_text(
            f"SELECT set_config('check_function_bodies', 'off', false);\nCREATE {body.format(2)}\nCREATE TABLE t (id int);"
        )
        apply(workspace, Consent(lambda plan: True, allow=("all",)))
        assert plan(workspace).is_empty
    assert pg_database.rows("SELECT prosrc FROM pg_proc WHERE proname = 'f'") == [("SELECT 2 FROM u",)]
    source.write_text(
        f"SET check_function_bodies = off;\nSET check_function_bodies TO on;\nCREATE {body.format(3)}\nCREATE TABLE t (id int);"
    )
    with open_workspace(tmp_path) as workspace, pytest.raises(RehearsalError, match="does not exist") as caught:
        plan(workspace)
    assert "write SET check_function_bodies = off before it" in caught.value.explain()
