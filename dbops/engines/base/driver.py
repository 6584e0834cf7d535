"""The port for programs that bring SQL of their own: sessions that say columns, take any type of value, and can be pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Row, Target
from dbops.errors import QueryError
from dbops.sql.marks import Style


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave: columns and rows, none where it returns nothing; `count` are the rows it changed, 0 or more."""

    columns: tuple[str, ...]
    rows: list[Row]
    count: int


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column as the database shows it; `position` counts from 0, `default` is SQL, None without one."""

    position: int
    name: str
    type: str
    is_required: bool
    default: str | None
    is_in_primary_key: bool


def unsendable(error: UnicodeEncodeError) -> QueryError:
    """Return our error for text that is none in UTF-8, such as half of a pair of surrogates."""
    return QueryError(f"text that cannot be sent: {error.reason} at position {error.start}", expected="text that UTF-8 can say")


class Session(Protocol):
    """One session, used by one thread at a time. Outside of `begin` and `commit` every statement commits by itself.

    Errors of the driver come out as QueryError and its kinds, as those of `Connection` do.
    """

    def run(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Answer:
        """Run one statement in the driver's own style of marks; without parameters it is sent as it is."""
        ...

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement for each row of values, all or nothing; return how many rows were changed."""
        ...

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def rollback(self) -> None:
        """Take the transaction back; nothing to do where there is none, or where the session is gone."""
        ...

    def is_in_transaction(self) -> bool:
        """Tell without asking the server, from what it said last."""
        ...

    def close(self) -> None: ...


class Driver(Protocol):
    """How an engine is spoken to in SQL of other programs; stateless."""

    @property
    def style(self) -> Style:
        """The marks of the driver."""
        ...

    def is_private(self, target: Target) -> bool:
        """Tell whether each session would see a database of its own, so that all users have to share one."""
        ...

    def open(self, target: Target) -> Session:
        """Open a session; a SQLite file that is not there is made.

        Raises:
            ConnectError: nobody answers, or refuses us.
        """
        ...

    def version(self, session: Session) -> str:
        """Return the server's version as it shows it."""
        ...

    def size_bytes(self, session: Session) -> int:
        """Return the size of the database with indexes."""
        ...

    def tables(self, session: Session) -> list[str]:
        """Return the names of all tables by name, without the system's and dbops's own; those out of sight with their schema."""
        ...

    def advance(self, session: Session, table: str, column: str) -> None:
        """Let the numbers of a column that the engine numbers go on behind the highest; names as SQL writes them."""
        ...

    def columns(self, session: Session, table: str) -> list[TableColumn]:
        """Return the columns of a table or view in order; none where there is no such table."""
        ...
