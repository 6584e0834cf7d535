"""The page of lint rules shows every rule with an example from its cases; DBOPS_UPDATE=1 writes it anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from dbops.lint.rule import Rule, rules

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "specs" / "lint-rules.md"
CASES = ROOT / "tests" / "lint" / "cases"

HEAD = """\
# Lint rules

What [`dbops lint`](lint.md) looks for. Hazards are about changing what exists: they are silent for what the same file, or the
same schema, creates. Rules that are off run when the settings give them a severity, or `--select` names them.
"""


def page() -> str:
    hazards = [rule for rule in rules().values() if rule.is_hazard]
    others = [rule for rule in rules().values() if not rule.is_hazard]
    parts = [HEAD, table(hazards, "hazard"), table(others, "rule")]
    return "\n".join([*parts, *(section(rule) for rule in (*hazards, *others))])


def table(found: list[Rule], title: str) -> str:
    rows = [
        f"| [{rule.code}](#{rule.code.lower()}) | {rule.severity} | {', '.join(rule.engines)} | {rule.meaning} |"
        for rule in found
    ]
    return "\n".join([f"| {title} | default | engines | meaning |", "|---|---|---|---|", *rows, ""])


def section(rule: Rule) -> str:
    cases = yaml.safe_load((CASES / f"{rule.code}.yaml").read_text(encoding="utf-8"))
    lines = [
        f"## {rule.code}",
        "",
        f"{rule.meaning[0].upper()}{rule.meaning[1:]}. {rule.why}",
        "",
        f"What to do: {rule.advice}",
        "",
    ]
    return "\n".join([*lines, "Fires:", "", example(cases["fires"][0]), "Silent:", "", example(cases["silent"][0])])


def example(case: dict[str, Any]) -> str:
    text = f"{case['before']};\n{case['sql']}" if case.get("before") else case["sql"]
    lines = [line.rstrip() for line in text.replace("; ", ";\n").splitlines()]
    return "\n".join(["```sql", *lines, "```", ""])


def test_the_page_of_lint_rules_is_fresh() -> None:
    if os.environ.get("DBOPS_UPDATE"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()
