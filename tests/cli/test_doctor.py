"""`dbops doctor` as people and programs see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.cli.main import run
from dbops.usecases.doctor import Blind, Examined
from tests.databases import PostgresDatabase, SqliteDatabase

MANIFEST = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: {name}}}\nspec: {{url: '{url}'}}\n---\n"


def test_what_is_hidden_is_told_and_the_grants_can_be_run_as_they_are(
    pg_database: PostgresDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pg_database.load("CREATE TABLE t (id bigint PRIMARY KEY);")
    role = f"examined_{pg_database.name}"
    pg_database.load(f"CREATE ROLE {role} LOGIN PASSWORD 'pw';")
    try:
        url = pg_database.server.tcp_url(pg_database.name, role, "pw")
        (tmp_path / "c.yaml").write_text(MANIFEST.format(name="shop", url=url))
        assert run(["doctor", str(tmp_path)]) == 2
        shown = capsys.readouterr().out
        assert f"as {role}" in shown and "PG-SEQ" not in shown and "PG-TXN-001" in shown and "GRANT pg_monitor" in shown
        assert run(["doctor", str(tmp_path), "--grants"]) == 2
        grants = capsys.readouterr().out
        assert grants.startswith("-- shop (postgresql)\nGRANT ")
        pg_database.load(grants)
        assert run(["doctor", str(tmp_path), "--grants"]) == 0
        assert capsys.readouterr().out.strip() == "-- no grant is missing"
    finally:
        pg_database.load(f"DROP OWNED BY {role}; DROP ROLE {role};")


def test_a_grant_that_another_one_includes_is_not_told() -> None:
    wanted = [
        "SELECT, SHOW VIEW ON `s`.*",
        "SHOW VIEW, SELECT ON `s`.*",
        "SELECT ON mysql.stats",
        "SELECT ON mysql.*",
        "SELECT ON `s`.*",
    ]
    blind = tuple(Blind(str(n), "", f"GRANT {one} TO u;") for n, one in enumerate(wanted))
    assert Examined("s", "mysql", blind=blind).grants == [
        "GRANT SELECT, SHOW VIEW ON `s`.* TO u;",
        "GRANT SELECT ON mysql.* TO u;",
    ]


def test_files_have_no_grants_and_what_does_not_answer_is_told(
    sqlite_database: SqliteDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_database.load("CREATE TABLE t (id integer PRIMARY KEY);")
    (tmp_path / "c.yaml").write_text(MANIFEST.format(name="shop", url=sqlite_database.url))
    assert run(["doctor", str(tmp_path), "-o", "json"]) == 2
    (one,) = json.loads(capsys.readouterr().out)
    assert one["grants"] == [] and any("--statements FILE" in other for other in one["others"])
    assert run(["doctor", str(tmp_path), "-o", "json", "--grants"]) == 1
    (tmp_path / "c.yaml").write_text(MANIFEST.format(name="gone", url=f"sqlite:///{tmp_path}/no/such.db"))
    capsys.readouterr()
    assert run(["doctor", str(tmp_path)]) == 1
    assert "gone: not asked" in capsys.readouterr().out
