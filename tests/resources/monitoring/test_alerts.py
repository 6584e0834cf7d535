"""Rules against figures: when they fire, how long, what cannot be known, and who is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from dbops.engines.base.metrics import Value
from dbops.resources.monitoring.alerts import (
    Alert,
    after_telling,
    evaluate,
    rules_of,
    silenced,
    threshold,
    to_tell,
    with_those_gone,
)
from dbops.resources.monitoring.figures import FIGURES
from dbops.resources.monitoring.packs import PACKS
from dbops.resources.monitoring.spec import AlertPolicySpec, RuleSpec, SilenceSpec


@dataclass(frozen=True)
class At:
    at: float
    mean: float

    @property
    def least(self) -> float:
        return self.mean - 1

    @property
    def most(self) -> float:
        return self.mean + 1


def rule(**fields: Any) -> RuleSpec:
    return RuleSpec.model_validate({"name": "r", "metric": "connections_used_ratio", **fields})


class Watch:
    """Runs one rule after another moment, as runs from cron do."""

    def __init__(self, rule: RuleSpec) -> None:
        self.rule = rule
        self.kept: dict[Any, Mapping[str, Any]] = {}

    def look(self, now: float, *numbers: float, unseen: str = "", past: Sequence[At] = ()) -> str:
        values = [Value(self.rule.metric, number) for number in numbers]
        why = {self.rule.metric: unseen} if unseen else {}
        alerts = evaluate([self.rule], values, why, lambda figure, since: {(): past}, self.kept, now)
        self.kept = {alert.key: alert.kept() for alert in alerts}
        self.alerts = alerts
        return alerts[0].state if alerts else "nothing"


@pytest.mark.parametrize(
    ("fields", "number", "state"),
    [
        ({"above": 0.8}, 0.8, "ok"),
        ({"above": "80%"}, 0.81, "firing"),
        ({"below": 0.5}, 0.4, "firing"),
        ({"below": 0.5}, 0.5, "ok"),
        ({"equals": 0}, 0, "firing"),
        ({"equals": 0}, 1, "ok"),
        ({"absent": True}, 1, "ok"),
    ],
)
def test_a_threshold(fields: dict[str, Any], number: float, state: str) -> None:
    assert Watch(rule(**fields)).look(100, number) == state


def test_it_must_be_wrong_for_as_long_as_the_rule_says() -> None:
    watch = Watch(rule(above=0.8, **{"for": "5m"}))
    assert [watch.look(at, 0.9) for at in (0, 299, 300, 900)] == ["pending", "pending", "firing", "firing"]
    assert watch.alerts[0].since == 0
    assert [watch.look(901, 0.7), watch.look(902, 0.9)] == ["ok", "pending"]
    assert watch.alerts[0].since == 902


def test_what_fires_ends_only_on_the_other_side_of_clear() -> None:
    watch = Watch(rule(above=0.8, clear=0.6))
    assert [watch.look(at, number) for at, number in enumerate((0.7, 0.9, 0.7, 0.61, 0.6, 0.7))] == [
        *("ok", "firing", "firing", "firing", "ok", "ok")
    ]


def test_what_cannot_be_seen_is_unknown_and_what_fired_still_fires() -> None:
    watch = Watch(rule(above=0.8))
    assert watch.look(0, unseen="no rights") == "unknown"
    assert watch.alerts[0].summary == "no rights"
    assert [watch.look(1, 0.9), watch.look(2, unseen="no rights"), watch.look(3, 0.9)] == ["firing"] * 3
    assert watch.alerts[0].since == 1
    assert Watch(rule(above=0.8)).look(0) == "nothing"
    assert Watch(rule(absent=True)).look(0, unseen="no rights") == "firing"


def test_a_stretch_is_compared_where_the_rule_says_over() -> None:
    past = [At(0, 10), At(50, 20), At(100, 60)]
    for of, number in (("mean", 30), ("least", 9), ("most", 61), ("change", 50)):
        watch = Watch(rule(metric="sessions_blocked", of=of, over="2m", above=0))
        watch.look(100, 60, past=past)
        assert watch.alerts[0].value == number


def test_a_forecast_follows_the_line_through_the_points() -> None:
    watch = Watch(rule(metric="database_size_bytes", forecast="1h", over="10m", above="1GiB"))
    growing = [At(at, 1_000_000 * at) for at in range(0, 600, 60)]
    assert watch.look(540, 540_000_000, past=growing) == "firing"
    assert watch.alerts[0].value == pytest.approx(1_000_000 * (540 + 3600))
    assert watch.alerts[0].says == "database_size_bytes will be 3.856 GiB, in 1 h as over 10 min above 1 GiB"
    assert watch.look(540, 5, past=[At(540, 5)]) == "ok"


def test_a_forecast_is_made_of_half_its_stretch_at_least() -> None:
    growing = [At(at, 1_000_000 * at) for at in range(0, 600, 60)]
    states = {}
    for over in ("18m", "19m"):
        watch = Watch(rule(metric="database_size_bytes", forecast="1h", over=over, above="1GiB"))
        states[over] = watch.look(540, 540_000_000, past=growing)
    assert states == {"18m": "firing", "19m": "ok"}


def test_a_rule_says_where_its_alert_ends() -> None:
    watch = Watch(rule(metric="sessions_blocked", above=4, clear=2))
    assert [watch.look(0, 5), watch.look(1, 3)] == ["firing"] * 2
    assert watch.alerts[0].says == "sessions_blocked is 3, above 4 (clear: 2)"


def test_each_thing_that_is_meant_has_an_alert_of_its_own() -> None:
    wanted = rule(metric="table_rows", labels={"table": "public.*"}, above=5)
    values = [Value("table_rows", n, (name,)) for name, n in (("public.a", 9), ("public.b", 1), ("other.c", 9))]
    found = evaluate([wanted], values, {}, lambda figure, since: {}, {}, 0)
    assert {alert.labels[0]: alert.state for alert in found} == {"public.a": "firing", "public.b": "ok"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"above": 1, "below": 2}, "given together"),
        ({}, "none of above"),
        ({"metric": "nothing", "above": 1}, "there is no figure"),
        ({"above": 1, "labels": {"table": "t"}}, "no label 'table'"),
        ({"above": 1, "of": "mean"}, "over how long"),
        ({"above": 1, "over": "5m"}, "needs something to look back for"),
        ({"above": 1, "of": "mean", "over": "5m", "forecast": "1d"}, "made of the values"),
        ({"above": 1, "clear": 2}, "wrong side"),
        ({"equals": 1, "clear": 1}, "needs above or below"),
        ({"above": "many"}, "a number, a percentage"),
        ({"above": True}, "a number, a percentage"),
    ],
)
def test_a_rule_that_says_nothing_sensible_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        rule(**fields)
    assert message in str([error.get("ctx", error) for error in caught.value.errors()])  # type: ignore[attr-defined]


def test_a_policy_has_the_rules_of_its_packs_unless_it_says_otherwise() -> None:
    spec = AlertPolicySpec.model_validate(
        {
            "connection": "shop",
            "packs": ["essentials"],
            "rules": [
                {"name": "connections", "metric": "connections_used_ratio", "above": 0.5},
                {"name": "own", "metric": "up", "equals": 0},
            ],
        }
    )
    found = {one.name: one for one in rules_of(spec, frozenset({"up", "connections_used_ratio", "free_ratio"}))}
    assert found.keys() == {"down", "connections", "own"}
    assert threshold(found["connections"]) == "above 50%"


def test_every_pack_can_be_read_and_says_what_to_do() -> None:
    for raw in (raw for pack in PACKS.values() for raw in pack):
        assert RuleSpec.model_validate(raw).summary
    assert len({raw["name"] for raw in PACKS["essentials"]}) == len(PACKS["essentials"])


def firing(told: dict[str, Any] | None = None, state: Any = "firing") -> Alert:
    return Alert("r", (), state, "error", "up", 0, "equals 0", "", since=0, told=told or {})


def test_a_channel_hears_once_then_of_reminders_then_of_the_end() -> None:
    alerts = [firing()]
    assert to_tell(alerts, "0", None, 10) == alerts
    told = after_telling(alerts, [alerts[0].key], "0", 10)
    assert to_tell(told, "0", None, 99999) == []
    assert to_tell(told, "1", None, 20) == told  # another channel was not told yet
    assert to_tell(told, "0", 60, 69) == []
    assert to_tell(told, "0", 60, 70) == told
    ended = [firing(dict(told[0].told), "ok")]
    assert to_tell(ended, "0", None, 100) == ended
    assert not ended[0].is_over
    assert after_telling(ended, [ended[0].key], "0", 100)[0].is_over


def test_what_is_no_longer_there_ends_what_was_told_of_it() -> None:
    kept = {("r", ("t",)): {"state": "firing", "told": {"0": ["firing", 5]}}, ("s", ()): {"state": "pending", "told": {}}}
    (ended,) = with_those_gone([], kept)
    assert (ended.rule, ended.labels, ended.state) == ("r", ("t",), "ok")
    assert to_tell([ended], "0", None, 9) == [ended]


def test_a_silence_holds_between_its_moments() -> None:
    until = datetime(2027, 1, 1, tzinfo=UTC)
    silence = SilenceSpec.model_validate({"rules": ["r*"], "until": until.isoformat()})
    for now, is_silenced in ((until.timestamp() - 1, True), (until.timestamp(), False)):
        (alert,) = silenced([firing()], [silence], now)
        assert alert.is_silenced is is_silenced
        assert (to_tell([alert], "0", None, now) == []) is is_silenced
    with pytest.raises(ValueError):
        SilenceSpec.model_validate({"until": "2027-01-01"})


def test_no_rule_of_a_pack_fires_by_the_first_look_at_a_mean() -> None:
    means = [raw for pack in PACKS.values() for raw in pack if raw.get("of") == "mean"]
    assert means and all(raw.get("for") for raw in means)


def test_every_figure_of_a_pack_is_known() -> None:
    assert {raw["metric"] for pack in PACKS.values() for raw in pack} <= FIGURES.keys()


def test_what_fires_of_one_thing_fires_while_that_cannot_be_seen() -> None:
    """A replica that fell behind has not caught up because nobody can look at its server, nor because others are still seen."""
    lagging = rule(metric="replication_lag_seconds", above=30)

    def look(kept: Any, why: Mapping[str, str], **lags: float) -> dict[tuple[str, ...], Alert]:
        values = [Value("replication_lag_seconds", number, (name,)) for name, number in lags.items()]
        found = with_those_gone(evaluate([lagging], values, why, lambda figure, since: {}, kept, 100), kept)
        return {alert.labels: alert for alert in found}

    first = look({}, {}, a=50, b=1)
    told = after_telling(list(first.values()), {("r", ("a",))}, "0", 100)
    kept = {alert.key: alert.kept() for alert in told if not alert.is_over}
    hidden = look(kept, {"replication_lag_seconds": "no answer"})
    assert {labels: alert.state for labels, alert in hidden.items()} == {("a",): "firing", (): "unknown"}
    assert hidden["a",].since == 100 and hidden["a",].summary == "no answer"
    partly = look(kept, {"replication_lag_seconds": "not all"}, b=1)
    assert {labels: alert.state for labels, alert in partly.items()} == {("a",): "firing", ("b",): "ok"}
    assert look(kept, {}, b=1)["a",].state == "ok"  # it is seen that it is gone
