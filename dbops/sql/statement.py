"""One SQL statement as data: text, parameters, hazards and how it may be run."""

from __future__ import annotations

from dbops.dataclass import dataclass
from dbops.sql.hazard import Hazard

Parameter = str | int | float | bytes | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement without its final terminator.

    `parameters` are bound in order to `?` marks. `transactional` is False for what an engine refuses inside a
    transaction (CREATE INDEX CONCURRENTLY) or what commits by itself. `lock_timeout_s` is how long it may wait
    for a lock before it gives way and is tried again: None as the connection says, 0 as long as it takes.
    """

    sql: str
    parameters: tuple[Parameter, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    transactional: bool = True
    lock_timeout_s: float | None = None

    @property
    def is_local_setting(self) -> bool:
        """Whether it sets what holds until the end of its transaction."""
        return self.sql.startswith(_LOCAL)

    @property
    def for_client(self) -> str:
        """The statement for a script that a client runs without a transaction around it: a setting holds for the session."""
        return f"SET {self.sql.removeprefix(_LOCAL)}" if self.is_local_setting else self.sql


_LOCAL = "SET LOCAL "
