"""What lint prints for machines: SARIF 2.1.0 as code scanning takes it, JUnit, Markdown, JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from dbops.cli.main import dbops
from dbops.cli.verb import Flags

SQL = '-- a & b\nALTER TABLE users DROP COLUMN "é<|>";\nCREATE TABLE t (a varchar(3));\n'


def lint(folder: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(dbops, ["lint", *arguments], obj=Flags(), standalone_mode=False)
    code = done.return_value if done.exception is None else 1
    return int(code or 0), done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my files").mkdir()
    (tmp_path / "my files" / "1_x.sql").write_text(SQL)
    (tmp_path / "my files" / "2_y.sql").write_text("SELECT 1;\n")
    return tmp_path


def test_sarif_has_what_code_scanning_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out = lint(folder, "my files", "--engine", "postgresql", "-o", "sarif", monkeypatch=monkeypatch)
    log = json.loads(out)
    assert (code, log["version"], log["$schema"].startswith("https://")) == (2, "2.1.0", True)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    assert run["originalUriBaseIds"]["%SRCROOT%"]["uri"].endswith("/")
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["shortDescription"]["text"] and rule["fullDescription"]["text"]
        assert rule["help"]["text"] and rule["help"]["markdown"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    assert run["results"]
    for result in run["results"]:
        check_result(result, rules)
    assert {result["ruleId"] for result in run["results"]} >= {"DELETES_DATA", "NO_PRIMARY_KEY", "PREFER_TEXT"}


def check_result(result: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] in ("warning", "error")
    assert result["message"]["text"]
    (location,) = result["locations"]
    place = location["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "my%20files/1_x.sql", "uriBaseId": "%SRCROOT%"}
    region = place["region"]
    assert region["startLine"] >= 1 and region["startColumn"] >= 1
    assert "endColumn" not in region or (region["endLine"], region["endColumn"]) > (region["startLine"], region["startColumn"])
    assert re.fullmatch(r"[0-9a-f]+:[0-9]+", result["partialFingerprints"]["primaryLocationLineHash"])


def test_fingerprints_stay_when_lines_move(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prints() -> list[str]:
        _, out = lint(folder, "my files", "--engine", "postgresql", "-o", "json", monkeypatch=monkeypatch)
        return [finding["fingerprint"] for finding in json.loads(out)["findings"]]

    before = prints()
    (folder / "my files" / "1_x.sql").write_text(f"\n\n-- more\n{SQL}")
    assert prints() == before
    assert len(set(before)) == len(before)


def test_junit_and_markdown_hold_names_of_any_kind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, xml = lint(folder, "my files", "--engine", "postgresql", "-o", "junit", monkeypatch=monkeypatch)
    suites = ElementTree.fromstring(xml)
    assert [suite.get("name") for suite in suites] == ["my files/1_x.sql", "my files/2_y.sql"]
    assert suites.get("failures") == str(sum(1 for _ in suites.iter("failure")))
    _, table = lint(folder, "my files", "--engine", "postgresql", "-o", "markdown", monkeypatch=monkeypatch)
    assert "é&lt;\\|>" in table


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("--fail-on", "error"), 2),
        (("--fail-on", "never"), 0),
        (("--select", "PREFER_TEXT", "--fail-on", "error"), 0),
        (("--select", "prefer_text,rowid_alias"), 2),
        (("--ignore", "DELETES_DATA,LOCK_QUEUE,NO_PRIMARY_KEY,PREFER_TEXT"), 0),
        (("--select", "PREFER_TXT"), 1),
        (("--since", "HEAD"), 1),
    ],
)
def test_the_exit_code_says_what_was_found(
    arguments: tuple[str, ...], code: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lint(folder, "my files", "--engine", "postgresql", *arguments, monkeypatch=monkeypatch)[0] == code


MANIFESTS = """\
apiVersion: dbops/v1
kind: Connection
metadata: {name: shop}
spec: {url: "sqlite:///shop.db"}
---
apiVersion: dbops/v1
kind: Schema
metadata: {name: shop}
spec: {connection: shop, source: {sql: [shop.sql]}}
"""


@pytest.mark.parametrize("output", ["json", "sarif", "junit", "markdown"])
def test_validate_speaks_the_formats_of_the_linter(output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(MANIFESTS)
    told = []
    for sql in ("CREATE TABLE t (a int);", "CREATE TABLE t (a int);\n\nCREATE TABEL u (a);\nCREATE VIEW v AS SELEC 1;"):
        (tmp_path / "shop.sql").write_text(sql)
        done = CliRunner().invoke(dbops, ["validate", "-o", output], obj=Flags(), standalone_mode=False)
        assert done.exception is None
        told.append((done.return_value, done.stdout))
    (valid, good), (invalid, bad) = told
    assert (valid, invalid) == (0, 1)
    match output:
        case "json":
            assert json.loads(good)["valid"] and not json.loads(bad)["valid"]
            assert [(one["code"], one["line"]) for one in json.loads(bad)["findings"]] == [("SchemaError", 3), ("SchemaError", 4)]
        case "sarif":
            assert [result["level"] for result in json.loads(good)["runs"][0]["results"]] == ["warning"]
            run = json.loads(bad)["runs"][0]
            for result in run["results"]:
                assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "SchemaError"
        case "junit":
            assert [ElementTree.fromstring(xml).get("failures") for xml in (good, bad)] == ["0", "2"]
            assert "NO_PRIMARY_KEY" in good
        case _:
            assert "`shop.sql:3:8`" in bad
