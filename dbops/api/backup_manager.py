"""Backups from Python: made, listed, verified by a restore, restored; in the format of the command line's, in a folder.

Every artifact is checked by hashes; a restore checks all of them before it touches anything, and keeps what stood there before.
No password reaches a command line or a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from dbops.arguments import checked
from dbops.dataclass import dataclass
from dbops.errors import ArgumentError, BackupError, DbopsError

if TYPE_CHECKING:
    from dbops.usecases.backup.direct import BackupFolder, Held

__all__ = ["Backup", "BackupManager", "BackupResult", "backup_database"]

_MEGABYTE = 1_000_000


@dataclass()
class Backup:
    """A backup as it lies in the folder.

    `file_path` is the folder of its parts, `size_mb` what they take there in millions of bytes. `created_at` is in UTC.
    `checksum` is the BLAKE3 that seals its manifest, and with that the hashes of all parts. `metadata` has the server's
    version, what it follows, and how it was verified last.
    """

    backup_id: str
    database_name: str
    database_type: str
    backup_type: str
    file_path: str
    size_mb: float
    created_at: datetime
    compression: str = "none"
    encryption: bool = False
    checksum: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass()
class BackupResult:
    """What came of a backup or a restore; true when it succeeded. `duration` is in seconds."""

    backup_id: str
    success: bool
    duration: float
    file_size_mb: float
    error_message: str | None = None
    warnings: list[str] = field(default_factory=list)
    checksum: str | None = None

    def __bool__(self) -> bool:
        return self.success


@checked
class BackupManager:
    """The backups in a workspace's folder `backups`; `workspace_dir` defaults to the working directory.

    Everything is read from the folder, so another program, or a later one, sees the same. `database_url` is the database of what
    names none.
    """

    def __init__(self, workspace_dir: str | Path | None = None, database_url: str | None = None) -> None:
        self.workspace_dir: Path = Path(workspace_dir or Path.cwd())
        self.backup_dir: Path = self.workspace_dir / "backups"
        self.database_url = database_url

    def create_backup(
        self,
        database_name: str | None = None,
        database_url: str | None = None,
        backup_type: str = "full",
        compression: str = "gzip",
        include_schema: bool = True,
        include_data: bool = True,
        *,
        output_path: str | Path | None = None,
        database: str | None = None,
    ) -> BackupResult:
        """Make a backup of a database, listed under a name.

        `backup_type` is full, incremental or differential, `compression` gzip, zstd or none.
        `create_backup(database, output_path)` writes into another folder, which a restore takes for itself; `database`, another
        word for `database_name`, is then a name or a URL.

        Raises:
            BackupError: no URL is known, an unknown type or compression, a type that this database cannot have, a part of a
                database alone, or the backup failed.
            ConnectError: the database cannot be reached.
        """
        name: str = _either(database_name, database, "create_backup(database_name, ...)")
        if database_url is not None and "://" not in database_url:
            database_url, output_path = None, database_url
        if not (include_schema and include_data):
            raise BackupError(
                "a backup has the schema and the rows, so that it can be restored",
                fix="leave include_schema and include_data True",
            )
        url = self._url(name, database_url)
        folder = self._folder(self.backup_dir if output_path is None else Path(output_path))
        with _wanting_the_extra():
            began = monotonic()
            held = folder.make(_name(name), url, backup_type, compression)
        return BackupResult(
            held.manifest.id,
            True,
            monotonic() - began,
            held.manifest.stored_size / _MEGABYTE,
            None,
            list(held.manifest.warnings),
            held.manifest.seal,
        )

    def restore_backup(
        self,
        backup_id: str | Path | None = None,
        database_url: str | None = None,
        drop_existing: bool = False,
        *,
        database: str | None = None,
        backup_path: str | Path | None = None,
    ) -> BackupResult:
        """Restore a backup, and those it follows, into a database, which is made where it is missing.

        `backup_id`, or `backup_path`, is an id, `latest`, or the folder that `create_backup(database, output_path)` wrote. The
        target is a URL, or the path of a SQLite file. One that holds something is left alone unless `drop_existing`, which
        saves it as a backup first.
        What cannot be restored comes back as `success=False`; nothing was touched then, unless the message says so.

        Raises:
            BackupError: there is no such backup, or no target is known.
        """
        wanted: str | Path = _either(backup_id, backup_path, "restore_backup(backup_id, ...)")
        path = Path(wanted)
        is_folder = path.is_dir()
        folder = self._folder(path if is_folder else self.backup_dir)
        with _wanting_the_extra():
            held = folder.find("latest" if is_folder else str(wanted))
            target = self._url("", database_url if database_url is not None else database)
            began = monotonic()
            try:
                done = folder.restore(held.manifest.id, target, replaces=drop_existing)
            except DbopsError as error:
                return self._result(held, monotonic() - began, error.message)
        warnings = [f"what stood there is saved as {done.safety.id}"] if done.safety is not None else []
        return self._result(held, monotonic() - began, None, warnings)

    def verify_backup(self, backup_id: str, test_restore: bool = True) -> dict[str, Any]:
        """Prove a backup by the hashes of all its bytes, and by a restore into a throwaway database.

        `{valid, backup_id, file_exists, checksum_valid, restore_tested, issues}`. Servers make the throwaway database where
        `database_url` leads to, or on one of their own where no server answers there; where that is not possible
        `restore_tested` is False, and `issues` says why.

        Raises:
            BackupError: there is no such backup.
        """
        folder = self._folder(self.backup_dir)
        with _wanting_the_extra():
            held = folder.find(backup_id)
            stored, restored, untried = folder.verify(held.manifest.id, self.database_url, restores=test_restore)
        issues = [*stored.problems, *(restored.problems if restored is not None else ()), *([untried] if untried else [])]
        return {
            "valid": stored.ok and (restored is None or restored.ok),
            "backup_id": held.manifest.id,
            "file_exists": held.folder.is_dir(),
            "checksum_valid": stored.ok,
            "restore_tested": restored is not None,
            "issues": issues,
        }

    def get_backup_info(self, backup_id: str) -> dict[str, Any] | None:
        """Return the fields of one backup, as `list_backups` does; None when there is none of that id."""
        return next((one for one in self.list_backups() if one["backup_id"] == backup_id), None)

    def list_backups(self, database_name: str | None = None, *, database: str | None = None) -> list[dict[str, Any]]:
        """Return the fields of `Backup` for every backup, or those of one database under either name, newest first."""
        from dataclasses import asdict

        name = database if database_name is None else database_name
        with _wanting_the_extra():
            found = self._folder(self.backup_dir).all(None if name is None else _name(name))
        return [asdict(_backup(one)) for one in found]

    def delete_backup(self, backup_id: str) -> bool:
        """Delete a backup; return whether there was one.

        Raises:
            BackupError: others follow it, somebody holds it, or it is the last that is known to restore.
        """
        if self.get_backup_info(backup_id) is None:
            return False
        self._folder(self.backup_dir).delete(backup_id)
        return True

    def prune(self, database_name: str, keep: int) -> list[str]:
        """Delete all but the newest `keep` full backups of a database, and what follows those; return the ids of what went.

        Raises:
            BackupError: `keep` is less than 1, or one that would go must not; those before it are gone.
        """
        with _wanting_the_extra():
            return self._folder(self.backup_dir).prune(_name(database_name), keep)

    def _url(self, name: str, given: str | None) -> str:
        """Return the URL that is meant: the one given, the name where it is one itself, or the manager's own."""
        if given is not None:
            return given if "://" in given else f"sqlite:///{Path(given).absolute()}"
        if "://" in name:
            return name
        if self.database_url is not None:
            return self.database_url
        if name and Path(name).is_file():
            return f"sqlite:///{Path(name).absolute()}"
        raise BackupError("no database URL is known", fix="give database_url here or to the manager")

    @staticmethod
    def _folder(path: Path) -> BackupFolder:
        with _wanting_the_extra():
            from dbops.usecases.backup.direct import BackupFolder

            return BackupFolder(path)

    @staticmethod
    def _result(held: Held, seconds: float, error: str | None, warnings: list[str] | None = None) -> BackupResult:
        manifest = held.manifest
        size = manifest.stored_size / _MEGABYTE
        return BackupResult(manifest.id, error is None, seconds, size, error, warnings or [], manifest.seal)


