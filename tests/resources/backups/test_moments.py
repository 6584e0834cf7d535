"""Schedules by the clock of a place: on ordinary days, where an hour is left out, and where one comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dbops.resources.backups.moments import last_due, next_due

BERLIN = ZoneInfo("Europe/Berlin")
SAMOA = ZoneInfo("Pacific/Apia")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# In 2026 Berlin's clock goes from 02:00 to 03:00 on March 29th, and from 03:00 to 02:00 on October 25th, both at 01:00 UTC.
@pytest.mark.parametrize(
    ("cron", "zone", "now", "last", "following"),
    [
        ("0 3 * * *", UTC, "2026-07-01 03:00", "2026-07-01 03:00", "2026-07-02 03:00"),
        ("0 3 * * *", UTC, "2026-07-01 02:59:59.5", "2026-06-30 03:00", "2026-07-01 03:00"),
        ("0 3 * * *", BERLIN, "2026-07-01 12:00", "2026-07-01 01:00", "2026-07-02 01:00"),
        ("0 3 * * *", BERLIN, "2026-01-10 12:00", "2026-01-10 02:00", "2026-01-11 02:00"),
        ("0 3 * * 0", BERLIN, "2026-03-31 12:00", "2026-03-29 01:00", "2026-04-05 01:00"),
        ("30 2 * * *", BERLIN, "2026-03-29 12:00", "2026-03-29 01:30", "2026-03-30 00:30"),  # 02:30 is left out: at 03:30
        ("30 2 * * *", BERLIN, "2026-03-29 01:10", "2026-03-28 01:30", "2026-03-29 01:30"),
        ("30 2 * * *", BERLIN, "2026-10-25 01:00", "2026-10-25 00:30", "2026-10-26 01:30"),  # 02:30 comes twice: the first
        ("30 2 * * *", BERLIN, "2026-10-25 01:30", "2026-10-25 00:30", "2026-10-26 01:30"),
        ("30 * * * *", BERLIN, "2026-03-29 01:10", "2026-03-29 00:30", "2026-03-29 01:30"),
        ("30 * * * *", BERLIN, "2026-10-25 01:00", "2026-10-25 00:30", "2026-10-25 01:30"),  # each hour, also the second one
        ("30 * * * *", BERLIN, "2026-10-25 01:30", "2026-10-25 01:30", "2026-10-25 02:30"),
        ("0 0 * * *", SAMOA, "2011-12-31 12:00", "2011-12-31 10:00", "2012-01-01 10:00"),  # December 30th was left out
    ],
)
def test_what_is_due_when(cron: str, zone: ZoneInfo, now: str, last: str, following: str) -> None:
    assert last_due(cron, zone, utc(now)) == utc(last)
    assert next_due(cron, zone, utc(now)) == utc(following)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
@pytest.mark.parametrize("cron", ["*/5 * * * *", "7 */3 * * *", "10 1,2,3 * * *", "0 2 * * *"])
def test_moments_follow_each_other_without_a_gap_or_a_step_back(day: str, cron: str) -> None:
    now, end = utc(f"{day} 00:00") - timedelta(hours=9), utc(f"{day} 00:00") + timedelta(hours=9)
    while now < end:
        moment = next_due(cron, BERLIN, now)
        assert moment > now
        assert last_due(cron, BERLIN, moment) == moment
        assert last_due(cron, BERLIN, moment - timedelta(seconds=1)) <= now
        assert cron != "*/5 * * * *" or moment - now <= timedelta(minutes=5)
        now = moment
