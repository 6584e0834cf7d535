"""up, down and redo: plans about migrations alone, carried out under the same locks, journal and consent as an apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dbops.engines.base.connect import Connection
from dbops.errors import MigrationError
from dbops.reconcile.plan import Entry
from dbops.reconcile.planner import Finding, make_plan, observe
from dbops.reconcile.policy import ALL
from dbops.reconcile.resource import Targets
from dbops.resources.migrations.as_applied import as_applied
from dbops.resources.migrations.graph import dependents_of
from dbops.resources.migrations.model import Direction, Migration, MigrationChange, ObservedMigrations, Standing
from dbops.resources.migrations.resource import run_step, shown_of
from dbops.resources.migrations.script import way_back
from dbops.resources.migrations.standing import is_half_way_back
from dbops.sql.hazard import Hazard
from dbops.usecases.apply import ApplyResult, Consent, Locks, OvertakenError, carry_out, locked
from dbops.usecases.migrate.elsewhere import warned
from dbops.usecases.migrate.extent import EVERYTHING, Extent, within
from dbops.usecases.migrate.sets import MigrationWork, find, of_one_name, sets_of
from dbops.usecases.runtime import Workspace, now
from dbops.version import __version__


def up(workspace: Workspace, consent: Consent, extent: Extent = EVERYTHING, name: str | None = None) -> ApplyResult:
    """Run what is pending, in order.

    Raises:
        ApplyError: migrations stand in the way, or one failed; the ledger says what stands.
        MigrationError: there is no such version, or an extent is about several sets.
        LockTimeoutError: another apply held a lock for too long.
    """
    chosen = sets_of(workspace, name) if extent == EVERYTHING else of_one_name(workspace, name)
    return _carried_out(workspace, chosen, consent, lambda finding, one: _until(finding, one, extent), makes=True)


def down(workspace: Workspace, consent: Consent, extent: Extent = EVERYTHING, name: str | None = None) -> ApplyResult:
    """Take applied migrations back, last first: one, `extent.steps`, or all behind the version `extent.to`.

    Raises:
        MigrationError: nothing leads back from one of them, or another that stays depends on it; nothing was done. There are
            several sets, and none is named.
        and what `up` raises.
    """
    chosen = of_one_name(workspace, name)
    return _carried_out(workspace, chosen, consent, lambda finding, one: _back(finding, one, extent, workspace.targets))


def up_one(workspace: Workspace, consent: Consent, word: str, name: str | None = None) -> ApplyResult:
    """Run one migration and no other; what it depends on has run before. Raises as `up` does."""

    def alone(finding: Finding, one: MigrationWork) -> Finding:
        wanted = find(one.resource.migrations(one.desired), word)
        return _only(finding, [entry for entry in finding.entries if _migration(entry).version == wanted.version])

    return _carried_out(workspace, sets_of(workspace, name), consent, alone, makes=True)


def down_one(workspace: Workspace, consent: Consent, word: str, name: str | None = None) -> ApplyResult:
    """Take one migration back, whatever was applied behind it. Raises as `down` does."""

    def alone(finding: Finding, one: MigrationWork) -> Finding:
        observed = finding.observed
        assert isinstance(observed, ObservedMigrations)
        standing = next((s for s in observed.standings if s.record is not None and word in (s.record.version, s.id)), None)
        if standing is None:
            raise MigrationError(f"Migration is not applied: {word}")
        before = _before(one, workspace.targets)
        return _back_to(finding, one, [_can_go(standing, [standing], observed.standings, before)], workspace.targets)

    return _carried_out(workspace, sets_of(workspace, name), consent, alone)


def redo(workspace: Workspace, consent: Consent, name: str | None = None) -> ApplyResult:
    """Take the last migration back and run it again; one that was edited since by the way back that it had then.

    Raises as `down` does.
    """
    chosen = of_one_name(workspace, name)

    def there_and_back(finding: Finding, one: MigrationWork) -> Finding:
        back = _back(finding, one, Extent(steps=1), workspace.targets, takes_edited=True)
        filed = _by_version_in_ledger(finding)
        again = []
        for entry in back.entries:
            migration = filed.get(_migration(entry).version)
            if migration is None:
                raise MigrationError(
                    f"{_migration(entry).id} cannot run again: its file is gone",
                    fix="put the file back; or dbops migrate down, which takes it back by the way back that the ledger has",
                    error_code="MISSING",
                )
            again.append(_entry(one, migration, "up", len(back.entries), "run again"))
        return replace(back, entries=(*back.entries, *again))

    return _carried_out(workspace, chosen, consent, there_and_back)


Shape = Callable[[Finding, MigrationWork], Finding]


def _carried_out(
    workspace: Workspace, chosen: Sequence[MigrationWork], consent: Consent, shape: Shape, *, makes: bool = False
) -> ApplyResult:
    """Plan and carry out; a database that is not there is made where the act `makes` one, else it has nothing to take back."""
    while True:
        names = [one.desired.connection for one in chosen]
        with locked(workspace, consent, names, [one.work for one in chosen]) as locks:
            there = [one for one in chosen if one.desired.connection not in locks.fleet.failures]
            try:
                return _planned(locks.workspace, there, consent, shape, locks, makes=makes)
            except OvertakenError as error:
                consent.announce(f"{error.message}; planning anew")


def _planned(
    workspace: Workspace, chosen: Sequence[MigrationWork], consent: Consent, shape: Shape, locks: Locks, *, makes: bool
) -> ApplyResult:
    names = {one.desired.connection for one in chosen} if makes else set()
    connections = [work for work in workspace.work if work.desired.address in {f"connection/{name}" for name in names}]
    by_address = {one.desired.address: one for one in chosen}
    findings = []
    for finding in warned(observe([*connections, *(one.work for one in chosen)], workspace.targets), workspace):
        one = by_address.get(finding.work.desired.address)
        findings.append(finding if one is None else shape(finding, one))
    plan = make_plan(findings, workspace.targets, version=__version__, environment=workspace.path, now=now(), rehearse=False)
    return carry_out(plan, findings, workspace, consent, locks)


# --- what is to be run


def _until(finding: Finding, one: MigrationWork, extent: Extent) -> Finding:
    """Leave out what lies behind the extent."""
    chosen = {migration.version for migration in within(extent, [_migration(entry) for entry in finding.entries], one)}
    return _only(finding, [entry for entry in finding.entries if _migration(entry).version in chosen])


def _only(finding: Finding, entries: Sequence[Entry]) -> Finding:
    kept = {entry.change.address for entry in entries}
    left = {entry.change.address for entry in finding.entries} - kept
    return replace(finding, entries=tuple(entries), left_out=finding.left_out | left)


def _migration(entry: Entry) -> Migration:
    assert isinstance(entry.change, MigrationChange)
    return entry.change.migration


Before = Callable[[Standing], Migration | None]
"""Returns a migration with the way back that it had when it was applied, None where nobody knows it."""


def _before(one: MigrationWork, targets: Targets) -> Before:
    ledger = targets.ledger(one.desired.connection, one.desired.table, one.desired.set_name)

    def before(standing: Standing) -> Migration | None:
        record = standing.record
        if record is None or (record.direction == "up" and record.state in ("failed", "running")):  # of which only some stands
            return None
        return as_applied(record, ledger, one.desired, standing.migration)

    return before


def _by_version_in_ledger(finding: Finding) -> Mapping[str, Migration]:
    observed = finding.observed
    assert isinstance(observed, ObservedMigrations)
    return {s.record.version: s.migration for s in observed.standings if s.record is not None and s.migration is not None}


def _back(finding: Finding, one: MigrationWork, extent: Extent, targets: Targets, *, takes_edited: bool = False) -> Finding:
    """Take back an extent; with `takes_edited` what was edited since, too, by the way back that it had."""
    observed = finding.observed
    assert isinstance(observed, ObservedMigrations)
    before = _before(one, targets)
    chosen = _to_take_back(observed.standings, one, extent, before, takes_edited=takes_edited)
    return _back_to(finding, one, chosen, targets)


def _back_to(finding: Finding, one: MigrationWork, chosen: Sequence[Migration], targets: Targets) -> Finding:
    observed = finding.observed
    assert isinstance(observed, ObservedMigrations)
    hazards = _hazards(chosen, observed.standings, one, targets.reader(one.desired.connection))
    filed, known = one.resource.migrations(one.desired), _by_version_in_ledger(finding)
    entries = tuple(
        _entry(
            one,
            migration,
            "down",
            place,
            _why_back(migration, known),
            hazards.get(migration.version, ()),
            is_as_applied=migration not in filed,
        )
        for place, migration in enumerate(chosen)
    )
    # all of the set may be pending afterwards, a checkpoint too that counted for nothing until now
    left_out = {f"{one.desired.address}/{migration.id}" for migration in filed}
    left_out |= {change.address for change in one.resource.diff(one.desired, observed)}
    warnings = tuple(one for one in observed.observations if one.severity == "warning")  # what stops `up` is no matter here
    return Finding(finding.work, replace(observed, observations=warnings), entries, frozenset(left_out))


def _hazards(
    chosen: Sequence[Migration], found: Sequence[Standing], one: MigrationWork, reader: Connection | None
) -> Mapping[str, tuple[Hazard, ...]]:
    """Return what the ways back may lose or hold up, by version."""
    if reader is None or not chosen:
        return {}
    from dbops.resources.migrations.hazards import hazards_of_way_back

    applied = [standing.migration for standing in found if standing.migration is not None and standing.record is not None]
    return hazards_of_way_back(chosen, applied, one.engine, reader)


def _why_back(migration: Migration, filed: Mapping[str, Migration]) -> str:
    if migration.version not in filed:
        return "taken back; its file is gone, so by the way back that the ledger has"
    is_edited = migration.checksum != filed[migration.version].checksum
    return "taken back, by the way back that it had when it was applied" if is_edited else "taken back"


def _to_take_back(
    found: Sequence[Standing], one: MigrationWork, extent: Extent, before: Before, *, takes_edited: bool
) -> list[Migration]:
    """Return the migrations to take back, last applied first.

    Raises:
        MigrationError: nothing leads back from one, its file is gone or edited, or one that stays depends on it; or one failed
            half way up, on what the others made.
    """
    _must_be_whole(found)
    stands = [s for s in found if s.record is not None and (s.state in _TAKEN_BACK or is_half_way_back(s))]
    stands = [s for s in stands if not s.id.startswith("R__")]
    stands.sort(key=lambda standing: standing.record.position if standing.record else 0, reverse=True)
    if extent.to is not None:
        target = find(one.resource.migrations(one.desired), extent.to) if extent.to not in ("0", "base") else None
        place = next((i for i, s in enumerate(stands) if s.migration == target), len(stands)) if target else len(stands)
        if target is not None and place == len(stands):
            raise MigrationError(f"{target.id} is not applied, so nothing can be taken back to it")
        stands = stands[:place]
    else:
        stands = stands[: extent.steps or 1]
    return [_can_go(standing, stands, found, before, takes_edited=takes_edited) for standing in stands]


def _must_be_whole(found: Sequence[Standing]) -> None:
    """Raise MigrationError where a part of a migration stands, which no way back begins at."""
    for standing in found:
        record = standing.record
        if standing.state != "failed" or record is None or record.direction == "down":
            continue
        if record.reached or record.trace is not None:
            raise MigrationError(
                f"{standing.id} stands half: {standing.detail}",
                at=standing.migration.at if standing.migration is not None else None,
                fix="mend it and let dbops migrate up go on; or take back by hand what stands of it, and"
                f" dbops migrate resolve {standing.id} --pending",
                error_code="FAILED",
            )


_TAKEN_BACK = ("applied", "cosmetic", "changed", "missing", "unknown")


def _can_go(
    standing: Standing, going: Sequence[Standing], found: Sequence[Standing], before: Before, *, takes_edited: bool = False
) -> Migration:
    filed = migration = standing.migration
    if filed is None:
        migration = before(standing)
    elif standing.state == "changed":
        migration = before(standing) if takes_edited else None
    if migration is None or (migration is not filed and migration.down is None):
        raise MigrationError(
            f"{standing.id} cannot be taken back: {standing.detail}",
            at=filed.at if filed is not None else None,
            fix="its way back was written for what was applied; put the file back first"
            if filed is not None
            else "the ledger has no way back of it: put the file back; or take back by hand what it did, and"
            f" dbops migrate resolve {standing.record.version if standing.record else standing.id} --pending",
            error_code="CHANGED" if filed is not None else "MISSING",
        )
    way_back(migration)
    staying = [s.migration for s in found if s.migration and s.record and s not in going and s.state in ("applied", "cosmetic")]
    if needing := dependents_of(migration.version, staying):
        raise MigrationError(
            f"{migration.id} cannot be taken back while {', '.join(one.id for one in needing)} is applied, which depends on it",
            at=migration.at,
            error_code="DEPENDENTS",
        )
    return migration


def _entry(
    one: MigrationWork,
    migration: Migration,
    direction: Direction,
    order: int,
    reason: str,
    hazards: Sequence[Hazard] = (),
    *,
    is_as_applied: bool = False,
) -> Entry:
    """Return the entry of one migration; what a way back does passes, for it was asked for by name."""
    shown = shown_of(migration, direction, one.engine)
    change = MigrationChange(
        address=f"{one.desired.address}/{migration.id}", action="run", reason=reason, at=migration.at, migration=migration
    )
    step = run_step(one.desired, migration, direction, shown, hazards, is_as_applied=is_as_applied)
    allowed = (*step.allowed, ALL) if direction == "down" else step.allowed
    return Entry(change, (replace(step, order=order, allowed=allowed),))
