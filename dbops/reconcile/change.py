"""What differs between the desired and the observed state, and where the desire is written."""

from __future__ import annotations

from typing import Literal

from dbops.dataclass import dataclass
from dbops.errors import Mark

Action = Literal["create", "update", "replace", "delete", "run"]
Cause = Literal["desired", "drift"]

ACTIONS: tuple[Action, ...] = ("create", "update", "replace", "delete", "run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference; kinds subclass it with a typed payload.

    `address` reads `kind/name/object...`. `cause` is `drift` when the database moved since the last apply, `desired`
    when the manifests did. `reason` is for people. `at` is None when no manifest names the object.
    """

    address: str
    action: Action
    cause: Cause = "desired"
    reason: str = ""
    at: Mark | None = None

    @property
    def kind(self) -> str:
        """The manifest kind, in the lower case of addresses."""
        return self.address.split("/", 1)[0]


#: The codes of observations that stop apply: live rows make a planned step fail; migrations that were applied are not what their
#: files say; a backup that a policy promises cannot be made.
DATA_REFUSES, MIGRATION_REFUSED, BACKUP_REFUSED = "DATA_REFUSES", "MIGRATION_REFUSED", "BACKUP_REFUSED"
REFUSALS = frozenset({DATA_REFUSES, MIGRATION_REFUSED, BACKUP_REFUSED})


#: The codes of observations that say that something declared could not be looked at: where backups are kept does not answer.
BACKUP_STORAGE = "BACKUP_STORAGE"
UNSEEN = frozenset({BACKUP_STORAGE})


#: The code of an observation that names what changed in a database though no migration did it.
MIGRATION_DRIFT = "MIGRATION_DRIFT"


@dataclass(frozen=True, slots=True)
class Observation:
    """Something worth saying that no step changes: an object not managed yet, an alert, an overdue backup.

    `fix` says what to do about what stops an apply; it is no part of a plan.
    """

    address: str
    code: str
    message: str
    severity: Literal["info", "warning", "error"] = "info"
    fix: str = ""
