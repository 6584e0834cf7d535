"""What alerts are doing: rules held against the figures of a look and what was known before. Pure; times are in Unix seconds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol

from dbops.dataclass import dataclass
from dbops.engines.base.metrics import Key, Value
from dbops.resources.monitoring.figures import FIGURES
from dbops.resources.monitoring.spec import AlertPolicySpec, RuleSpec, Severity, SilenceSpec
from dbops.resources.monitoring.words import in_words

#: `unknown`: the figure could not be seen, so nothing can be said.
State = Literal["ok", "pending", "firing", "unknown"]


class Dot(Protocol):
    """One moment of a series."""

    @property
    def at(self) -> float: ...

    @property
    def mean(self) -> float: ...

    @property
    def least(self) -> float: ...

    @property
    def most(self) -> float: ...


#: A line is drawn through points only where they reach back over this part of the stretch: less foretells little.
SEEN_OF_STRETCH = 0.5

#: Returns the points of a figure since a moment, by labels, in the order of time.
Past = Callable[[str, float], Mapping[tuple[str, ...], Sequence[Dot]]]


@dataclass(frozen=True, slots=True)
class Alert:
    """What one rule says of one thing. `since` is when it became wrong; `told` what each channel heard last, and when."""

    rule: str
    labels: tuple[str, ...]
    state: State
    severity: Severity
    figure: str
    value: float | None
    threshold: str
    summary: str
    since: float | None = None
    told: Mapping[str, tuple[State, float]] = field(default_factory=dict)
    is_silenced: bool = False
    is_forecast: bool = False

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        return self.rule, self.labels

    @property
    def number(self) -> str:
        """The value in words, empty where there is none."""
        return in_words(self.value, FIGURES[self.figure].unit) if self.value is not None and self.figure else ""

    @property
    def says(self) -> str:
        """What is there beside what is wanted, in words: `table_rows of t is 3, above 1`; empty where the rule is gone."""
        if not self.figure:
            return ""
        of = f" of {' '.join(self.labels)}" if self.labels else ""
        number = f" {'will be' if self.is_forecast else 'is'} {self.number}" if self.number else ""
        return f"{self.figure}{of}{number}, {self.threshold}"

    def kept(self) -> Mapping[str, Any]:
        """Return what the next run must know."""
        return {"state": self.state, "since": self.since, "told": dict(self.told)}

    @property
    def is_over(self) -> bool:
        """Nothing is wrong, and everybody who heard otherwise knows."""
        return self.state == "ok" and all(state == "ok" for state, _ in self.told.values())


Kept = Mapping[tuple[str, tuple[str, ...]], Mapping[str, Any]]


def evaluate(
    rules: Sequence[RuleSpec], figures: Sequence[Value], unseen: Mapping[str, str], past: Past, kept: Kept, now: float
) -> list[Alert]:
    """Return what each rule says, by rule and labels.

    `unseen` says by figure why it was not told. A rule for which there is nothing to look at, a replica where there is none, says
    nothing. What fired, and cannot be seen now, still fires.
    """
    found: dict[Key, float] = {(one.metric, one.labels): one.number for one in figures}
    return [alert for rule in rules for alert in _of_rule(rule, found, unseen, past, kept, now)]


def _of_rule(
    rule: RuleSpec, found: Mapping[Key, float], unseen: Mapping[str, str], past: Past, kept: Kept, now: float
) -> Iterator[Alert]:
    names = FIGURES[rule.metric].labels
    values = {
        labels: number
        for (figure, labels), number in found.items()
        if figure == rule.metric and _is_meant(rule, dict(zip(names, labels, strict=True)))
    }
    if rule.absent:
        yield _judged(rule, (), None, not values, kept, now)
        return
    if rule.metric in unseen:
        hidden = [labels for (name, labels), was in kept.items() if name == rule.name and was.get("state") == "firing"]
        yield from (_unknown(rule, labels, unseen[rule.metric], kept) for labels in hidden if labels and labels not in values)
        if not values:
            yield _unknown(rule, (), unseen[rule.metric], kept)
            return
    if rule.over is not None and values:
        series = past(rule.metric, now - rule.over)
        values = {labels: _over(rule, series.get(labels, ()), number, now) for labels, number in values.items()}
    for labels, number in values.items():
        was_firing = kept.get((rule.name, labels), {}).get("state") == "firing"
        yield _judged(rule, labels, number, _is_wrong(rule, number, was_firing), kept, now)


def _is_meant(rule: RuleSpec, labels: Mapping[str, str]) -> bool:
    return all(fnmatchcase(labels[name], pattern) for name, pattern in rule.labels.items())


def _is_wrong(rule: RuleSpec, number: float, was_firing: bool) -> bool:
    if rule.above is not None:
        return number > (rule.clear if was_firing and rule.clear is not None else rule.above)
    if rule.below is not None:
        return number < (rule.clear if was_firing and rule.clear is not None else rule.below)
    return number == rule.equals


def _over(rule: RuleSpec, points: Sequence[Dot], last: float, now: float) -> float:
    if not points:
        return last if rule.of != "change" else 0.0
    if rule.forecast is not None:
        is_seen = now - points[0].at >= rule.over * SEEN_OF_STRETCH if rule.over else False
        return _forecast(points, now + rule.forecast, last) if is_seen else last
    match rule.of:
        case "least":
            return min(point.least for point in points)
        case "most":
            return max(point.most for point in points)
        case "change":
            return last - points[0].mean
        case _:
            return sum(point.mean for point in points) / len(points)


def _forecast(points: Sequence[Dot], at: float, last: float) -> float:
    """Return where the line of least squares through the points is at that moment."""
    start = points[0].at
    times = [point.at - start for point in points]
    mean_t = sum(times) / len(times)
    spread = sum((t - mean_t) ** 2 for t in times)
    if spread == 0:
        return last
    mean_y = sum(point.mean for point in points) / len(points)
    slope = sum((t - mean_t) * (point.mean - mean_y) for t, point in zip(times, points, strict=True)) / spread
    return mean_y + slope * (at - start - mean_t)


def _judged(rule: RuleSpec, labels: tuple[str, ...], value: float | None, is_wrong: bool, kept: Kept, now: float) -> Alert:
    before = kept.get((rule.name, labels), {})
    alert = Alert(
        rule.name,
        labels,
        "ok",
        rule.severity,
        rule.metric,
        value,
        threshold(rule),
        rule.summary,
        told=_told(before),
        is_forecast=rule.forecast is not None,
    )
    if not is_wrong:
        return alert
    was_wrong = before.get("state") in ("pending", "firing")
    since = before["since"] if was_wrong and before.get("since") is not None else now
    fires = before.get("state") == "firing" or now - since >= rule.for_
    return replace(alert, state="firing" if fires else "pending", since=since)


def _unknown(rule: RuleSpec, labels: tuple[str, ...], why: str, kept: Kept) -> Alert:
    before = kept.get((rule.name, labels), {})
    state: State = "firing" if before.get("state") == "firing" else "unknown"
    return Alert(
        rule.name,
        labels,
        state,
        rule.severity,
        rule.metric,
        None,
        threshold(rule),
        why,
        since=before.get("since"),
        told=_told(before),
    )


def _told(kept: Mapping[str, Any]) -> dict[str, tuple[State, float]]:
    return {channel: (state, at) for channel, (state, at) in kept.get("told", {}).items()}


def threshold(rule: RuleSpec) -> str:
    """Return what the rule wants, as people say it: `above 80% (clear: 70%)`, `mean over 10 min below 95%`, `not told`."""
    if rule.absent:
        return "not told"
    side, number = next((side, n) for side in ("above", "below", "equals") if (n := getattr(rule, side)) is not None)
    over = f" over {in_words(rule.over, 'seconds')}" if rule.over else ""
    what = (
        f"in {in_words(rule.forecast, 'seconds')} as{over} " if rule.forecast is not None else f"{rule.of}{over} " if over else ""
    )
    unit = FIGURES[rule.metric].unit
    clear = f" (clear: {in_words(rule.clear, unit)})" if rule.clear is not None else ""
    return f"{what}{side} {in_words(number, unit)}{clear}"


def rules_of(spec: AlertPolicySpec, has: frozenset[str]) -> list[RuleSpec]:
    """Return the rules of packs for which an engine has the figures (`has`), and the policy's own in their place or behind."""
    from dbops.resources.monitoring.packs import PACKS

    own = {rule.name: rule for rule in spec.rules}
    packed = [RuleSpec.model_validate(raw) for pack in spec.packs for raw in PACKS[pack]]
    kept = [own.pop(rule.name, rule) for rule in packed if rule.name in own or rule.metric in has]
    return [*kept, *own.values()]


