"""The numbers of advice rules: those of the command line, then those of AlertPolicy manifests, then the rules' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dbops.dataclass import dataclass
from dbops.engines.base.advice import Rule
from dbops.errors import DbopsError, ManifestError, Mark, MonitoringError, Problems
from dbops.resources.monitoring.spec import AlertPolicySpec, parse_threshold
from dbops.resources.monitoring.watching import DesiredAlerts
from dbops.usecases.runtime import ENGINES, Workspace, engine_named

#: Numbers by rule and the name of the threshold.
Thresholds = Mapping[str, Mapping[str, float]]

COMMAND_LINE = "--threshold"


@dataclass(frozen=True, slots=True)
class Number:
    """A threshold that is not the rule's own, and who said so: the address of a manifest, or `COMMAND_LINE`."""

    value: float
    origin: str


#: What was said of thresholds, by rule and name.
Numbers = Mapping[str, Mapping[str, Number]]


def all_rules() -> list[tuple[str, Rule]]:
    """Return every rule with its engine; one that is asked otherwise on other versions stands once."""
    found: dict[str, tuple[str, Rule]] = {}
    for name in ENGINES:
        advice = engine_named(name).advice
        for rule in (*advice.rules, advice.index_rule, *advice.query_rules):
            found.setdefault(rule.id, (name, rule))
    return list(found.values())


def numbers_of(workspace: Workspace, connection: str, thresholds: Thresholds) -> Numbers:
    """Return what is said of thresholds for one connection; `thresholds` are those of the command line.

    Raises:
        ManifestError: two policies of the connection say different numbers.
    """
    found: dict[str, dict[str, Number]] = {}
    for work in workspace.work:
        policy = work.desired
        if not isinstance(policy, DesiredAlerts) or policy.connection != connection:
            continue
        for id_, numbers in policy.spec.advice.items():
            for name, value in numbers.items():
                before = found.setdefault(id_, {}).setdefault(name, Number(value, policy.address))
                if before.value != value:
                    message = f"{id_}.{name} is {value:g} here and {before.value:g} in {before.origin}"
                    raise ManifestError(message, at=policy.at, expected="one number for a connection")
    for id_, given in thresholds.items():
        found.setdefault(id_, {}).update({name: Number(value, COMMAND_LINE) for name, value in given.items()})
    return found


def values(numbers: Numbers) -> Thresholds:
    """Return the bare numbers, for engines to ask with."""
    return {id_: {name: number.value for name, number in named.items()} for id_, named in numbers.items()}


def check_policies(workspace: Workspace) -> list[DbopsError]:
    """Return what is wrong with the rules and thresholds that AlertPolicy manifests name, each at its place."""
    problems: list[DbopsError] = []
    for manifest in workspace.environment.of_kind("AlertPolicy"):
        assert isinstance(manifest.spec, AlertPolicySpec)
        spec = manifest.spec

        def place(*path: str, of: Callable[..., Mark] = manifest.mark) -> Mark:
            return of("spec", "advice", *path)

        problems += _problems(spec.advice, ManifestError, place) if spec.advice else []
    return problems


def number_of(text: str) -> float:
    """Read a threshold of the command line, as manifests write it too: `0.8`, `80%`, `1GiB` or `5m`.

    Raises:
        ValueError: it is none of them.
    """
    try:
        return float(text)
    except ValueError:
        return parse_threshold(text)


def must_exist(thresholds: Thresholds) -> None:
    """Refuse rules and thresholds that are not there.

    Raises:
        MonitoringError: names the nearest.
    """
    problems = _problems(thresholds, MonitoringError, lambda *path: None)
    if problems:
        raise problems[0] if len(problems) == 1 else Problems(problems)


def _problems(thresholds: Thresholds, error: Callable[..., DbopsError], place: Callable[..., Mark | None]) -> list[DbopsError]:
    from dbops.manifests.spec import nearest

    known = {rule.id: rule for _, rule in all_rules()}
    problems = []
    for id_, numbers in thresholds.items():
        if id_ not in known:
            expected = "one that dbops advise --rules lists"
            problems.append(error(f"there is no rule {id_!r}", at=place(id_), expected=expected, fix=nearest(id_, known)))
            continue
        has = known[id_].thresholds
        for name in numbers:
            if name not in has:
                expected = f"one of {', '.join(has)}" if has else "none: the rule has no thresholds"
                message = f"{id_} has no threshold {name!r}"
                problems.append(error(message, at=place(id_, name), expected=expected, fix=nearest(name, has)))
    return problems
