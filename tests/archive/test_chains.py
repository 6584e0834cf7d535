"""What belongs together, and what is broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbops.archive.chains import BrokenChainError, chain_of, dependents, parent_for, whole
from dbops.engines.base.backup import Mechanism
from tests.archive.made import backup

FULL = backup("full")
ONE = backup("one", 1, FULL)
TWO = backup("two", 2, ONE)
DIFF = backup("diff", 3, FULL, "differential")
LOG = backup("log", 4, DIFF, "log")
ALL = (FULL, ONE, TWO, DIFF, LOG)


def test_a_chain_begins_with_the_full() -> None:
    assert chain_of(TWO, ALL) == (FULL, ONE, TWO)
    assert chain_of(LOG, ALL) == (FULL, DIFF, LOG)


def test_a_missing_link_is_named() -> None:
    with pytest.raises(BrokenChainError, match="two needs one"):
        chain_of(TWO, (FULL, TWO))


def test_another_parent_is_told() -> None:
    with pytest.raises(BrokenChainError, match="another full"):
        chain_of(ONE, (replace(FULL, seal="other"), ONE))


def test_a_circle_is_broken() -> None:
    first, second = replace(ONE, parent_id="two", parent_digest="two"), TWO
    with pytest.raises(BrokenChainError, match="itself"):
        chain_of(second, (first, second))
    assert whole((first, second)) == frozenset()


def test_what_is_whole_is_what_has_a_chain() -> None:
    for missing in ALL:
        left = [one for one in ALL if one is not missing]
        expected = set()
        for one in left:
            try:
                chain_of(one, left)
            except BrokenChainError:
                continue
            expected.add(one.id)
        assert whole(left) == expected
        assert whole(ALL, without=[missing.id]) == expected


def test_dependents_are_all_that_follow() -> None:
    assert [one.id for one in dependents("full", ALL)] == ["one", "two", "diff", "log"]
    assert [one.id for one in dependents("diff", ALL)] == ["log"]


@pytest.mark.parametrize(
    ("kind", "points", "parent"),
    [
        ("incremental", frozenset(), "diff"),
        ("incremental", frozenset({"time"}), "log"),
        ("log", frozenset({"time"}), "log"),
        ("differential", frozenset(), "full"),
    ],
)
def test_a_new_backup_follows_the_last_that_fits(kind: str, points: frozenset[str], parent: str) -> None:
    new = Mechanism(kind, "physical", "pages", "pages", points=points)  # type: ignore[arg-type]
    found = parent_for(new, "t1", ALL)
    assert found is not None
    assert found.id == parent
    assert parent_for(new, "t2", ALL) is None
    assert parent_for(replace(new, family="other"), "t1", ALL) is None
