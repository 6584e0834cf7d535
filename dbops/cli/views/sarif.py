"""What lint or validate found as SARIF 2.1.0, for code scanning (OASIS, sarif-v2.1.0; the fields that GitHub reads of it)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dbops.version import __version__

if TYPE_CHECKING:
    from dbops.lint.check import Finding
    from dbops.lint.rule import Rule
    from dbops.usecases.lint import LintReport

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"


def sarif(report: LintReport, root: Path, verb: str = "lint") -> dict[str, Any]:
    """Return a SARIF log of one run; places are relative to `root` where they lie below it."""
    from dbops.usecases.lint import all_rules

    found = dict.fromkeys(finding.code for finding in report.findings)
    known = all_rules()
    rules = [_rule(rule) for code, rule in known.items() if code in found]
    rules += [_error(code) for code in found if code not in known]
    numbers = {str(rule["id"]): number for number, rule in enumerate(rules)}
    driver = {
        "name": "dbops",
        "version": __version__,
        "semanticVersion": _semantic(__version__),
        "rules": rules,
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"dbops/{verb}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"uri": root.absolute().as_uri().rstrip("/") + "/"}},
        "artifacts": [{"location": _location(file)} for file in report.files],
        "results": [_result(finding, numbers[finding.code]) for finding in report.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _semantic(version: str) -> str:
    parts = [*version.split("+")[0].split("."), "0", "0"][:3]
    return ".".join("".join(character for character in part if character.isdigit()) or "0" for part in parts)


def _rule(rule: Rule) -> dict[str, Any]:
    text = f"{rule.why}\n\nWhat to do: {rule.advice}"
    level = "error" if rule.severity == "error" else "warning"
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.code.split("_")),
        "shortDescription": {"text": f"{rule.meaning[0].upper()}{rule.meaning[1:]}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": text, "markdown": f"{rule.why}\n\n**What to do:** {rule.advice}"},
        "defaultConfiguration": {"level": level, "enabled": rule.severity != "off"},
        "properties": {"tags": ["sql", *rule.engines], "precision": "high", "problem.severity": level},
    }


def _error(code: str) -> dict[str, Any]:
    """Return what stands for a class of errors (`dbops.errors`)."""
    words = " ".join(re.findall("[A-Z][a-z]*", code.removesuffix("Error"))).capitalize()
    text = f"{words} error: what stands here cannot be used as it is."
    return {
        "id": code,
        "name": code,
        "shortDescription": {"text": f"{words} error."},
        "fullDescription": {"text": text},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": "error", "enabled": True},
        "properties": {"tags": ["manifests"], "precision": "very-high", "problem.severity": "error"},
    }


def _result(finding: Finding, number: int) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": max(finding.at.line, 1), "startColumn": max(finding.at.column, 1)}
    if finding.end is not None:
        region |= {"endLine": finding.end.line, "endColumn": finding.end.column}
    return {
        "ruleId": finding.code,
        "ruleIndex": number,
        "level": finding.severity,
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": {"artifactLocation": _location(finding.at.file), "region": region}}],
        "partialFingerprints": {"primaryLocationLineHash": finding.fingerprint},
    }


def _location(file: str) -> dict[str, str]:
    if Path(file).is_absolute():
        return {"uri": Path(file).as_uri()}
    return {"uri": quote(Path(file).as_posix()), "uriBaseId": _ROOT}
