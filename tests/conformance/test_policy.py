"""What a schema's policy leaves alone: objects by kind, schemas, patterns, tolerated drift, and what is never shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbops.errors import DbopsError
from dbops.reconcile.plan import Plan
from dbops.usecases.apply import Consent, apply
from dbops.usecases.inspect import inspect
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.conformance.test_main_job import MANIFEST
from tests.databases import Database, PostgresDatabase

SOURCE = "CREATE TABLE users (id integer NOT NULL PRIMARY KEY, name varchar(20));\n"
EXTRA = (
    "CREATE TABLE extra (id integer NOT NULL PRIMARY KEY);\nCREATE INDEX extra_id ON extra (id);\n"
    "CREATE VIEW v AS SELECT id FROM users;\nCREATE INDEX users_name ON users (name);\n"
    "ALTER TABLE users ADD COLUMN more integer;\n"
)


class Environment:
    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self._url = folder, url
        folder.mkdir()

    def write(self, more: str, sql: str = SOURCE) -> None:
        (self.folder / "env.yaml").write_text(MANIFEST.format(url=json.dumps(self._url)) + more)
        (self.folder / "shop.sql").write_text(sql)

    def plan(self) -> Plan:
        with open_workspace(self.folder) as workspace:
            return plan(workspace)

    def apply(self) -> None:
        with open_workspace(self.folder) as workspace:
            apply(workspace, Consent(lambda _: True, allow=frozenset({"all"})))

    def deleted(self) -> set[str]:
        """Return the kind and name of what a plan deletes."""
        found = (entry.change for entry in self.plan().entries)
        parts = (change.address.split("/") for change in found if change.action == "delete")
        return {f"{part[-2]} {part[-1].removeprefix('public.')}" for part in parts}


@pytest.fixture
def environment(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    made = Environment(tmp_path / "env", database.url)
    made.write("")
    made.apply()
    return made


def test_a_policy_by_kind_drops_some_and_leaves_others(environment: Environment, database: Database) -> None:
    database.load(EXTRA)
    environment.write("")
    assert environment.deleted() == {"table extra", "view v", "index users_name", "column more"}
    environment.write("  policy: {unmanaged: {default: ignore, index: drop}}\n")
    assert environment.deleted() == {"index users_name"}
    environment.write("  policy: {unmanaged: {table: report, column: report, view: ignore}}\n")
    assert environment.deleted() == {"index users_name"}
    found = {o.address.split("/", 2)[2] for o in environment.plan().observations if o.code == "NOT_IN_SOURCE"}
    assert {address.replace("public.", "") for address in found} == {"table/extra", "table/users/column/more"}
    environment.apply()
    assert environment.plan().is_empty
    assert database.rows("SELECT id, name, more FROM users") == [] and database.rows("SELECT * FROM extra") == []


def test_what_is_renamed_is_not_told_as_left_alone(environment: Environment, database: Database) -> None:
    database.load("CREATE TABLE people (id integer NOT NULL PRIMARY KEY); DROP TABLE users")
    environment.write("  policy: {unmanaged: report}\n  renames: [{table: people, to: users}]\n")
    assert not [o for o in environment.plan().observations if o.code == "NOT_IN_SOURCE"]


def test_what_dbops_applied_is_dropped_when_the_source_drops_it(environment: Environment) -> None:
    policy = "  policy: {unmanaged: {default: ignore}}\n"
    environment.write(policy, SOURCE + "CREATE TABLE later (id integer NOT NULL PRIMARY KEY);\n")
    environment.apply()
    environment.write(policy, SOURCE.replace(", name varchar(20)", ""))
    assert environment.deleted() == {"table later", "column name"}


def test_a_wrong_word_is_told_with_its_place(environment: Environment) -> None:
    for word, told in (("perhaps", "unmanaged is 'perhaps'"), ("{tabel: drop}", "unknown field 'tabel'")):
        environment.write(f"  policy: {{unmanaged: {word}}}\n")
        with pytest.raises(DbopsError, match=told):
            environment.plan()


def test_excluded_objects_are_neither_seen_nor_touched(environment: Environment, database: Database) -> None:
    database.load(EXTRA + "CREATE TABLE part_p20260101 (id integer);\nCREATE TABLE part_p20260201 (id integer);\n")
    environment.write('  exclude: ["extra", "part_p[0-9]*", "view:v", "users.users_name"]\n')
    assert environment.deleted() == {"column more"}
    environment.apply()
    assert environment.plan().is_empty
    assert database.rows("SELECT * FROM part_p20260101") == []


def test_a_kind_can_be_excluded_by_pattern(environment: Environment, database: Database) -> None:
    database.load(EXTRA)
    environment.write('  exclude: ["index:*", "view:*"]\n')
    assert environment.deleted() == {"table extra", "column more"}


def test_drift_is_tolerated_until_its_day(environment: Environment, database: Database) -> None:
    database.load(EXTRA)
    today = datetime.now(UTC).date()
    rules = "  ignoreDrift: [{object: '*', reason: by hand, until: %s}, {object: users.more, reason: by hand}]\n"
    environment.write(rules % today)
    assert "table extra" not in environment.deleted()
    environment.write(rules % (today - timedelta(days=1)))
    assert "table extra" in environment.deleted()


def test_one_field_may_drift_and_others_may_not(environment: Environment, database: Database) -> None:
    if database.engine == "sqlite":
        pytest.skip("SQLite cannot change a column in place by hand")
    database.load(
        "ALTER TABLE users ALTER name SET DEFAULT 'x';"
        + ("ALTER TABLE users ALTER name TYPE varchar(30);" if database.engine == "postgresql" else "")
    )
    environment.write("  ignoreDrift: [{object: users.name, field: default, reason: the application sets it}]\n")
    reasons = [entry.change.reason for entry in environment.plan().entries]
    assert not any("default" in reason for reason in reasons)
    assert len(reasons) == (1 if database.engine == "postgresql" else 0)


def test_dbops_itself_is_never_shown(environment: Environment, database: Database) -> None:
    environment.write("", SOURCE + "CREATE TABLE more (id integer NOT NULL PRIMARY KEY);\n")
    environment.apply()  # the journal is there now
    names = {ref.qualified for ref in inspect(database.url, None).catalog.objects}
    assert not [name for name in names if "dbops" in name]
    assert environment.plan().is_empty and environment.plan().observations == ()


def test_objects_of_extensions_are_never_shown(pg_database: PostgresDatabase) -> None:
    pg_database.load("CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TABLE t (a citext, b hstore);")
    kinds = {ref.kind for ref in inspect(pg_database.url, None).catalog.objects}
    assert kinds <= {"schema", "table", "extension"}


def test_only_the_named_schemas_are_managed(
    pg_database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", "")
    pg_database.load(SOURCE + "CREATE SCHEMA audit; CREATE TABLE audit.log (id integer);")
    made = Environment(tmp_path / "env", pg_database.url)
    made.write("")
    assert made.deleted() == {"schema audit", "table audit.log"}
    made.write("  schemas: [public]\n")
    assert made.plan().is_empty
    made.write('  exclude: ["audit.*"]\n')
    assert made.plan().is_empty


def test_what_is_left_alone_and_changes_all_the_same_is_told(
    tmp_path: Path, pg_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    pg_database.load(SOURCE + "CREATE VIEW v AS SELECT id FROM users")
    environment = Environment(tmp_path / "env", pg_database.url)
    environment.write("  policy: {unmanaged: ignore}\n", SOURCE.replace("id integer", "id bigint"))
    with pytest.raises(DbopsError, match=r"leaves alone does not stay as it is:\n  view/public.v: ") as caught:
        environment.plan()
    assert caught.value.fix == "say in the source what it is to be, or drop it by hand"


def test_a_server_with_a_mapping_that_holds_a_secret_is_not_dropped(
    tmp_path: Path, pg_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    pg_database.load("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w")
    pg_database.load("CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (password 'hush')")
    environment = Environment(tmp_path / "env", pg_database.url)
    environment.write("", "CREATE FOREIGN DATA WRAPPER w")
    with pytest.raises(DbopsError, match="server s cannot be dropped or made again") as caught:
        environment.plan()
    assert caught.value.fix is not None and caught.value.fix.startswith("DROP USER MAPPING FOR PUBLIC SERVER s;")
    assert "hush" not in str(caught.value)


def test_rows_in_a_source_are_told(environment: Environment) -> None:
    environment.write("", f"{SOURCE}-- the first\nINSERT INTO users VALUES (1, 'Ann');\nINSERT INTO users VALUES (2, 'Bob');\n")
    for _ in range(2):
        found = environment.plan()
        assert found.is_empty
        assert [(one.code, one.severity) for one in found.observations] == [("ROWS_IN_SOURCE", "info")]
    assert "shop.sql:3, the first of 2 such statements, writes rows" in found.observations[0].message
    environment.write("")
    assert environment.plan().observations == ()
