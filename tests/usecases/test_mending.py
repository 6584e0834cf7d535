"""advise --apply: where a remedy is written, that the next plan leaves it alone, that undo takes it back, what is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.cli.main import run
from tests.databases import Database, PostgresDatabase, SqliteDatabase

CONNECTION = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{url}'}}\n"
SCHEMA = "---\napiVersion: dbops/v1\nkind: Schema\nmetadata: {{name: shop}}\nspec:\n  connection: shop\n  {source}\n"
TABLES = """CREATE TABLE p (id integer PRIMARY KEY);

-- what people bought
CREATE TABLE c (id integer PRIMARY KEY, p_id integer REFERENCES p (id));
"""
PORTABLE = """
  source:
    tables:
      - name: p
        columns: [{name: id, type: integer, primaryKey: true}]
      - name: c
        columns: [{name: id, type: integer, primaryKey: true}, {name: p_id, type: integer}]
        foreignKeys: [{columns: [p_id], references: {table: p, columns: [id]}}]"""
RULES = {"sqlite": "LT-IDX-003", "postgresql": "PG-IDX-001"}


def governed(folder: Path, url: str, source: str = "source: {sql: [schema.sql]}", text: str = TABLES) -> Path:
    (folder / "c.yaml").write_text(CONNECTION.format(url=url) + SCHEMA.format(source=source))
    (folder / "schema.sql").write_text(text)
    assert run(["apply", str(folder), "--auto-approve"]) == 0
    return folder


def applied(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert run(["advise", str(folder), "--apply", "--yes", "-o", "json", *arguments]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def is_in_order(folder: Path) -> bool:
    return run(["plan", str(folder)]) == 0


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_what_a_schema_governs_is_written_into_its_source_and_applied_from_there(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = governed(tmp_path, database.url)
    before = database.dump()
    done = applied(folder, capsys, "--rule", RULES[database.engine])
    source = (folder / "schema.sql").read_text()
    assert "INDEX" in source and "-- what people bought" in source
    assert [file["action"] for file in done["files"]] == ["update"]  # type: ignore[attr-defined]
    assert database.dump() != before
    assert is_in_order(folder)
    assert "Nothing to carry out" in told(folder, capsys, RULES[database.engine])
    (apply_id,) = [one["apply_id"] for one in done["results"]]  # type: ignore[attr-defined]
    assert run(["undo", apply_id, str(folder), "--auto-approve", "--allow", "all"]) == 0
    assert database.dump() == before


def told(folder: Path, capsys: pytest.CaptureFixture[str], *rules: str) -> str:
    capsys.readouterr()
    run(["advise", str(folder), "--apply", "--yes", *[part for rule in rules for part in ("--rule", rule)]])
    return capsys.readouterr().out


def test_portable_tables_are_edited_in_the_manifest(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = governed(tmp_path, sqlite_database.url, PORTABLE)
    applied(folder, capsys, "--rule", "LT-IDX-003")
    assert "indexes" in (folder / "c.yaml").read_text()
    assert is_in_order(folder)


def test_where_nobody_agrees_files_and_database_are_as_they_were(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = governed(tmp_path, sqlite_database.url)
    before = sqlite_database.dump()
    assert run(["advise", str(folder), "--apply", "--rule", "LT-IDX-003"]) == 1
    assert "nobody can approve" in capsys.readouterr().err
    assert (folder / "schema.sql").read_text() == TABLES and sqlite_database.dump() == before


def test_what_no_manifest_governs_is_a_journaled_plan_that_undo_takes_back(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_database.load(TABLES)
    before = sqlite_database.dump()
    (tmp_path / "c.yaml").write_text(CONNECTION.format(url=sqlite_database.url))
    done = applied(tmp_path, capsys, "--rule", "LT-IDX-003", "--rule", "LT-TBL-001")
    assert done["files"] == [] and "INDEX" in sqlite_database.dump()
    (one,) = done["results"]  # type: ignore[misc]
    assert run(["undo", one["apply_id"], str(tmp_path), "--auto-approve", "--allow", "all"]) == 0
    assert sqlite_database.dump() == before


def test_migrations_are_told_of_instead(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_database.load(TABLES)
    (tmp_path / "migrations").mkdir()
    manifest = SCHEMA.replace("Schema", "MigrationSet").replace("name: shop", "name: steps")
    manifest = manifest.format(source="directory: migrations")
    (tmp_path / "c.yaml").write_text(CONNECTION.format(url=sqlite_database.url) + manifest)
    shown = told(tmp_path, capsys, "LT-IDX-003")
    assert "comes about by the migrations of steps" in shown and "dbops migrate new" in shown and "CREATE INDEX" in shown
    assert "INDEX" not in sqlite_database.dump()


def test_of_a_busy_server_what_is_safe_is_done_and_the_rest_is_shown(
    pg_database: PostgresDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TABLES + "CREATE TABLE t (id bigint PRIMARY KEY, a int) WITH (autovacuum_enabled = off);\nCREATE INDEX t_a ON t (a);\n"
    folder = governed(tmp_path, pg_database.url, text=text + "CREATE INDEX t_a_too ON t (a);\n")
    pg_database.load("INSERT INTO t SELECT i, i FROM generate_series(1, 2000) AS i; UPDATE t SET a = a + 1;")
    rules = ("PG-IDX-001", "PG-IDX-002", "PG-TBL-003", "PG-TBL-005")
    arguments = [part for rule in rules for part in ("--rule", rule)]
    done = applied(folder, capsys, *arguments, "--threshold", "PG-TBL-003.min_dead=100")
    assert "autovacuum_enabled" not in (folder / "schema.sql").read_text()
    assert [one["rule"] for one in done["left"]] == ["PG-IDX-002"]  # type: ignore[attr-defined]
    titles = [step["title"] for one in done["results"] for entry in one["plan"]["changes"] for step in entry["steps"]]  # type: ignore[attr-defined]
    assert any("VACUUM" in title for title in titles)
    assert is_in_order(folder)
    assert pg_database.rows("SELECT count(*) FROM pg_class WHERE relname LIKE 'c_p_id%'") == [(1,)]


def test_options_that_do_not_go_together_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text(CONNECTION.format(url=f"sqlite:///{tmp_path}/x.db"))
    assert run(["advise", str(tmp_path), "--yes"]) == 1
    assert "--yes and --allow go with --apply" in capsys.readouterr().err
    assert run(["advise", str(tmp_path), "--apply", "-o", "sql"]) == 1
