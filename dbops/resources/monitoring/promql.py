"""Rules in Prometheus's words, over the metrics that `dbops monitor --serve` answers with.

`clear` has no counterpart but Prometheus's own `ALERTS` series: while an alert fires, its second threshold counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from dbops.engines.base.metrics import METRICS
from dbops.resources.monitoring.alerts import threshold
from dbops.resources.monitoring.figures import FIGURES, RATIOS, rate_name
from dbops.resources.monitoring.spec import RuleSpec
from dbops.resources.monitoring.watching import DesiredAlerts

_WINDOW = "5m"
"""The stretch of a rate: four scrapes at the usual interval of a minute, and one that is missed."""
_RATIOS = {ratio.name: ratio for ratio in RATIOS}
_COUNTERS: Mapping[str, str] = {rate_name(one.name): one.name for one in METRICS.values() if one.shape == "counter"}


def expression(figure: str, selector: str) -> str:
    """Return a figure of a connection; `selector` is `{connection="shop"}`, with the labels that are meant."""
    if figure in _RATIOS:
        ratio = _RATIOS[figure]
        return "(" + ratio.promql.format(*(expression(needed, selector) for needed in ratio.needs)) + ")"
    if figure in _COUNTERS:
        return f"rate(dbops_{_COUNTERS[figure]}{selector}[{_WINDOW}])"
    return f"dbops_{figure}{selector}"


def condition(rule: RuleSpec, connection: str, alert: str) -> str:
    """Return when a rule is wrong, as PromQL."""
    matchers = [f"connection={_quoted(connection)}", *(_matcher(name, value) for name, value in rule.labels.items())]
    selector = "{" + ",".join(matchers) + "}"
    value = expression(rule.metric, selector)
    if rule.absent:
        return f"absent({value})"
    if rule.forecast is not None:
        value = f"predict_linear(({value})[{_span(rule.over)}:1m], {rule.forecast:g})"
    elif rule.over is not None:
        value = _over(rule, value)
    sign, number = _sign(rule)
    wrong = f"{value} {sign} {number:g}"
    if rule.clear is None:
        return wrong
    on = ", ".join(["connection", *FIGURES[rule.metric].labels])
    firing = f'ALERTS{{alertname={_quoted(alert)},alertstate="firing",connection={_quoted(connection)}}}'
    return f"({wrong}) or ({value} {sign} {rule.clear:g} and on({on}) {firing})"


def _over(rule: RuleSpec, value: str) -> str:
    span = _span(rule.over)
    if rule.of == "change":
        return (
            f"({value} - {value} offset {span})" if "rate(" not in value and "/" not in value else f"delta(({value})[{span}:1m])"
        )
    function = {"mean": "avg_over_time", "least": "min_over_time", "most": "max_over_time"}[rule.of]
    return f"{function}(({value})[{span}:1m])"


def _sign(rule: RuleSpec) -> tuple[str, float]:
    for sign, number in ((">", rule.above), ("<", rule.below), ("==", rule.equals)):
        if number is not None:
            return sign, number
    raise AssertionError("a rule has a threshold unless it is `absent`")


def _matcher(name: str, pattern: str) -> str:
    if not set(pattern) & set("*?["):
        return f"{name}={_quoted(pattern)}"
    from fnmatch import translate

    regex = translate(pattern).removeprefix("(?s:").removesuffix(r")\Z")
    return f"{name}=~{_quoted(regex)}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _span(seconds: float | None) -> str:
    return f"{round(seconds or 0)}s"


def rule_file(policies: Sequence[tuple[DesiredAlerts, Sequence[RuleSpec]]]) -> str:
    """Return a rule file, a group for each policy on each connection, as JSON, which is YAML that Prometheus reads."""
    groups = [
        {"name": f"dbops: {policy.name}", "rules": [_rule(rule, policy) for rule in rules]} for policy, rules in policies if rules
    ]
    return json.dumps({"groups": groups}, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: RuleSpec, policy: DesiredAlerts) -> dict[str, object]:
    name = f"{policy.name}: {rule.name}"
    told = " ".join(f"{{{{ $labels.{label} }}}}" for label in ("connection", *FIGURES[rule.metric].labels) if not rule.absent)
    found: dict[str, object] = {"alert": name, "expr": condition(rule, policy.connection, name)}
    if rule.for_:
        found["for"] = _span(rule.for_)
    found["labels"] = {"severity": rule.severity, "policy": policy.name}
    found["annotations"] = {
        "summary": f"{told or policy.connection}: {rule.metric} {threshold(rule)}",
        "description": rule.summary or FIGURES[rule.metric].meaning,
    }
    return found
