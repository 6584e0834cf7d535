"""Every rule fires and keeps silent as its file of cases says.

A case is SQL for one or several engines: under `fires` it must give the rule's code, under `silent` it must not. `before` is a
file that was applied earlier, `schema` reads the text as a schema, `says` is part of the message, `at` its line and column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbops.lint.check import Finding, LintSet, lint
from dbops.lint.rule import Engine, rules
from dbops.lint.settings import LintSettings
from dbops.lint.statements import SqlFile
from dbops.sql.dialect import MYSQL, POSTGRESQL, SQLITE

CASES = Path(__file__).parent / "cases"
DIALECTS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "sqlite": SQLITE}


def found(sql: str, engine: Engine, *, before: str = "", schema: bool = False, **settings: Any) -> list[Finding]:
    """Return the findings in `sql`; those in what was there before are left out."""
    files = tuple(SqlFile(name, text) for name, text in (("1.sql", before), ("2.sql", sql)) if text or name == "2.sql")
    chosen = LintSettings(engine=engine, **settings)
    every = lint(LintSet(files, DIALECTS[engine], {file.name: chosen for file in files}, "schema" if schema else "migrations"))
    return [finding for finding in every if finding.at.file == "2.sql"]


def cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        for verdict in ("fires", "silent"):
            for number, case in enumerate(content[verdict]):
                engines = [case["engine"]] if isinstance(case["engine"], str) else case["engine"]
                settings = content.get("settings", {})
                for engine in engines:
                    name = f"{file.stem}-{verdict}-{number}-{engine}"
                    yield pytest.param(file.stem, engine, verdict == "fires", case, settings, id=name)


@pytest.mark.parametrize(("code", "engine", "fires", "case", "settings"), list(cases()))
def test_a_rule_fires_where_its_cases_say(
    code: str, engine: Engine, fires: bool, case: dict[str, Any], settings: dict[str, Any]
) -> None:
    given = dict(settings)
    if "naming" in given:
        given["naming"] = {kind: re.compile(pattern) for kind, pattern in given["naming"].items()}
    if rules()[code].severity == "off":
        given["severity"] = {code: "warning"}
    everything = found(
        case["sql"],
        engine,
        before=case.get("before", ""),
        schema=case.get("schema", False),
        version=tuple(case.get("version", ())),
        **given,
    )
    hits = [finding for finding in everything if finding.code == code]
    if not fires:
        assert hits == []
        return
    assert hits, f"nothing but {sorted({finding.code for finding in everything})}"
    if says := case.get("says"):
        assert any(says in finding.message for finding in hits), [finding.message for finding in hits]
    if at := case.get("at"):
        assert [hits[0].at.line, hits[0].at.column] == at


def test_every_rule_has_cases_on_each_of_its_engines() -> None:
    for code, rule in rules().items():
        file = CASES / f"{code}.yaml"
        assert file.exists(), f"no cases of {code}"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        engines = {
            engine
            for case in content["fires"]
            for engine in ([case["engine"]] if isinstance(case["engine"], str) else case["engine"])
        }
        assert engines <= set(rule.engines), code
        assert {"mysql" if engine == "mariadb" else engine for engine in rule.engines} - engines <= set() or not rule.is_hazard, (
            f"{code} is said to be for {rule.engines}, its cases fire on {sorted(engines)}"
        )
    assert {file.stem for file in CASES.glob("*.yaml")} == set(rules())
