"""One policy on one connection, what stands in its repository, and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Any

from dbops.archive.manifest import Kind, Manifest
from dbops.archive.repository import Broken
from dbops.dataclass import dataclass
from dbops.engines.base.backup import Mechanism
from dbops.errors import Mark
from dbops.reconcile.change import Change, Observation
from dbops.resources.backups.spec import BackupPolicySpec


@dataclass(frozen=True, slots=True)
class DesiredBackups:
    """A policy bound to a connection. `name` is `policy`, or `policy@connection` where a selector chose; `root` is the manifest's
    folder, `environment` the one being planned. `marks` are the places of the schedule's entries.
    """

    name: str
    policy: str
    connection: str
    at: Mark
    root: Path
    environment: Path
    spec: BackupPolicySpec = field(repr=False)
    marks: Mapping[Kind, Mark] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        return f"backuppolicy/{self.name}"

    @property
    def connections(self) -> tuple[str, ...]:
        return (self.connection,)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verification found. `level`: 0 sizes, 1 hashes, 2 the engine's tools, 3 restored and started, 4 to a moment
    between.
    """

    backup_id: str
    at: datetime
    level: int
    ok: bool
    problems: tuple[str, ...] = ()
    seconds: float | None = None
    """How long the restore took; None where none was made."""
    details: Mapping[str, Any] = field(default_factory=dict)
    unopened: str | None = None
    """Why only what needs no key was checked; None where the key at hand opens the backup, as far as was tried. Not kept."""
    falls_short: bool = False
    """True where more was asked for than could be checked without a key, so that it is not known to restore. Not kept."""
    number: int = 0
    """Counts the verifications of a backup, whatever the clock said; 0 where it is not kept."""
    unkept: str | None = None
    """Why this is not beside the backup, as where the storage may only be read; None where it is."""

    @property
    def turn(self) -> tuple[int, datetime]:
        """What sorts the verifications of a backup as they were made."""
        return self.number, self.at


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that made no backup."""

    backup_id: str
    kind: str
    at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in a repository. `timeline` is that of the database now, None while it does not exist."""

    backups: tuple[Manifest, ...] = ()
    broken: tuple[Broken, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    failures: tuple[Failure, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    timeline: str | None = None
    foreign: frozenset[str] = frozenset()
    """The ids of backups that the policy's key does not open."""
    lost: frozenset[tuple[str, str]] = frozenset()
    """The timelines and ids of backups whose parts are there and whose manifest is not, or is damaged."""

    def verified(self, level: int = 3) -> frozenset[str]:
        """Return the ids whose latest evidence of at least `level` is good."""
        return frozenset(backup_id for backup_id, one in self._latest(level).items() if one.ok)

    def refuted(self) -> frozenset[str]:
        """Return the ids whose latest evidence of any level that could tell is bad."""
        return frozenset(backup_id for backup_id, one in self._latest(0).items() if not one.ok)

    def _latest(self, level: int) -> dict[str, Evidence]:
        """Return the latest evidence by id: what is bad stands until evidence of its level or above is good."""
        latest: dict[str, Evidence] = {}
        for one in sorted(self.evidence, key=lambda item: item.turn):
            before = latest.get(one.backup_id)
            if not one.ok or (one.level >= level and (before is None or before.ok or one.level >= before.level)):
                latest[one.backup_id] = one
        return latest


@dataclass(frozen=True, slots=True)
class ObservedBackups:
    """What was found, at `now`. `mechanisms` are those chosen for the schedule, by kind."""

    standing: Standing
    now: datetime
    mechanisms: Mapping[Kind, Mechanism]
    exists: bool
    fingerprints: Mapping[str, str]
    observations: tuple[Observation, ...] = ()
    keeps: tuple[str, ...] = ()
    """What a retired policy still has on the server."""
    is_known: bool = True
    """False where the storage did not answer, so that nothing can be said of what is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupChange(Change):
    """A promise that does not hold, and the call that mends it: `backup`, `verify` or `prune`; `let go` of a retired policy."""

    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
