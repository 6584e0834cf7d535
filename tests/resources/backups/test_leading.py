"""Which chain leads to a point."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from dbops.archive.manifest import Manifest
from dbops.archive.repository import Contents
from dbops.engines.base.backup import LATEST, Backups, Link, Point
from dbops.errors import BackupError
from dbops.resources.backups.leading import chain_to, chains_to_name, drill_points, windows
from tests.archive.made import START, backup

LOGS = {"kind": "log", "points": ("lsn", "name", "time")}
F1 = backup("f1")
L1 = backup("l1", 1, F1, **LOGS)
I1 = backup("i1", 2, F1)
L2 = backup("l2", 3, I1, **LOGS)
L3 = backup("l3", 4, L2, **LOGS)
F2 = backup("f2", 6)
L4 = backup("l4", 7, F2, **LOGS)
SAVED = backup("saved", 8, labels={"made_for": "a restore"})
ALL = Contents((F1, L1, I1, L2, L3, F2, L4, SAVED))


class Clockwork:
    """Knows where a backup ends, and nothing of names."""

    def reached(self, point: Point, link: Link) -> bool | None:
        return None if point.what == "name" else link.ended_at >= cast("Any", point.time)


def ids(contents: Contents, point: Point) -> list[str]:
    chain = chain_to(contents, point, cast("Backups", Clockwork()), lambda one: cast("Link", one))
    return [one.id for one in chain]


def at(hours: float) -> Point:
    return Point("time", START + timedelta(hours=hours), f"{hours}h")


def test_what_can_be_restored_is_stretches_and_moments() -> None:
    made = [one for one in ALL.backups if not one.labels]
    hours = [((one.start - START).total_seconds() / 3600, (one.end - START).total_seconds() / 3600) for one in windows(made)]
    assert hours == [(0, 1), (2, 4), (6, 7)]
    joined = backup("l5", 7, F2, **{**LOGS, "start": {"lsn": 4}})
    before = backup("l3", 4, I1, **{**LOGS, "end": {"lsn": 4}})
    assert windows([F1, I1, before, F2, joined])[-1].start == I1.ended_at


def test_a_name_may_be_in_every_log() -> None:
    assert [[one.id for one in chain] for chain in chains_to_name(ALL)] == [["f2", "l4"], ["f1", "i1", "l2", "l3"], ["f1", "l1"]]
    joined = backup("l5", 7, F2, **{**LOGS, "start": {"lsn": 4}})
    before = backup("l3", 4, I1, **{**LOGS, "end": {"lsn": 4}})
    found = chains_to_name(Contents((F1, I1, before, F2, joined)))
    assert [[one.id for one in chain] for chain in found] == [["f2", "l5"], ["f1", "i1", "l3", "l5"]]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (0, ["f1"]),
        (0.5, ["f1", "l1"]),
        (1, ["f1", "l1"]),
        (2, ["f1", "i1"]),
        (2.5, ["f1", "i1", "l2"]),
        (3.5, ["f1", "i1", "l2", "l3"]),
        (6, ["f2"]),
        (6.5, ["f2", "l4"]),
    ],
)
def test_the_shortest_way_to_a_moment(hours: float, expected: list[str]) -> None:
    assert ids(ALL, at(hours)) == expected


@pytest.mark.parametrize("hours", [5])
def test_a_gap_in_the_log_is_told(hours: float) -> None:
    with pytest.raises(BackupError, match="nothing leads from"):
        ids(ALL, at(hours))


def test_a_log_that_begins_before_its_base_leads_to_the_moments_before_that() -> None:
    ends = replace(L3, end={"lsn": "0/3"}), replace(L4, start={"lsn": "0/3"})
    contents = Contents((F1, L1, I1, L2, ends[0], F2, ends[1]))
    assert ids(contents, at(5)) == ["f1", "i1", "l2", "l3", "l4"]
    assert ids(contents, at(6.5)) == ["f2", "l4"]


def test_a_log_leads_over_several_bases_to_the_moments_between_them() -> None:
    """It follows the last of them, and begins where the log before the first one ended."""
    ends = replace(L3, end={"lsn": "0/3"}), replace(L4, start={"lsn": "0/3"})
    between = backup("f15", 5)
    assert ids(Contents((F1, L1, I1, L2, ends[0], between, F2, ends[1])), at(5.5)) == ["f1", "i1", "l2", "l3", "l4"]
    between = backup("i2", 5, F1)
    over = backup("l5", 7, backup("i3", 6, between), **LOGS, start={"lsn": "0/3"})
    made = Contents((F1, L1, I1, L2, ends[0], between, backup("i3", 6, between), over))
    assert ids(made, at(5.5)) == ["f1", "i1", "l2", "l3", "l5"]
    assert ids(made, at(6.5)) == ["f1", "i2", "i3", "l5"]
    with pytest.raises(BackupError, match="nothing leads from i2"):
        ids(Contents((F1, L1, I1, L2, between, backup("i3", 6, between), over)), at(5.5))


def test_a_moment_behind_the_end_of_the_log_is_told() -> None:
    with pytest.raises(BackupError, match="the log that is stored ends"):
        ids(ALL, at(9))


def test_a_moment_before_all_is_told() -> None:
    with pytest.raises(BackupError, match="no backup leads to -1h"):
        ids(ALL, at(-1))
    with pytest.raises(BackupError) as caught:
        ids(Contents((F2, replace(F1, fence=1))), at(-1))  # made last, by a clock that was set back
    assert "at which f1 ended" in str(caught.value.expected)


def test_without_a_log_the_last_backup_before_is_meant() -> None:
    contents = Contents((F1, I1, F2))
    assert ids(contents, at(5)) == ["f1", "i1"]
    assert ids(contents, at(1)) == ["f1"]


def test_a_name_wants_all_that_there_is_and_latest_the_last() -> None:
    assert ids(ALL, Point("name", None, "before")) == ["f2", "l4"]
    assert ids(ALL, LATEST) == ["f2", "l4"]


def test_what_is_broken_leads_nowhere() -> None:
    assert ids(Contents((F1, L1, L2, L3)), LATEST) == ["f1", "l1"]
    with pytest.raises(BackupError, match="no backup has all"):
        ids(Contents((L1,)), LATEST)
    with pytest.raises(BackupError, match="no backup yet"):
        ids(Contents(()), LATEST)


def test_a_drill_stops_between_two_neighbours() -> None:
    def between(manifest: Manifest) -> list[str]:
        return [one.id for one in drill_points(manifest, ALL) or ()]

    assert between(F2) == ["f2", "l4"]
    assert between(F1) == ["l2", "l3"]
    assert between(L4) == []
