"""What is worth saying of a policy and no step changes: refused, broken, failing, slower or larger than promised. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from dbops.engines.base.backup import Mechanism
from dbops.engines.base.url import DatabaseUrl
from dbops.reconcile.change import BACKUP_REFUSED, Observation
from dbops.resources.backups.choosing import Refusal
from dbops.resources.backups.due import breaks_at, counted, failing, given_up, words_of
from dbops.resources.backups.model import DesiredBackups, Standing
from dbops.resources.backups.sources import taking_turns, words_for


def remarks(
    desired: DesiredBackups, standing: Standing, refused: Sequence[Refusal], chosen: Iterable[Mechanism], now: datetime
) -> Iterator[Observation]:
    """Yield what people should know, the worst first."""
    address = desired.address
    for one in refused:
        fix = f"; {one.fix}" if one.fix else ""
        text = f"a backup of type {one.kind} cannot be made: {one.reason}{fix}"
        yield Observation(f"{address}/{one.kind}", BACKUP_REFUSED, text, "error")
    for text in dict.fromkeys(one.caution for one in chosen if one.caution):
        yield Observation(address, "BACKUP_CAUTION", text, "warning")
    for broken in standing.broken:
        yield Observation(address, "BACKUP_BROKEN", f"{broken.key}: {broken.reason}", "error")
    if turning := taking_turns(standing.backups):
        text = (
            f"databases take turns in one place: {'; '.join(map(words_for, turning))}. Where all of them live, each needs a"
            " policy of its own name, or a storage of its own: retention counts them together, and `latest` is the last of any"
        )
        yield Observation(address, "BACKUP_SHARED", text, "warning")
    refuted = standing.refuted()
    for manifest in standing.backups:
        if manifest.id in refuted:
            last = max((e for e in standing.evidence if e.backup_id == manifest.id and not e.ok), key=lambda e: e.turn)
            yield Observation(address, "BACKUP_UNRESTORABLE", f"{manifest.id}: {'; '.join(last.problems[:3])}", "error")
    if not desired.spec.retired and (stop := given_up(desired.spec, standing, now)) is not None:
        yield Observation(address, "BACKUP_UNRESTORABLE", words_of(stop), "error")
    if (failure := failing(standing, now)) is not None:
        text = f"the last {failure.kind} backup failed at {failure.at:%Y-%m-%d %H:%M}Z: {failure.error}"
        yield Observation(address, "BACKUP_FAILING", text, "warning")
    if not desired.spec.retired:
        yield from _promises(desired, standing, now)


def gone(desired: DesiredBackups, standing: Standing, url: DatabaseUrl) -> Iterator[Observation]:
    """Say of a database that is not there that backups of it are, before an empty one is made in its place."""
    if standing.backups:
        text = f"the database does not exist, and its backups do: {way_back(url)}; apply makes an empty one"
        yield Observation(desired.address, "DATABASE_GONE", text, "warning")


def way_back(url: DatabaseUrl) -> str:
    """Return what brings a database back from its backups."""
    return f"dbops backup restore latest --to '{replace(url, password=None).redacted()}' brings it back"


def _promises(desired: DesiredBackups, standing: Standing, now: datetime) -> Iterator[Observation]:
    objectives, address = desired.spec.objectives, desired.address
    breaks = breaks_at(desired.spec, standing, now)
    if breaks is not None and breaks <= now:
        yield Observation(address, "RPO_BROKEN", f"since {breaks:%Y-%m-%d %H:%M}Z more would be lost than is promised", "warning")
    if objectives.rto is not None and (seconds := restore_s(standing)) is not None and seconds > objectives.rto:
        text = f"the last restore took {seconds:.1f} s, and {objectives.rto:g} s are promised; full backups more often shorten it"
        yield Observation(address, "RTO_BROKEN", text, "warning")
    stored = sum(one.stored_size for one in standing.backups)
    if objectives.budget is not None and stored > objectives.budget:
        text = f"{stored} bytes are stored, and {objectives.budget} are the budget; keep less, or raise it"
        yield Observation(address, "OVER_BUDGET", text, "warning")


def restore_s(standing: Standing) -> float | None:
    """Return the seconds of the last restore that was tried and went well, None when there was none."""
    ids = {one.id for one in counted(standing)}
    tried = [one for one in standing.evidence if one.ok and one.seconds is not None and one.backup_id in ids]
    return max(tried, key=lambda one: one.at).seconds if tried else None
