"""A backup as one side of a comparison: restored into a throwaway database, and read there."""

from __future__ import annotations

from dbops.archive.chains import chain_of
from dbops.catalog.catalog import Catalog
from dbops.engines.base.backup import LATEST
from dbops.engines.base.connect import Server
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.making import link
from dbops.resources.backups.proving import must_be_sound
from dbops.usecases.backup.policies import Told, holder_of
from dbops.usecases.runtime import Workspace


def catalog_of(workspace: Workspace, words: str, told: Told) -> tuple[str, Keeper, Server, Catalog]:
    """Return the id of a backup, its policy, the server it was tried on, and its catalog.

    `words` are an id, the beginning of one, or `latest`; before them the policy and a slash, where there are several.

    Raises:
        BackupError: there is no such backup, it is damaged, or this machine has no place to restore it.
    """
    name, _, word = words.rpartition("/")
    policy, manifest = holder_of(workspace, word, name or None, told)
    chain = chain_of(manifest, policy.repository.contents().backups)
    links = [link(policy.engine.backups, policy.repository, one) for one in chain]
    with policy.repository.reading(chain, policy.clock):
        must_be_sound(policy.repository, chain, told)
        with policy.engine.backups.trial(links, policy.target, LATEST, told) as conn:
            return manifest.id, policy, conn.server, policy.engine.inspect(conn, declared=True)
