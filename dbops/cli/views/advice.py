"""Advice as text, data and SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from click import style

from dbops.cli.views import wording
from dbops.cli.views.tables import table
from dbops.cli.views.text import indented
from dbops.cli.views.unseen import not_asked, unseen_text
from dbops.usecases.advise import Advised, Finding, Rule, Verdict

_COLORS = {"info": "blue", "warning": "yellow", "error": "red", "critical": "red"}
_SHOWN = 10


def advised_text(found: Sequence[Advised]) -> str:
    """Return the findings by rule, the gravest first, then what could not be seen, then how much is well."""
    return "\n\n".join(map(_advised, found)) if found else "This environment has no connections."


def _advised(one: Advised) -> str:
    if one.error is not None:
        return not_asked(one.connection, one.error)
    name = style(wording.on_one_line(one.connection), bold=True)
    counts = f"{len(one.of('fail'))} found, {len(one.of('unknown'))} unknown, {len(one.of('pass'))} well"
    parts = [f"{name} ({one.engine}): {counts}", *(_failed(verdict, one) for verdict in one.of("fail"))]
    if unknown := unseen_text("unknown", ((v.rule.id, v.why, v.fix) for v in one.of("unknown"))):
        parts.append(unknown)
    return "\n\n".join(parts)


def _failed(verdict: Verdict, one: Advised) -> str:
    rule = verdict.rule
    lines = [f"{style(rule.severity, fg=_COLORS[rule.severity])} {rule.id}: {rule.title}"]
    for finding in verdict.findings[:_SHOWN]:
        first, *others = wording.printable(finding.evidence).split("\n")
        evidence = f": {first}" if first else ""
        lines.append(f"  {style(wording.on_one_line(finding.object), bold=True)}{evidence}")
        lines += [f"    {line}" for line in others]
        if finding.sql:
            lines.append(indented(wording.printable(finding.sql), 6))
        lines += [f"      {style(hazard.code, fg='yellow')}: {wording.printable(hazard.message)}" for hazard in finding.hazards]
    if len(verdict.findings) > _SHOWN:
        lines.append(f"  … and {len(verdict.findings) - _SHOWN} more; -o json has all")
    said = one.numbers.get(rule.id, {})
    lines += [f"  {name} is {number.value:g} by {wording.on_one_line(number.origin)}" for name, number in said.items()]
    return "\n".join([*lines, f"  {rule.remedy}"])


def advised_sql(found: Sequence[Advised]) -> str:
    """Return the statements that mend what was found, each behind what it mends, to be read before they are run."""
    lines = []
    for one in found:
        for verdict in one.of("fail"):
            for finding in verdict.findings:
                if finding.sql:
                    about = wording.on_one_line(f"{one.connection}, {verdict.rule.id}: {finding.object}: {finding.evidence}")
                    lines += [f"-- {about}", finding.sql, ""]
    return "\n".join(lines) or "-- nothing to run\n"


def advised_data(one: Advised) -> dict[str, Any]:
    """Return what the rules say, as JSON has it."""
    return {
        "connection": one.connection,
        "engine": one.engine,
        "error": one.error,
        "rules": [
            {
                "id": verdict.rule.id,
                "severity": verdict.rule.severity,
                "scope": verdict.rule.scope,
                "title": verdict.rule.title,
                "remedy": verdict.rule.remedy,
                "state": verdict.state,
                "why": verdict.why,
                "fix": verdict.fix,
                "thresholds": _thresholds_data(verdict.rule, one),
                "findings": [_finding_data(finding) for finding in verdict.findings],
            }
            for verdict in one.verdicts
        ],
    }


def _thresholds_data(rule: Rule, one: Advised) -> dict[str, Any]:
    """Return each number with who said so."""
    said = one.numbers.get(rule.id, {})
    own = {name: {"value": value, "by": "rule"} for name, value in rule.thresholds.items()}
    return own | {name: {"value": number.value, "by": number.origin} for name, number in said.items()}


def _finding_data(finding: Finding) -> dict[str, Any]:
    return {
        "object": finding.object,
        "evidence": finding.evidence,
        "sql": finding.sql,
        "hazards": [{"code": hazard.code, "message": hazard.message} for hazard in finding.hazards],
        "details": dict(finding.details),
    }


def rules_text(found: Sequence[tuple[str, Rule]]) -> str:
    """Return the rules as a table."""
    rows = [("RULE", "ENGINE", "SEVERITY", "FINDS", "THRESHOLDS")]
    rows += [(r.id, engine, r.severity, r.title, " ".join(f"{n}={v:g}" for n, v in r.thresholds.items())) for engine, r in found]
    return table(rows)


def rule_data(engine: str, rule: Rule) -> dict[str, Any]:
    """Return a rule as JSON has it."""
    data = {"id": rule.id, "engine": engine, "severity": rule.severity, "scope": rule.scope, "title": rule.title}
    return {**data, "remedy": rule.remedy, "thresholds": dict(rule.thresholds), "safe": rule.is_safe}
