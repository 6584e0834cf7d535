"""Which policy is meant, and what it works with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from dbops.archive.manifest import Kind, Manifest
from dbops.archive.repository import Contents, Repository
from dbops.engines.base.backup import Mechanism
from dbops.engines.base.connect import Connection, Target
from dbops.errors import BackupError
from dbops.resources.backups.choosing import Refusal, choose
from dbops.resources.backups.making import Maker
from dbops.resources.backups.model import DesiredBackups
from dbops.resources.backups.opening import codec_of, open_repository
from dbops.resources.backups.proving import Prover
from dbops.resources.backups.resource import BackupResource
from dbops.usecases.runtime import Workspace, moment
from dbops.version import __version__

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy on one connection, its repository open."""

    workspace: Workspace
    desired: DesiredBackups
    repository: Repository

    @property
    def name(self) -> str:
        return self.desired.name

    def reader(self) -> Connection:
        """Return a session on the database.

        Raises:
            BackupError: the database does not exist.
        """
        conn = self.workspace.targets.reader(self.desired.connection)
        if conn is None:
            raise BackupError(f"the database of {self.desired.connection} does not exist", fix="dbops apply makes it")
        return conn

    def mechanisms(self) -> tuple[Mapping[Kind, Mechanism], Sequence[Refusal]]:
        """Return what makes each scheduled kind, and what none does."""
        engine, target = self.workspace.targets.engine(self.desired.connection), self.target
        return choose(self.desired.spec.schedule, engine.backups.mechanisms(self.reader(), target), self.desired.marks)

    @property
    def target(self) -> Target:
        return self.workspace.targets.target(self.desired.connection)

    def maker(self, told: Told, conn: Connection | None = None, target: Target | None = None) -> Maker:
        """Return what makes backups of the database, or of another one of its engine."""
        engine = self.workspace.targets.engine(self.desired.connection)
        return Maker(
            engine.backups,
            engine.name,
            conn or self.reader(),
            target or self.target,
            self.repository,
            codec_of(self.desired),
            moment,
            told,
            __version__,
            frozenset(entry.type for entry in self.desired.spec.schedule),
        )

    def prover(self, told: Told) -> Prover:
        engine = self.workspace.targets.engine(self.desired.connection)
        return Prover(engine.backups, engine, self.target, self.repository, moment, told, self.desired.spec.verify.checks)


def policies_of(workspace: Workspace, name: str | None = None) -> list[Policy]:
    """Return the policies of an environment, or the one named, on each connection it is bound to.

    Raises:
        BackupError: there is none; names those there are.
    """
    found = [cast("DesiredBackups", work.desired) for work in workspace.work if isinstance(work.resource, BackupResource)]
    chosen = [one for one in found if name is None or name in (one.name, one.policy)]
    if not chosen:
        names = ", ".join(sorted({one.name for one in found}))
        what = f"no BackupPolicy {name!r}" if name else "no manifest of kind BackupPolicy"
        raise BackupError(
            f"there is {what} in this environment", expected=f"one of {names}" if names else "one: specs/kinds.md shows it"
        )
    return [Policy(workspace, one, open_repository(one, os.environ)) for one in chosen]


def one_policy(workspace: Workspace, name: str | None = None) -> Policy:
    """Return the only policy, or the one named.

    Raises:
        BackupError: there is none, or there are several and none is named.
    """
    found = policies_of(workspace, name)
    if len(found) > 1:
        raise BackupError(
            f"this environment has several policies: {', '.join(one.name for one in found)}",
            fix=f"name one: --policy {found[0].name}",
        )
    return found[0]


def find_backup(contents: Contents, word: str) -> Manifest:
    """Return the backup that an id, the beginning or end of one, or `latest` means.

    Raises:
        BackupError: none is, or several are.
    """
    if word == "latest":
        if not contents.backups:
            raise BackupError("there is no backup yet", fix="dbops backup run makes one")
        return contents.backups[-1]
    found = [one for one in contents.backups if one.id == word] or [
        one for one in contents.backups if one.id.startswith(word) or one.id.endswith(word.upper())
    ]
    if not found:
        raise BackupError(f"there is no backup {word}", fix="dbops backup list shows them")
    if len(found) > 1:
        raise BackupError(f"{word} begins several backups", expected=f"one of {', '.join(one.id for one in found)}")
    return found[0]
