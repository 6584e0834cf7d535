"""What lint found, as lines, JSON values and Markdown; and the rules themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from click import style

from dbops.cli.views import wording

if TYPE_CHECKING:
    from dbops.lint.check import Finding
    from dbops.lint.rule import Rule
    from dbops.usecases.lint import LintReport

_COLORS = {"error": "red", "warning": "yellow"}
FORMAT = "dbops.lint/1"


def report_text(report: LintReport) -> str:
    """Return one line per finding, then what to do about each code, then the count."""
    parts = ["\n".join(lines)] if (lines := list(finding_lines(report.findings))) else []
    if report.findings:
        parts.append("\n".join(_advice(report)))
    parts.append(summary(report))
    return "\n\n".join(parts)


def finding_lines(findings: Iterable[Finding]) -> Iterable[str]:
    """Yield `file:line:column: severity CODE: message`, as compilers and editors have it."""
    for finding in findings:
        severity = style(finding.severity, fg=_COLORS[finding.severity], bold=finding.severity == "error")
        yield f"{wording.place(finding.at)}: {severity} {finding.code}: {wording.on_one_line(finding.message)}"


def _advice(report: LintReport) -> Iterable[str]:
    from dbops.usecases.lint import all_rules

    known = all_rules()
    for code in dict.fromkeys(finding.code for finding in report.findings):
        yield style(f"  {code}", bold=True) + f": {known[code].advice}"


def summary(report: LintReport) -> str:
    """Return `3 findings (1 error, 2 warnings) in 2 files.`"""
    files = wording.count(len(report.files), "file")
    if not report.findings:
        return style(f"Nothing found in {files}.", fg="green")
    counts = Counter(finding.severity for finding in report.findings)
    parts = ", ".join(wording.count(counts[severity], severity) for severity in ("error", "warning") if counts[severity])
    return style(f"{wording.count(len(report.findings), 'finding')} ({parts}) in {files}.", bold=True)


def report_data(report: LintReport) -> dict[str, Any]:
    """Return the report as JSON values, in the format `dbops.lint/1`."""
    counts = Counter(finding.severity for finding in report.findings)
    return {
        "format": FORMAT,
        "files": list(report.files),
        "summary": {"error": counts["error"], "warning": counts["warning"]},
        "findings": [finding_data(finding) for finding in report.findings],
    }


def finding_data(finding: Finding) -> dict[str, Any]:
    """Return one finding as JSON values."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "file": finding.at.file,
        "line": finding.at.line,
        "column": finding.at.column,
        "end_column": finding.end.column if finding.end else None,
        "fingerprint": finding.fingerprint,
    }


def report_markdown(report: LintReport, verb: str = "lint") -> str:
    """Return a table for a comment on a change."""
    if not report.findings:
        return f"**dbops {verb}**: nothing found in {wording.count(len(report.files), 'file')}."
    rows = [
        f"| {finding.severity} | `{finding.code}` | `{wording.place(finding.at)}` | {_cell(finding.message)} |"
        for finding in report.findings
    ]
    head = f"**dbops {verb}**: {wording.count(len(report.findings), 'finding')}"
    return "\n".join([head, "", "| severity | code | place | what |", "|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    """Return text that stays in its cell and is shown as it is."""
    plain = wording.on_one_line(text)
    for mark in ("\\", "|", "`", "*", "_", "<", "[", "#"):
        plain = plain.replace(mark, f"\\{mark}" if mark != "<" else "&lt;")
    return plain


def rules_text(rules: Sequence[Rule]) -> str:
    """Return the rules below each other: code, severity, engines, meaning."""
    width = max(len(rule.code) for rule in rules)
    return "\n".join(f"{rule.code:<{width}}  {rule.severity:<7}  {rule.meaning} ({', '.join(rule.engines)})" for rule in rules)


def explained(rule: Rule) -> str:
    """Return all that is to say of a rule."""
    head = style(rule.code, bold=True) + f": {rule.meaning}"
    return f"{head}\n\n{rule.severity} by default, on {', '.join(rule.engines)}.\n\n{rule.why}\n\n{rule.advice}"
