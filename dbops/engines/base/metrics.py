"""The port of metrics: what one look at a database counts and measures, under one name on every engine.

An engine answers with plain numbers in base units (seconds, bytes, ratios of 1): counters as they stand, with a word that changes
when they begin anew. Rates, ratios over a time, history and thresholds are nobody's affair here.

What could not be seen is said, never left out and never 0: with the usual monitoring account many views of a server return fewer
rows, or NULL, and no error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dbops.dataclass import dataclass

if TYPE_CHECKING:
    from dbops.engines.base.connect import Connection, Row
    from dbops.sql.statement import Parameter

Unit = Literal["1", "seconds", "bytes", "ratio"]

#: So many kinds of waits are told at most, those with most of them first.
WAITS = 50

#: A `gauge` is what it is now; a `counter` only grows, until it begins anew.
Shape = Literal["gauge", "counter"]

Scope = Literal["server", "database", "wait", "replica", "slot", "table", "index", "sequence"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number means. `labels` name what it is told of, one value for each, in this order."""

    name: str
    unit: Unit
    shape: Shape
    scope: Scope
    meaning: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """One number of one look."""

    metric: str
    number: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unseen:
    """A metric that this account, or this server as it is set up, does not show: why, and the statement or setting that helps."""

    metric: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a database saw.

    `epochs` are words by scope: while the word of a scope is the same (`is_same_epoch`), its counters have only grown. `queries`
    is how many statements the look took.
    """

    values: Sequence[Value]
    unseen: Sequence[Unseen] = ()
    epochs: Mapping[str, str] = field(default_factory=dict)
    queries: int = 0


#: A metric's name and the values of its labels.
Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of a look, when it was made (seconds since 1970), and the epochs of their scopes."""

    at: float
    numbers: Mapping[Key, float] = field(default_factory=dict)
    epochs: Mapping[str, str] = field(default_factory=dict)


#: Stands before the moment when a server started, where that is known to a few seconds alone, from its uptime in whole seconds.
ABOUT = "~"
_ABOUT_S = 5.0


def is_same_epoch(before: str | None, now: str | None) -> bool:
    """Tell whether counters have not begun anew between two looks; moments behind `ABOUT` may be a little apart."""
    if before and now and before[0] == now[0] == ABOUT:
        return abs(float(before[1:]) - float(now[1:])) <= _ABOUT_S
    return before == now


def counters_of(look: Look, at: float) -> Counters:
    """Return what the next look is compared with."""
    numbers = {(v.metric, v.labels): v.number for v in look.values if METRICS[v.metric].shape == "counter"}
    return Counters(at, numbers, look.epochs)


@dataclass(slots=True)
class Looking:
    """One look under way: engines ask through it, and tell it what they saw."""

    conn: Connection
    objects: int
    values: list[Value] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)
    epochs: dict[str, str] = field(default_factory=dict)
    queries: int = 0

    def rows(self, sql: str, *parameters: Parameter) -> list[Row]:
        self.queries += 1
        return self.conn.query(sql, parameters)

    def tell(self, name: str, number: Any, labels: tuple[str, ...] = ()) -> None:
        """Add a number, or a span of time, that the server gave; None says nothing."""
        if number is not None:
            self.values.append(Value(name, number.total_seconds() if isinstance(number, timedelta) else float(number), labels))

    def tell_all(self, names: Sequence[str], numbers: Sequence[Any], labels: tuple[str, ...] = ()) -> None:
        """Add the numbers of a row, in the order of the names."""
        for name, number in zip(names, numbers, strict=True):
            self.tell(name, number, labels)

    def hide(self, names: Sequence[str], why: str, fix: str) -> None:
        """Say of metrics that they cannot be seen."""
        self.unseen += [Unseen(name, why, fix) for name in names]

    def seen(self) -> Look:
        return Look([Value("up", 1.0), *self.values], self.unseen, self.epochs, self.queries)


class Metrics(Protocol):
    """What an engine tells of a database."""

    @property
    def names(self) -> frozenset[str]:
        """The metrics of `METRICS` that this engine has at all."""
        ...

    def look(self, conn: Connection, *, objects: int) -> Look:
        """Read every metric, in a number of queries that does not depend on the number of objects.

        Of tables, indexes and sequences at most `objects` each are told, those that matter most first: the largest tables with
        their indexes, the sequences that are nearest to their end. Each name is in `values` or in `unseen`, unless there is
        nothing of its kind (a server without replicas has no lag).
        """
        ...


def _metrics(
    *rows: tuple[str, Unit, Shape, Scope, str] | tuple[str, Unit, Shape, Scope, str, tuple[str, ...]],
) -> dict[str, Metric]:
    return {row[0]: Metric(*row) for row in rows}


