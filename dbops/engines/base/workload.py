"""The port of a workload: which statements a database is asked, how often, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from dbops.dataclass import dataclass

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection

#: What the most expensive statements are found by: all the time they took, the mean, how often, rows returned or changed, pages
#: or rows read.
Order = Literal["total", "mean", "calls", "rows", "reads"]
ORDERS: tuple[Order, ...] = ("total", "mean", "calls", "rows", "reads")


@dataclass(frozen=True, slots=True)
class Counted:
    """A statement without its values, as the server counts it since it began to count.

    `reads` are pages that were wanted on PostgreSQL, rows that were looked at on MySQL and MariaDB. `share` is its part of the
    time of all statements of the database. `p95_s` is None where the server keeps no distribution.
    """

    id: str
    text: str
    calls: int
    total_s: float
    mean_s: float
    most_s: float
    p95_s: float | None
    rows: int
    reads: int
    share: float


@dataclass(frozen=True, slots=True)
class Workload:
    """The statements that cost most; where nothing can be seen, `why`, and the setting or grant that helps."""

    statements: Sequence[Counted] = ()
    why: str = ""
    fix: str = ""


class Workloads(Protocol):
    """What an engine knows of the statements it was asked."""

    def costliest(self, conn: Connection, *, by: Order, limit: int) -> Workload:
        """Return the statements of this database that cost most, the costliest first; texts are fetched for these alone."""
        ...