@checked
def backup_database(
    database_name: str, database_url: str | None = None, backup_type: str = "full", compression: str = "gzip"
) -> BackupResult:
    """Make a backup into the folder `backups` of the working directory; see `BackupManager.create_backup`."""
    return BackupManager().create_backup(database_name, database_url, backup_type, compression)


def _either(one: Any, other: Any, call: str) -> Any:
    """Return the argument that was given under one of its two names; an empty text names nothing."""
    given = other if one is None else one
    if given is None or given == "" or (one is not None and other is not None):
        raise ArgumentError(f"{call}: give its first argument, once")
    return given


def _name(database: str) -> str:
    """Return a name for a database that is named by its URL or file."""
    if "://" in database:
        from dbops.usecases.databases.address import title_of

        return title_of(database)
    return Path(database).stem if database.endswith((".db", ".sqlite", ".sqlite3")) else database


def _backup(held: Held) -> Backup:
    manifest, latest = held.manifest, held.latest
    return Backup(
        manifest.id,
        manifest.target,
        manifest.engine,
        manifest.kind,
        str(held.folder),
        manifest.stored_size / _MEGABYTE,
        manifest.begun_at,
        held.compression,
        manifest.encryption.get("method") != "none",
        manifest.seal,
        {
            "server_version": manifest.server_version,
            "parent_id": manifest.parent_id,
            "database_size_bytes": manifest.database_size,
            "duration": manifest.duration_s,
            "warnings": list(manifest.warnings),
            "labels": dict(manifest.labels),
            "verified_at": latest.at.isoformat() if latest is not None else None,
            "verified": latest.ok if latest is not None else None,
        },
    )


@contextmanager
def _wanting_the_extra() -> Iterator[None]:
    """Say which packages are missing, where some are.

    Raises:
        BackupError: one is.
    """
    try:
        yield
    except ImportError as error:
        raise BackupError(
            f"backups need the package {error.name}", fix="install what they need: pip install 'dbops[backup]'"
        ) from error
