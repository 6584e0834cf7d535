"""What is done to keep a policy: back up, verify, prune; under the lease of its repository."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from dbops.archive.encryption import KEY_FIX, WrongKeyError
from dbops.archive.lease import Lease, leased
from dbops.archive.manifest import Kind, Manifest
from dbops.archive.repository import Repository
from dbops.archive.storage.base import StorageError
from dbops.dataclass import dataclass
from dbops.engines.base.backup import Mechanism, Told
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.engine import Engine
from dbops.errors import BackupError
from dbops.resources.backups.choosing import Refusal, choose
from dbops.resources.backups.due import Due, counted, given_up, prunable, what_is_due, words_of
from dbops.resources.backups.making import Maker, make, owner_of, unread
from dbops.resources.backups.model import DesiredBackups, Evidence, Standing
from dbops.resources.backups.opening import codec_of, open_repository
from dbops.resources.backups.proving import Prover, must_be_kept, prove
from dbops.resources.backups.pruning import Pruned, prune
from dbops.resources.backups.remarks import way_back
from dbops.resources.backups.sources import SAFETY
from dbops.resources.backups.standing import standing_of
from dbops.telemetry import operation

WAIT_S = 60.0
_FULL: frozenset[Kind] = frozenset({"full"})


@dataclass(frozen=True, slots=True)
class Keeper:
    """One policy on one connection, and what it works with. `conn` gives a session that reads, None where there is no
    database.
    """

    desired: DesiredBackups
    engine: Engine
    target: Target
    conn: Callable[[], Connection | None]
    repository: Repository
    clock: Callable[[], datetime]
    version: str
    told: Told
    wait_s: float = WAIT_S
    """How long another writer is waited for."""

    def session(self) -> Connection:
        """Return a session on the database.

        Raises:
            BackupError: it does not exist.
        """
        conn = self.conn()
        if conn is None:
            raise BackupError(f"the database of {self.desired.connection} does not exist", fix=self._way_back())
        return conn

    def _way_back(self) -> str:
        """Return what brings back, or makes, a database that is not there."""
        made: Sequence[Manifest] = ()
        with suppress(StorageError):
            made = self.repository.contents().backups
        return f"{way_back(self.target.url)}; dbops apply makes an empty one" if made else "dbops apply makes it"

    def mechanisms(self) -> tuple[Mapping[Kind, Mechanism], Sequence[Refusal]]:
        """Return what makes each scheduled kind, and what none does."""
        schedule = self.desired.spec.schedule
        offered = self.engine.backups.mechanisms(self.session(), self.target, {entry.type for entry in schedule})
        return choose(schedule, offered, self.desired.marks)

    def keeps(self) -> Sequence[str]:
        """Name what the policy has on the server between two runs."""
        conn = self.conn()
        return self.engine.backups.keeps(conn, owner_of(self.repository)) if conn is not None else ()

    def let_go(self) -> None:
        """Remove what the policy has on the server."""
        self.engine.backups.let_go(self.session(), owner_of(self.repository))

    def standing(self) -> Standing:
        """Read what stands in the repository, for the database as it is now."""
        conn = self.conn()
        timeline = self.engine.backups.identity(conn).timeline if conn is not None else None
        return standing_of(self.repository, timeline)

    def due(self) -> list[Due]:
        """Return what is due now."""
        return what_is_due(self.desired.spec, tuple(self.mechanisms()[0]), self.standing(), self.clock())

    def must_be_of_use(self) -> None:
        """Let a policy pass whose backups can be relied on, or for which another one is worth a try.

        Raises:
            BackupError: two fulls in a row were found wanting.
        """
        if (stop := given_up(self.desired.spec, self.standing(), self.clock())) is not None:
            raise BackupError(
                words_of(stop),
                fix="correct what is wrong there, or in verify.checks; then dbops backup verify --id latest, or dbops backup run"
                " --type full",
                error_code="BACKUP_UNRESTORABLE",
            )

    def back_up(self, kind: str) -> Manifest:
        """Make one backup of a scheduled kind.

        Raises:
            BackupError: it cannot be made here, is not scheduled, or failed; LeaseHeldError: another run is at it.
        """
        made = self._backed_up(kind, lambda: True)
        assert made is not None
        return made

    def back_up_if_due(self, kind: str) -> Manifest | None:
        """Make one backup as `back_up` does, unless another run has made it between the look at what is due and this."""
        return self._backed_up(kind, lambda: any(due.kind == kind for due in self.due()))

    def _backed_up(self, kind: str, is_wanted: Callable[[], bool]) -> Manifest | None:
        if self.desired.spec.retired:
            raise BackupError(f"the policy {self.desired.name} is retired", at=self.desired.at, fix="take `retired` out of it")
        chosen, refused = self.mechanisms()
        mechanism = next((one for scheduled, one in chosen.items() if scheduled == kind), None)
        if mechanism is None:
            for refusal in refused:
                if refusal.kind == kind:
                    raise refusal.error()
            kinds = ", ".join(entry.type for entry in self.desired.spec.schedule)
            message = f"the policy {self.desired.name} has no {kind} backups"
            raise BackupError(message, at=self.desired.at, expected=f"one of its schedule: {kinds}")
        entry = next(entry for entry in self.desired.spec.schedule if entry.type == kind)
        scheduled = frozenset(entry.type for entry in self.desired.spec.schedule)
        with self._making(self.session(), self.target) as maker:
            if not is_wanted():
                self.told(f"another run has made the {kind} backup meanwhile")
                return None
            with operation("backup", {"dbops.policy": self.desired.name, "dbops.backup.kind": kind}):
                return make(replace(maker, kinds=scheduled), mechanism, dict(entry.options))

    def save(self, conn: Connection, target: Target, why: str) -> Manifest:
        """Make a full backup of another database, set aside from the schedule's.

        Raises:
            BackupError: it cannot be made, or failed.
        """
        refused: list[Mechanism] = []
        for mechanism in chain.from_iterable(self.engine.backups.mechanisms(conn, target, _FULL)):
            if mechanism.works:
                break
            refused.append(mechanism)
        else:
            raise BackupError(f"what stands there cannot be saved first: {refused[0].refusal}", fix=refused[0].fix)
        with self._making(conn, target) as maker:
            return make(maker, mechanism, labels={SAFETY: why})

    def verify(self, manifest: Manifest, level: int) -> Evidence:
        """Prove one backup, and keep the evidence if the storage lets.

        The checks are no questions to what a restore has set aside.
        """
        checks = self.desired.spec.verify.checks if SAFETY not in manifest.labels else ()
        prover = Prover(self.engine.backups, self.engine, self.target, self.repository, self.clock, self.told, checks)
        with operation("verify", {"dbops.policy": self.desired.name, "dbops.verify.level": level}):
            return prove(prover, manifest, self.repository.contents(), level)

    def verify_newest(self) -> Evidence | None:
        """Prove the newest backup by a restore; None when there is none.

        Raises:
            BackupError: it does not restore; WrongKeyError: the key at hand does not open it.
        """
        backups = counted(self.standing())
        if not backups:
            return None
        evidence = must_be_kept(self.verify(backups[-1], 3))
        if evidence.unopened is not None:
            raise WrongKeyError(f"{backups[-1].id} was not tried: {evidence.unopened}", fix=self._who_may_prove())
        if not evidence.ok:
            raise BackupError(
                f"{backups[-1].id} does not restore: {evidence.problems[0]}",
                {"problems": list(evidence.problems)},
                fix="dbops backup run --type full makes a new one" + self._what_apply_does(),
                error_code="BACKUP_UNRESTORABLE",
            )
        return evidence

    def _who_may_prove(self) -> str:
        """Return what to do where the key at hand does not open what is to be proven; with recipients alone none does."""
        if self.repository.keys.secret is not None or not self.repository.keys.recipients:
            return KEY_FIX
        return (
            "let a machine that has the identity prove it: dbops backup verify --storage URL --key-file FILE; and where one does"
            " so by itself, say `verify: {restore: never}` here"
        )

    def _what_apply_does(self) -> str:
        if given_up(self.desired.spec, self.standing(), self.clock()) is None:
            return "; the next apply does so too"
        return ", but so was the one before it: correct what was found first"

    def prune(self, only: Sequence[str] | None = None, *, is_dry: bool = False) -> Pruned:
        """Delete what retention lets go, of `only` these, and old parts that belong to no backup."""
        if is_dry:
            return self._prune(only, is_dry=True)
        with self.leased() as lease:
            return self._prune(only, is_dry=False, check=lease.check)

    def leased(self) -> AbstractContextManager[Lease]:
        """Hold the lease of the repository; raises LeaseHeldError when another writer does not end in time."""
        repository = self.repository

        def newest() -> int:
            return max((one.fence for one in repository.contents().backups), default=0)

        return leased(repository.storage, repository.target, self.clock, wait_s=self.wait_s, told=self.told, floor=newest)

    def _prune(self, only: Sequence[str] | None, *, is_dry: bool, check: Callable[[], None] = lambda: None) -> Pruned:
        verdict = prunable(self.desired.spec, self.standing(), self.clock())
        going = [one for one in verdict.deleted if only is None or one.id in only]
        return prune(self.repository, going, self.clock, self.told, is_dry=is_dry, check=check, forget=self.forget)

    def forget(self, manifest: Manifest) -> None:
        """Let a tool that keeps backups in a place of its own remove one that is about to be deleted."""
        self.engine.backups.forget(unread(self.repository, manifest), self.told)

    @contextmanager
    def _making(self, conn: Connection, target: Target) -> Iterator[Maker]:
        with self.leased() as lease:
            maker = Maker(
                self.engine.backups,
                self.engine.name,
                conn,
                target,
                self.repository,
                codec_of(self.desired),
                self.clock,
                self.told,
                self.version,
            )
            yield replace(maker, fence=lease.number, check=lease.check)


def keeper_of(
    desired: DesiredBackups, place: Any, process_env: Mapping[str, str], clock: Callable[[], datetime], version: str, told: Told
) -> Keeper:
    """Return the keeper of a policy; `place` is `reconcile.resource.Targets`."""
    name = desired.connection
    repository = open_repository(desired, process_env)
    return Keeper(desired, place.engine(name), place.target(name), lambda: place.reader(name), repository, clock, version, told)
