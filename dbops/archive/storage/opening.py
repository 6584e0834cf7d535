"""Which storage a URL means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dbops.archive.storage.base import Storage
from dbops.dataclass import dataclass
from dbops.errors import BackupError

#: Schemes, and the storage library that speaks them; `file` needs none.
SCHEMES: Mapping[str, str] = {
    "file": "",
    "s3": "obstore",
    "gs": "obstore",
    "az": "obstore",
    "memory": "fsspec",
    "sftp": "paramiko",
}


@dataclass(frozen=True, slots=True)
class StorageAddress:
    """Where backups lie. `options` are the storage library's own words (`endpoint`, `region`, ...); those with secrets too."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]


def open_storage(address: StorageAddress, folder: Path) -> Storage:
    """Open the storage of a URL; a relative path of `file://./backups` lies in `folder`. Nothing is read yet.

    Raises:
        BackupError: the scheme is not known, or the library that speaks it is not installed.
    """
    scheme = address.scheme
    if scheme not in SCHEMES or "://" not in address.url:
        raise BackupError(
            f"no storage speaks {scheme}://" if "://" in address.url else "the storage is no URL",
            expected=f"one of {', '.join(f'{known}://' for known in SCHEMES)}",
        )
    if scheme == "file":
        from dbops.archive.storage.local import LocalStorage

        return LocalStorage(local_folder(address.url, folder))
    try:
        if scheme == "sftp":
            from dbops.archive.storage.sftp import SftpStorage

            return SftpStorage(address.url, address.options)
        if SCHEMES[scheme] == "obstore":
            from dbops.archive.storage.objects import ObjectStorage

            return ObjectStorage(address.url, address.options)
        from dbops.archive.storage.files import FilesystemStorage

        return FilesystemStorage(address.url, address.options)
    except ImportError as error:
        raise BackupError(
            f"{scheme}:// needs the package {error.name or SCHEMES[scheme]}", fix="install it: pip install 'dbops[backup]'"
        ) from error


def local_folder(url: str, folder: Path) -> Path:
    """Return the folder that a `file://` URL means: `file://./x` and `file://x` are relative to `folder`."""
    parts = urlsplit(url)
    return (folder / unquote(parts.netloc + parts.path)).absolute()
