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
from dbops.resources.migrations.graph import dependents_of
from dbops.resources.migrations.model import Direction, Migration, MigrationChange, ObservedMigrations, Standing
from dbops.resources.migrations.resource import as_applied, run_step, shown_of
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
        return _back_to(finding, one, [_can_go(standing, [standing], observed.standings)], workspace.targets)

    return _carried_out(workspace, sets_of(workspace, name), consent, alone)


def redo(workspace: Workspace, consent: Consent, name: str | None = None) -> ApplyResult:
    """Take the last migration back and run it again; one that was edited since by the way back that it had then.

    Raises as `down` does.
    """
    chosen = of_one_name(workspace, name)

    def there_and_back(finding: Finding, one: MigrationWork) -> Finding:
        ledger = workspace.targets.ledger(one.desired.connection, one.desired.table, one.desired.set_name)

        def before(standing: Standing) -> Migration | None:
            assert standing.migration is not None and standing.record is not None
            return as_applied(standing.migration, standing.record.version, ledger)

        back = _back(finding, one, Extent(steps=1), workspace.targets, before)
        again = [
            _entry(one, entry.change.migration, "up", place + len(back.entries), "run again")
            for place, entry in enumerate(reversed(back.entries))
            if isinstance(entry.change, MigrationChange)
        ]
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
"""Returns an edited migration with the way back that it had when it was applied, None where nobody knows it."""


def _back(finding: Finding, one: MigrationWork, extent: Extent, targets: Targets, before: Before = lambda _: None) -> Finding:
    observed = finding.observed
    assert isinstance(observed, ObservedMigrations)
    return _back_to(finding, one, _to_take_back(observed.standings, one, extent, before), targets)


def _back_to(finding: Finding, one: MigrationWork, chosen: Sequence[Migration], targets: Targets) -> Finding:
    observed = finding.observed
    assert isinstance(observed, ObservedMigrations)
    hazards = _hazards(chosen, observed.standings, one, targets.reader(one.desired.connection))
    filed = {one.version: one for one in one.resource.migrations(one.desired)}
    entries = tuple(
        _entry(
            one,
            migration,
            "down",
            place,
            "taken back",
            hazards.get(migration.version, ()),
            is_as_applied=migration != filed.get(migration.version),
        )
        for place, migration in enumerate(chosen)
    )
    # all of the set may be pending afterwards, a checkpoint too that counted for nothing until now
    left_out = {f"{one.desired.address}/{migration.id}" for migration in one.resource.migrations(one.desired)}
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


def _to_take_back(found: Sequence[Standing], one: MigrationWork, extent: Extent, before: Before) -> list[Migration]:
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
    return [_can_go(standing, stands, found, before) for standing in stands]


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
    standing: Standing, going: Sequence[Standing], found: Sequence[Standing], before: Before = lambda _: None
) -> Migration:
    migration = standing.migration
    if migration is None:
        raise MigrationError(
            f"{standing.id} cannot be taken back: {standing.detail}",
            fix="put the file back, whose way down leads back; or take back by hand what it did, and"
            f" dbops migrate resolve {standing.record.version if standing.record else standing.id} --pending",
            error_code="MISSING",
        )
    if standing.state == "changed":
        migration = before(standing)
    if migration is None:
        migration = standing.migration
        assert migration is not None
        raise MigrationError(
            f"{migration.id} cannot be taken back: {standing.detail}",
            at=migration.at,
            fix="its way back was written for what was applied; put the file back first",
            error_code="CHANGED",
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
