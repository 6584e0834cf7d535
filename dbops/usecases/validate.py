"""validate: manifests alone, offline; no database of theirs is opened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dbops.errors import DbopsError, Problems
from dbops.lint.check import Finding
from dbops.usecases.lint import lint_workspace
from dbops.usecases.runtime import open_workspace


@dataclass(frozen=True, slots=True)
class Validation:
    """`kinds` counts manifests by kind; `statements` counts SQL statements found in sources.

    `untried` are the addresses whose SQL could not be loaded anywhere, with the reason. `findings` are what the linter says of
    the sources; they make nothing invalid.
    """

    environment: str
    kinds: Mapping[str, int]
    statements: int
    untried: Mapping[str, str]
    findings: tuple[Finding, ...] = ()


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
        if problems:
            raise Problems(problems)
        counts = Counter(manifest.kind for manifest in workspace.environment.manifests)
        findings = lint_workspace(workspace).findings
        return Validation(workspace.environment.name, dict(sorted(counts.items())), statements, untried, findings)
