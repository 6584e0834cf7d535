"""What is due at a moment, decided from manifests and evidence alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from dbops.archive.manifest import Manifest
from dbops.resources.backups.due import breaks_at, failing, given_up, what_is_due
from dbops.resources.backups.model import Evidence, Failure, Standing
from dbops.resources.backups.spec import BackupPolicySpec
from tests.archive.made import START, backup

KINDS = ("full", "incremental", "differential")


def policy(**more: Any) -> BackupPolicySpec:
    """Return a policy with a full each day at 3, differentials each 6 hours, incrementals each hour."""
    schedule = [
        {"type": "full", "cron": "0 3 * * *"},
        {"type": "differential", "cron": "0 */6 * * *"},
        {"type": "incremental", "cron": "0 * * * *"},
    ]
    facts = {"connection": "shop", "storage": {"url": "file://./b"}, "schedule": schedule, "verify": {"restore": "never"}}
    return BackupPolicySpec.model_validate({**facts, **more})


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def due(spec: BackupPolicySpec, hours: float, *backups: Manifest, **standing: Any) -> list[str]:
    """Return what is due `hours` behind the first full, as short words."""
    found = what_is_due(spec, KINDS, Standing(tuple(backups), **standing), at(hours))
    return [one.kind or f"{one.act} {' '.join(one.ids)}".strip() for one in found]


FULL = backup("full")
LATER = backup("later", 1, FULL)


@pytest.mark.parametrize(
    ("hours", "backups", "expected"),
    [
        (0, [], ["full"]),
        (0.5, [FULL], []),
        (1, [FULL], ["incremental"]),
        (1.5, [FULL, LATER], []),
        (3.5, [FULL, LATER], ["differential"]),
        (24, [FULL, LATER], ["full"]),
        (24.5, [FULL, backup("new", 24)], []),
    ],
)
def test_the_greatest_that_is_due_stands_for_the_lesser(hours: float, backups: list[Manifest], expected: list[str]) -> None:
    assert due(policy(), hours, *backups) == expected


def test_a_proof_of_a_time_to_come_keeps_nobody_from_the_next() -> None:
    spec = policy(verify={"restore": "weekly"})
    ahead = Evidence("full", at(9999), 3, True)
    assert due(spec, 0.5, FULL, evidence=(Evidence("full", at(0.2), 3, True),)) == []
    assert due(spec, 0.5, FULL, evidence=(ahead,)) == ["verify"]
    assert due(spec, 0.5, FULL, evidence=(ahead, Evidence("full", at(0.2), 3, True))) == []


def test_the_last_verification_counts_whatever_clocks_said() -> None:
    good = [Evidence("full", at(hours), 3, True, number=number) for number, hours in enumerate((0.1, 9999, 0.3), 1)]
    bad = [Evidence("full", at(hours), 3, False, ("worse",), number=number) for number, hours in ((2, 0.2), (2, 9999), (3, 0.1))]
    for evidence, is_good in (((good[1], bad[2]), False), ((bad[1], good[2]), True), ((good[0], bad[0]), False)):
        standing = Standing((FULL,), evidence=evidence)
        assert (standing.verified(), standing.refuted()) == (
            (frozenset({"full"}), frozenset()) if is_good else (frozenset(), frozenset({"full"}))
        )


def test_what_was_made_with_another_key_is_not_let_go_because_of_what_is_made_with_this_one() -> None:
    spec, older = policy(retention={"last": 1}), backup("older", -1)
    assert due(spec, 0.5, older, FULL) == ["prune older"]
    assert due(spec, 0.5, older, FULL, foreign=frozenset({"older"})) == []
    assert due(spec, 1.5, older, FULL, backup("new", 1), foreign=frozenset({"older", "full"})) == ["prune older"]


def test_another_timeline_needs_a_full() -> None:
    assert due(policy(), 0.5, FULL, timeline="t2") == ["full"]
    assert due(policy(), 0.5, FULL, timeline="t1") == []


def test_what_a_verification_refuted_does_not_count_nor_what_follows_it() -> None:
    bad = Evidence("full", at(1.2), 1, False, ("a part is missing",))
    assert due(policy(), 1.5, FULL, LATER, evidence=(bad,)) == ["full"]
    good = Evidence("full", at(1.3), 3, True)
    assert due(policy(), 1.5, FULL, LATER, evidence=(bad, good)) == []
    worse = Evidence("full", at(1.2), 3, False, ("the schema differs",))
    lesser = Evidence("full", at(1.3), 1, True)
    assert due(policy(), 1.5, FULL, LATER, evidence=(worse, lesser)) == ["full"]


def test_a_broken_promise_wants_a_backup_before_its_time() -> None:
    spec = policy(schedule=[{"type": "full", "cron": "0 3 * * 0"}], objectives={"rpo": "12h"})
    assert due(spec, 11, FULL) == []
    assert due(spec, 13, FULL) == ["full"]
    assert breaks_at(spec, Standing((FULL,)), at(1)) == at(12)


@pytest.mark.parametrize(
    ("restore", "proofs", "hours", "expected"),
    [
        ("never", [], 0.5, []),
        ("weekly", [], 0.5, ["verify"]),
        ("weekly", [0], 0.5, []),
        ("weekly", [-24 * 8], 0.5, ["verify"]),
        ("daily", [-23], 0.5, []),
        ("daily", [-25], 0.5, ["verify"]),
        ("always", [0.1], 0.5, []),
        ("always", [], 0.5, ["verify"]),
        ("always", [0.1], 1, ["incremental", "verify"]),
    ],
)
def test_when_the_newest_is_proven(restore: str, proofs: list[float], hours: float, expected: list[str]) -> None:
    evidence = tuple(Evidence("full", at(moment), 3, True, (), 1.0) for moment in proofs)
    assert due(policy(verify={"restore": restore}), hours, FULL, evidence=evidence) == expected


def test_a_first_backup_is_proven_at_once() -> None:
    assert due(policy(verify={"restore": "weekly"}), 0) == ["full", "verify"]


def test_pruning_counts_with_what_is_planned() -> None:
    old, newer = backup("old", -48), backup("newer", -24)
    spec = policy(retention={"last": 2})
    assert due(spec, -1, old, newer) == ["differential", "prune old"]
    assert due(spec, 0.5, old, newer) == ["full", "prune old"]


def test_a_proof_that_is_planned_lets_the_last_proven_one_go() -> None:
    old, newer = backup("old", -30), backup("newer", -0.5)
    spec = policy(retention={"last": 1}, verify={"restore": "daily"})
    evidence = (Evidence("old", at(-29), 3, True),)
    assert due(spec, -0.4, old, newer, evidence=evidence) == ["verify", "prune old"]


def test_the_last_try_is_told() -> None:
    failures = (Failure("x", "incremental", at(1), "the disk is full"),)
    standing = Standing((FULL,), failures=failures)
    (found,) = what_is_due(policy(), KINDS, standing, at(1.1))
    assert "the disk is full" in found.reason
    assert failing(standing, at(2)) == failures[0]
    assert failing(Standing((FULL, backup("ok", 2, FULL)), failures=failures), at(2)) is None
    ahead = backup("made by a clock that is wrong", 9999, FULL)
    assert failing(Standing((FULL, ahead), failures=failures), at(2)) == failures[0]


def test_a_full_that_is_refuted_is_made_anew_once_and_then_not_before_its_time() -> None:
    spec, second = policy(verify={"restore": "weekly"}), backup("second", 1)
    bad = tuple(Evidence(one, at(moment), 3, False, ("a check gave 0",)) for one, moment in (("full", 0.5), ("second", 1.1)))
    assert due(spec, 1, FULL, evidence=bad[:1]) == ["full", "verify"]
    assert due(spec, 2, FULL, second, evidence=bad) == []
    assert due(spec, 24, FULL, second, evidence=bad) == ["full", "verify"]
    stop = given_up(spec, Standing((FULL, second), evidence=bad), at(2))
    assert stop is not None and (stop.last, stop.problem, stop.until) == (second, "a check gave 0", at(24))
    good = Evidence("second", at(2), 3, True)
    assert due(spec, 2.1, FULL, second, evidence=(*bad, good)) == ["incremental"]
    weekly = policy(schedule=[{"type": "full", "cron": "0 3 1 * *"}])
    assert due(weekly, 24 * 40, backup("a", 24 * 39.9), backup("b", 24 * 39.95), evidence=refuting("a", "b", at(24 * 40))) == []
    assert due(weekly, 24 * 41.1, backup("a", 24 * 39.9), backup("b", 24 * 39.95), evidence=refuting("a", "b", at(24 * 40))) == [
        "full"
    ]


def refuting(*rest: Any) -> tuple[Evidence, ...]:
    *ids, moment = rest
    return tuple(Evidence(one, moment, 3, False, ("worse",)) for one in ids)
