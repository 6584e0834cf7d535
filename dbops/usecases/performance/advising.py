"""What would make a database quicker or safer, by the rules of `dbops advise`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dbops.dataclass import dataclass
from dbops.engines.base.advice import Severity
from dbops.errors import MonitoringError
from dbops.usecases.advise import advise
from dbops.usecases.performance.places import name_of, workspace_of


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
        (advised,) = advise(workspace, only=[name_of(database)])
    if advised.error is not None:
        raise MonitoringError(f"{name_of(database)} cannot be asked: {advised.error}")
    return [
        Recommendation(rule.id, rule.severity, rule.title, found.object, found.evidence, rule.remedy, found.sql, rule.is_safe)
        for verdict in advised.of("fail")
        for rule in (verdict.rule,)
        for found in verdict.findings
    ]
