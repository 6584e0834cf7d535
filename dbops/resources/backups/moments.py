"""When an entry of a schedule is due, by the clock of a place whose time may jump. Pure.

As cron has it (cron(8) of Debian, "Daylight Saving Time and other time changes"): an entry for a certain hour is due once on
each day. Where that time is left out it is due as much later as the clock jumped; where it comes twice, the first time. An
entry for any hour (`*`, `*/2`, `0-23`) goes on with the time that passes: nothing is due at times that are left out, and both
times where they come twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from dbops.errors import BackupError

_AROUND = timedelta(hours=26)
"""No jump is larger than a day and a bit: Samoa left out a whole one."""


def last_due(cron: str, zone: tzinfo, now: datetime) -> datetime:
    """Return the last moment at or before `now` at which an entry was due, in UTC."""
    jump = _jump(zone, now)
    best: datetime | None = None
    for wall in _walls(cron, _wall(zone, now).replace(microsecond=0) + timedelta(seconds=1) + jump, is_forward=False):
        if best is not None and wall < _wall(zone, best) - max(jump, _jump(zone, best)):
            break
        found = [moment for moment in _moments(cron, wall, zone) if moment <= now]
        best = max(found + ([best] if best else []), default=None)
    assert best is not None  # an entry has no last moment
    return best


def next_due(cron: str, zone: tzinfo, now: datetime) -> datetime:
    """Return the next moment after `now` at which an entry is due, in UTC."""
    jump = _jump(zone, now)
    best: datetime | None = None
    for wall in _walls(cron, _wall(zone, now) - jump, is_forward=True):
        if best is not None and wall > _wall(zone, best) + max(jump, _jump(zone, best)):
            break
        found = [moment for moment in _moments(cron, wall, zone) if moment > now]
        best = min(found + ([best] if best else []), default=None)
    assert best is not None  # nor a first
    return best


def _jump(zone: tzinfo, moment: datetime) -> timedelta:
    """Return how far the clock jumps around a moment, nothing on nearly all days."""
    near = [
        (moment + span).astimezone(zone).utcoffset() or timedelta() for span in (-2 * _AROUND, -_AROUND, 0 * _AROUND, _AROUND)
    ]
    return max(near) - min(near)


def _wall(zone: tzinfo, moment: datetime) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _at(wall: datetime, zone: tzinfo, fold: int = 0) -> datetime:
    """Return the moment of a time on the wall; one that is left out counts on from before the jump (PEP 495)."""
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _moments(cron: str, wall: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the moments of one time of an entry: none, one or two."""
    first = _at(wall, zone)
    goes_on = _any_hour(cron)
    if goes_on and _wall(zone, first) != wall:
        return
    yield first
    if goes_on and (second := _at(wall, zone, 1)) != first:
        yield second


def _any_hour(cron: str) -> bool:
    hours = cron.split()[1]
    return hours.startswith(("*", "0-23/")) or hours == "0-23"


def _walls(cron: str, start: datetime, *, is_forward: bool) -> Iterator[datetime]:
    """Yield the times of an entry on the wall, from a time on or back from it."""
    try:
        from croniter import croniter
    except ImportError as error:
        raise BackupError("schedules need the package croniter", fix="install it: pip install 'dbops[backup]'") from error
    times = croniter(cron, start)
    while True:
        yield times.get_next(datetime) if is_forward else times.get_prev(datetime)
