"""The port of activity: which sessions wait for a lock, and which they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from dbops.dataclass import dataclass

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection


@dataclass(frozen=True, slots=True)
class Session:
    """A session that waits for a lock, or keeps others waiting.

    `waits_for` names the lock, empty where the session waits for none; `blocked_by` are the ids of those that keep it waiting,
    empty where the server does not tell. Times are None where nothing is known. `text` is the statement that it runs, or ran
    last, without its values; who may not see it sees nothing.
    """

    id: str
    user: str
    program: str
    client: str
    state: str
    waits_for: str
    waited_s: float | None
    transaction_s: float | None
    text: str
    blocked_by: tuple[str, ...] = ()


class Activity(Protocol):
    """What an engine tells of sessions that stand in each other's way."""

    def blocked(self, conn: Connection) -> Sequence[Session]:
        """Return all sessions of the server that wait for a lock, and those that they wait for, in a constant number of queries.

        Raises:
            QueryError: this account may not see them.
        """
        ...
