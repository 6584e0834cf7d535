"""validate: manifests alone, offline; no database of theirs is opened."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.errors import DbopsError, Mark, Problems
from dbops.lint.check import Finding
from dbops.resources.schema.sources import shown
from dbops.usecases.lint import LintReport, lint_workspace
from dbops.usecases.runtime import open_workspace


@dataclass(frozen=True, slots=True)
class Validation:
    """`kinds` counts manifests by kind; `statements` counts SQL statements found in sources.

    `untried` are the addresses whose SQL could not be loaded anywhere, with the reason. `findings` are what the linter says of
    the sources; they make nothing invalid. `files` are all that were read, as messages name them.
    """

    environment: str
    kinds: Mapping[str, int]
    statements: int
    untried: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def report(self) -> LintReport:
        """The findings as what a linter reports."""
        return LintReport(self.findings, self.files)


def as_report(error: DbopsError, environment: Path) -> LintReport:
    """Return what makes an environment invalid as findings, each with the code of its error."""
    problems = error.problems if isinstance(error, Problems) else [error]
    findings = tuple(_finding(problem, environment, number) for number, problem in enumerate(problems, 1))
    return LintReport(findings, tuple(dict.fromkeys(finding.at.file for finding in findings)))


def _finding(problem: DbopsError, environment: Path, number: int) -> Finding:
    expected = f"expected {problem.expected}" if problem.expected else None
    message = "; ".join(part for part in (problem.message, expected, problem.fix) if part)
    at = problem.at or Mark(str(environment))
    key = f"{problem.error_code}\0{at.file}\0{message}"
    return Finding(
        problem.error_code, "error", message, at, fingerprint=hashlib.sha256(key.encode()).hexdigest()[:32] + f":{number}"
    )


def validate(path: Path, process_env: Mapping[str, str] = os.environ) -> Validation:
    """Read manifests, references, secrets and sources, and load the sources into temporary databases on this machine.

    SQLite loads into memory, the other engines into a private server started from programs found here. Files of reference
    rows are held against the tables.

    Raises:
        ManifestError, Problems: everything that is wrong, in file order.
    """
    with open_workspace(path, process_env) as workspace:
        statements, untried = 0, {}
        problems: list[DbopsError] = []
        for work in workspace.work:
            try:
                checked = work.resource.check(work.desired, workspace.targets)
                statements += checked.statements
                if checked.untried:
                    untried[work.desired.address] = checked.untried
            except Problems as error:
                problems += error.problems
            except DbopsError as error:
                problems.append(error)
        if workspace.environment.of_kind("AlertPolicy"):
            from dbops.usecases.rule_numbers import check_policies

            problems += check_policies(workspace)
        if problems:
            raise Problems(problems)
        counts = Counter(manifest.kind for manifest in workspace.environment.manifests)
        lint = lint_workspace(workspace)
        files = dict.fromkeys((*(shown(manifest.file) for manifest in workspace.environment.manifests), *lint.files))
        return Validation(
            workspace.environment.name, dict(sorted(counts.items())), statements, untried, lint.findings, tuple(files)
        )
