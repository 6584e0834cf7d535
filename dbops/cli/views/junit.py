"""What lint or validate found as JUnit XML: one suite a file, one failed case a finding, else one case that passes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dbops.cli.views import wording

if TYPE_CHECKING:
    from dbops.lint.check import Finding
    from dbops.usecases.lint import LintReport


def junit(report: LintReport, verb: str = "lint") -> str:
    """Return the report as an XML document."""
    by_file: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_file[finding.at.file].append(finding)
    failures = sum(1 for finding in report.findings if _fails(finding, verb))
    top = Element("testsuites", name=f"dbops {verb}", failures=str(failures))
    total = 0
    for file in dict.fromkeys((*report.files, *by_file)):
        found = by_file.get(file, [])
        total += max(len(found), 1)
        _suite(top, file, found, verb)
    top.set("tests", str(total))
    indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(top, encoding="unicode")


def _suite(top: Element, file: str, found: list[Finding], verb: str) -> None:
    name = wording.printable(file)
    failures = sum(1 for finding in found if _fails(finding, verb))
    suite = SubElement(
        top, "testsuite", name=name, tests=str(max(len(found), 1)), failures=str(failures), errors="0", skipped="0"
    )
    if not found:
        SubElement(suite, "testcase", classname=name, name=verb)
    for finding in found:
        message = wording.printable(finding.message)
        case = SubElement(suite, "testcase", classname=name, name=f"{finding.code} {finding.at.line}:{finding.at.column}")
        if _fails(finding, verb):
            told = SubElement(case, "failure", type=finding.code, message=message)
        else:
            told = SubElement(case, "system-out")
        told.text = f"{name}:{finding.at.line}:{finding.at.column}: {finding.severity} {finding.code}: {message}"


def _fails(finding: Finding, verb: str) -> bool:
    """What the linter says makes nothing invalid."""
    return verb == "lint" or finding.severity == "error"