METRICS: Mapping[str, Metric] = _metrics(
    ("up", "1", "gauge", "database", "1 while the database can be looked at"),
    ("latency_seconds", "seconds", "gauge", "database", "how long the smallest query took"),
    ("uptime_seconds", "seconds", "gauge", "server", "since the server started"),
    ("connections_max", "1", "gauge", "server", "sessions that ordinary accounts may open"),
    ("connections_used", "1", "gauge", "server", "sessions of clients, whatever they do"),
    ("connections_active", "1", "gauge", "server", "sessions that run a statement, this one left out"),
    ("connections_idle", "1", "gauge", "server", "sessions that wait for their client"),
    ("connections_idle_in_transaction", "1", "gauge", "server", "sessions that wait for their client inside a transaction"),
    ("connections_aborted_total", "1", "counter", "server", "attempts to connect that failed"),
    ("sessions_blocked", "1", "gauge", "server", "sessions that wait for a lock"),
    (
        "longest_block_seconds",
        "seconds",
        "gauge",
        "server",
        "the longest that a session has been waiting for a lock, 0 where none is",
    ),
    (
        "sessions_waiting",
        "1",
        "gauge",
        "wait",
        "sessions that run a statement and wait, by what for, at the moment of a look",
        ("wait",),
    ),
    ("wait_seconds_total", "seconds", "counter", "wait", "time that sessions waited, by what for", ("wait",)),
    ("longest_query_seconds", "seconds", "gauge", "server", "the longest that a running statement of a client has taken so far"),
    ("longest_transaction_seconds", "seconds", "gauge", "server", "the age of the oldest open transaction of a client"),
    (
        "longest_idle_in_transaction_seconds",
        "seconds",
        "gauge",
        "server",
        "the longest that a session has been idle inside a transaction",
    ),
    ("prepared_transactions", "1", "gauge", "server", "transactions that were prepared for a second phase and not ended"),
    ("transactions_committed_total", "1", "counter", "database", "transactions that were committed"),
    ("transactions_rolled_back_total", "1", "counter", "database", "transactions that were rolled back"),
    ("statements_total", "1", "counter", "database", "statements that were run"),
    ("statement_seconds_total", "seconds", "counter", "database", "time that statements took"),
    ("statements_slow_total", "1", "counter", "server", "statements that took longer than the server's long_query_time"),
    ("cache_hits_total", "1", "counter", "database", "pages that were found in the server's cache"),
    ("cache_misses_total", "1", "counter", "database", "pages that had to be asked of the system"),
    ("read_bytes_total", "bytes", "counter", "database", "bytes asked of the system"),
    ("written_bytes_total", "bytes", "counter", "server", "bytes given to the system"),
    ("deadlocks_total", "1", "counter", "database", "deadlocks that were broken"),
    ("conflicts_total", "1", "counter", "database", "queries of a standby that made way for the primary"),
    ("temp_files_total", "1", "counter", "database", "sorts and hashes that did not fit in memory"),
    ("temp_bytes_total", "bytes", "counter", "database", "bytes of temporary files"),
    ("checksum_failures_total", "1", "counter", "database", "pages whose checksum was wrong"),
    ("database_size_bytes", "bytes", "gauge", "database", "all files of the database"),
    ("free_bytes", "bytes", "gauge", "database", "room inside the files that nothing uses"),
    ("pages_used_ratio", "ratio", "gauge", "database", "pages beside the most that the file may have"),
    (
        "transaction_id_age",
        "1",
        "gauge",
        "database",
        "transactions since the oldest row that was not frozen; at 2^31 the server stops",
    ),
    ("multixact_id_age", "1", "gauge", "database", "the same for locks that several transactions share"),
    (
        "oldest_xmin_age",
        "1",
        "gauge",
        "server",
        "transactions since the oldest that some session, slot or replica still wants to see",
    ),
    ("purge_lag", "1", "gauge", "server", "versions of rows that wait to be purged: the length of InnoDB's history list"),
    ("checkpoints_timed_total", "1", "counter", "server", "checkpoints that were due"),
    ("checkpoints_requested_total", "1", "counter", "server", "checkpoints that the amount of log forced, or somebody asked for"),
    ("log_bytes_total", "bytes", "counter", "server", "bytes of the write-ahead or redo log"),
    ("log_size_bytes", "bytes", "gauge", "database", "the write-ahead log as it lies beside the file"),
    ("log_waits_total", "1", "counter", "server", "writes that waited for room in the log buffer"),
    ("archived_total", "1", "counter", "server", "files of the log that were archived"),
    ("archive_failures_total", "1", "counter", "server", "files of the log whose archiving failed"),
    ("archive_failing", "1", "gauge", "server", "1 while the last attempt to archive failed"),
    ("replication_lag_bytes", "bytes", "gauge", "replica", "log that a replica has not applied yet", ("replica",)),
    ("replication_lag_seconds", "seconds", "gauge", "replica", "how far a replica is behind", ("replica",)),
    ("replication_running", "1", "gauge", "replica", "1 while a replica receives and applies", ("replica",)),
    (
        "replay_lag_seconds",
        "seconds",
        "gauge",
        "server",
        "on a standby: since the last transaction it replayed, 0 when all is replayed and it still receives",
    ),
    ("slot_retained_bytes", "bytes", "gauge", "slot", "log that a replication slot keeps", ("slot",)),
    ("slot_active", "1", "gauge", "slot", "1 while somebody reads from a replication slot", ("slot",)),
    ("sequence_used_ratio", "ratio", "gauge", "sequence", "how much of its numbers a sequence has given away", ("sequence",)),
    ("table_size_bytes", "bytes", "gauge", "table", "a table with its indexes and what lies out of line", ("table",)),
    ("table_rows", "1", "gauge", "table", "rows, by the engine's estimate", ("table",)),
    ("table_dead_rows", "1", "gauge", "table", "rows that are deleted and not yet cleaned up, by estimate", ("table",)),
    ("table_full_scans_total", "1", "counter", "table", "times that a table was read from end to end", ("table",)),
    ("table_index_scans_total", "1", "counter", "table", "times that a table was read through an index", ("table",)),
    ("table_vacuum_age_seconds", "seconds", "gauge", "table", "since a table was vacuumed last", ("table",)),
    ("index_size_bytes", "bytes", "gauge", "index", "an index", ("table", "index")),
    ("index_scans_total", "1", "counter", "index", "times that an index was used", ("table", "index")),
)
"""Every metric that is read from a database, by name: the vocabulary of history, alerts and exports."""
