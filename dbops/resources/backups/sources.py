"""Which databases the backups of one place are of: one that was replaced or moved, or several that share a policy's name. Pure.

Nothing tells the two apart when the first backup of another database comes. A server that failed over and back looks like two
that take turns, so that this is said and nothing is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from dbops.archive.manifest import Manifest

SAFETY = "made_for"
"""The label of backups that no schedule made: what stood where a restore went, which is any database."""
OTHERS_KEPT = timedelta(days=35)
"""How long the newest of another database is kept at least: one that lives has made its next by then."""

Source = tuple[tuple[str, str], ...]


def source_of(backup: Manifest) -> Source:
    """Return what an engine knows a database again by, of whatever history."""
    return tuple(sorted((name, str(value)) for name, value in backup.identity.items() if name != "timeline"))


def words_for(backup: Manifest) -> str:
    return ", ".join(f"{name} {value}" for name, value in source_of(backup)) or "an unknown one"


def others_newest(backups: Iterable[Manifest]) -> list[Manifest]:
    """Return the newest backup of each database but the one that was backed up last; `backups` are in their order."""
    newest = dict[Source, Manifest]()
    for one in backups:
        if SAFETY not in one.labels:
            newest.pop(source_of(one), None)
            newest[source_of(one)] = one
    return list(newest.values())[:-1]


def taking_turns(backups: Sequence[Manifest]) -> list[Manifest]:
    """Return the newest backups of databases that came again behind another, and of these others; none where none did."""
    made = [one for one in backups if SAFETY not in one.labels]
    turning, spans = dict[Source, Manifest](), dict[Source, list[int]]()
    for place, one in enumerate(made):
        spans.setdefault(source_of(one), []).append(place)
    for places in spans.values():
        inside = made[places[0] : places[-1] + 1]
        if len(inside) > len(places):
            turning |= {source_of(one): one for one in inside}
    return list(turning.values())
