"""advise: ask every rule of the engines of the databases, and say what is wrong, what is well, and what could not be seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.dataclass import dataclass
from dbops.engines.base.advice import Finding as Finding  # these four are what faces show
from dbops.engines.base.advice import Rule as Rule
from dbops.engines.base.advice import Severity as Severity
from dbops.engines.base.advice import Verdict as Verdict
from dbops.errors import DbopsError, MonitoringError
from dbops.usecases.runtime import ENGINES, Workspace, engine_named

if TYPE_CHECKING:
    from dbops.usecases.indexing.advice import Source

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")
ASK_S = 30.0
"""A rule whose query takes longer is unknown."""

#: Numbers by rule and the name of the threshold.
Thresholds = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Advised:
    """What the rules say of one connection; `error` says why none was asked. Rules of a server are told at its first one."""

    connection: str
    engine: str
    verdicts: Sequence[Verdict] = ()
    error: str | None = None

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
    """
    _must_exist(rules, thresholds or {})
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
    try:
        conn = workspace.targets.reader(name)
        if conn is None:
            raise MonitoringError("the database does not exist")
        with conn.ending_statements_after(ASK_S):
            verdicts = engine.advice.ask(conn, wanted, question.thresholds)
            if question.wants(engine.advice.index_rule):
                verdicts.append(_indexes(workspace, name, engine.advice.index_rule, question))
    except DbopsError as error:
        return Advised(name, engine.name, error=error.message)
    servers.add(server)
    return Advised(name, engine.name, sorted(verdicts, key=lambda one: -SEVERITIES.index(one.rule.severity)))


def source_of(statements: Path | None, sample: int) -> Source:
    """Return where the statements for index advice come from: a file, or the database where there is none."""
    from dbops.usecases.indexing.advice import Source

    return Source(statements, sample)


def _indexes(workspace: Workspace, name: str, rule: Rule, question: _Question) -> Verdict:
    from dbops.usecases.indexing.advice import Source, index_verdict

    return index_verdict(workspace, name, question.source or Source(), question.thresholds.get(rule.id, {}))


def all_rules() -> list[tuple[str, Rule]]:
    """Return every rule with its engine; one that is asked otherwise on other versions stands once."""
    found: dict[str, tuple[str, Rule]] = {}
    for name in ENGINES:
        advice = engine_named(name).advice
        for rule in (*advice.rules, advice.index_rule):
            found.setdefault(rule.id, (name, rule))
    return list(found.values())


def _must_exist(ids: Collection[str], thresholds: Thresholds) -> None:
    from dbops.manifests.spec import nearest

    known = {rule.id: rule for _, rule in all_rules()}
    for id_ in (*ids, *thresholds):
        if id_ not in known:
            raise MonitoringError(
                f"there is no rule {id_!r}", expected="one that dbops advise --rules lists", fix=nearest(id_, known)
            )
    for id_, numbers in thresholds.items():
        for name in numbers:
            if name not in known[id_].thresholds:
                has = known[id_].thresholds
                expected = f"one of {', '.join(has)}" if has else "none: the rule has no thresholds"
                raise MonitoringError(f"{id_} has no threshold {name!r}", expected=expected, fix=nearest(name, has))
