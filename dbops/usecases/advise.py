"""advise: ask every rule of the engines of the databases, and say what is wrong, what is well, and what could not be seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dbops.dataclass import dataclass
from dbops.engines.base.advice import Rule as Rule  # these three are what faces show
from dbops.engines.base.advice import Severity as Severity
from dbops.engines.base.advice import Verdict as Verdict
from dbops.errors import DbopsError, MonitoringError
from dbops.usecases.runtime import ENGINES, Workspace, engine_named

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
) -> list[Advised]:
    """Ask the rules of each connection, the gravest findings first; one that fails does not hide the others.

    `rules` are the ids of those to ask, all of at least the severity `least` unless given.

    Raises:
        PlanError: `only` names a connection that is not there.
        MonitoringError: there is no such rule or threshold; names the nearest.
    """
    _must_exist(rules, thresholds or {})
    names = [workspace.require_connection(name) for name in only] or workspace.connection_names()
    servers: set[object] = set()
    return [_of_connection(workspace, name, rules, least, thresholds or {}, servers) for name in names]


def _of_connection(
    workspace: Workspace, name: str, ids: Collection[str], least: Severity, thresholds: Thresholds, servers: set[object]
) -> Advised:
    engine, url = workspace.targets.engine(name), workspace.targets.target(name).url
    server = (engine.name, url.host, url.port, url.query if not url.host else None)
    wanted = [rule for rule in engine.advice.rules if _is_wanted(rule, ids, least)]
    if engine.features.has_servers and server in servers:
        wanted = [rule for rule in wanted if rule.scope != "server"]
    try:
        conn = workspace.targets.reader(name)
        if conn is None:
            raise MonitoringError("the database does not exist")
        with conn.ending_statements_after(ASK_S):
            verdicts = engine.advice.ask(conn, wanted, thresholds)
    except DbopsError as error:
        return Advised(name, engine.name, error=error.message)
    servers.add(server)
    return Advised(name, engine.name, sorted(verdicts, key=lambda one: -SEVERITIES.index(one.rule.severity)))


def _is_wanted(rule: Rule, ids: Collection[str], least: Severity) -> bool:
    return rule.id in ids if ids else SEVERITIES.index(rule.severity) >= SEVERITIES.index(least)


def all_rules() -> list[tuple[str, Rule]]:
    """Return every rule with its engine; one that is asked otherwise on other versions stands once."""
    found: dict[str, tuple[str, Rule]] = {}
    for name in ENGINES:
        for rule in engine_named(name).advice.rules:
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
