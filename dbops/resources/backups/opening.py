"""The repository of a policy: its storage opened, its secrets fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dbops.archive.cipher import Keys
from dbops.archive.codec import Codec
from dbops.archive.index import Index
from dbops.archive.naming import word
from dbops.archive.repository import Repository, index_folder
from dbops.archive.storage.opening import StorageAddress, open_storage
from dbops.manifests.secrets import resolve
from dbops.resources.backups.model import DesiredBackups


def open_repository(desired: DesiredBackups, process_env: Mapping[str, str]) -> Repository:
    """Open the repository of a policy; nothing is read yet.

    Raises:
        ManifestError: a secret cannot be fetched.
        BackupError: a library is not installed.
    """
    storage = desired.spec.storage
    options = {name: resolve(secret, desired.root, process_env, desired.at).reveal() for name, secret in storage.options.items()}
    opened = open_storage(StorageAddress(storage.url, options), desired.environment)
    return Repository(opened, word(desired.name), keys_of(desired, process_env), Index(_folder(process_env)))


def keys_of(desired: DesiredBackups, process_env: Mapping[str, str]) -> Keys:
    """Fetch the keys of a policy."""
    encryption = desired.spec.encryption
    if encryption is None:
        return Keys()
    secret = resolve(encryption.key, desired.root, process_env, desired.at) if encryption.key is not None else None
    return Keys(encryption.recipients, secret.reveal().encode() if secret is not None else None, encryption.accepts)


def codec_of(desired: DesiredBackups) -> Codec:
    return Codec(desired.spec.compression.method, desired.spec.compression.level)


def _folder(process_env: Mapping[str, str]) -> Path | None:
    return index_folder(dict(process_env))
