"""The spec of kind AlertPolicy: which figures matter, when they are wrong, and who hears of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from dbops.manifests.secrets import Secret
from dbops.manifests.spec import Bound, Choice, Duration, Spec, Text, complain, nearest, one_of, parse_duration, parse_size
from dbops.resources.monitoring.figures import FIGURES
from dbops.resources.monitoring.packs import PACKS

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")


def _known_figure(name: str) -> str:
    if name not in FIGURES:
        raise complain(
            f"there is no figure '{name}'", expected="one that dbops monitor figures lists", fix=nearest(name, FIGURES)
        )
    return name


def _known_pack(name: str) -> str:
    if name not in PACKS:
        raise complain(f"there is no pack '{name}'", expected=one_of(PACKS), fix=nearest(name, PACKS))
    return name


def parse_threshold(value: Any) -> float:
    """Read `0.8`, `80%`, `1GiB` or `5m`; numbers are in the figure's own unit.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(value, str):
        if value.endswith("%"):
            try:
                return float(value[:-1]) / 100
            except ValueError:
                raise complain(expected="a percentage such as 80%") from None
        for parse in (parse_size, parse_duration):
            try:
                return float(parse(value))
            except ValueError:
                continue
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise complain(expected="a number, a percentage (80%), a size (1GiB) or a duration (5m)")
    return float(value)


Threshold = Annotated[float, BeforeValidator(parse_threshold), WithJsonSchema({"type": ["number", "string"]})]


def _moment(value: Any) -> Any:
    moment = value if isinstance(value, datetime) else None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if moment is None or moment.tzinfo is None:
        raise complain(expected="a moment with its offset, such as 2027-01-31T02:00:00Z")
    return moment


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]


class RuleSpec(Choice):
    """One thing that shall not be. A rule with the name of one of a pack takes its place."""

    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = (("above", "below", "equals", "absent"),)

    name: Text
    """What the alert is called."""
    metric: Annotated[str, AfterValidator(_known_figure)]
    """The figure it watches, as `dbops monitor figures` lists them."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Only where the labels are like this; `*` stands for anything: `{table: "public.*"}`."""
    above: Threshold | None = None
    """Wrong while it is more than this. Percentages, sizes and durations may be written with their unit."""
    below: Threshold | None = None
    """Wrong while it is less than this."""
    equals: Threshold | None = None
    """Wrong while it is just this."""
    absent: Literal[True] | None = None
    """Wrong while it is not told at all."""
    clear: Threshold | None = None
    """Once it fires, the alert ends only when the figure is back on this side: below it for `above`, above it for `below`."""
    of: Literal["last", "mean", "least", "most", "change"] = "last"
    """What of the figure is compared: its last value, or the mean, least, most or change `over` a time."""
    over: Duration | None = None
    """The stretch that `of`, or `forecast`, looks back."""
    forecast: Duration | None = None
    """Compare where the figure will be so much later, if it goes on as it did `over` that time."""
    for_: Annotated[Duration, Field(alias="for")] = 0.0
    """How long it must be wrong before the alert fires."""
    severity: Severity = "warning"
    summary: str = ""
    """What people should know or do about it."""

    @model_validator(mode="after")
    def _check_rule(self) -> Self:
        known = FIGURES[self.metric].labels
        for label in self.labels:
            if label not in known:
                expected = one_of(known) if known else "no labels: it is told of the whole database"
                raise complain(f"the figure {self.metric} has no label '{label}'", expected=expected, path=("labels", label))
        if (self.of != "last" or self.forecast is not None) and self.over is None:
            raise complain(
                "over how long is not said", expected="over: 1h, for one", path=("of" if self.of != "last" else "forecast",)
            )
        if self.over is not None and self.of == "last" and self.forecast is None:
            raise complain("`over` needs something to look back for", expected="of or forecast beside it", path=("over",))
        if self.forecast is not None and self.of != "last":
            raise complain("a forecast is made of the values themselves", expected="of or forecast, not both", path=("of",))
        if self.clear is not None:
            self._check_clear(self.clear)
        return self

    def _check_clear(self, clear: float) -> None:
        if self.above is None and self.below is None:
            raise complain("`clear` needs above or below", path=("clear",))
        if (self.above is not None and clear > self.above) or (self.below is not None and clear < self.below):
            side = "at most above" if self.above is not None else "at least below"
            raise complain("`clear` lies on the wrong side of the threshold", expected=side, path=("clear",))


class SilenceSpec(Spec):
    """When alerts are not told of: between two moments."""

    rules: tuple[Text, ...] = ("*",)
    """Names of rules; `*` stands for anything."""
    since: Moment | None = None
    """From then on; at once unless given."""
    until: Moment
    """Until then: a silence without an end is a rule to take away."""
    reason: str = ""


class ChannelSpec(Choice):
    """Where alerts are told: exactly one of the fields."""

    exactly_one: ClassVar[tuple[tuple[str, ...], ...]] = (("webhook", "apprise"),)

    webhook: Secret | None = None
    """An http(s) URL that gets a JSON document for each alert."""
    apprise: Secret | None = None
    """A URL in Apprise's words: slack://, mailto://, ntfy://, ...; it needs pip install 'dbops[monitor]'."""
    severities: tuple[Severity, ...] = SEVERITIES
    """Only alerts of these severities."""


class AlertPolicySpec(Bound):
    """When figures of a database are wrong, and who hears of it."""

    packs: tuple[Annotated[str, AfterValidator(_known_pack)], ...] = ()
    """Ready-made rules: `essentials`."""
    rules: tuple[RuleSpec, ...] = ()
    """Rules of one's own, and others in place of a pack's."""
    advice: dict[str, dict[str, Threshold]] = Field(default_factory=dict)
    """Other numbers for the rules of `dbops advise`, by rule and threshold: `{PG-IDX-004: {min_days: 30}}`."""
    silences: tuple[SilenceSpec, ...] = ()
    notify: tuple[ChannelSpec, ...] = ()
    remind: Duration | None = None
    """Tell again of what still fires after this long; told once unless given."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [rule.name for rule in self.rules]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise complain(f"two rules are called '{name}'", path=("rules", place, "name"))
        if not self.rules and not self.packs and not self.advice:
            raise complain("the policy watches nothing", expected="rules, packs: [essentials], or advice")
        return self
