"""Which mechanism makes what a schedule says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dbops.engines.base.backup import Mechanism
from dbops.resources.backups.choosing import choose
from dbops.resources.backups.spec import ScheduleSpec

DUMP = Mechanism("full", "logical", "dump", "dumps")
NO_DUMP = Mechanism("full", "logical", "dump", "dumps", "dump is not installed", "install it")
COPY = Mechanism("full", "physical", "copy", "files")
LOG = Mechanism("log", "physical", "log", "files")
NO_LOG = Mechanism("log", "logical", "dump", "dumps", "a dump has no log", "choose files")


def schedule(*entries: dict[str, Any]) -> list[ScheduleSpec]:
    return [ScheduleSpec.model_validate({"cron": "0 3 * * *", **entry}) for entry in entries]


@pytest.mark.parametrize(
    ("entries", "offered", "tools", "reasons"),
    [
        ([{"type": "full"}], [[DUMP], [COPY]], ["dump"], []),
        ([{"type": "full", "method": "physical"}], [[DUMP], [COPY]], ["copy"], []),
        ([{"type": "full"}], [[NO_DUMP], [COPY]], [], ["dump is not installed"]),
        ([{"type": "full", "tool": "copy"}], [[NO_DUMP], [COPY]], ["copy"], []),
        ([{"type": "full"}, {"type": "log"}], [[DUMP, NO_LOG], [COPY, LOG]], ["copy", "log"], []),
    ],
    ids=["the first", "by its method", "no other instead of one that does not work", "by its tool", "all of one family"],
)
def test_a_schedule_gets_one_family(
    entries: list[dict[str, Any]], offered: Sequence[Sequence[Mechanism]], tools: list[str], reasons: list[str]
) -> None:
    chosen, refused = choose(schedule(*entries), offered, {})
    assert [one.tool for one in chosen.values()] == tools
    assert [one.reason for one in refused] == reasons


def test_families_behind_the_one_taken_are_not_asked_for() -> None:
    def offered() -> Iterator[Sequence[Mechanism]]:
        yield [DUMP]
        pytest.fail("another family was asked for")

    assert choose(schedule({"type": "full"}), offered(), {})[0] == {"full": DUMP}
