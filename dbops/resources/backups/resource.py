"""The BackupPolicy kind as the loop sees it: what is promised and does not hold is a change, and a call mends it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, cast

from dbops.archive.cipher import Keys
from dbops.archive.manifest import Kind
from dbops.archive.storage.base import StorageError
from dbops.dataclass import dataclass
from dbops.engines.base.backup import Mechanism
from dbops.errors import ApplyError, BackupError, DbopsError, ManifestError, Problems
from dbops.manifests.environment import Environment, Manifest, bindings
from dbops.reconcile.change import BACKUP_STORAGE, Cause, Change, Observation
from dbops.reconcile.plan import Entry, Rehearsal
from dbops.reconcile.resource import Check, Report, Targets
from dbops.reconcile.step import Call, Step
from dbops.resources.backups.choosing import Refusal
from dbops.resources.backups.due import Due, what_is_due
from dbops.resources.backups.keeping import Keeper, keeper_of
from dbops.resources.backups.model import BackupChange, DesiredBackups, ObservedBackups, Standing
from dbops.resources.backups.opening import open_repository
from dbops.resources.backups.remarks import gone, remarks
from dbops.resources.backups.spec import BackupPolicySpec
from dbops.resources.backups.standing import standing_of
from dbops.sql.hazard import Hazard

_DELETES, _DROPS = "DELETES_DATA", "DELETES_OBJECT"


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
        """Check what the types cannot: recipients, and the grammar of the checks."""
        problems: list[DbopsError] = []
        encryption = desired.spec.encryption
        if encryption is not None and encryption.recipients:
            try:
                Keys(encryption.recipients).encryption()
            except BackupError as error:
                problems.append(ManifestError(error.message, at=desired.at, expected=error.expected, fix=error.fix))
        engine = targets.engine(desired.connection)
        for check in desired.spec.verify.checks:
            if (wrong := engine.syntax_error(check)) is not None:
                problems.append(ManifestError(f"the check `{check}` is no SQL: {wrong[1]}", at=desired.at))
        if problems:
            raise Problems(problems)
        return Check(len(desired.spec.verify.checks))

    def observe(self, desired: DesiredBackups, targets: Targets) -> ObservedBackups:
        chosen, refused, timeline = self._possible(desired, targets)
        now = self.clock()
        try:
            standing = standing_of(open_repository(desired, self.process_env), timeline)
        except StorageError as error:
            text = f"the backups cannot be seen: {error.message}"
            told = Observation(desired.address, BACKUP_STORAGE, text, "error")
            unknown = {desired.connection: "unknown"}
            return ObservedBackups(Standing(), now, chosen, True, unknown, (told,), is_known=False)
        keeps = tuple(self.keeper(desired, targets, lambda text: None).keeps()) if desired.spec.retired else ()
        exists = targets.reader(desired.connection) is not None
        lost = () if exists else tuple(gone(desired, standing, targets.target(desired.connection).url))
        return ObservedBackups(
            standing=standing,
            now=now,
            mechanisms=chosen,
            exists=exists,
            fingerprints={desired.connection: _fingerprint(standing, chosen, keeps)},
            observations=(*lost, *remarks(desired, standing, refused, chosen.values(), now)),
            keeps=keeps,
        )

    def diff(self, desired: DesiredBackups, observed: ObservedBackups) -> Sequence[Change]:
        if not observed.is_known:
            return []
        if desired.spec.retired:
            return [_parting(desired, observed.keeps)] if observed.keeps else []
        kinds: tuple[Kind, ...] = tuple(observed.mechanisms) if observed.exists else ("full",)
        due = what_is_due(desired.spec, kinds, observed.standing, observed.now)
        cause: Cause = "drift" if observed.standing.backups else "desired"  # a promise once kept is one that time has broken
        return [_change(desired, one, cause) for one in due]

    def steps(
        self, changes: Sequence[Change], desired: DesiredBackups, observed: ObservedBackups, targets: Targets
    ) -> Sequence[Entry]:
        entries = []
        for place, change in enumerate(cast("Sequence[BackupChange]", changes)):
            hazards = tuple(Hazard(_DELETES, f"the backup {one} is deleted") for one in change.arguments.get("ids", ()))
            parting = [
                Hazard(_DROPS, f"the {name} is dropped, and the log since the last backup is not kept any longer")
                for name in change.arguments.get("keeps", ())
            ]
            step = Step(
                on=desired.connection,
                title=_title(change, observed.mechanisms),
                do=Call(change.call, change.arguments, (*hazards, *parting)),
                undo=None if parting else (),  # of the database nothing has to be taken back, and a backup stays
                order=place,
                allowed=(_DELETES,) if hazards else (),  # `retention` is what allows it
            )
            entries.append(Entry(change, (step,)))
        return entries

    def rehearse(
        self, entries: Sequence[Entry], desired: DesiredBackups, observed: ObservedBackups, targets: Targets
    ) -> Rehearsal | None:
        return None

    def call(self, call: Call, desired: DesiredBackups, connection: str, targets: Targets, report: Report) -> int:
        keeper = self.keeper(desired, targets, lambda text: report.told(f"running: {text}"))
        match call.name:
            case "backup":
                keeper.back_up_if_due(str(call.arguments["type"]))
            case "verify":
                keeper.verify_newest()
            case "let go":
                keeper.let_go()
            case "prune":
                keeper.prune(call.arguments["ids"])
            case _:
                raise ApplyError(f"a backup policy plans no call {call.name!r}")
        return 1

    def taking_back(
        self, desired: DesiredBackups, targets: Targets, undo_id: str, addresses: Collection[str]
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def settle(self, desired: DesiredBackups, targets: Targets, apply_id: str) -> Sequence[Change]:
        return self.diff(desired, self.observe(desired, targets))

    def keeper(self, desired: DesiredBackups, targets: Targets, told: Callable[[str], None]) -> Keeper:
        """Return what keeps a policy."""
        return keeper_of(desired, targets, self.process_env, self.clock, self.version, told)

    def _possible(
        self, desired: DesiredBackups, targets: Targets
    ) -> tuple[Mapping[Kind, Mechanism], Sequence[Refusal], str | None]:
        """Return what makes each scheduled kind, what none does, and the timeline; nothing where the database is missing."""
        reader = targets.reader(desired.connection)
        if reader is None or desired.spec.retired:
            return {}, (), None
        keeper = self.keeper(desired, targets, lambda text: None)
        try:
            timeline = keeper.engine.backups.identity(reader).timeline
            chosen, refused = keeper.mechanisms()
        except BackupError as error:
            marks = desired.marks
            return {}, [Refusal(e.type, error.message, error.fix or "", marks.get(e.type)) for e in desired.spec.schedule], None
        return chosen, refused, timeline


def _change(desired: DesiredBackups, due: Due, cause: Cause) -> BackupChange:
    address = f"{desired.address}/{due.kind if due.act == 'backup' else due.act}"
    arguments: dict[str, Any] = {"type": due.kind} if due.act == "backup" else {"ids": list(due.ids)} if due.ids else {}
    at = desired.marks.get(due.kind, desired.at) if due.kind else desired.at
    return BackupChange(address=address, action="run", cause=cause, reason=due.reason, at=at, call=due.act, arguments=arguments)


def _parting(desired: DesiredBackups, keeps: Sequence[str]) -> BackupChange:
    return BackupChange(
        address=f"{desired.address}/server",
        action="delete",
        cause="desired",
        reason="the policy is retired",
        at=desired.at,
        call="let go",
        arguments={"keeps": list(keeps)},
    )


def _title(change: BackupChange, mechanisms: Mapping[Kind, Mechanism]) -> str:
    match change.call:
        case "backup":
            kind = str(change.arguments["type"])
            tool = next((mechanism.tool for scheduled, mechanism in mechanisms.items() if scheduled == kind), "")
            return f"{kind} backup" + (f" by {tool}" if tool else "")
        case "let go":
            return f"drop the {', '.join(change.arguments['keeps'])}"
        case "verify":
            return "restore the newest backup into a throwaway database and look at it"
        case _:
            number = len(change.arguments["ids"])
            return f"delete {number} backup{'s' if number != 1 else ''} that retention lets go"


def _fingerprint(standing: Standing, mechanisms: Mapping[Kind, Mechanism], keeps: Sequence[str]) -> str:
    marks = [one.id for one in standing.backups] + [f"{one.backup_id} {one.at} {one.ok}" for one in standing.evidence]
    marks += [f"{kind} {one.tool}" for kind, one in mechanisms.items()] + sorted(standing.held) + list(keeps)
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()
