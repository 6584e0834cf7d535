"""Backups of databases by their URLs, in a folder, without an environment; what is asked of a backup is read from the folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import field, replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from dbops.archive.cipher import Keys
from dbops.archive.index import Index
from dbops.archive.manifest import Kind, Manifest
from dbops.archive.naming import word
from dbops.archive.repository import Repository, index_folder, targets_in
from dbops.archive.storage.opening import StorageAddress, open_storage
from dbops.dataclass import dataclass
from dbops.engines.base.connect import Target
from dbops.engines.base.url import DatabaseUrl
from dbops.errors import BackupError, DbopsError, Mark
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.model import DesiredBackups, Evidence
from dbops.resources.backups.proving import must_be_kept
from dbops.resources.backups.pruning import deletable, must_be_gone, prune
from dbops.resources.backups.spec import BackupPolicySpec
from dbops.usecases import runtime
from dbops.usecases.backup.elsewhere import Elsewhere
from dbops.usecases.backup.policies import find_backup
from dbops.usecases.backup.restore import RestoreResult, RestoreWish, restore
from dbops.usecases.databases.address import target_of
from dbops.version import __version__

METHODS = ("gzip", "none", "zstd")


@dataclass(frozen=True, slots=True)
class Held:
    """A backup in the folder, and where its files lie."""

    manifest: Manifest
    folder: Path
    latest: Evidence | None

    @property
    def compression(self) -> str:
        """How its streams are compressed, none where no stream is."""
        return next((stream.compression for stream in self.manifest.streams if stream.compression != "none"), "none")


@dataclass(frozen=True, slots=True)
class _OfOne(Elsewhere):
    """The repository of one name, for a backup of one engine, whose database may be near.

    Databases of two engines may have been backed up under one name.
    """

    target: str = ""
    engine: str = ""
    near: Target | None = field(default=None, repr=False)

    def keepers(self, told: Any) -> list[Keeper]:
        if self.engine not in runtime.ENGINES:
            raise BackupError(f"no engine is called {self.engine!r}", expected=f"one of {', '.join(runtime.ENGINES)}")
        # two steps, for the dataclass's slots make a class of which super() without arguments knows nothing
        found = [one for one in Elsewhere.keepers(self, told) if one.desired.name == self.target]
        target = self.near or Target("", DatabaseUrl(self.engine))  # type: ignore[arg-type]  # one of the engines' names
        return [replace(one, engine=runtime.engine_named(self.engine), target=target) for one in found]


class BackupFolder:
    """The backups in a folder, of any number of databases by name."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder.absolute()

    @property
    def url(self) -> str:
        return f"file://{quote(str(self.folder))}"

    def make(self, name: str, url: str, kind: str, compression: str) -> Held:
        """Make a backup of the database of a URL, under a name.

        Raises:
            BackupError: no such kind or compression, one that cannot be made of this database, or it failed.
            ConnectError: the database cannot be reached.
        """
        if kind not in get_args(Kind):
            raise BackupError(f"unknown backup type {kind!r}", expected=f"one of {', '.join(get_args(Kind))}")
        if compression not in METHODS:
            raise BackupError(f"unknown compression {compression!r}", expected=f"one of {', '.join(METHODS)}")
        target = target_of(url, timeout_s=30.0, attempts=3, tls_mode="prefer")
        engine = runtime.engine_for(target.url)
        method = {"method": "logical"} if engine.features.has_servers else {}
        schedule: list[dict[str, Any]] = [{"type": "full", "cron": _NEVER, **method}]
        if kind != "full":
            schedule.append({"type": kind, "cron": _NEVER})
        spec = {
            "connection": "database",
            "storage": {"url": self.url},
            "schedule": schedule,
            "compression": {"method": compression},
            "verify": {"restore": "never"},
        }
        desired = DesiredBackups(
            name, name, "database", Mark(name), self.folder, self.folder, BackupPolicySpec.model_validate(spec)
        )
        with closing(engine.connect(target, readonly=True)) as conn:
            keeper = Keeper(
                desired,
                engine,
                target,
                lambda: conn,
                self._repository(word(name)),
                runtime.moment,
                __version__,
                lambda text: None,
            )
            return self._held(keeper.back_up(kind), ())

    def all(self, name: str | None = None) -> list[Held]:
        """Return what the folder holds, newest first; no database is asked."""
        found: list[Held] = []
        for target in self._targets():
            if name is not None and target != word(name):
                continue
            repository = self._repository(target)
            evidence = _evidence(repository)
            found += [self._held(one, evidence) for one in repository.contents().backups]
        return sorted(found, key=lambda one: (one.manifest.begun_at, one.manifest.fence), reverse=True)

    def find(self, backup_id: str) -> Held:
        """Return one backup by its id, or `latest`.

        Raises:
            BackupError: there is none; names the nearest.
        """
        found = self.all()
        if backup_id == "latest" and found:
            return found[0]
        one = next((one for one in found if one.manifest.id == backup_id), None)
        if one is None:
            from difflib import get_close_matches

            near = get_close_matches(backup_id, [one.manifest.id for one in found], 1)
            raise BackupError(f"Backup not found: {backup_id}", fix=f"did you mean {near[0]}?" if near else None)
        return one

    def verify(self, backup_id: str, url: str | None, *, restores: bool) -> tuple[Evidence, Evidence | None, str | None]:
        """Prove what is stored, and by a restore into a throwaway database; return both, and why the latter was not tried.

        `url` leads to a server on which the throwaway database is made, where one is needed; no other is asked for one.

        Raises:
            BackupError: there is no such backup.
        """
        held = self.find(backup_id)
        keeper = self._keeper(held, url)
        stored = must_be_kept(keeper.verify(held.manifest, 1))
        if not restores or not stored.ok:
            return stored, None, None
        if keeper.engine.features.has_servers and self._near(held, url) is None:
            return stored, None, f"the restore was not tried: no database URL leads to a server of {held.manifest.engine}"
        try:
            restored = must_be_kept(keeper.verify(held.manifest, 3))
        except DbopsError as error:
            return stored, None, error.message
        if restored.unopened is not None:
            return stored, None, f"the restore was not tried: {restored.unopened}"
        return stored, restored, None

    def restore(self, backup_id: str, url: str, *, replaces: bool) -> RestoreResult:
        """Restore a backup, with all that it follows, into the database of a URL, which may be missing.

        Raises:
            BackupError: it is damaged, the target holds something and is not to be replaced (nothing was touched), or it failed.
        """
        held = self.find(backup_id)
        near = target_of(url, timeout_s=30.0, attempts=3, tls_mode="prefer")
        place = _OfOne(self.url, target=held.manifest.target, engine=held.manifest.engine, near=near)
        return restore(place, RestoreWish(url, held.manifest.id, replaces=replaces), lambda text: None)

    def delete(self, backup_id: str) -> None:
        """Delete one backup.

        Raises:
            BackupError: there is none, others depend on it, it is held, or the last that is known to restore.
        """
        held = self.find(backup_id)
        self._remove(self._keeper(held, None), held.manifest)

    def prune(self, name: str, keep: int) -> list[str]:
        """Delete all but the newest `keep` full backups of a database and what follows them; return the ids of what went.

        Raises:
            BackupError: fewer than one is to be kept.
        """
        if keep < 1:
            raise BackupError(f"{keep} backups cannot be kept", expected="1 or more")
        found = self.all(name)
        fulls = [one.manifest.id for one in found if one.manifest.kind == "full"][:keep]
        going = [one for one in found if one.manifest.full_id not in fulls]
        for one in going:  # newest first, so that nothing that goes is needed any longer
            self._remove(self._keeper(one, None), one.manifest)
        return [one.manifest.id for one in going]

    # --- repositories

    def _remove(self, keeper: Keeper, manifest: Manifest) -> None:
        with keeper.leased() as lease:
            standing = keeper.standing()
            contents = keeper.repository.contents()
            going = deletable(find_backup(contents, manifest.id), contents, standing.held, standing.verified(), cascades=False)
            must_be_gone(manifest, prune(keeper.repository, going, keeper.clock, keeper.told, check=lease.check))

    def _keeper(self, held: Held, url: str | None) -> Keeper:
        place = _OfOne(self.url, target=held.manifest.target, engine=held.manifest.engine, near=self._near(held, url))
        return place.keepers(lambda text: None)[0]

    @staticmethod
    def _near(held: Held, url: str | None) -> Target | None:
        """Return the database of a URL, None where it is of another engine than the backup."""
        near = target_of(url, timeout_s=30.0, attempts=1, tls_mode="prefer") if url is not None else None
        return near if near is not None and near.url.engine == held.manifest.engine else None

    def _targets(self) -> Sequence[str]:
        if not self.folder.is_dir():
            return ()
        return targets_in(open_storage(StorageAddress(self.url, {}), self.folder))

    def _repository(self, target: str) -> Repository:
        storage = open_storage(StorageAddress(self.url, {}), self.folder)
        return Repository(storage, target, Keys(), Index(index_folder(dict(os.environ))))

    def _held(self, manifest: Manifest, evidence: Sequence[Evidence]) -> Held:
        latest = [one for one in evidence if one.backup_id == manifest.id]
        folder = self.folder / manifest.target / manifest.timeline / "backups" / manifest.id
        return Held(manifest, folder, max(latest, key=lambda one: one.turn, default=None))


_NEVER = "0 0 1 1 *"
"""A schedule has to say when; nobody asks this one."""


def _evidence(repository: Repository) -> Sequence[Evidence]:
    from dbops.resources.backups.standing import standing_of

    return standing_of(repository, None).evidence
