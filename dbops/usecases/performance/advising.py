"""What would make a database quicker or safer, by the rules of `dbops advise`, and carrying out what is safe of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.advice import Severity
from dbops.errors import MonitoringError
from dbops.usecases.advise import Advised, advise
from dbops.usecases.apply import Consent
from dbops.usecases.mending import carry_out_beside, mend, sort_out
from dbops.usecases.performance.places import name_of, workspace_of
from dbops.usecases.runtime import Workspace


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One finding of a rule: what was seen at which object, and what to do, in words and where there is some in SQL.

    `is_safe`: the SQL loses nothing and keeps nobody waiting.
    """

    rule: str
    severity: Severity
    title: str
    object: str
    evidence: str
    remedy: str
    sql: str | None
    is_safe: bool


def recommendations(folder: Path, database: str, own_url: str | None) -> Sequence[Recommendation] | None:
    """Ask the rules of a database, the gravest findings first; None where it cannot be reached by its name.

    Raises:
        MonitoringError: it cannot be asked.
    """
    with workspace_of(folder, database, own_url) as workspace:
        if workspace is None:
            return None
        advised = _asked(workspace, database)
    return [
        Recommendation(rule.id, rule.severity, rule.title, found.object, found.evidence, rule.remedy, found.sql, rule.is_safe)
        for verdict in advised.of("fail")
        for rule in (verdict.rule,)
        for found in verdict.findings
    ]


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of the safe recommendations: titles of the steps that ran, files that were edited first, and what was left.

    `left` are the rule, the object, why, and what to do instead.
    """

    done: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    left: tuple[tuple[str, str, str, str], ...] = ()


def mend_what_is_safe(folder: Path, database: str, own_url: str | None) -> Mended | None:
    """Carry out what loses nothing and keeps nobody waiting, as `dbops advise --apply` does; None as above.

    What a Schema of the workspace governs is written into its source first.

    Raises:
        MonitoringError: the database cannot be asked.
        HazardError: what a source would be applied with needs approval; nothing was done.
        ApplyError: a step failed; the journal of the database says what stands.
    """
    with workspace_of(folder, database, own_url) as workspace:
        if workspace is None:
            return None
        mending = sort_out(workspace, [_asked(workspace, database)])
        steps = [step for entry in mending.entries for step in entry.steps]
        consent = Consent(lambda plan: True, {hazard.code for step in steps for hazard in step.hazards})
        if workspace.environment.manifests:
            mend(folder, os.environ, mending, consent, lambda edits: None)
        elif mending.entries:
            carry_out_beside(workspace, mending.entries, consent)
    left = tuple((one.remedy.rule.id, one.remedy.finding.object, one.why, one.fix) for one in mending.left)
    return Mended((*(step.title for step in steps), *mending.addresses), tuple(map(str, mending.files)), left)


def _asked(workspace: Workspace, database: str) -> Advised:
    (advised,) = advise(workspace, only=[name_of(database)])
    if advised.error is not None:
        raise MonitoringError(f"{name_of(database)} cannot be asked: {advised.error}")
    return advised
