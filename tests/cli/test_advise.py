"""`dbops advise` as people and programs see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbops.cli.main import run
from tests.databases import PostgresDatabase, SqliteDatabase

MANIFEST = "apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: {name}}}\nspec: {{url: '{url}'}}\n---\n"


@pytest.fixture
def env(sqlite_database: SqliteDatabase, tmp_path: Path) -> str:
    sqlite_database.load(
        "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, p_id int REFERENCES p);"
    )
    folder = tmp_path / "env"
    folder.mkdir()
    (folder / "c.yaml").write_text(MANIFEST.format(name="shop", url=sqlite_database.url))
    return str(folder)


def test_findings_stand_with_their_evidence_and_the_sql(env: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", env, "--severity", "warning"]) == 0
    shown = capsys.readouterr().out
    assert "warning LT-IDX-003: a foreign key whose columns no index begins with" in shown
    assert 'c: "p_id" refers to p\n      CREATE INDEX "c_p_id" ON "c" ("p_id");' in shown
    assert "LT-TBL-005" not in shown
    assert run(["advise", env, "--fail-on", "warning"]) == 2
    assert run(["advise", env, "--fail-on", "error"]) == 0


def test_the_sql_can_be_run_as_it_is(env: str, sqlite_database: SqliteDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", env, "--rule", "LT-IDX-003", "-o", "sql"]) == 0
    sqlite_database.load(capsys.readouterr().out)
    assert run(["advise", env, "--rule", "LT-IDX-003", "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [(rule["id"], rule["state"]) for rule in found["rules"]] == [("LT-IDX-003", "pass")]


def test_rules_and_thresholds_that_are_not_there_are_refused(env: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", env, "--rule", "LT-IDX-03"]) == 1
    assert "did you mean 'LT-IDX-003'?" in capsys.readouterr().err
    assert run(["advise", env, "--threshold", "LT-MET-002.ratios=1"]) == 1
    assert "did you mean 'ratio'?" in capsys.readouterr().err
    for wrong in ("LT-MET-002", "LT-MET-002.ratio=a lot"):
        assert run(["advise", env, "--threshold", wrong]) == 1
        assert "is no threshold" in capsys.readouterr().err
    assert run(["advise", env, "--rule", "LT-MET-002", "--threshold", "LT-MET-002.ratio=90%"]) == 0


POLICY = "apiVersion: dbops/v1\nkind: AlertPolicy\nmetadata: {{name: {name}}}\nspec: {{connection: shop, advice: {advice}}}\n"


def test_numbers_of_a_manifest_go_before_those_of_the_rules_and_behind_those_of_the_command_line(
    env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(env) / "policy.yaml").write_text(POLICY.format(name="calm", advice="{LT-MET-004: {ratio: 0}}"))
    assert run(["advise", env, "--rule", "LT-MET-004"]) == 0
    shown = capsys.readouterr().out
    assert "1 found" in shown and "ratio is 0 by alertpolicy/calm" in shown
    assert run(["advise", env, "--rule", "LT-MET-004", "--threshold", "LT-MET-004.ratio=0.7", "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["rules"][0]["state"] == "pass"
    assert found["rules"][0]["thresholds"] == {"ratio": {"value": 0.7, "by": "--threshold"}}
    (Path(env) / "other.yaml").write_text(POLICY.format(name="eager", advice="{LT-MET-004: {ratio: 50%}}"))
    assert run(["advise", env]) == 1
    assert "expected one number for a connection" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("advice", "said"),
    [
        ("{LT-MET-04: {ratio: 0}}", "policy.yaml:4:35: there is no rule 'LT-MET-04'"),
        ("{LT-MET-004: {ration: 0}}", "did you mean 'ratio'?"),
        ("{LT-MET-004: {ratio: much}}", "expected a number, a percentage"),
    ],
)
def test_numbers_of_a_manifest_that_mean_nothing_are_refused_at_their_place(
    env: str, capsys: pytest.CaptureFixture[str], advice: str, said: str
) -> None:
    (Path(env) / "policy.yaml").write_text(POLICY.format(name="calm", advice=advice))
    for verb in ("validate", "advise"):
        assert run([verb, env]) == 1
        assert said in capsys.readouterr().err


def test_the_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["advise", "--rules", "-o", "json"]) == 0
    found = {one["id"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["PG-IDX-004"]["thresholds"] == {"max_scans": 0, "min_bytes": 10 << 20, "min_days": 7}
    assert {one["engine"] for one in found.values()} == {"sqlite", "postgresql", "mysql"}


def test_what_concerns_a_server_is_told_once(
    pg_database: PostgresDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = MANIFEST.format(name="a", url=pg_database.url) + MANIFEST.format(name="b", url=pg_database.url)
    (tmp_path / "c.yaml").write_text(text)
    assert run(["advise", str(tmp_path), "-o", "json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert any(rule["scope"] == "server" for rule in first["rules"])
    assert not any(rule["scope"] == "server" for rule in second["rules"])
