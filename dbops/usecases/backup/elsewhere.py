"""Backups without an environment: a storage's URL and the key are all that is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

from dbops.archive.cipher import Keys
from dbops.archive.index import Index
from dbops.archive.repository import Broken, Contents, Repository, index_folder, manifest_key, targets_in
from dbops.archive.storage.base import Storage
from dbops.archive.storage.opening import StorageAddress, open_storage
from dbops.dataclass import dataclass
from dbops.engines.base.backup import Told
from dbops.engines.base.connect import Target
from dbops.engines.base.url import DatabaseUrl
from dbops.errors import BackupError, Mark
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.model import DesiredBackups
from dbops.resources.backups.spec import BackupPolicySpec
from dbops.usecases import runtime
from dbops.version import __version__


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A storage by itself. A relative `file://` URL lies in the working directory; `secret` is a key or age identities."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: bytes | None = field(default=None, repr=False)
    accepts: tuple[str, ...] = ()

    def keepers(self, told: Told) -> list[Keeper]:
        """Return one keeper for each target that has backups; it has no database.

        Raises:
            BackupError: there are no backups; StorageError: the storage does not answer.
        """
        found, unread = self.looked_at(told)
        for text in (reasons := [reason_of(target, contents) for target, contents in unread.items()]):
            told(text)
        if reasons and not found:
            raise BackupError(reasons[0])
        if not found:
            raise BackupError(f"there are no backups in {self._storage().title}")
        return found

    def looked_at(self, told: Told) -> tuple[list[Keeper], dict[str, Contents]]:
        """Return the keepers of the targets that have backups, and what there is of those of which none can be read.

        Raises:
            StorageError: the storage does not answer.
        """
        storage = self._storage()
        index = Index(index_folder(dict(os.environ)))
        found, unread = list[Keeper](), dict[str, Contents]()
        for target in targets_in(storage):
            repository = Repository(storage, target, Keys(secret=self.secret, accepts=self.accepts), index)
            contents = repository.contents()
            name = next((one.engine for one in contents.backups if one.engine in runtime.ENGINES), None)
            if name is None:
                foreign = (Broken(manifest_key(one), f"no engine is called {one.engine!r}") for one in contents.backups)
                if broken := (*contents.broken, *foreign):  # else it is what a run left that died
                    unread[target] = replace(contents, broken=broken)
                continue
            engine = runtime.engine_named(name)
            near = Target("", DatabaseUrl(name))  # type: ignore[arg-type]  # one of the engines' names
            desired = _desired(target, self.url)
            found.append(Keeper(desired, engine, near, lambda: None, repository, runtime.moment, __version__, told))
        return found, unread

    def _storage(self) -> Storage:
        return open_storage(StorageAddress(self.url, self.options), Path.cwd())


def reason_of(target: str, contents: Contents) -> str:
    """Say why nothing of a target can be read."""
    return f"none of the backups of {target} can be read: {contents.broken[0].reason}"


def _desired(target: str, url: str) -> DesiredBackups:
    """Return a policy that promises nothing."""
    spec = BackupPolicySpec.model_validate(
        {
            "connection": target,
            "storage": {"url": url},
            "schedule": [{"type": "full", "cron": "0 0 1 1 *"}],
            "verify": {"restore": "never"},
            "retired": True,
        }
    )
    return DesiredBackups(target, target, target, Mark(url), Path.cwd(), Path.cwd(), spec)
