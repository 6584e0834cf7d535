"""Which backups are kept: rules, guards, and what no rule may break."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbops.archive.chains import dependents, whole
from dbops.archive.manifest import Manifest
from dbops.archive.retention import Guards, Rules, judge
from tests.archive.made import START, backup

DAILY = [backup(f"d{day:02}", 24 * day) for day in range(40)]
NONE = Guards()
NOW = START + timedelta(days=40)


def kept(backups: list[Manifest], rules: Rules, guards: Guards = NONE) -> list[str]:
    return sorted(judge(backups, rules, NOW, guards).kept)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(), [f"d{day:02}" for day in range(40)]),
        (Rules(last=2), ["d38", "d39"]),
        (Rules(daily=3), ["d37", "d38", "d39"]),
        (Rules(weekly=2), ["d38", "d39"]),
        (Rules(monthly=2), ["d30", "d39"]),
        (Rules(yearly=1), ["d39"]),
        (Rules(within_s=2.5 * 86400), ["d38", "d39"]),
        (Rules(last=1, minimum_age_s=3 * 86400), ["d38", "d39"]),
    ],
)
def test_each_rule_keeps_what_it_says(rules: Rules, expected: list[str]) -> None:
    assert kept(DAILY, rules) == expected


def test_a_week_ends_on_sunday() -> None:
    weeks = judge(DAILY, Rules(weekly=3), NOW).kept
    days = {one.id: one.ended_at.isocalendar()[:2] for one in DAILY}
    assert len({days[name] for name in weeks}) == 3


def test_what_a_kept_one_depends_on_is_kept() -> None:
    full = backup("full")
    one = backup("one", 24, full)
    two = backup("two", 48, one)
    verdict = judge([full, one, two], Rules(last=1), NOW)
    assert verdict.kept == {"full": ("needed",), "one": ("needed",), "two": ("last", "newest")}


@pytest.mark.parametrize("lost", [1, 2])
def test_what_a_kept_one_may_need_behind_a_lost_manifest_is_kept(lost: int) -> None:
    """The manifest may come back, and then the chain restores again."""
    chain = [backup("full")]
    for hours, name in ((24, "one"), (48, "two"), (72, "three")):
        chain.append(backup(name, hours, chain[-1]))
    left = [one for place, one in enumerate(chain) if place != lost]
    later = backup("later", 96)
    verdict = judge([*left, later], Rules(last=1, verified=0), NOW, Guards(held={"three"}))
    assert sorted(verdict.kept) == sorted([*(one.id for one in left), "later"])
    assert [one.id for one in dependents("full", left)] == [one.id for one in left[1:]]


def test_children_are_deleted_before_their_parents() -> None:
    full = backup("full")
    one = backup("one", 24, full)
    later = backup("later", 48)
    assert [gone.id for gone in judge([full, one, later], Rules(last=1), NOW).deleted] == ["one", "full"]


def test_logs_stay_with_what_they_go_on_from() -> None:
    full, later = backup("full"), backup("later", 48)
    logs = [backup("l1", 1, full, "log")]
    logs.append(backup("l2", 2, logs[0], "log"))
    logs.append(backup("l3", 49, later, "log"))
    assert kept([full, *logs[:2], later, logs[2]], Rules(last=1)) == ["l3", "later"]
    assert kept([full, *logs[:2], later, logs[2]], Rules(last=2)) == ["full", "l1", "l2", "l3", "later"]


def test_the_last_verified_and_held_ones_stay() -> None:
    guards = Guards(held={"d03"}, verified={"d05", "d07"})
    assert kept(DAILY, Rules(last=1), guards) == ["d03", "d07", "d39"]


def test_what_is_set_aside_counts_for_no_rule_and_goes_by_age() -> None:
    guards = Guards(set_aside={"d39": timedelta(days=14), "d01": timedelta(days=14)})
    assert kept(DAILY, Rules(last=1), guards) == ["d38", "d39"]


def test_what_was_found_wanting_lets_nothing_go_that_may_be_good() -> None:
    assert kept(DAILY, Rules(last=2), Guards(refuted={"d37", "d38", "d39"})) == ["d35", "d36", "d38", "d39"]


def test_what_is_broken_is_no_point() -> None:
    orphan = backup("orphan", 24 * 39.5, backup("gone"))
    assert "d39" in kept([*DAILY, orphan], Rules(last=1))
    assert judge([*DAILY, orphan], Rules(last=1), NOW).kept["orphan"] == ("broken chain",)  # what it follows may be found again


@st.composite
def histories(draw: st.DrawFn) -> list[Manifest]:
    made: list[Manifest] = []
    for number in range(draw(st.integers(1, 25))):
        parent = draw(st.sampled_from([None, *made[-4:]]))
        kind = draw(st.sampled_from(["incremental", "differential", "log"])) if parent else "full"
        made.append(backup(f"b{number:02}", number * draw(st.integers(1, 90)), parent, kind))
    return sorted(made, key=lambda one: (one.begun_at, one.id))


@given(histories(), st.builds(Rules, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)))
def test_what_is_kept_can_be_restored_and_nothing_is_lost_on_the_way(history: list[Manifest], rules: Rules) -> None:
    verdict = judge(history, rules, NOW)
    left = [one for one in history if one.id in verdict.kept]
    assert {one.id for one in verdict.deleted} == {one.id for one in history} - set(verdict.kept)
    assert whole(left) == whole(history) & set(verdict.kept)
    if points := [one for one in history if one.kind != "log" and one.id in whole(history)]:
        assert points[-1].id in verdict.kept
    going = [one.id for one in history]
    for gone in verdict.deleted:  # at each step what is left can be restored
        going.remove(gone.id)
        rest = [one for one in history if one.id in going]
        assert whole(rest) == whole(history) & set(going)