def silenced(alerts: Sequence[Alert], silences: Sequence[SilenceSpec], now: float) -> list[Alert]:
    """Mark the alerts that a silence covers now."""
    active = [one for one in silences if (one.since is None or one.since.timestamp() <= now) and now < one.until.timestamp()]
    return [
        replace(alert, is_silenced=any(fnmatchcase(alert.rule, pattern) for one in active for pattern in one.rules))
        for alert in alerts
    ]


def with_those_gone(alerts: Sequence[Alert], kept: Kept) -> list[Alert]:
    """Return the alerts, and as ended those of which somebody was told and whose table, replica or rule is no longer there."""
    seen = {alert.key for alert in alerts}
    gone = [
        Alert(*key, "ok", "info", "", None, "", "it is no longer there", told=_told(state))
        for key, state in kept.items()
        if key not in seen and any(heard == "firing" for heard, _ in _told(state).values())
    ]
    return [*alerts, *gone]


def to_tell(alerts: Sequence[Alert], channel: str, remind_s: float | None, now: float) -> list[Alert]:
    """Return the alerts that a channel should hear of now: what fires and was not told it, or long ago; what ended and was."""
    return [alert for alert in alerts if not alert.is_silenced and _is_due(alert, channel, remind_s, now)]


def _is_due(alert: Alert, channel: str, remind_s: float | None, now: float) -> bool:
    heard, at = alert.told.get(channel, ("ok", 0.0))
    if alert.state == "firing":
        return heard != "firing" or (remind_s is not None and now - at >= remind_s)
    return alert.state == "ok" and heard == "firing"


def after_telling(
    alerts: Sequence[Alert], heard: Collection[tuple[str, tuple[str, ...]]], channel: str, now: float
) -> list[Alert]:
    """Return the alerts with the note that a channel heard of these, by rule and labels."""
    return [replace(alert, told={**alert.told, channel: (alert.state, now)}) if alert.key in heard else alert for alert in alerts]
