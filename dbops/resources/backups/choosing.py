"""Which mechanism makes which kind of backup, or why none does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dbops.archive.manifest import Kind
from dbops.dataclass import dataclass
from dbops.engines.base.backup import Mechanism
from dbops.errors import BackupError, Mark
from dbops.resources.backups.spec import ScheduleSpec


@dataclass(frozen=True, slots=True)
class Refusal:
    """A kind that cannot be made, why, and what would help."""

    kind: str
    reason: str
    fix: str
    at: Mark | None = None

    def error(self) -> BackupError:
        return BackupError(f"a backup of type {self.kind} cannot be made: {self.reason}", at=self.at, fix=self.fix or None)


def choose(
    schedule: Sequence[ScheduleSpec], offered: Iterable[Sequence[Mechanism]], marks: Mapping[Kind, Mark]
) -> tuple[Mapping[Kind, Mechanism], Sequence[Refusal]]:
    """Return the mechanism of each scheduled kind, and the kinds that have none.

    Fulls alone are of the first family that knows their methods and tools, so that no other takes the place of one that does not
    work: a dump of one database is no copy of a whole server.

    Otherwise all kinds must be of one family, since a backup follows only one of its own: the first family that makes every kind
    is taken. Where there is none, the family that makes the most, so that what can be made is made; of those that make as many
    the one that knows the methods and tools of the schedule, and so says why they do not work. `offered` are families, of which
    those behind the one taken are not asked for.
    """
    are_fulls = all(entry.type == "full" for entry in schedule)
    best: tuple[dict[Kind, Mechanism], list[Refusal]] | None = None
    least = (0, 0)
    for own in offered:
        chosen: dict[Kind, Mechanism] = {}
        refused: list[Refusal] = []
        for entry in schedule:
            found = _fitting(entry, own)
            if isinstance(found, Mechanism):
                chosen[entry.type] = found
            else:
                refused.append(Refusal(entry.type, *found, marks.get(entry.type)))
        lacks = len(refused), sum(not _wanted(entry, own) for entry in schedule)
        if best is None or lacks < least:
            best, least = (chosen, refused), lacks
        if not refused or (are_fulls and not lacks[1]):
            break
    assert best is not None
    return best


def _wanted(entry: ScheduleSpec, offered: Sequence[Mechanism]) -> list[Mechanism]:
    """Return what the entry may mean, whether it works or not."""
    return [
        one
        for one in offered
        if one.kind == entry.type
        and entry.method in (None, one.method)
        and (entry.tool == one.tool or (entry.tool is None and not one.by_name))
    ]


def _fitting(entry: ScheduleSpec, offered: Sequence[Mechanism]) -> Mechanism | tuple[str, str]:
    wanted = _wanted(entry, offered)
    if works := next((one for one in wanted if one.works), None):
        return works
    if wanted:
        return wanted[0].refusal, wanted[0].fix
    asked = entry.tool or (f"the {entry.method} method" if entry.method else "this engine")
    known = sorted({one.tool for one in offered if one.kind == entry.type})
    return f"{asked} makes none", f"choose one of {', '.join(known)}" if known else ""
