"""Which policy is meant, and which backup of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from dbops.archive.manifest import Manifest
from dbops.archive.repository import Contents, targets_in
from dbops.errors import BackupError
from dbops.resources.backups.keeping import Keeper
from dbops.resources.backups.model import DesiredBackups
from dbops.resources.backups.resource import BackupResource
from dbops.resources.backups.sources import SAFETY
from dbops.usecases.backup.elsewhere import Elsewhere, reason_of
from dbops.usecases.runtime import Workspace

Told = Callable[[str], None]


Place = Workspace | Elsewhere


def policies_of(place: Place, name: str | None = None, told: Told = lambda text: None) -> list[Keeper]:
    """Return the policies of an environment, or the one named, on each connection it is bound to; or what a storage holds.

    Raises:
        BackupError: there is none; names those there are.
    """
    if isinstance(place, Elsewhere):
        return _of_storage(place, name, told)
    found = [
        (work.resource, cast("DesiredBackups", work.desired)) for work in place.work if isinstance(work.resource, BackupResource)
    ]
    chosen = [(resource, one) for resource, one in found if name is None or name in (one.name, one.policy)]
    if not chosen:
        names = ", ".join(sorted({one.name for _, one in found}))
        what = f"no BackupPolicy {name!r}" if name else "no manifest of kind BackupPolicy"
        raise BackupError(
            f"there is {what} in this environment", expected=f"one of {names}" if names else "one: specs/kinds.md shows it"
        )
    return [resource.keeper(one, place.targets, told) for resource, one in chosen]


def _of_storage(place: Elsewhere, name: str | None, told: Told) -> list[Keeper]:
    found = place.keepers(told)
    chosen = [one for one in found if name in (None, one.desired.name)]
    if not chosen:
        _, unread = place.looked_at(told)
        if name is not None and name in unread:
            raise BackupError(reason_of(name, unread[name]))
        raise BackupError(f"there is no {name} in {place.url}", expected=f"one of {', '.join(one.desired.name for one in found)}")
    return chosen


def one_policy(place: Place, name: str | None = None, told: Told = lambda text: None) -> Keeper:
    """Return the only policy, or the one named.

    Raises:
        BackupError: there is none, or there are several and none is named.
    """
    found = policies_of(place, name, told)
    if len(found) > 1:
        raise BackupError(
            f"there are several policies: {', '.join(one.desired.name for one in found)}",
            fix=f"name one: --policy {found[0].desired.name}",
        )
    return found[0]


def holder_of(place: Place, word: str, name: str | None, told: Told = lambda text: None) -> tuple[Keeper, Manifest]:
    """Return the policy that has the backup which is meant, and that backup.

    Raises:
        BackupError: none has it, or several are meant.
    """
    policies = policies_of(place, name, told)
    if len(policies) == 1 or word == "latest":
        policy = one_policy(place, name, told)
        contents = policy.repository.contents()
        must_have_some(policy, contents)
        return policy, find_backup(contents, word)
    found = []
    for policy in policies:
        contents = policy.repository.contents()
        found += [(policy, one) for one in _meant(contents, word)]
        if broken := contents.broken_named(word):
            raise BackupError(f"the backup {word} cannot be used: {broken[0].reason}", error_code="BACKUP_BROKEN")
    if len(found) != 1:
        what = f"{word} is the beginning of several backups" if found else f"there is no backup {word}"
        raise BackupError(what, fix="dbops backup list shows them")
    return found[0]


def must_have_some(policy: Keeper, contents: Contents) -> None:
    """Let a policy pass that has something in its storage.

    Raises:
        BackupError: it has nothing; names the policies that have, since one may have had another name.
    """
    if not contents.backups and not contents.broken and (others := others_in(policy)):
        place = policy.repository.storage.title
        raise BackupError(
            f"there is no backup of {policy.desired.name} yet; {place} has those of {', '.join(others)}",
            fix=f"dbops backup run makes one; --storage '{place}' --policy {others[0]} takes the others",
        )


def others_in(policy: Keeper) -> Sequence[str]:
    """Return the names under which a policy's storage has other backups; lists all of it."""
    return [name for name in targets_in(policy.repository.storage) if name != policy.repository.target]


def find_backup(contents: Contents, word: str) -> Manifest:
    """Return the backup that an id, the beginning or end of one, or `latest` means.

    Raises:
        BackupError: none is, or several are.
    """
    if word == "latest":
        made = [one for one in contents.backups if SAFETY not in one.labels]
        if not made and contents.broken:
            raise BackupError(f"no backup can be used: {contents.broken[0].reason}", error_code="BACKUP_BROKEN")
        if not made:
            raise BackupError("there is no backup yet", fix="dbops backup run makes one")
        return made[-1]
    found = _meant(contents, word)
    if not found:
        if broken := contents.broken_named(word):
            raise BackupError(f"the backup {word} cannot be used: {broken[0].reason}", error_code="BACKUP_BROKEN")
        raise BackupError(f"there is no backup {word}", fix="dbops backup list shows them")
    if len(found) > 1:
        raise BackupError(f"{word} is the beginning of several backups", expected=f"one of {', '.join(one.id for one in found)}")
    return found[0]


_SHORTEST = 4
"""Less is a slip, such as a variable of a script that is empty."""


def _meant(contents: Contents, word: str) -> list[Manifest]:
    exact = contents.find(word)
    if exact is not None:
        return [exact]
    if len(word) < _SHORTEST:
        raise BackupError(
            f"{word!r} is too short to mean a backup",
            expected=f"an id, {_SHORTEST} characters or more of its beginning or end, or latest",
        )
    return [one for one in contents.backups if one.id.startswith(word) or one.id.endswith(word.upper())]
