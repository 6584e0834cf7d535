"""What a plan says of migrations beside its steps: what stands in the way, was edited, is unknown, or was changed by hand."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from dbops.reconcile.change import MIGRATION_DRIFT, MIGRATION_REFUSED, Observation
from dbops.resources.migrations.folder import overlooked
from dbops.resources.migrations.lock_file import FILE_NAME
from dbops.resources.migrations.model import DesiredMigrations, Standing
from dbops.resources.migrations.standing import in_the_way, to_run
from dbops.resources.migrations.templates import is_unfilled


def observations(desired: DesiredMigrations, found: Sequence[Standing]) -> list[Observation]:
    """Return what is to be said of a set beside its steps; what stands in the way stops an apply."""
    result = []
    moved = {standing.migration.checksum for standing in found if standing.state == "changed" and standing.migration}
    stuck = {id(standing) for standing in in_the_way(found)}
    for standing in found:
        address = f"{desired.address}/{standing.id}"
        if id(standing) in stuck:
            text = f"{_place(standing)}{standing.id}: {standing.detail}"
            result.append(Observation(address, MIGRATION_REFUSED, text, "error", _way_out(standing, moved)))
        elif standing.state == "unknown":
            result.append(Observation(address, "MIGRATION_UNKNOWN", f"{standing.id}: {standing.detail}", "warning"))
        elif standing.state == "cosmetic":
            result.append(Observation(address, "MIGRATION_EDITED", f"{standing.id}: cosmetic edit since it was applied", "info"))
    result += [
        Observation(
            f"{desired.address}/{standing.id}",
            MIGRATION_REFUSED,
            f"{_place(standing)}{standing.id}: {_UNFILLED}",
            "error",
            _FILL_IN,
        )
        for standing in to_run(found)
        if standing.migration is not None and is_unfilled(standing.migration)
    ]
    result += _days_before_moments(desired, found)
    if not (desired.directory / FILE_NAME).exists() and found:
        text = f"{desired.directory.name} has no {FILE_NAME}, which makes branches that both add migrations conflict"
        address = f"migrationset/{desired.set_name}"  # said once, on however many databases
        result.append(Observation(address, "MIGRATIONS_UNLOCKED", f"{text}; dbops migrate lock writes it"))
    if left := overlooked(desired.directory, desired.format, is_empty=not found):
        named = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
        read = f"only files of the format {desired.format} in {desired.directory.name} itself are migrations"
        text = f"{named}: not read; {read}, and a name that begins with _ says that a file or folder is none"
        result.append(Observation(f"migrationset/{desired.set_name}", "MIGRATIONS_NOT_READ", text, "warning"))
    if not found and desired.format == "alembic":  # of a set that is new somebody knows; Alembic's files may lie elsewhere
        text = (
            f"{desired.directory.name} has no revisions in versions, nor in what alembic.ini names; what env.py names is not read"
        )
        result.append(Observation(f"migrationset/{desired.set_name}", "MIGRATIONS_NONE", text, "warning"))
    return result


_DAY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")


def _days_before_moments(desired: DesiredMigrations, found: Sequence[Standing]) -> list[Observation]:
    """Tell of pending files whose version is a day, which as a smaller number runs in front of moments of days before."""
    filed = [standing.migration for standing in found if standing.migration is not None]
    moments = [one for one in filed if one.version.isdecimal() and len(one.version) in (12, 14) and _DAY.match(one.version)]
    result = []
    for standing in found if moments and desired.has_order else ():
        day = standing.migration
        if day is None or standing.state not in ("pending", "late") or not _DAY.fullmatch(day.version):
            continue
        if earlier := [one for one in moments if one.version < day.version]:
            text = f"{day.id} stands in front of {earlier[0].id}: {day.version} is the smaller number, and the later day"
            text += f"; {day.version.ljust(len(earlier[0].version), '0')} in its name is a moment of that day"
            result.append(Observation(f"{desired.address}/{day.id}", "MIGRATIONS_MIXED", text, "warning"))
    return result


_UNFILLED = "it is as it was begun, without statements"
_FILL_IN = "fill it in; what shall do nothing has a comment that says so, or take the file away"
_PUT_BACK = "put the files back and write a new migration, or dbops migrate verify --accept"
_WAYS_OUT = {
    "changed": _PUT_BACK,
    "late": "give what is late a version behind the last, or let the manifest's outOfOrder be true or if-independent",
    "failed": "dbops migrate down goes on with the way back",
}


def _way_out(standing: Standing, moved: Collection[str]) -> str:
    """Return what to do about a migration that stops an apply; `moved` are the texts of files that others took the place of."""
    if standing.state != "missing" or standing.record is None:
        return _WAYS_OUT[standing.state]
    if standing.record.checksum in moved:
        return _PUT_BACK
    return f"put the file back, or let the ledger forget it: dbops migrate resolve {standing.record.version} --pending"


def changes_by_hand(desired: DesiredMigrations, moved: Sequence[tuple[str, str]]) -> list[Observation]:
    """Return what was changed by hand; with the policy refuse it stops an apply."""
    code, severity = (MIGRATION_REFUSED, "error") if desired.drift == "refuse" else (MIGRATION_DRIFT, "warning")
    way_out = "take it back by hand, or let the manifest's drift be warn or adopt"
    return [
        Observation(f"{desired.address}/{name}", code, f"{name}: {what}", "error" if severity == "error" else "warning", way_out)
        for name, what in moved
    ]


def _place(standing: Standing) -> str:
    return f"{standing.migration.at}: " if standing.migration is not None else ""
