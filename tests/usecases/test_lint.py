"""lint over files and environments: settings, engines, what changed, and what validate says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dbops.errors import DbopsError
from dbops.usecases.lint import LintReport, LintRequest, lint
from dbops.usecases.validate import validate

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: shop}}
spec: {{url: "{url}"}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: shop}}
spec:
  connection: shop
  source: {{sql: [schema/]}}
  policy: {policy}
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def codes(report: LintReport) -> list[str]:
    return [finding.code for finding in report.findings]


def run(*paths: Path, **request: object) -> LintReport:
    return lint(LintRequest(paths, **request), {})  # type: ignore[arg-type]


def test_numbered_files_are_migrations_and_see_what_earlier_ones_made(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "2_more.sql": "SET lock_timeout = '1s'; ALTER TABLE users ALTER COLUMN name TYPE text;",
            "1_users.sql": "CREATE TABLE users (id bigint PRIMARY KEY, name varchar);",
            "10_drop.sql": "SET lock_timeout = '1s'; ALTER TABLE users DROP COLUMN name;",
        },
    )
    report = run(tmp_path, engine="postgresql")
    assert [(finding.code, Path(finding.at.file).name) for finding in report.findings] == [("DELETES_DATA", "10_drop.sql")]


def test_files_without_numbers_are_one_schema_in_any_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a_indexes.sql": "CREATE INDEX by_name ON users (name);",
            "users.sql": "CREATE TABLE users (id bigint PRIMARY KEY, name text);",
        },
    )
    assert codes(run(tmp_path, engine="postgresql")) == []
    assert "BLOCKS_WRITES" in codes(run(tmp_path, engine="postgresql", holds="migrations"))


def test_settings_of_folders_win_over_those_above_and_are_joined(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            ".git/HEAD": "",
            ".dbops-lint.yaml": "engine: postgresql\nseverity: {PREFER_TEXT: error}\nignore: [PREFER_BIGINT_KEY]\n"
            "exclude: [vendor/*]\n",
            "a.sql": "CREATE TABLE a (id int PRIMARY KEY, b varchar(3));",
            "in/.dbops-lint.yaml": "severity: {PREFER_TEXT: 'off'}\nrequiredColumns: [created_at]\n",
            "in/b.sql": "CREATE TABLE b (id int PRIMARY KEY, b varchar(3));",
            "vendor/c.sql": "CREATE TABLE c (b varchar(3));",
        },
    )
    found = {(finding.code, finding.severity, Path(finding.at.file).name) for finding in run(tmp_path).findings}
    assert found == {("PREFER_TEXT", "error", "a.sql"), ("REQUIRED_COLUMNS", "warning", "b.sql")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("severity: {PREFER_TEX: error}\n", "'PREFER_TEX' is not allowed"),
        ("engin: mysql\n", "engin"),
        ("naming: {table: '['}\n", "no regular expression"),
        ("severity: [a]\n", "expected a mapping"),
    ],
)
def test_wrong_settings_are_told_with_their_place(text: str, says: str, tmp_path: Path) -> None:
    write(tmp_path, {".dbops-lint.yaml": text, "a.sql": "SELECT 1"})
    with pytest.raises(DbopsError) as caught:
        run(tmp_path)
    assert says in caught.value.explain()
    assert ".dbops-lint.yaml:1:" in caught.value.explain()


def test_an_environment_is_linted_under_its_policy(tmp_path: Path) -> None:
    policy = "{allow: [DELETES_OBJECT], lint: {select: [PREFER_TEXT, STRICT_MISSING, DELETES_OBJECT]}}"
    write(
        tmp_path,
        {
            "shop.yaml": MANIFEST.format(url="sqlite:///shop.db", policy=policy),
            "schema/a.sql": "CREATE TABLE a (id integer PRIMARY KEY);\nDROP VIEW v;\n",
        },
    )
    report = run(tmp_path)
    assert codes(report) == ["STRICT_MISSING"]
    assert not report.guessed


def test_validate_tells_what_the_linter_says_and_stays_valid(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "shop.yaml": MANIFEST.format(url="sqlite:///shop.db", policy="{}"),
            "schema/a.sql": "CREATE TABLE a (id int PRIMARY KEY);\n",
        },
    )
    assert [finding.code for finding in validate(tmp_path, {}).findings] == ["ROWID_ALIAS"]


def test_the_engine_of_a_file_is_guessed_from_its_words(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "1.sql": "CREATE TABLE `a` (id int AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB;",
            "2.sql": "CREATE INDEX CONCURRENTLY i ON t (a);",
            "3.sql": "PRAGMA foreign_keys = ON;",
        },
    )
    assert list(run(tmp_path).guessed.values()) == ["mysql", "postgresql", "sqlite"]


def git(folder: Path, *arguments: str) -> None:
    base = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    subprocess.run([*base, *arguments], check=True, capture_output=True)


def test_since_a_revision_only_new_files_and_changed_statements_count(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    write(
        tmp_path, {"1.sql": "DROP TABLE a;\nDROP TABLE b;\n", "2.sql": "DROP TABLE c;\n", "4.sql": "DROP TABLE e;\nSELECT 4;\n"}
    )
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "checkout", "-qb", "work")
    write(tmp_path, {"1.sql": "-- moved\nDROP  TABLE a;\nDROP TABLE bb;\n", "3.sql": "DROP TABLE d;\n"})
    git(tmp_path, "mv", "4.sql", "5.sql")
    git(tmp_path, "commit", "-qam", "two")
    git(tmp_path, "checkout", "-q", "main")
    write(tmp_path, {"2.sql": "SELECT 1;\n"})
    git(tmp_path, "commit", "-qam", "others")
    git(tmp_path, "checkout", "-q", "work")
    report = run(tmp_path, engine="sqlite", since="main", select=frozenset({"DELETES_DATA"}))
    assert [finding.message.split()[1] for finding in report.findings] == ["bb", "d"]
    assert [Path(name).name for name in report.files] == ["1.sql", "3.sql"]


def test_since_an_unknown_revision_is_an_error(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    write(tmp_path, {"1.sql": "SELECT 1"})
    with pytest.raises(DbopsError, match="no revision 'nowhere'"):
        run(tmp_path, since="nowhere")


def test_a_folder_without_anything_to_lint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DbopsError, match="neither manifests nor SQL"):
        run(tmp_path)
