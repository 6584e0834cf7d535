"""What migrations show: their dataclasses, and how they are made of what the use cases tell."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING

from dbops.api.fields import ByName
from dbops.arguments import must_fit
from dbops.dataclass import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from dbops.usecases.migrate.direct import Known


@dataclass()
class Migration(ByName):
    """One migration; `m["id"]` and `m.id` are the same.

    `status` is pending, applied, failed or rolled_back. `checksum` is the SHA-256 of `sql`, filled in when it is not given.
    """

    id: str
    name: str
    description: str
    sql: str
    rollback_sql: str | None = None
    dependencies: list[str] = field(default_factory=list)
    created_at: datetime = field(default_factory=datetime.now)
    applied_at: datetime | None = None
    status: str = "pending"
    checksum: str = ""

    def __post_init__(self) -> None:
        """Fill in the checksum.

        Raises:
            ArgumentError: a field is of a wrong type.
        """
        must_fit(self)
        if not self.checksum:
            from hashlib import sha256

            self.checksum = sha256(self.sql.encode()).hexdigest()


@dataclass()
class MigrationResult:
    """What came of a migration; true when it succeeded.

    `execution_time` is in seconds. `error_message` says why it failed, or that nothing was to be done or nothing kept ("Already
    applied", "Dry run"). `statements_executed` are those of its text that ran. `rows_affected` counts the rows that a
    step changed through its session; of a text it is 0, for its statements go to the server together.
    """

    migration_id: str
    success: bool
    execution_time: float
    error_message: str | None = None
    rows_affected: int = 0
    statements_executed: int = 0

    def __bool__(self) -> bool:
        return self.success


@dataclass()
class MigrationStatus:
    """How a set stands: `current` is what was applied last, None when nothing is; the others are ids in the order of running."""

    current: str | None
    pending: list[str]
    applied: list[str]
    failed: list[str]


def migration_of(known: Known) -> Migration:
    """Return a migration as the use cases know it."""
    return Migration(
        known.id,
        known.name,
        known.description,
        known.sql,
        known.rollback_sql,
        list(known.depends),
        moment_of(known.created_at) or datetime.now(),
        moment_of(known.applied_at),
        known.status,
        known.checksum,
    )


def moment_made(file: Path) -> datetime:
    """Return when the migration in a file was made."""
    from dbops.usecases.migrate.direct import made_at

    return moment_of(made_at(file)[1]) or datetime.now()


def moment_of(text: str | None) -> datetime | None:
    """Return a moment of the ledger, None where it is none."""
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
