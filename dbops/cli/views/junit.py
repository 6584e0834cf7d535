"""What lint found as JUnit XML: one suite a file, one failed case a finding, one case that passes where there is none."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dbops.cli.views import wording

if TYPE_CHECKING:
    from dbops.lint.check import Finding
    from dbops.usecases.lint import LintReport


def junit(report: LintReport) -> str:
    """Return the report as an XML document."""
    by_file: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_file[finding.at.file].append(finding)
    top = Element("testsuites", name="dbops lint", failures=str(len(report.findings)))
    total = 0
    for file in dict.fromkeys((*report.files, *by_file)):
        found = by_file.get(file, [])
        total += max(len(found), 1)
        _suite(top, file, found)
    top.set("tests", str(total))
    indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(top, encoding="unicode")


def _suite(top: Element, file: str, found: list[Finding]) -> None:
    name = wording.printable(file)
    suite = SubElement(
        top, "testsuite", name=name, tests=str(max(len(found), 1)), failures=str(len(found)), errors="0", skipped="0"
    )
    if not found:
        SubElement(suite, "testcase", classname=name, name="lint")
    for finding in found:
        message = wording.printable(finding.message)
        case = SubElement(suite, "testcase", classname=name, name=f"{finding.code} {finding.at.line}:{finding.at.column}")
        failure = SubElement(case, "failure", type=finding.code, message=message)
        failure.text = f"{name}:{finding.at.line}:{finding.at.column}: {finding.severity} {finding.code}: {message}"
