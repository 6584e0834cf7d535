"""The port to a planner: what a statement would cost, with indexes that are not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dbops.catalog.model import Index, Table
from dbops.dataclass import dataclass

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection, Target
    from dbops.errors import QueryError


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan: its cost in the engine's unit (`Trials.unit`), and the names of the indexes that it uses."""

    cost: float
    indexes: frozenset[str]


#: The value of a column at a share of its sampled rows in their order; None where all are NULL.
Values = Callable[[Table, str, float], Any]


class Hypothetical(Protocol):
    """Indexes that only the planner of one session believes in; nothing is written, and nobody else sees them."""

    def add(self, index: Index) -> str:
        """Let the planner believe in an index; return the name by which its plans speak of it.

        Raises:
            QueryError: there can be no such index.
        """
        ...

    def remove(self, name: str) -> None: ...

    def size_bytes(self, name: str) -> int:
        """Return how large the index would be, by estimate."""
        ...

    def clear(self) -> None:
        """Forget all of them."""
        ...


#: An index that is more than a list of columns: of an expression, of some rows alone, with columns to be read beside its keys,
#: on a partitioned table.
Form = Literal["expression", "partial", "include", "partitioned"]


class Trials(Protocol):
    """What an engine can try without changing anything."""

    def forms(self, conn: Connection) -> frozenset[Form]:
        """Return which forms of indexes can be tried for this database; one query at most."""
        ...

    @property
    def unit(self) -> str:
        """What costs count, in words."""
        ...

    @property
    def dialect(self) -> str:
        """The name of the engine's language, as sqlglot knows it."""
        ...

    @property
    def wants_server(self) -> bool:
        """Whether a scratch is a database on a server, which copying rows to is a burden for."""
        ...

    @property
    def counts_indexes(self) -> bool:
        """Whether the statistics of a table have to be gathered anew when it got or lost an index."""
        ...

    def hypothetical(self, conn: Connection) -> Hypothetical | None:
        """Return what makes indexes up on a live database, None where there is nothing that does."""
        ...

    @property
    def how_to_have_hypothetical(self) -> str:
        """Return the statement that installs it; empty where nothing could be."""
        ...

    def explain(self, conn: Connection, sql: str) -> Explained:
        """Return the plan of one query or change of rows; nothing is run.

        Raises:
            QueryError: the statement cannot be explained.
        """
        ...

    def remarks(self, conn: Connection, sql: str, thresholds: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, str]]:
        """Return what the plan of a statement shows: the id of one of the engine's query rules, and what was seen.

        Raises:
            QueryError: the statement cannot be explained.
        """
        ...

    def is_denied(self, error: QueryError) -> bool:
        """Tell whether a statement was refused because this account may not read what it asks for."""
        ...

    def grant_to_read(self, conn: Connection) -> str:
        """Return the statement that lets this account read the tables."""
        ...

    def simplified(self, table: Table) -> Table:
        """Return a table that holds the same rows and costs least to fill: without defaults, generated values, a log."""
        ...

    def fill(self, live: Connection, scratch: Connection, table: Table, target: Target, rows: int, most: int) -> int:
        """Copy a sample of the about `rows` rows of a live table, `most` at most, to the scratch, from all over the table.

        Returns how many were copied.

        Raises:
            QueryError: the rows may not be read.
        """
        ...

    def count(self, scratch: Connection, tables: Sequence[tuple[Table, int, int]]) -> None:
        """Gather statistics of tables in a scratch: each with its rows there, and its rows in truth."""
        ...

    def index_bytes(self, scratch: Connection, index: Index, rows: int) -> int:
        """Return how large an index of the scratch would be over `rows` rows."""
        ...

    def values(self, scratch: Connection) -> Values | None:
        """Return what finds values for parameters in a scratch; None where statements are explained with parameters left open."""
        ...
