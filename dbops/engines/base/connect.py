"""The port to a live database: where it is, what answers there, and running SQL on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from typing import Any, Protocol

from dbops.dataclass import dataclass
from dbops.engines.base.url import DatabaseUrl
from dbops.sql.statement import Parameter

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; 0 means without limit."""

    connect_s: float = 30.0
    lock_s: float = 3.0
    statement_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tls:
    """`mode` is disable, prefer, require, verify-ca or verify-full; paths are absolute."""

    mode: str = "prefer"
    root_cert: str | None = None
    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A database as a Connection manifest describes it; holds the password inside `url`, and shows it nowhere.

    `settings` are session settings in the engine's own words (SQLite pragmas). SQLite paths in `url` are absolute.
    `attempts` is how often connecting is tried, `lock_attempts` a statement that waits too long for a lock.
    `scratch` says where temporary databases may be made when not on the same server.
    """

    name: str
    url: DatabaseUrl
    timeouts: Timeouts = Timeouts()
    attempts: int = 3
    lock_attempts: int = 10
    tls: Tls | None = None
    settings: tuple[tuple[str, str], ...] = ()
    scratch: DatabaseUrl | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def titled(self, what: str) -> str:
        """Return the connection's name with `what` it is; what a URL stands for has no name."""
        return f"'{self.name}' ({what})" if self.name else what


@dataclass(frozen=True, slots=True)
class Server:
    """What answered: `flavour` is sqlite, postgresql, mysql or mariadb; `version` as numbers, `(10, 11, 6)`.

    `identity` names the database for caches: two connections to one database give the same text, two databases never.
    """

    flavour: str
    version: tuple[int, ...]
    version_text: str
    identity: str
    user: str = ""
    counts_in_utc: bool = False
    """Sessions have a time zone without offset, so that times with and without zone are stored alike."""
    has_replicas: bool = False
    """What is written here is written down for others to read: a binary log, or a replication slot."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the connected account may do; None where the server does not tell."""

    can_create_database: bool | None
    is_superuser: bool | None
    can_write: bool | None


class Connection(Protocol):
    """One session. Outside `transaction()` every statement commits by itself.

    Parameters stand at `?` marks, whatever the driver's own style; SQL without parameters is sent as it is, byte for byte.
    Errors of the driver come out as QueryError, TransientError, LockTimeoutError or ConnectError.
    """

    @property
    def server(self) -> Server: ...

    def query(self, sql: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        """Run one statement and return all rows."""
        ...

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> int:
        """Run one statement and return the number of rows it changed, -1 when the engine does not say."""
        ...

    def execute_later(self, sql: str, parameters: Sequence[Parameter] = ()) -> None:
        """Run one statement that returns nothing before the transaction ends, behind what ran until now; at once outside of one.

        Engines with a server spare a round trip by sending it with what comes next, the COMMIT at the latest. Its error ends the
        transaction.
        """
        ...

    def transaction(self, *, schema_change: bool = False) -> AbstractContextManager[None]:
        """Run a block in one transaction: committed at its end, rolled back when it raises. Not nested.

        `schema_change` announces statements of acts, for engines that have to prepare for them (SQLite: foreign keys).
        """
        ...

    def giving_up_locks_after(self, lock_s: float) -> AbstractContextManager[None]:
        """Let the statements of a block wait for a lock `lock_s` seconds at most, 0: as long as it takes.

        An engine that counts in whole seconds may round up.
        """
        ...

    def ending_statements_after(self, limit_s: float) -> AbstractContextManager[None]:
        """End the statements of a block with a QueryError when they take longer; a shorter limit of the connection stays."""
        ...

    def blockers(self) -> list[str]:
        """Say who keeps the statement that this session runs waiting; empty when nobody does or the server does not tell.

        Called from another thread while the statement runs: it asks from a session beside, which ends with this one.

        Raises:
            ConnectError, QueryError: there is no session beside, or it may not see others.
        """
        ...

    def stop(self) -> None:
        """End the statement that another thread runs on this session, if one runs; the session lives on."""
        ...

    def close(self) -> None: ...


def lock_limit(statement_s: float | None, connection_s: float) -> float:
    """Return how long a statement may wait for a lock: the shorter limit of its own and the connection's.

    A statement's own 0 is meant: it blocks nobody while it waits.
    """
    if statement_s is None:
        return connection_s
    return min(statement_s, connection_s) if statement_s and connection_s else statement_s


@dataclass(frozen=True, slots=True)
class TableSize:
    """The engine's estimate, from its statistics; no table is read to know it."""

    rows: int
    size_bytes: int
