"""The port for scripts that people wrote: how each statement behaves among others, and running them as they stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, Protocol

from dbops.dataclass import dataclass
from dbops.engines.base.connect import Connection
from dbops.errors import QueryError
from dbops.sql.splitter import SourceStatement

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlAlchemyConnection

    from dbops.catalog.model import Table, VirtualTable


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a statement of a script behaves.

    `stands_alone`: it commits by itself, or is refused inside a transaction. `control` says that it begins or ends a transaction
    (`savepoint` commands do neither). `refusal` is why it cannot be run here at all. `is_skipped`: nothing is to be done for it.
    `may_commit`: what it calls may end the transaction, which its text does not tell.
    `waits_long`: it may wait for others as long as it takes, for nobody queues behind it meanwhile.
    `touches_session`: it leaves settings, roles or temporary objects behind that later statements would see.
    """

    stands_alone: bool = False
    control: Literal["begin", "commit", "rollback"] | None = None
    refusal: str | None = None
    is_skipped: bool = False
    touches_session: bool = False
    may_commit: bool = False
    waits_long: bool = False


PLAIN = Conduct()
ALONE = Conduct(stands_alone=True)


class Scripts(Protocol):
    """Stateless, as the engine is."""

    def conduct(self, statement: SourceStatement) -> Conduct:
        """Tell how a statement behaves, from its text alone."""
        ...

    def is_given(self, sql: str) -> bool:
        """Tell whether whoever runs a migration does by itself what a statement of a plan says."""
        ...

    def run(self, conn: Connection, statements: Sequence[SourceStatement]) -> tuple[int, QueryError | None]:
        """Run statements in order, as few round trips as the engine allows; return how many ran, and why the next one did not.

        Inside a transaction of the caller's, or each committing by itself.
        """
        ...

    def run_later(self, conn: Connection, statements: Sequence[SourceStatement]) -> int | None:
        """Let the last statements of a transaction go out with what ends it; return the place of the first.

        None where they have to be run by themselves. The error of one that fails ends the transaction, and says its `place` in
        its context.
        """
        ...

    def run_opaque(self, conn: Connection, statement: SourceStatement) -> tuple[bool, QueryError | None]:
        """Run a statement that may commit, inside the caller's transaction; say whether that goes on, and why it failed."""
        ...

    def is_refused_inside(self, statement: SourceStatement, error: QueryError) -> bool:
        """Tell whether a statement failed because it cannot run inside a transaction, and outside might."""
        ...

    def beyond(self, conn: Connection) -> Callable[[SourceStatement], bool]:
        """Return what tells whether a statement reaches beyond the database of `conn`, so that a scratch does not hold it in."""
        ...

    def rebuilds(self, text: str) -> bool:
        """Tell whether a script drops tables for others that take their place, so that its transaction is a schema change."""
        ...

    def going_with_tables(self, conn: Connection) -> list[str]:
        """Return the statements that made what a script may lose without naming it, by dropping a table that it made anew."""
        ...

    def literals(self, table: Table) -> str:
        """Return the query for the rows of a table itself, without those of tables that inherit from it: of each column but
        computed ones, in order, the literal that gives its value back; the word NULL for none.
        """
        ...

    def of_module(self, conn: Connection, virtual: VirtualTable) -> list[str] | None:
        """Return the statements that write what a virtual table holds into an empty one; None where none would."""
        ...

    def counters(self, conn: Connection) -> list[str]:
        """Return the statements that set sequences, whose numbers no rows tell, to where they stand now."""
        ...

    def trace(self, conn: Connection, statement: SourceStatement) -> str | None:
        """Return a token of what a statement that stands alone is about to change: another one afterwards says that it ran.

        None where running it once more does no harm.
        """
        ...

    def mend(self, conn: Connection, statement: SourceStatement) -> str | None:
        """Remove what an attempt that was cut off left of a statement that stands alone; say what that was."""
        ...

    def sqlalchemy(self, conn: Connection) -> AbstractContextManager[SqlAlchemyConnection]:
        """Open an SQLAlchemy session on the database of a connection: its own one where the database is in memory."""
        ...

    def remember(self, conn: Connection, text: str) -> Callable[[], None]:
        """Take notice of the session as it is; return what brings it back when the script `text` ran, locks held as they are."""
        ...

    def aside(self, conn: Connection) -> AbstractContextManager[None]:
        """Run a block as the account and in the database of the connection, whatever a script has set, and set that again."""
        ...
