"""advise: ask every rule of the engines of the databases, and say what is wrong, what is well, and what could not be seen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.dataclass import dataclass
from dbops.engines.base.advice import Finding as Finding  # these four are what faces show
from dbops.engines.base.advice import Rule as Rule
from dbops.engines.base.advice import Severity as Severity
from dbops.engines.base.advice import Verdict as Verdict
from dbops.errors import DbopsError, MonitoringError, Problems
from dbops.usecases.rule_numbers import Numbers, Thresholds, check_policies, must_exist, numbers_of, values
from dbops.usecases.rule_numbers import all_rules as all_rules
from dbops.usecases.runtime import Workspace

if TYPE_CHECKING:
    from dbops.usecases.indexing.advice import Source

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")
ASK_S = 30.0
"""A rule whose query takes longer is unknown."""


@dataclass(frozen=True, slots=True)
class Advised:
    """What the rules say of one connection; `error` says why none was asked. Rules of a server are told at its first one.

    `numbers` are thresholds that are not the rules' own.
    """

    connection: str
    engine: str
    verdicts: Sequence[Verdict] = ()
    error: str | None = None
    numbers: Numbers = field(default_factory=dict)

    def of(self, state: str) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.state == state]


def advise(
    workspace: Workspace,
    *,
    only: Collection[str] = (),
    rules: Collection[str] = (),
    least: Severity = "info",
    thresholds: Thresholds | None = None,
    source: Source | None = None,
) -> list[Advised]:
    """Ask the rules of each connection, the gravest findings first; one that fails does not hide the others.

    `rules` are the ids of those to ask, all of at least the severity `least` unless given. `source` says which statements the
    rule about indexes hears of, those that the database counts unless given, and how many rows it may copy.

    Raises:
        PlanError: `only` names a connection that is not there.
        MonitoringError: there is no such rule or threshold; names the nearest.
        Problems, ManifestError: an AlertPolicy names a rule or threshold that is not there, or two contradict each other.
    """
    _rules_must_exist(rules)
    must_exist(thresholds or {})
    if problems := check_policies(workspace):
        raise Problems(problems)
    names = [workspace.require_connection(name) for name in only] or workspace.connection_names()
    servers: set[object] = set()
    question = _Question(rules, least, thresholds or {}, source)
    return [_of_connection(workspace, name, question, servers) for name in names]


@dataclass(frozen=True, slots=True)
class _Question:
    ids: Collection[str]
    least: Severity
    thresholds: Thresholds
    source: Source | None

    def wants(self, rule: Rule) -> bool:
        return rule.id in self.ids if self.ids else SEVERITIES.index(rule.severity) >= SEVERITIES.index(self.least)


def _of_connection(workspace: Workspace, name: str, question: _Question, servers: set[object]) -> Advised:
    engine, url = workspace.targets.engine(name), workspace.targets.target(name).url
    server = (engine.name, url.host, url.port, url.query if not url.host else None)
    wanted = [rule for rule in engine.advice.rules if question.wants(rule)]
    if engine.features.has_servers and server in servers:
        wanted = [rule for rule in wanted if rule.scope != "server"]
    numbers = numbers_of(workspace, name, question.thresholds)
    try:
        conn = workspace.targets.reader(name)
        if conn is None:
            raise MonitoringError("the database does not exist")
        with conn.ending_statements_after(ASK_S):
            verdicts = engine.advice.ask(conn, wanted, values(numbers))
            of_statements = [rule for rule in (engine.advice.index_rule, *engine.advice.query_rules) if question.wants(rule)]
            if of_statements:
                verdicts += _of_statements(workspace, name, of_statements, question, numbers)
    except DbopsError as error:
        return Advised(name, engine.name, error=error.message)
    servers.add(server)
    gravest_first = sorted(verdicts, key=lambda one: -SEVERITIES.index(one.rule.severity))
    return Advised(name, engine.name, gravest_first, numbers=numbers)


def source_of(statements: Path | None, sample: int) -> Source:
    """Return where the statements for index advice come from: a file, or the database where there is none."""
    from dbops.usecases.indexing.advice import Source

    return Source(statements, sample)


def _of_statements(
    workspace: Workspace, name: str, rules: Sequence[Rule], question: _Question, numbers: Numbers
) -> list[Verdict]:
    from dbops.usecases.indexing.advice import Source, verdicts

    return verdicts(workspace, name, rules, question.source or Source(), values(numbers))


def _rules_must_exist(ids: Collection[str]) -> None:
    from dbops.manifests.spec import nearest

    known = {rule.id for _, rule in all_rules()}
    for id_ in ids:
        if id_ not in known:
            raise MonitoringError(
                f"there is no rule {id_!r}", expected="one that dbops advise --rules lists", fix=nearest(id_, known)
            )
