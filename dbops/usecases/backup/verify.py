"""verify: prove backups, and keep the evidence beside them."""

from __future__ import annotations

from collections.abc import Callable

from dbops.resources.backups.model import Evidence as Evidence  # what faces show
from dbops.usecases.backup.policies import Place, find_backup, policies_of


def verify(place: Place, word: str | None, level: int, told: Callable[[str], None], name: str | None = None) -> list[Evidence]:
    """Verify one backup, or for None every one, up to a level; what is broken comes out as evidence too, not as an error.

    Raises:
        WrongKeyError, StorageError: nothing can be said, because there is no key or no answer.
    """
    found = []
    for policy in policies_of(place, name, told):
        contents = policy.repository.contents()
        chosen = contents.backups if word is None else (find_backup(contents, word),)
        found += [policy.verify(one, level) for one in chosen]
        if word is None:
            now = policy.clock()
            broken = [*contents.broken, *policy.repository.headless(now), *policy.repository.damaged_notes()]
            found += [Evidence(one.key, now, 0, False, (one.reason,)) for one in broken]
    return found
