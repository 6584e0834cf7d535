"""The port of the ledger: which versioned migrations a database has had, and how far the one came that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from dbops.dataclass import dataclass

LONGEST_VERSION, LONGEST_NAME = 200, 255
"""In characters; a longer name is cut off."""

LedgerState = Literal["running", "applied", "failed", "rolled back", "baselined"]


@dataclass(frozen=True, slots=True)
class Record:
    """One migration of one set; times are UTC in ISO 8601.

    `position` counts in the order of applying. `total` is how many statements ran in all, None before that is known; `reached`
    how many of them stand; `trace` is what the objects of the statement behind those looked like before it began, None while
    none runs. `text` and `down_text` are what was applied, None where that is not kept.
    """

    version: str
    name: str
    position: int
    checksum: str
    state: LedgerState
    started_at: str
    finished_at: str | None = None
    duration_ms: int = 0
    who: str = ""
    dbops_version: str = ""
    total: int | None = None
    reached: int = 0
    direction: Literal["up", "down"] = "up"
    trace: str | None = None
    error: str | None = None
    text: str | None = None
    down_text: str | None = None


class Ledger(Protocol):
    """The ledger of one set in one database. Writes run on the migrations' session, in its transaction if it has one."""

    def exists(self) -> bool:
        """Tell whether the table is there, with or without this set."""
        ...

    def create(self) -> None:
        """Make the table when it is not there."""
        ...

    def records(self) -> list[Record]:
        """Return the records in the order of applying, without texts; empty when there is no table."""
        ...

    def texts(self, version: str) -> tuple[str | None, str | None]:
        """Return the texts up and down that were applied."""
        ...

    def put(self, record: Record, *, is_ahead: bool = False) -> int:
        """Write a record in place of the one of its version, last where its position is 0; return its position.

        With `is_ahead` statements that it counts go out together with it: the time that they take is added where they run.
        """
        ...

    def reach(self, version: str, reached: int, trace: str | None) -> None:
        """Say how many statements stand, and what the next one is about to change."""
        ...

    def forget(self) -> None:
        """Count on nothing that was written since the transaction began: it was rolled back."""
        ...

    def look(self) -> None:
        """Read again what was forgotten, before statements wait to be sent: to ask would send them, and hear their errors."""
        ...

    def remove(self, versions: Sequence[str]) -> None:
        """Forget records, for sets that are written anew."""
        ...
