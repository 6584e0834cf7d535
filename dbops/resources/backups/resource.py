"""The BackupPolicy kind as the loop sees it: what is promised and does not hold is a change, and a call mends it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from dbops.archive.manifest import Kind
from dbops.archive.repository import Repository
from dbops.engines.base.backup import Mechanism
from dbops.engines.base.connect import Connection
from dbops.errors import ApplyError, BackupError
from dbops.manifests.environment import Environment, Manifest, bindings
from dbops.reconcile.change import Change, Observation
from dbops.reconcile.plan import Entry, Rehearsal
from dbops.reconcile.resource import Check, Report, Targets
from dbops.reconcile.step import Call, Step
from dbops.resources.backups.choosing import Refusal, choose
from dbops.resources.backups.due import overdue
from dbops.resources.backups.making import Maker, make
from dbops.resources.backups.model import BackupChange, DesiredBackups, Failure, ObservedBackups, Standing
from dbops.resources.backups.opening import codec_of, open_repository
from dbops.resources.backups.proving import evidence_from
from dbops.resources.backups.spec import BackupPolicySpec

BACKUP = "backup"


@dataclass(frozen=True, slots=True)
class BackupResource:
    """Fills `reconcile.resource.Resource` for the kind BackupPolicy."""

    clock: Callable[[], datetime]
    version: str
    process_env: Mapping[str, str]

    kind = "backuppolicy"
    rank = 40

    def desired(self, manifest: Manifest, environment: Environment) -> Sequence[DesiredBackups]:
        spec = cast("BackupPolicySpec", manifest.spec)
        several = spec.connection is None
        marks = {entry.type: manifest.mark("spec", "schedule", place) for place, entry in enumerate(spec.schedule)}
        return [
            DesiredBackups(
                name=f"{manifest.name}@{connection.name}" if several else manifest.name,
                policy=manifest.name,
                connection=connection.name,
                at=manifest.at,
                root=manifest.root,
                environment=environment.root,
                spec=spec,
                marks=marks,
            )
            for connection in bindings(environment, manifest)
        ]

    def check(self, desired: DesiredBackups, targets: Targets) -> Check:
        return Check()

    def observe(self, desired: DesiredBackups, targets: Targets) -> ObservedBackups:
        reader = targets.reader(desired.connection)
        chosen, refused, timeline = _possible(desired, targets, reader)
        standing = standing_of(open_repository(desired, self.process_env), timeline)
        return ObservedBackups(
            standing=standing,
            now=self.clock(),
            mechanisms=chosen,
            exists=reader is not None,
            fingerprints={desired.connection: _fingerprint(standing, chosen)},
            observations=tuple(_refused(desired, one) for one in refused) + tuple(_broken(desired, standing)),
        )

    def diff(self, desired: DesiredBackups, observed: ObservedBackups) -> Sequence[Change]:
        kinds: tuple[Kind, ...] = tuple(observed.mechanisms) if observed.exists else ("full",)
        due = overdue(desired.spec, kinds, observed.standing, observed.now)
        return [
            BackupChange(
                address=f"{desired.address}/{entry.type}",
                action="run",
                reason=reason,
                at=desired.marks.get(entry.type),
                call=BACKUP,
                arguments={"type": entry.type},
            )
            for entry, reason in due
        ]

    def steps(
        self, changes: Sequence[Change], desired: DesiredBackups, observed: ObservedBackups, targets: Targets
    ) -> Sequence[Entry]:
        entries = []
        for place, change in enumerate(cast("Sequence[BackupChange]", changes)):
            title = _title(change, observed.mechanisms)
            step = Step(on=desired.connection, title=title, do=Call(change.call, change.arguments), order=place)
            entries.append(Entry(change, (step,)))
        return entries

    def rehearse(
        self, entries: Sequence[Entry], desired: DesiredBackups, observed: ObservedBackups, targets: Targets
    ) -> Rehearsal | None:
        return None

    def call(self, call: Call, desired: DesiredBackups, connection: str, targets: Targets, report: Report) -> int:
        match call.name:
            case "backup":
                kind = str(call.arguments["type"])
                self._back_up(desired, kind, targets, report)
                return 1
            case _:
                raise ApplyError(f"a backup policy plans no call {call.name!r}")

    def taking_back(
        self, desired: DesiredBackups, targets: Targets, undo_id: str, addresses: Collection[str]
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def settle(self, desired: DesiredBackups, targets: Targets, apply_id: str) -> Sequence[Change]:
        return self.diff(desired, self.observe(desired, targets))

    def _back_up(self, desired: DesiredBackups, kind: str, targets: Targets, report: Report) -> None:
        conn = targets.reader(desired.connection)
        if conn is None:
            raise BackupError(f"the database of {desired.connection} does not exist")
        chosen, refused, _ = _possible(desired, targets, conn)
        mechanism = next((one for scheduled, one in chosen.items() if scheduled == kind), None)
        if mechanism is None:
            raise next((one.error() for one in refused if one.kind == kind), BackupError(f"no {kind} backup is scheduled"))
        engine = targets.engine(desired.connection)
        maker = Maker(
            engine.backups,
            engine.name,
            conn,
            targets.target(desired.connection),
            open_repository(desired, self.process_env),
            codec_of(desired),
            self.clock,
            lambda text: report.told(f"running: {text}"),
            self.version,
            frozenset(entry.type for entry in desired.spec.schedule),
        )
        entry = next(entry for entry in desired.spec.schedule if entry.type == kind)
        make(maker, mechanism, dict(entry.options))


def standing_of(repository: Repository, timeline: str | None) -> Standing:
    """Read what stands in a repository."""
    contents = repository.contents()
    evidence, failures, held = [], [], {}
    for _, facts in repository.notes("verify"):
        with suppress(KeyError, TypeError, ValueError):
            evidence.append(evidence_from(facts))
    for key, facts in repository.notes("failures"):
        with suppress(KeyError, TypeError, ValueError):
            failures.append(_failure(key, facts))
    for key, facts in repository.notes("holds"):
        held[key.rpartition("/")[2].removesuffix(".json")] = str(facts.get("reason", ""))
    return Standing(contents.backups, contents.broken, tuple(evidence), tuple(failures), held, timeline)


def _failure(key: str, facts: Mapping[str, Any]) -> Failure:
    return Failure(
        key.rpartition("/")[2].removesuffix(".json"), facts["kind"], datetime.fromisoformat(facts["at"]), facts["error"]
    )


def _possible(
    desired: DesiredBackups, targets: Targets, reader: Connection | None
) -> tuple[Mapping[Kind, Mechanism], Sequence[Refusal], str | None]:
    """Return what makes each scheduled kind, what none does, and the timeline of the database; nothing where it is missing."""
    if reader is None:
        return {}, (), None
    engine = targets.engine(desired.connection)
    try:
        backups = engine.backups
        offered = backups.mechanisms(reader, targets.target(desired.connection))
        timeline = backups.identity(reader).timeline
    except BackupError as error:
        return (
            {},
            [Refusal(e.type, error.message, error.fix or "", desired.marks.get(e.type)) for e in desired.spec.schedule],
            None,
        )
    chosen, refused = choose(desired.spec.schedule, offered, desired.marks)
    return chosen, refused, timeline


def _title(change: BackupChange, mechanisms: Mapping[Kind, Mechanism]) -> str:
    kind = str(change.arguments.get("type", ""))
    tool = next((mechanism.tool for scheduled, mechanism in mechanisms.items() if scheduled == kind), "")
    return f"{kind} backup" + (f" by {tool}" if tool else "")


def _fingerprint(standing: Standing, mechanisms: Mapping[Kind, Mechanism]) -> str:
    marks = [one.id for one in standing.backups] + [f"{one.backup_id} {one.at} {one.ok}" for one in standing.evidence]
    marks += [f"{kind} {one.tool}" for kind, one in mechanisms.items()] + sorted(standing.held)
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()


def _refused(desired: DesiredBackups, refusal: Refusal) -> Observation:
    fix = f"; {refusal.fix}" if refusal.fix else ""
    text = f"a {refusal.kind} backup cannot be made: {refusal.reason}{fix}"
    return Observation(f"{desired.address}/{refusal.kind}", "BACKUP_REFUSED", text, "error")


def _broken(desired: DesiredBackups, standing: Standing) -> list[Observation]:
    return [Observation(desired.address, "BACKUP_BROKEN", f"{one.key}: {one.reason}", "error") for one in standing.broken]
