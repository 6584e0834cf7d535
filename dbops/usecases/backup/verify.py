"""verify: prove backups, and keep the evidence beside them."""

from __future__ import annotations

from collections.abc import Callable

from dbops.resources.backups.model import Evidence as Evidence  # what faces show
from dbops.usecases.backup.policies import Place, holder_of, policies_of


def verify(place: Place, word: str | None, level: int, told: Callable[[str], None], name: str | None = None) -> list[Evidence]:
    """Verify one backup, or for None every one, up to a level; what is broken comes out as evidence too, not as an error.

    Raises:
        WrongKeyError, StorageError: nothing can be said, because there is no key or no answer.
    """
    if word is not None:
        policy, manifest = holder_of(place, word, name, told)
        return [policy.verify(manifest, level)]
    found = []
    for policy in policies_of(place, name, told):
        contents = policy.repository.contents()
        found += [policy.verify(one, level) for one in contents.backups]
        now = policy.clock()
        broken = [*contents.broken, *policy.repository.headless(now), *policy.repository.damaged_notes()]
        found += [Evidence(one.key, now, 0, False, (one.reason,)) for one in broken]
    return found
