"""A plan as JUnit XML: a suite a manifest, a failed case a change or an obstacle, else one case that passes."""

from __future__ import annotations

from collections import defaultdict
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dbops.cli.views import wording
from dbops.reconcile.change import Observation
from dbops.reconcile.plan import Entry, Plan

Case = Entry | Observation


def plan_junit(plan: Plan) -> str:
    """Return the plan as an XML document. A change is a failure, since the database is not as it should be."""
    by_manifest: defaultdict[str, list[Case]] = defaultdict(list)
    cases: list[Case] = [*wording.in_order(plan), *plan.observations]
    for one in cases:
        by_manifest["/".join(_address(one).split("/")[:2])].append(one)
    top = Element("testsuites", name="dbops plan")
    for name, found in by_manifest.items() or [(plan.environment, [])]:
        _suite(top, name, found)
    top.set("tests", str(sum(int(suite.get("tests", "0")) for suite in top)))
    top.set("failures", str(sum(int(suite.get("failures", "0")) for suite in top)))
    indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(top, encoding="unicode")


def _suite(top: Element, name: str, cases: list[Case]) -> None:
    name = wording.printable(name)
    failures = sum(_fails(one) for one in cases)
    count = str(max(len(cases), 1))
    suite = SubElement(top, "testsuite", name=name, tests=count, failures=str(failures), errors="0", skipped="0")
    if not cases:
        SubElement(suite, "testcase", classname=name, name="plan")
    for one in cases:
        if isinstance(one, Observation):
            kind, message, text = one.code, one.message, f"{one.severity}: {one.message}"
        else:
            kind, message, text = one.change.cause, one.change.reason or one.change.action, _steps(one)
        what = one.code if isinstance(one, Observation) else one.change.action
        case = SubElement(suite, "testcase", classname=name, name=wording.printable(f"{what} {_address(one)}"))
        told = SubElement(case, "failure" if _fails(one) else "system-out")
        if _fails(one):
            told.set("type", wording.printable(kind))
            told.set("message", wording.printable(message))
        told.text = wording.printable(text)


def _address(one: Case) -> str:
    return one.address if isinstance(one, Observation) else one.change.address


def _fails(one: Case) -> bool:
    return not isinstance(one, Observation) or one.severity == "error"


def _steps(entry: Entry) -> str:
    """Return where a change is written, its steps and their hazards."""
    lines = [wording.place(entry.change.at)] if entry.change.at else []
    for step in entry.steps:
        lines.append(step.title)
        lines += [f"! {warned.code}: {warned.message}" for warned in wording.warnings(step, ())]
    return "\n".join(lines)
