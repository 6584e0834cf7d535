"""From a name or a URL to a workspace with the one database that is meant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dbops.manifests.environment import Environment
from dbops.manifests.folder import may_hold_manifests
from dbops.usecases.databases.address import redacted, title_of
from dbops.usecases.runtime import OpenTargets, Workspace, looks_like_url, open_workspace, resources, target_for_url


def name_of(database: str) -> str:
    """Return what the history of a database is kept under: its name, or its URL without the password."""
    if not looks_like_url(database):
        return database
    target = target_for_url(database)
    return target.url.redacted()


@contextmanager
def workspace_of(folder: Path, database: str, own_url: str | None) -> Iterator[Workspace | None]:
    """Open a workspace whose connection `name_of(database)` is the database that is meant.

    That is the one of a URL; the one of `own_url`, where the name is that of its file or database; or a Connection of the
    environment in `folder`. None where the name means nothing that can be reached.

    Raises:
        ConnectError: not a database URL.
        ManifestError, Problems: the manifests of the folder are wrong.
    """
    url = database if looks_like_url(database) else None
    if url is None and own_url is not None and database in (title_of(own_url), redacted(own_url)):
        url = own_url
    if url is not None:
        with ExitStack() as stack:
            targets = OpenTargets({name_of(database): target_for_url(url)}, stack)
            yield Workspace(str(folder), Environment(folder, folder.name, (), {}), resources(), (), targets)
        return
    if not _has_manifests(folder):
        yield None
        return
    with open_workspace(folder, os.environ) as found:
        yield found if database in found.targets.known else None


def _has_manifests(folder: Path) -> bool:
    """Tell whether a folder itself holds manifests; what lies below is not looked at, for it may be anything."""
    if not folder.is_dir():
        return False
    files = (file for file in folder.iterdir() if file.suffix in (".yaml", ".yml") and file.is_file())
    return any(may_hold_manifests(file.read_bytes(), ("Connection", "Environment")) for file in files)
